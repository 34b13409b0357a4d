"""Rules and dashboards of sese/monitoring: whole, and every query one that a real VictoriaMetrics takes."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from .edge_kit import demand
from .victoria_kit import PROGRAM, started

STACK = Path(__file__).parents[2] / "stacks/sese/monitoring"
GRAFANA = STACK / "configs/grafana"
COMPOSE = yaml.safe_load((STACK / "compose.yaml").read_text())["services"]
DASHBOARDS = sorted((GRAFANA / "dashboards").glob("*.json"))
# What Grafana puts in before it asks.
_VARIABLES = {"$__rate_interval": "5m", "$host": ".+", "$service": ".*", "$search": "word"}


def read(path: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((GRAFANA / "provisioning" / path).read_text())
    return found


def rules() -> list[dict[str, Any]]:
    return [rule for group in read("alerting/rules.yaml")["groups"] for rule in group["rules"]]


def queries() -> list[tuple[str, str, str]]:
    """Where it stands, the data source, the query."""
    found = []
    for rule in rules():
        for step in rule["data"]:
            if step["datasourceUid"] != "__expr__":
                found.append((rule["uid"], step["datasourceUid"], step["model"]["expr"]))
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            for target in panel["targets"]:
                found.append((f"{path.stem}: {panel['title']}", target["datasource"]["uid"], target["expr"]))
    return found


def filled(expr: str) -> str:
    for name, value in _VARIABLES.items():
        expr = expr.replace(name, value)
    assert "$" not in expr, expr
    return expr


def test_what_is_provisioned_fits_together() -> None:
    sources = {it["uid"]: it for it in read("datasources/vpai.yaml")["datasources"]}
    assert {uid: it["url"] for uid, it in sources.items()} == {
        "victoriametrics": "http://victoriametrics:8428",
        "loki": "http://loki:3100",
    }
    assert {source for _, source, _ in queries()} == set(sources)
    (provider,) = read("dashboards/vpai.yaml")["providers"]
    binds = [str(it) for it in COMPOSE["grafana"]["volumes"]]
    assert f"./configs/grafana/dashboards:{provider['options']['path']}:ro" in binds
    assert [path.stem for path in DASHBOARDS] == ["containers", "fleet", "llm-spend", "logs"]


def test_dashboards_have_their_own_names_and_no_panel_lies_on_another() -> None:
    boards = [json.loads(path.read_text()) for path in DASHBOARDS]
    assert len({board["uid"] for board in boards}) == len({board["title"] for board in boards}) == len(boards)
    for board in boards:
        cells: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            at = panel["gridPos"]
            mine = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
            assert at["x"] + at["w"] <= 24
            assert not mine & cells, panel["title"]
            cells |= mine
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


def test_every_rule_has_a_condition_and_goes_to_telegram() -> None:
    found = rules()
    assert len({rule["uid"] for rule in found}) == len({rule["title"] for rule in found}) == len(found) >= 12
    for rule in found:
        steps = {step["refId"]: step for step in rule["data"]}
        last = steps[rule["condition"]]
        assert last["datasourceUid"] == "__expr__"
        assert last["model"]["expression"] in steps
        assert rule["annotations"]["summary"]
        for step in rule["data"]:  # Grafana puts variables of its environment in there
            assert "$" not in str(step["model"].get("expr", ""))
    told = read("alerting/telegram.yaml")
    (point,), (policy,) = told["contactPoints"], told["policies"]
    assert policy["receiver"] == point["name"]
    assert point["receivers"][0]["type"] == "telegram"
    # A number from the environment would be no text (grafana/grafana#69950): the start puts it in.
    assert point["receivers"][0]["settings"]["chatid"] == "@TELEGRAM_CHAT_ID@"
    assert "@TELEGRAM_CHAT_ID@" in COMPOSE["grafana"]["command"][0]


def test_the_start_of_grafana_puts_the_chat_in_as_text(tmp_path: Path) -> None:
    script = COMPOSE["grafana"]["command"][0].replace("$$", "$").replace("/tmp/provisioning", f"{tmp_path}/p")
    script = script.replace("/etc/grafana/provisioning", str(GRAFANA / "provisioning")).replace("exec /run.sh", "true")
    environ = {"PATH": os.environ["PATH"], "TELEGRAM_CHAT_ID": "-1001234567890"}
    for _ in range(2):  # a restart finds the copy of the last start
        subprocess.run(["sh", "-ec", script], env=environ, check=True)
    found = yaml.safe_load((tmp_path / "p/alerting/telegram.yaml").read_text())
    assert found["contactPoints"][0]["receivers"][0]["settings"]["chatid"] == "-1001234567890"
    assert (tmp_path / "p/datasources/vpai.yaml").is_file()
    done = subprocess.run(["sh", "-ec", script], env={"PATH": os.environ["PATH"]}, capture_output=True, check=False)
    assert done.returncode != 0


@pytest.fixture(scope="module")
def victoria(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Started as the stack starts it, but for its place."""
    if PROGRAM is None:
        demand("victoria-metrics is not installed")
    with started(tmp_path_factory.mktemp("victoria")) as url:
        yield url


def test_a_real_victoriametrics_takes_every_query(victoria: str) -> None:
    asked = 0
    for where, source, expr in queries():
        if source == "victoriametrics":
            answer = httpx.get(
                f"{victoria}/api/v1/query", params={"query": filled(expr)}, timeout=10, verify=False, trust_env=False
            )
            assert answer.json()["status"] == "success", (where, answer.text)
            asked += 1
    assert asked > 35


def test_what_is_missing_is_told(victoria: str) -> None:
    """Rules of what is not there fire on an empty database; those of what is there are quiet."""
    wanting = {"vpai-no-host", "vpai-no-names"}
    for rule in rules():
        step = rule["data"][0]
        if step["datasourceUid"] != "victoriametrics":
            continue
        expr = filled(step["model"]["expr"])
        found = httpx.get(
            f"{victoria}/api/v1/query", params={"query": expr}, timeout=10, verify=False, trust_env=False
        ).json()["data"]["result"]
        evaluator = rule["data"][-1]["model"]["conditions"][0]["evaluator"]
        limit, below = evaluator["params"][0], evaluator["type"] == "lt"
        values = [float(it["value"][1]) for it in found]
        fires = any(value < limit if below else value > limit for value in values)
        assert fires == (rule["uid"] in wanting), rule["uid"]
        assert rule["noDataState"] == ("Alerting" if rule["uid"] in wanting else "OK")


def test_the_labels_of_logs_are_the_cockpits_words() -> None:
    text = (STACK / "configs/alloy/config.alloy").read_text()
    made = set(re.findall(r'target_label\s*=\s*"([a-z_]+)"', text)) | set(
        re.findall(r"values\s*=\s*\{\s*(\w+)\s*=", text)
    )
    assert {"host", "stack", "service", "container", "level"} <= made
