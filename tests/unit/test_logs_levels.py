"""Levels: what lines of the fleet's programs say of themselves, and where Loki's guess is another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.logs.levels import judge, level_of, named
from vpai_tui.logs.model import Level

LINES = {
    "error": [
        "ERROR: something failed",
        "error: something failed",
        "[error] x",
        "2026-11-20 ERROR something with info in it",
        "level=ERROR msg=x",
        "level=eror msg=typo",
        '{"level":50,"msg":"pino error"}',
        '{"log":{"level":"error"},"msg":"nested"}',
        '{"msg":"a \\"level\\":\\"info\\" inside","level":"error"}',
        '  {"level":"error"}',
        "Traceback (most recent call last):",
        "ValueError: bad",
        "litellm.exceptions.RateLimitError: limit",
        "E1120 10:00:00.000000 1 x.go:1] klog error",
        "<3>kernel: syslog error",
        "2026-11-20 10:00:42.032 UTC [1104] ERROR:  relation does not exist",
        "\x1b[91m10:00:00 - LiteLLM Proxy:ERROR\x1b[0m: x.py:1 - y",
        "2026-11-20T10:01:06.068Z | \x1b[31merror\x1b[39m | Webhook",
        " ⨯ Error: ENOSPC",
        "2026/11/20 10:00:00 [error] 7#7: *1 open() failed",
        "npm ERR! code",
        "ERROR:root:message",
        '{"level":"error","msg":"cut sho',
        "2026/02/26 23:04:00.123\tERROR\thttp.log.error\tdial tcp",
    ],
    "critical": [
        "FATAL: x",
        "panic: runtime error: index out of range",
        '{"level":60,"msg":"x"}',
        '{"severity":"CRITICAL","msg":"x"}',
        "2026-11-20 10:00:00.123 UTC [27] FATAL:  sorry, too many clients already",
        "<0>x",
        "level=fatal x=1",
    ],
    "warn": [
        "lvl=warn msg=x",
        "[WARNING] x",
        '{"level":40,"msg":"x"}',
        "1:M 20 Nov 2026 10:00:00.000 # WARNING Memory overcommit must be enabled!",
        " ⚠ Fast Refresh had to perform a full reload due to a runtime error.",
        "2026-11-20T10:11:47.953808Z  WARN collection: too small",
        "DeprecationWarning: old",
        "2026-02-26T23:04:00Z WRN something",
    ],
    "info": [
        'INFO:     172.20.2.5:35926 - "POST /v1/x HTTP/1.1" 500 Internal Server Error',
        '{"level":30,"msg":"error in the text"}',
        "level=notice x=1",
        "1:M 20 Nov 2026 10:01:00.971 * 387 changes in 300 seconds. Saving...",
        "2026-11-20 10:01:26.327 UTC [1111] LOG:  checkpoint complete",
        "I1120 10:00:00.000000 1 x.go:1] klog",
        "2026-02-26T23:04:00Z INF node connected",
    ],
    "debug": ["[DEBUG] x", '{"level":20}', "1:M 20 Nov 2026 10:00:04.287 . DB 0: 1824 keys", "<7>x"],
    "trace": ["TRACE: x", '{"level":10}'],
    "unknown": [
        "an error occurred",
        '{"msg":"error inside a json message"}',
        '{"a":{"b":{"level":"error"}}}',
        "",
        "   ",
        "errors=0 warnings=0",
        "no_error_here",
        "terror",
        "level=custom x=1",
        "2026-11-20 10:02:21.164 UTC [1114] DETAIL:  Key (id)=(6985) already exists.",
        '{"level":true}',
        "GET /editor/eda2b6ff 404 in 813ms",
        "got prompt",
    ],
}


@pytest.mark.parametrize(("word", "line"), [(word, line) for word, lines in LINES.items() for line in lines])
def test_a_line_says_its_level(word: str, line: str) -> None:
    assert level_of(line.encode()).word == word


@given(st.binary(max_size=600))
def test_any_bytes_have_a_level(line: bytes) -> None:
    assert level_of(line) in Level
    assert level_of(b"{" + line) in Level


def test_aliases() -> None:
    words = {
        "emerg": "critical",
        "crit": "critical",
        "err": "error",
        "warning": "warn",
        "dbug": "debug",
        "notice": "info",
    }
    assert {word: named(word).word for word in words} == words
    assert named("60") is Level.CRITICAL
    assert named("3") is Level.ERROR
    assert named("blue") is Level.UNKNOWN


def test_the_line_goes_before_the_label_before_lokis_guess() -> None:
    label = (("level", "warn"),)
    assert judge(b"ERROR x", label, {"detected_level": "info"}) == (Level.ERROR, Level.INFO)
    assert judge(b"x", label, {"detected_level": "info"}) == (Level.WARN, Level.INFO)
    assert judge(b"x", (), {"detected_level": "info"}) == (Level.INFO, Level.INFO)
    assert judge(b"x", (), {"detected_level": "unknown"}) == (Level.UNKNOWN, Level.UNKNOWN)
    assert judge(b"x", (), {}) == (Level.UNKNOWN, None)
