"""Secrets out of anything that is shown, logged or journaled, by the name they stand behind."""

from __future__ import annotations

import re

_NAME = (
    r"[A-Za-z0-9_.-]*(?:pass(?:word|wd|phrase)?|secret|token|api[_-]?key|_key|private[_-]?key|credential|dsn"
    r"|authorization)[A-Za-z0-9_.-]*"
)
_ASSIGNMENT = re.compile(rf"(?i)(\b{_NAME}[\"']?\s*[:=]\s*)(\"[^\"]*\"|'[^']*'|(?:bearer|basic)\s+\S+|[^\s,;}}\]]+)")
_USERINFO = re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^\s/:@]*):[^\s@/]+@")
_BEARER = re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}")
_KNOWN = re.compile(r"\b(sk-[A-Za-z0-9_-]{8,}|hskey-[A-Za-z0-9_-]{8,}|ghp_[A-Za-z0-9]{20,})")
MASK = "•••"


def redact(text: str) -> str:
    """`text` with the values of secret-looking names, URL passwords and well-known key shapes replaced by `•••`."""
    text = _ASSIGNMENT.sub(rf"\1{MASK}", text)
    text = _USERINFO.sub(rf"\1:{MASK}@", text)
    text = _BEARER.sub(rf"\1 {MASK}", text)
    return _KNOWN.sub(MASK, text)
