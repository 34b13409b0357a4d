"""LiteLLM's answers, as three versions gave them and as no version would."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from budget_things import ANY_JSON, NO_DATABASE, VERSIONS, aggregated, bent, recorded, recorded_row
from hypothesis import given
from hypothesis import strategies as st

from corpus_cases import is_safe
from vpai_tui.budget import activity
from vpai_tui.budget.model import TARGETS
from vpai_tui.budget.tally import OTHER, Tally, provider_name, providers_of, vendor_of
from vpai_tui.budget.transport import Answer, answers_of, ask_program, json_of
from vpai_tui.errors import OperatorError

THE_DAY = date(2026, 11, 22)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_recorded_day_says_who_spent_what(version: str) -> None:
    days = activity.activity_of(aggregated(version))
    assert days is not None
    tally = days[THE_DAY]
    assert (tally.spend_usd, tally.requests, tally.failed, tally.tokens) == (0.1, 3, 0, 90)
    assert {alias: (use.spend_usd, use.requests, use.tokens) for alias, use in tally.models.items()} == {
        "claude-sonnet": (0.05, 1, 30),
        "gpt-4o": (0.05, 1, 30),
        "qwen3-coder": (0.0, 1, 30),
    }
    assert tally.providers == {"openrouter": 0.05, "openai": 0.05}
    assert tally.vendors == {"anthropic": 0.05, "openai": 0.05, "qwen": 0.0}
    assert tally.keys is not None
    assert len(tally.keys) == 1
    assert next(iter(tally.keys)).startswith("tui-")


@pytest.mark.parametrize("version", VERSIONS)
def test_the_recorded_fallbacks_and_the_version(version: str) -> None:
    answers = recorded(version)
    spend = next(answer.body for path, answer in answers.items() if path.startswith("/global/spend/provider"))
    told = activity.spend_of(spend, answers["/global/spend/logs"].body, THE_DAY)
    assert told is not None
    assert set(told[0].providers) == {"openrouter", "openai"}
    assert told[0].spend_usd == pytest.approx(sum(told[0].providers.values()))
    assert told[1][THE_DAY] == told[0].spend_usd
    assert activity.version_of([answers["/health/readiness"], answers["/health/readiness/details"]]) == version


def test_a_version_is_compared_by_its_numbers() -> None:
    assert activity.older_than("1.81.3-stable", 1, 95) is True
    assert activity.older_than("1.106.2", 1, 95) is False
    assert activity.older_than("v1", 1, 95) is None
    assert activity.older_than(None, 1, 95) is None


@pytest.mark.parametrize(
    "body",
    [
        {"detail": {"error": "DB not connected. See https://docs.litellm.ai/docs/proxy/virtual_keys"}},
        {"error": {"message": "No connected db.", "type": "no_db_connection", "param": None, "code": "400"}},
        {"error": {"message": "{'error': 'Prisma Client is not initialized'}", "code": "500"}},
        {"detail": "Database not connected. Connect a database to your proxy"},
        {"detail": [{"msg": "No DB Connected. Here's how to do it"}]},
        {"error": "Not connected to DB!"},
        "Internal: No db connected",
    ],
)
def test_every_way_to_say_that_there_is_no_database_is_one_word(body: Any) -> None:
    for status in (400, 500):
        assert Answer(status, body).no_database
        assert Answer(status, body).said == "no database"
    assert not Answer(200, body).no_database


def test_what_else_an_answer_may_say() -> None:
    assert Answer(200, {}).said == ""
    assert Answer(0, error="Connection refused").said == "Connection refused"
    wrong = {
        "error": {"message": "Authentication Error, Invalid proxy server token passed. Received API Key = sk-...bad1"}
    }
    assert "LITELLM_MASTER_KEY was not accepted" in Answer(401, wrong).said
    assert Answer(503, {"detail": "Service\x1b[2J Unhealthy"}).said == "HTTP 503: Service[2J Unhealthy"
    assert "sk-abcdefgh1234" not in Answer(500, {"error": {"message": "key sk-abcdefgh1234 is bad"}}).said
    assert Answer(500, NO_DATABASE.body).said == "no database"


def test_names_of_providers_and_vendors() -> None:
    assert vendor_of("openrouter/z-ai/glm-5", "openrouter") == "zai"
    assert vendor_of("openrouter/anthropic/claude-sonnet-4") == "anthropic"
    assert vendor_of("openai/gpt-4o") == "openai"
    assert vendor_of("gpt-4o", "openai") == "openai"
    assert vendor_of("gpt-4o") == OTHER
    assert provider_name(" Z-AI ") == "zai"


AMOUNTS = st.floats(0, 1e6).map(lambda it: round(it, 6))
PARTS = st.dictionaries(
    st.one_of(st.sampled_from(["openrouter", "z-ai", "zai", "?", "", "openai", "gemini"]), st.text(max_size=5)),
    AMOUNTS,
    max_size=6,
)


@given(AMOUNTS, PARTS, PARTS)
def test_the_rows_of_providers_make_up_the_sum(
    total: float, billed: dict[str, float], vendors: dict[str, float]
) -> None:
    rows = providers_of(Tally(total, providers=billed, vendors=vendors))
    whole = max(total, sum(billed.values()))
    assert sum(row.billed_usd for row in rows) == pytest.approx(whole, abs=2e-6)
    assert [row.provider for row in rows][: len(TARGETS)] == list(TARGETS)
    assert len({row.provider for row in rows}) == len(rows)
    shares = [row.share for row in rows if row.share is not None]
    assert bool(shares) == (whole > 0)
    assert not shares or sum(shares) == pytest.approx(1, abs=1e-3)


def test_what_has_no_provider_is_not_lost() -> None:
    rows = {row.provider: row for row in providers_of(Tally(1.0, providers={"openai": 0.4, "?": 0.1}))}
    assert rows[OTHER].billed_usd == pytest.approx(0.6)
    assert rows["openai"].share == pytest.approx(0.4)
    assert rows["zai"].billed_usd == 0
    assert rows[OTHER].target_share is None


def test_hours_are_those_of_the_budgets_zone() -> None:
    pages = [
        {"data": [{"startTime": "2026-11-22T23:30:00Z", "spend": 1}, {"startTime": "2026-11-21T22:59:59", "spend": 2}]},
        {"data": [{"startTime": "2026-11-21T23:00:00.5Z", "spend": 0.25}, {"startTime": "yesterday", "spend": 9}]},
    ]
    assert activity.hours_of(pages, THE_DAY, UTC) == {23: 1}
    assert activity.hours_of(pages, THE_DAY, ZoneInfo("Europe/Paris")) == {0: 0.25}


@pytest.mark.parametrize("version", VERSIONS)
def test_hours_of_recorded_rows(version: str) -> None:
    spent, at = recorded_row(version)
    assert activity.hours_of([{"data": [{"startTime": at, "spend": spent}]}], THE_DAY, UTC) == {21: 0.01}


@given(ANY_JSON, st.sampled_from(["UTC", "Europe/Paris", "Pacific/Kiritimati"]))
def test_any_answer_becomes_numbers_or_nothing(body: Any, zone: str) -> None:
    days = activity.activity_of(body)
    for tally in (days or {}).values():
        assert tally.spend_usd >= 0
        assert all(is_safe(word) for word in (*tally.models, *tally.providers, *tally.vendors, *(tally.keys or ())))
    activity.spend_of(body, body, THE_DAY)
    hours = activity.hours_of([body], THE_DAY, ZoneInfo(zone))
    assert all(0 <= hour < 24 and spent > 0 for hour, spent in hours.items())
    assert activity.pages_of(body) >= 0
    assert is_safe(Answer(500, body).said)
    version = activity.version_of([Answer(200, body)])
    assert version is None or is_safe(version)
    activity.older_than(version, 1, 95)


@given(bent(aggregated("1.106.2")))
def test_a_bent_activity_is_never_a_crash(body: Any) -> None:
    for tally in (activity.activity_of(body) or {}).values():
        assert sum(row.billed_usd for row in providers_of(tally)) >= 0


@given(st.one_of(st.text(), ANY_JSON.map(json.dumps)), st.integers(0, 3))
def test_whatever_the_program_printed(printed: str, count: int) -> None:
    try:
        answers = answers_of(printed, count, "sese")
    except OperatorError as error:
        assert is_safe(str(error))
    else:
        assert len(answers) == count
        assert all(0 <= answer.status < 1000 and is_safe(answer.said) for answer in answers)


def test_an_error_in_place_of_json_is_told() -> None:
    with pytest.raises(OperatorError, match="Redis says: NOAUTH Authentication required"):
        json_of("(error) NOAUTH Authentication required.\n", "Redis", "sese")


def test_the_days_that_are_asked_for() -> None:
    request = activity.aggregated(THE_DAY)
    assert request.path == "/user/daily/activity/aggregated?start_date=2026-11-15&end_date=2026-11-23"
    begin = datetime(2026, 11, 22, 0, 0, tzinfo=ZoneInfo("Europe/Paris"))
    assert "start_date=2026-11-21+23%3A00%3A00" in activity.log_page(begin, 2).path
    assert begin + timedelta(days=1) < datetime(2026, 11, 24, tzinfo=UTC)


# ── the program that runs in the container ───────────────────────────────────────────────────────────────────────────


class Proxy(BaseHTTPRequestHandler):
    """Answers by path; only a Bearer key `right` is let in."""

    released = threading.Event()

    def do_GET(self) -> None:
        if self.path == "/slow":
            self.released.wait(30)
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", "/data")
            self.end_headers()
            return
        self.send_response(200 if self.headers.get("Authorization") == "Bearer right" else 401)
        for name, value in (("x-litellm-version", "1.83.3"), ("X-Eco-Mode", "eco"), ("Set-Cookie", "a=b")):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"hello" if self.path == "/text" else b'{"path": "%s"}' % self.path.encode())

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Not on the tests' screen."""


