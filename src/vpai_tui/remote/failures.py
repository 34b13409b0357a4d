"""How reaching a host fails, in the words of `vpai_tui.errors`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import asyncssh

from vpai_tui.errors import HostUnreachable, LinkLost
from vpai_tui.text import clean_line

RECONNECT = "reconnect and look at the host before repeating anything that changes it"


class HostRefused(HostUnreachable):
    """Trying again will not help: the host key, the user or the key is refused."""

    refused = True


class HostKeyProblem(HostRefused):
    """The host key is not known, has changed, or was not accepted."""


class NoAnswer(LinkLost):
    """A command gave no answer in time; whether it took effect is not known."""


def reason(error: BaseException) -> str:
    """The text of `error` as one clean line; its class name when it says nothing."""
    return clean_line(str(error)) or type(error).__name__


def link_lost(host: str, detail: str = "") -> LinkLost:
    """The error for a connection that ended under running work."""
    suffix = f": {detail}" if detail else ""
    return LinkLost(f"the connection ended before the outcome was known{suffix}", host=host, remedy=RECONNECT)


@contextmanager
def losing_link(host: str) -> Iterator[None]:
    """Turns what asyncssh and the socket say of a dead connection into `LinkLost`."""
    try:
        yield
    except TimeoutError:
        raise  # an OSError too, but ours: deadlines are told apart by who set them
    except (asyncssh.DisconnectError, OSError) as error:
        raise link_lost(host, reason(error)) from error
