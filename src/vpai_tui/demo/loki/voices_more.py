"""The voices of agent, finance and task programs, of what seko and the Pi run, and of what watches over the hosts."""

from __future__ import annotations

import json

from vpai_tui.demo.loki.speech import Kind, Moment, Said


def _openclaw(at: Moment) -> list[Said]:
    before = at.utc("%Y-%m-%dT%H:%M:%S.%fZ ")
    chance = at.number(1, 100)
    if chance <= 3:
        return [
            Said(
                "error", f"{before}[telegram] sendMessage failed: Network request for 'sendMessage' failed! level=error"
            )
        ]
    if chance <= 8:
        return [Said("warn", f"{before}[agent] level=warn litellm/qwen3-coder: 429, next litellm/deepseek-v3-free")]
    agent = at.one_of("concierge", "builder", "writer", "cfo", "explorer")
    done = at.one_of(
        "run started", f"run done in {at.number(2, 70)} s", f"tool web_search took {at.number(300, 4000)} ms"
    )
    return [Said("info", f"{before}[agent] level=info {agent}: {done}")]


def _rails(at: Moment) -> list[Said]:
    request = f"[{at.number(10**7, 10**8 - 1):x}] "
    if at.number(1, 100) <= 3:
        said = (
            'ActiveRecord::ConnectionNotEstablished: connection to server at "postgresql" failed'
            if at.trouble
            else "Net::ReadTimeout"
        )
        return [Said("error", f"E, [{at.utc('%Y-%m-%dT%H:%M:%S.%f', 6)} #1] ERROR -- : {request}{said}")]
    path = at.one_of("/", "/accounts", "/transactions", "/up", "/budgets")
    text = f'{request}Completed 200 OK in {at.number(8, 400)}ms (ActiveRecord: {at.number(1, 40)}.3ms)  GET "{path}"'
    return [Said("info", f"I, [{at.utc('%Y-%m-%dT%H:%M:%S.%f', 6)} #1]  INFO -- : {text}")]


def _hono(at: Moment) -> list[Said]:
    if at.number(1, 100) <= 3:
        return [Said("error", 'Error: Failed query: select * from "task"')]
    path = f"/api/{at.one_of('health', 'task', 'project', 'activity')}"
    return [Said("", f"{at.one_of('GET', 'GET', 'PUT')} {path} 200 {at.number(2, 90)}ms")]


def _nginx(at: Moment) -> list[Said]:
    path = at.one_of("/", "/assets/index.js", "/assets/index.css")
    asked = f'172.20.2.9 - - [{at.utc("%d/%b/%Y:%H:%M:%S +0000")}] "GET {path} HTTP/1.1" 200 {at.number(400, 90000)}'
    return [Said("", f'{asked} "-" "Mozilla/5.0 (X11; Linux x86_64)" "-"')]


def _alloy(at: Moment) -> list[Said]:
    before = f"ts={at.utc('%Y-%m-%dT%H:%M:%S.%f', 6)}Z level="
    if at.number(1, 100) <= 40:
        return [
            Said(
                "warn", f'{before}warn msg="final error sending batch" component_id=loki.write.loki status=-1 tenant=""'
            )
        ]
    sent = f"component_id=loki.source.docker.containers written={at.number(20, 900)}"
    return [Said("info", f'{before}info msg="finished transferring logs" {sent}')]


def _victoria(at: Moment) -> list[Said]:
    before = f"{at.utc('%Y-%m-%dT%H:%M:%S.%f')}Z\t"
    if at.number(1, 100) <= 30:
        slow = f"slow query according to -search.logSlowQueryDuration=5s: duration={at.number(5, 9)}.1s"
        return [Said("warn", f"{before}warn\tVictoriaMetrics/app/vmselect/main.go:217\t{slow}")]
    merged = f"merged {at.number(2, 15)} parts in 0.{at.number(1, 9)} s"
    return [Said("info", f"{before}info\tVictoriaMetrics/lib/storage/partition.go:1512\t{merged}")]


def _grafana(at: Moment) -> list[Said]:
    before = f"logger=context t={at.utc('%Y-%m-%dT%H:%M:%S.%f', 6)}Z level="
    if at.number(1, 100) <= 8:
        return [
            Said(
                "error",
                'logger=alertmanager.telegram level=error msg="failed to send" err="context deadline exceeded"',
            )
        ]
    path = at.one_of("/api/ds/query", "/api/dashboards/uid/vpai-fleet", "/api/health")
    return [
        Said(
            "info",
            f'{before}info msg="Request Completed" method=GET path={path} status=200 duration={at.number(2, 300)}ms',
        )
    ]


