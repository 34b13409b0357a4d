"""What Grafana and OpenClaw answer where the cockpit asks inside their containers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from vpai_tui.demo import yaml_text
from vpai_tui.demo.broken import broken
from vpai_tui.demo.engine.store import Doc, Engine
from vpai_tui.demo.headscale.box import reader

Said = tuple[int, str, str]  # exit status, stdout, stderr
_RULES = "/etc/grafana/provisioning/alerting/rules.yaml"
_MARK = "vpai-tui: the channels"


def command(engine: Engine, container: Doc, argv: list[str]) -> Said | None:
    """`docker exec`; None: it is for others to answer."""
    script = argv[2] if len(argv) == 3 and argv[:2] == ["sh", "-c"] else ""
    if "/api/v1/rules" in script:
        return 0, _rules(engine, container), ""
    if "openclaw.mjs" in script:
        return 0, f"{_plugins(engine)}\n{_MARK}\n{_channels(engine)}", ""
    return None


# ── Grafana ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _rules(engine: Engine, container: Doc) -> str:
    """Its answer about the rules that its own files provision, all of them evaluated just now."""
    if not any(it.startswith("GF_SECURITY_ADMIN_PASSWORD=") for it in container["env"]):
        return "vpai: no password\n"
    document = yaml_text.load(reader(container)(_RULES) or b"") or {}
    at = datetime.fromtimestamp(engine.now() - engine.now() % 60, UTC)
    groups = [_group(it, f"{at:%Y-%m-%dT%H:%M:%SZ}") for it in document.get("groups", ())]
    if broken(engine.home.parent, "alert-rules"):
        _spoil([rule for group in groups for rule in group["rules"]])
    body = json.dumps({"status": "success", "data": {"groups": groups}})
    return f"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{body}"


def _group(raw: Doc, at: str) -> Doc:
    rules = [
        {
            "state": "inactive",
            "name": rule["title"],
            "uid": rule["uid"],
            "type": "alerting",
            "health": "ok",
            "lastEvaluation": at,
            "evaluationTime": 0.004,
            "isPaused": False,
            "alerts": [{"labels": {"alertname": rule["title"]}, "state": "Normal", "activeAt": at, "value": ""}],
        }
        for rule in raw.get("rules", ())
    ]
    return {"name": raw.get("name", ""), "file": raw.get("folder", ""), "interval": 60, "rules": rules}


def _spoil(rules: list[Doc]) -> None:
    """One of a metric that is gone, one whose data source does not answer any more."""
    for rule, health, state in zip(rules, ("nodata", "error"), ("NoData", "Error"), strict=False):
        rule.update(health=health, alerts=[{"labels": {}, "state": state}])
        if health == "error":
            rule["lastError"] = "failed to execute query A: lookup victoriametrics on 127.0.0.11:53: no such host"


# ── OpenClaw ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _plugins(engine: Engine) -> str:
    plugins = list(_known(on=not broken(engine.home.parent, "telegram-channel")))
    return json.dumps({"workspaceDir": "/home/node/.openclaw/workspace", "plugins": plugins, "diagnostics": []})


def _known(*, on: bool) -> Iterator[dict[str, Any]]:
    for name, loaded in (("discord", False), ("memory-core", True), ("telegram", on), ("whatsapp", False)):
        state = "loaded" if loaded else "disabled"
        yield {"id": name, "name": name.title(), "status": state, "enabled": loaded, "origin": "bundled"}


def _channels(engine: Engine) -> str:
    off = broken(engine.home.parent, "telegram-channel")
    account = f"- Telegram default: configured, token=env, {'disabled' if off else 'enabled'}"
    return f"Chat channels:\n{account}\n\nAuth providers (OAuth + API keys):\n- none\n"
