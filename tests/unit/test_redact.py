"""No secret is shown: by its name, by its place in a URL, by its shape."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.redact import MASK, redact


@pytest.mark.parametrize(
    "text",
    [
        "POSTGRES_PASSWORD=hunter2",
        "POSTGRES_PASSWORD: hunter2 and hunter2",
        "+      LITELLM_SALT_KEY: 'hunter2'",
        "- REDISCLI_AUTH=hunter2",
        "export N8N_ENCRYPTION_KEY=hunter2,hunter2",
        '{"password": "a\\"hunter2"}',
        "{'api_key':'hunter2'}",
        '["PATH=/bin", "PGPASSWORD=my hunter2 is long", "X=1"]',
        "redis-server --requirepass hunter2",
        'curl --token "hunter2 x"',
        "Authorization: Bearer hunter2",
        "authorization: basic aHVudGVyMg==hunter2",
        "sent header bearer hunter2hunter2",
        "postgresql://litellm:hunter2@postgresql:5432/litellm",
        "redis://:hunter2@redis:6379",
        "secret = hunter2; next",
        "db.passwd=hunter2",
        "sk-hunter2hunter2",
        "hskey-auth-hunter2hunter2",
        "bot 123456789:AAhunter2hunter2hunter2hunter2hunte",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nhunter2\nhunter2\n-----END OPENSSH PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nhunter2\n",
        'password="cut short hunter2',
        '{"body": "{\\"token\\": \\"hunter2\\"}"}',
    ],
)
def test_secrets_are_masked(text: str) -> None:
    assert "hunter2" not in redact(text)
    assert MASK in redact(text)


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens: 4096",
        "total_tokens=12",
        "42 passed: all of them",
        "KEY is missing",
        "monkey=banana",
        "keyboard: azerty",
        "docker compose -p vpai up -d",
        "http://127.0.0.1:8080/health",
        "user@host:/path",
        "image: postgres:18.1-bookworm",
        "author: someone",
        "12:34:56 started",
    ],
)
def test_other_text_stays(text: str) -> None:
    assert redact(text) == text


def test_what_stands_around_a_secret_stays() -> None:
    assert redact("user=bob password=x host=db") == f"user=bob password={MASK} host=db"
    assert redact('{"token": "x", "port": 5}') == f'{{"token": {MASK}, "port": 5}}'
    assert redact("postgres://u:x@h:5/d") == f"postgres://u:{MASK}@h:5/d"
    assert redact('["A=1", "DB_PASS=x y", "B=2"]') == f'["A=1", "DB_PASS={MASK}", "B=2"]'
    assert redact("A_TOKEN: x y\nB: z\n") == f"A_TOKEN: {MASK}\nB: z\n"


words = st.sampled_from(
    ["password", "=", ":", " ", "\n", '"', "'", "token", "x", "://", "@", "--", "Bearer ", MASK, "{", "-"]
)


@given(st.lists(words).map("".join))
def test_redacting_twice_changes_nothing(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@given(st.text(), st.text(alphabet=st.characters(categories=["L", "N"]), min_size=8))
def test_a_named_value_never_survives(before: str, value: str) -> None:
    text = f"{before}\nDB_PASSWORD={value}qz7"
    assert f"{value}qz7" not in redact(text)


@pytest.mark.parametrize(
    "part", ["a-", "pass", "password ", "a.a://", "-----BEGIN PRIVATE KEY-----", '"token=', "_key-", "--a-"]
)
def test_no_input_makes_it_slow(part: str) -> None:
    """A pattern that looks back over the whole line again and again would need minutes here."""
    text = part * (200_000 // len(part))
    start = time.process_time()
    redact(text)
    assert time.process_time() - start < 20
