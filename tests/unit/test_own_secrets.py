"""What a container says, without the values its environment has for secrets."""

from __future__ import annotations

from vpai_tui.fleet.own_secrets import own_secrets, without


def test_values_are_hidden_by_their_names_their_form_or_their_lines() -> None:
    env = ["DB_PASSWORD=hunter2", "MODE=production", "X=abcdefghijklmnop", "PEM=BEGIN\nline-of-it\nEND"]
    env += ["DATABASE_URL=postgres://u:p4ss@db/x", "HOME_PAGE=https://example.org/x", "PIN_TOKEN=123"]
    secrets = own_secrets({"Config": {"Env": env}})
    said = "hunter2 production abcdefghijklmnop line-of-it p4ss https://example.org/x 123"
    hidden = "••• production ••• ••• ••• https://example.org/x 123"
    assert without({"a": [said, 1, None]}, secrets) == {"a": [hidden, 1, None]}


def test_odd_answers_have_no_secrets() -> None:
    assert own_secrets({}) == own_secrets({"Config": None}) == own_secrets({"Config": {"Env": "A=1"}}) == ()


def test_the_longest_goes_first() -> None:
    secrets = own_secrets({"Config": {"Env": ["A_KEY=abcd", "B_KEY=abcdefg"]}})
    assert without("abcdefg abcd", secrets) == "••• •••"
