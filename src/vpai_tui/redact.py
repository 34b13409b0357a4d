"""Secrets out of anything that is shown, logged or journaled, by the name they stand behind."""

from __future__ import annotations

import re
from functools import cache

MASK = "•••"

# What makes a name secret. `max_tokens`, `passed` and `primary key` are not; `_KEY` of any kind is.
_WORD = (
    r"(?:passw(?:or)?d|passphrase|passcode|pass(?![a-z])|secret|token(?!s)|api[_-]?key|[_-]key(?![a-z])|credential|dsn(?![a-z])"
    r"|authorization|[_-]auth(?![a-z]))"
)
# One start per run of name characters, and a short tail: no input may make this quadratic.
_NAME = rf"(?<![A-Za-z0-9_.-])[A-Za-z0-9_.-]*{_WORD}[A-Za-z0-9_.-]{{0,40}}"
# A quote that is not closed (a line cut short) hides what is left of its line.
_QUOTED = r"\"(?:\\.|[^\"\\\n])*\"?|'[^'\n]*'?"
_ESCAPED = r"\\\"[^\"\n]*\"?"  # JSON inside JSON
_PLAIN = r"[^\s,;}\]\"']"
_VALUE = rf"(?:(?:bearer|basic)\s+)?(?:{_ESCAPED}{_PLAIN}*|(?:{_QUOTED})+{_PLAIN}*|{_PLAIN}+)"


@cache
def _rules() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Compiled at the first use: the first frame has nothing to hide and does not wait for it."""
    return (
        # PEM blocks, as a whole.
        (re.compile(r"(-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----)[\s\S]*?(-----END|\Z)"), rf"\1{MASK}\2"),
        # `POSTGRES_PASSWORD: two words`: a variable that begins a line (of an env file, of YAML, of a diff of them) has
        # its value up to the end of the line.
        (
            re.compile(
                rf"(?m)^([ \t+-]*(?:export )?[A-Z0-9_]*{_WORD.upper()}[A-Z0-9_]{{0,40}}[ \t]*[:=][ \t]*)"
                rf"(?!{MASK})[^\s\"'].*$"
            ),
            rf"\1{MASK}",
        ),
        # `"PASSWORD=two words"`, as `docker inspect` lists the environment.
        (re.compile(rf"(?i)\"({_NAME}=)(?:\\.|[^\"\\\n])*\""), rf'"\1{MASK}"'),
        (re.compile(rf"(?i)'({_NAME}=)[^'\n]*'"), rf"'\1{MASK}'"),
        # `password=x`, `"token": "x"`, `Authorization: Bearer x`
        (re.compile(rf"(?i)({_NAME}(?:\\?[\"'])?\s{{0,20}}[:=]\s{{0,20}}){_VALUE}"), rf"\1{MASK}"),
        # `--password x`
        (re.compile(rf"(?i)((?<!\S)--?[a-z0-9-]*{_WORD}[a-z0-9-]{{0,40}}[ \t]+){_VALUE}"), rf"\1{MASK}"),
        # `scheme://user:password@host`
        (re.compile(r"(?i)\b([a-z][a-z0-9+.-]{0,30}://[^\s/:@]{0,200}):[^\s@/]+@"), rf"\1:{MASK}@"),
        (re.compile(r"(?i)\b(bearer|basic)\s{1,20}[A-Za-z0-9._~+/=-]{8,}"), rf"\1 {MASK}"),
        # Keys known by their shape: OpenAI-like, Headscale, GitHub, Slack, Telegram bots.
        (
            re.compile(
                r"\b(?:sk-[A-Za-z0-9_-]{8,}|hskey-[A-Za-z0-9_-]{8,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}"
                r"|xox[abp]-[A-Za-z0-9-]{10,}|[0-9]{8,10}:[A-Za-z0-9_-]{35}(?![A-Za-z0-9_-]))"
            ),
            MASK,
        ),
    )


def redact(text: str) -> str:
    """`text` with the values of secret-looking names, URL passwords and well-known key shapes replaced by `•••`."""
    for pattern, replacement in _rules():
        text = pattern.sub(replacement, text)
    return text