def _klog(at: Moment) -> list[Said]:
    letter, text = at.one_of(
        "W The metrics of docker container were not read in time", "I Registering docker factory"
    ).split(" ", 1)
    level = {"W": "warn", "I": "info"}[letter]
    return [Said(level, f"{letter}{at.utc('%m%d %H:%M:%S.%f', 6)}       1 manager.go:{at.number(100, 400)}] {text}")]


def _diun(at: Moment) -> list[Said]:
    document = {"level": "warn", "provider": "docker", "image": "docker.io/library/redis:8.0-bookworm"}
    if at.number(1, 100) <= 60:
        document |= {"level": "info", "message": "Image update found"}
    else:
        document |= {"message": "Cannot get remote manifest: toomanyrequests"}
    return [Said(document["level"], json.dumps({**document, "time": at.utc("%Y-%m-%dT%H:%M:%SZ")}))]


def _haproxy(at: Moment) -> list[Said]:
    if at.number(1, 100) <= 10:
        refused = '"POST /v1.47/containers/x/exec HTTP/1.1"'
        return [Said("", f"172.20.3.4:51022 dockerfrontend dockerfrontend/<NOSRV> 403 192 - - PR-- {refused}")]
    path = at.one_of("/v1.47/containers/json", "/v1.47/networks", "/v1.47/events")
    way = f"172.20.3.4:{at.number(30000, 60000)} dockerfrontend dockerbackend/dockersocket"
    return [Said("", f'{way} 200 {at.number(900, 60000)} - - ---- "GET {path} HTTP/1.1"')]


def _couchdb(at: Moment) -> list[Said]:
    who = f"nonode@nohost <0.{at.number(300, 9000)}.0> {at.number(10**9, 10**10 - 1):x} couch.ewutelo.cloud 100.64.0.14"
    before = at.utc("%Y-%m-%dT%H:%M:%S.%fZ", 6)
    if at.number(1, 100) <= 3:
        return [Said("warn", f"[warning] {before} {who} undefined GET /obsidian_vault 401 ok 2")]
    asked = at.one_of("GET /obsidian_vault/_changes", "POST /obsidian_vault/_bulk_docs", "GET /_up")
    return [Said("info", f"[notice] {before} {who} obsidian {asked} 200 ok {at.number(1, 90)}")]


def _kuma(at: Moment) -> list[Said]:
    before = at.utc("%Y-%m-%dT%H:%M:%SZ")
    if at.number(1, 100) <= 8:
        failing = "Failing: timeout of 48000ms exceeded | Interval: 60 seconds | Type: http"
        return [Said("warn", f"{before} [MONITOR] WARN: Monitor #4 'n8n': {failing}")]
    return [Said("info", f"{before} [DB] INFO: Purged {at.number(2, 90)} old heartbeats")]


def _zerobyte(at: Moment) -> list[Said]:
    job = at.one_of("vpai-postgres", "vpai-redis", "vpai-qdrant", "vpai-configs")
    if at.number(1, 100) <= 5:
        return [Said("error", f"level=error backup {job} failed: repository is already locked")]
    return [Said("info", f"level=info backup {job}: {at.number(1, 400)} files, {at.number(1, 900)} MiB added")]


def _comfyui(at: Moment) -> list[Said]:
    if at.number(1, 100) <= 50:
        return [Said("", "got prompt")]
    return [Said("", f"Prompt executed in {at.number(90, 400)}.{at.number(10, 99)} seconds")]


def _remotion(at: Moment) -> list[Said]:
    job = f"{at.number(4096, 65535):x}"
    if at.number(1, 100) <= 4:
        return [Said("error", f"level=error render {job} failed: Target closed")]
    return [Said("info", f"level=info render {job}: frame {at.number(1, 300)} of 300")]


MORE = {
    "couchdb": Kind(6, _couchdb, ("info", "warn")),
    "uptime-kuma": Kind(1, _kuma, ("info", "warn")),
    "zerobyte": Kind(1, _zerobyte, ("info", "error")),
    "comfyui-local": Kind(0.5, _comfyui, ("",)),
    "remotion-local": Kind(2, _remotion, ("info", "error")),
    "openclaw": Kind(8, _openclaw, ("info", "warn", "error")),
    "sure": Kind(6, _rails, ("info", "error")),
    "usekaneo/api": Kind(5, _hono, ("error", "")),
    "usekaneo/web": Kind(4, _nginx, ("",)),
    "alloy": Kind(1, _alloy, ("info", "warn")),
    "victoria-metrics": Kind(1, _victoria, ("info", "warn")),
    "grafana": Kind(3, _grafana, ("info", "error")),
    "cadvisor": Kind(1, _klog, ("info", "warn")),
    "diun": Kind(0.7, _diun, ("info", "warn")),
    "docker-socket-proxy": Kind(4, _haproxy, ("",)),
}