@contextmanager
def proxy() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Proxy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        Proxy.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
        Proxy.released.clear()


def ask(port: int, *requests: list[Any], key: str | None = "right", timeout_s: float = 20) -> list[Answer]:
    order = json.dumps({"port": port, "timeout_s": timeout_s, "requests": requests})
    env = {"http_proxy": "http://127.0.0.1:9"} | ({"LITELLM_MASTER_KEY": key} if key else {})
    done = subprocess.run(
        [sys.executable, "-I", "-c", ask_program(), order], env=env, capture_output=True, text=True, timeout=60
    )
    assert done.stderr == ""
    return answers_of(done.stdout, len(requests), "sese")


def test_the_program_asks_with_the_containers_own_key() -> None:
    with proxy() as port:
        data, text, away, posted = ask(
            port, ["GET", "/data", None], ["GET", "/text", None], ["GET", "/away", None], ["POST", "/x", {"a": [1]}]
        )
        assert (data.status, data.body) == (200, {"path": "/data"})
        assert dict(data.headers) == {"x-litellm-version": "1.83.3", "x-eco-mode": "eco"}
        assert (text.status, text.body) == (200, "hello")
        assert away.status == 302  # the key goes nowhere else
        assert (posted.status, posted.body) == (200, {"a": [1]})
        assert [it.status for it in ask(port, ["GET", "/data", None], key=None)] == [401]


def test_the_program_leaves_behind_who_does_not_answer() -> None:
    with proxy() as port:
        slow, quick = ask(port, ["GET", "/slow", None], ["GET", "/data", None], timeout_s=5)
        assert (slow.status, slow.error) == (0, "no answer within 5 s")
        assert quick.ok
    gone = ask(port, ["GET", "/data", None])[0]
    assert (gone.status, gone.error) == (0, "Connection refused")
