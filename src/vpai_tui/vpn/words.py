"""What may be typed for names, tags, prefixes, addresses, keys: stricter than Headscale, which swallows the rest."""

from __future__ import annotations

import ipaddress
import re
from datetime import timedelta

from vpai_tui.errors import UsageError
from vpai_tui.text import clean_line
from vpai_tui.vpn.versions import Version

_NODE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])")
_TAG = re.compile(r"tag:[a-z][a-z0-9-]{0,61}")
_SHORT = re.compile(r"[A-Za-z0-9_-]{24}")
_LONG = re.compile(r"hskey-authreq-[A-Za-z0-9_-]{24}")
_SPAN = re.compile(r"(\d{1,5})([mhdwy])")
_UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
_UNITS |= {"w": timedelta(days=7), "y": timedelta(days=365)}
EXIT = ("0.0.0.0/0", "::/0")


def node_name(text: str) -> str:
    """A MagicDNS label: 2 to 63 of a-z, 0-9 and -, not at an edge. UsageError otherwise."""
    if not _NODE.fullmatch(text):
        raise UsageError(
            f"{clean_line(text, 80)!r} is no node name",
            remedy="2 to 63 characters of a-z, 0-9 and -, with no - at an edge; dots are not allowed",
        )
    return text


def user_name(text: str) -> str:
    """0.26's rules, which 0.27 to 0.29 do not check. UsageError otherwise."""
    good = 2 <= len(text) <= 255 and text[0].isalpha() and text.count("@") <= 1
    if not good or not all(char.isalnum() or char in "-._@" for char in text):
        raise UsageError(
            f"{clean_line(text, 80)!r} is no user name",
            remedy="2 to 255 letters, digits and - . _, at most one @, a letter first",
        )
    return text


def tag(text: str) -> str:
    """`tag:web`; the word `tag:` may be left out. UsageError otherwise."""
    full = text if text.startswith("tag:") else f"tag:{text}"
    if not _TAG.fullmatch(full):
        raise UsageError(f"{clean_line(text, 80)!r} is no tag", remedy="a-z first, then a-z, 0-9 and -, as tag:web")
    return full


def prefix(text: str) -> str:
    """A route in its normal form; `exit` stands for 0.0.0.0/0. Host bits are refused: they would never match."""
    if text == "exit":
        return EXIT[0]
    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        raise UsageError(
            f"{clean_line(text, 80)!r} is no route: {clean_line(str(error), 120)}",
            remedy="a network such as 192.168.1.0/24, or `exit`",
        ) from None


def registration_id(pasted: str, version: Version) -> str:
    """The id in the URL (or the bare id) that the client printed. UsageError when it is none of this version's."""
    wanted, example = (_LONG, "hskey-authreq-…") if version.long_registration_ids else (_SHORT, "24 characters")
    text = pasted.strip().rstrip("/")
    last = text.rpartition("/")[2].partition("?")[0]
    if ("/" in text and "/register/" not in text) or not wanted.fullmatch(last):
        raise UsageError(
            "that is no registration URL of this Headscale",
            remedy=f"paste the line the client printed: https://HOST/register/… ({example})",
        )
    return last


def span(text: str) -> timedelta:
    """`30m`, `24h`, `90d`, `2w`, `1y`. UsageError otherwise."""
    found = _SPAN.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise UsageError(
            f"{clean_line(text, 40)!r} is no span of time", remedy="a number and m, h, d, w or y: 24h, 90d"
        )
    return int(found[1]) * _UNITS[found[2]]
