"""What each service of the demo writes: believable lines, a function of chance and the moment alone."""

from __future__ import annotations

import json

from vpai_tui.demo.loki.speech import Kind, Moment, Said
from vpai_tui.demo.loki.voices_more import MORE

DOMAIN = "example.org"  # the demo fleet's
_PEERS = ("172.20.2.5", "172.20.2.6", "172.20.2.7", "172.20.4.3")
_VISITORS = ("100.64.0.1", "100.64.0.2", "100.64.0.5", "203.0.113.77", "198.51.100.23")


def _postgres(at: Moment) -> list[Said]:
    before = f"{at.utc('%Y-%m-%d %H:%M:%S.%f')} UTC [{at.number(40, 4000)}] "
    if at.trouble:
        return [Said("critical", before + "FATAL:  sorry, too many clients already")]
    chance = at.number(1, 100)
    if chance <= 4:
        error = 'ERROR:  duplicate key value violates unique constraint "execution_entity_pkey"'
        said = 'STATEMENT:  INSERT INTO "execution_entity" ("id", "status") VALUES ($1, $2)'
        return [Said("error", before + error), Said("", before + said)]
    if chance <= 9:
        return [Said("warn", before + "WARNING:  there is no transaction in progress")]
    if chance <= 30:
        spent = f"duration: {at.number(500, 4000)}.{at.number(0, 999):03d} ms  "
        return [Said("info", f"{before}LOG:  {spent}statement: COMMIT")]
    if chance <= 55:
        return [Said("info", before + "LOG:  checkpoint starting: time")]
    wrote = f"wrote {at.number(20, 400)} buffers (0.{at.number(1, 9)}%); 0 WAL file(s) added, 0 removed, 1 recycled"
    return [
        Said("info", f"{before}LOG:  checkpoint complete: {wrote}; total={at.number(2, 30)}.{at.number(0, 999):03d} s")
    ]


def _redis(at: Moment) -> list[Said]:
    before = f"1:M {at.utc('%d %b %Y %H:%M:%S.%f')} "
    if at.number(1, 100) <= 3:
        return [Said("warn", before + "# WARNING Memory overcommit must be enabled!")]
    text = at.one_of(
        f"* {at.number(100, 900)} changes in 300 seconds. Saving...",
        f"* Background saving started by pid {at.number(100, 900)}",
        "* Background saving terminated with success",
        f"- DB 0: {at.number(900, 2400)} keys ({at.number(20, 60)} volatile) in 4096 slots HT.",
    )
    return [Said("", before + text)]


def _qdrant(at: Moment) -> list[Said]:
    before = f"{at.utc('%Y-%m-%dT%H:%M:%S.%f', 6)}Z "
    if at.number(1, 100) <= 4:
        return [Said("warn", f"{before} WARN qdrant::actix::web_ui: readiness check took {at.number(2, 9)}.4 s")]
    path = at.one_of("/collections", "/collections/memory_v1/points/search", "/readyz", "/collections/memory_v1/points")
    asked = f'{at.one_of(*_PEERS)} "{at.one_of("GET", "POST", "PUT")} {path} HTTP/1.1" 200 {at.number(80, 9000)}'
    return [
        Said(
            "info",
            f'{before} INFO actix_web::middleware::logger: {asked} "-" "python-client/1.15" 0.0{at.number(1, 99):02d}',
        )
    ]


def _n8n(at: Moment) -> list[Said]:
    execution, stamp = str(at.number(48000, 52000)), at.utc("%Y-%m-%dT%H:%M:%S.%f") + "Z"
    name = at.one_of("Plane sync", "creative-pipeline", "Inbox triage", "Nightly report", "RSS digest")

    def said(level: str, message: str, **more: object) -> list[Said]:
        return [Said(level, json.dumps({"level": level, "message": message, "metadata": more, "timestamp": stamp}))]

    if at.trouble or at.number(1, 100) <= 2:
        stack = (
            "Error: sorry, too many clients already\n    at Parser.parseErrorMessage (pg-protocol/src/parser.ts:369:69)"
        )
        return said("error", f'Execution {execution} of workflow "{name}" failed', executionId=execution, stack=stack)
    if at.number(1, 100) <= 6:
        return said("warn", f'Webhook call of "{name}" took {at.number(5, 29)} s', executionId=execution)
    if at.number(1, 100) <= 25:
        return said("debug", "Queue recovery check", scopes=["scaling"], file="logger-proxy.js")
    if at.number(1, 200) == 1:  # as large as a line with a whole payload is
        return said("info", f"Payload of execution {execution}", items=[f"item {number}" for number in range(1500)])
    done = at.one_of("started", "finished successfully", "finished successfully")
    return said("info", f'Execution {execution} of workflow "{name}" {done}', executionId=execution)


_TRACEBACK = """\
Traceback (most recent call last):
  File "/usr/lib/python3.13/site-packages/litellm/proxy/proxy_server.py", line 4211, in chat_completion
    result = await base_llm_response_processor.base_process_llm_request(
  File "/usr/lib/python3.13/site-packages/litellm/router.py", line 1388, in _acompletion
    raise e
litellm.exceptions.{error}
"""


def traceback(error: str) -> list[Said]:
    """As LiteLLM prints one: line by line, the levels in none of them."""
    return [Said("", line) for line in _TRACEBACK.format(error=error).splitlines()]


def _litellm(at: Moment) -> list[Said]:
    chance, peer = at.number(1, 100), f"{at.one_of(*_PEERS)}:{at.number(30000, 60000)}"
    if at.trouble and chance <= 60:
        message = "Prisma: P1001 can't reach database server at postgresql:5432"
        return [_python(at, "ERROR", message)]
    if chance <= 3:
        first = Said(
            "error", f"\x1b[91m{at.utc('%H:%M:%S')} - LiteLLM Proxy:ERROR\x1b[0m: proxy_server.py:4213 - RateLimitError"
        )
        return [first, *traceback("RateLimitError: OpenrouterException - rate limit exceeded, retry in 20 s")]
    if chance <= 25:
        message = at.one_of(
            "Router: selected deployment deepseek-v3-free/openrouter",
            "Router: selected deployment qwen3-coder/openrouter",
            f"cost callback: spend=0.00{at.number(100, 999)}",
        )
        return [_python(at, "DEBUG" if "cost" in message else "INFO", message)]
    status = at.one_of("200 OK", "200 OK", "200 OK", "200 OK", "429 Too Many Requests")
    path = at.one_of(
        "POST /v1/chat/completions", "POST /v1/chat/completions", "GET /health/liveliness", "GET /v1/models"
    )
    return [Said("info", f'INFO:     {peer} - "{path} HTTP/1.1" {status}')]


def _python(at: Moment, level: str, message: str) -> Said:
    document = {"message": message, "level": level, "timestamp": at.utc("%Y-%m-%dT%H:%M:%S.%f", 6)}
    return Said(level.lower(), json.dumps(document))


def _caddy(at: Moment) -> list[Said]:
    if at.number(1, 100) <= 2:
        renewed = {"level": "warn", "ts": round(at.seconds, 7), "logger": "tls", "msg": "stapling OCSP"}
        return [
            Said("warn", json.dumps({**renewed, "error": "no OCSP stapling for [example.org]"}, separators=(",", ":")))
        ]
    status = at.number(1, 100)
    code = 502 if at.trouble and status <= 60 else 404 if status <= 4 else 403 if status <= 7 else 200
    return [access(at, code)]


_PLACES = {
    "mayi": "/webhook/plane-sync",
    "llm": "/v1/chat/completions",
    "qd": "/collections",
    "javisi": "/chat",
    "tala": "/d/vpai-fleet",
    "hq": "/api/task",
    "nzimbu": "/accounts",
    "cut": "/",
    "singa": "/key",
}


def access(at: Moment, status: int, name: str = "") -> Said:
    """A line of Caddy's access log."""
    name = name or at.one_of(*_PLACES)
    level, visitor = "error" if status >= 500 else "info", at.one_of(*_VISITORS)
    request = {
        "remote_ip": visitor,
        "remote_port": str(at.number(32768, 60999)),
        "client_ip": visitor,
        "proto": "HTTP/2.0",
        "method": at.one_of("GET", "GET", "POST"),
        "host": f"{name}.{DOMAIN}",
        "uri": _PLACES[name],
        "headers": {"User-Agent": [at.one_of("n8n", "Uptime-Kuma/1.23.15", "Mozilla/5.0 (X11; Linux x86_64)")]},
    }
    document = {"level": level, "ts": round(at.seconds, 7), "logger": "http.log.access.log0", "msg": "handled request"}
    sizes = {"bytes_read": at.number(0, 2000), "user_id": "", "duration": round(at.dice.random() / 9, 9)}
    sizes |= {"size": at.number(100, 60000), "status": status}
    return Said(level, json.dumps({**document, "request": request, **sizes}, separators=(",", ":")))


def _headscale(at: Moment) -> list[Said]:
    before = at.utc("%Y-%m-%dT%H:%M:%SZ ")
    chance = at.number(1, 100)
    if chance <= 3:
        return [Said("error", f'{before}ERR could not send map response error="context canceled" node=old-phone')]
    if chance <= 8:
        return [Said("warn", f"{before}WRN derp: no home region yet node=new-laptop")]
    node = at.one_of("workstation-pi", "ewutelo", "seko", "sese")
    if chance <= 40:
        return [
            Said(
                "debug", f"{before}DBG map response sent node={node} peers={at.number(3, 5)} took={at.number(1, 40)}ms"
            )
        ]
    return [Said("info", f"{before}INF node connected node={node} endpoints={at.number(1, 4)}")]


def _loki(at: Moment) -> list[Said]:
    before = f"ts={at.utc('%Y-%m-%dT%H:%M:%S.%f', 6)}Z caller="
    if at.number(1, 100) <= 3:
        return [
            Said("warn", f'level=warn {before}tailer.go:217 msg="tailer dropped streams" dropped={at.number(1, 80)}')
        ]
    query = f"component=frontend org_id=fake latency=fast query_type=limited duration={at.number(2, 90)}ms status=200"
    flush = f'msg="uploading tables" index-store=tsdb-2020-01-01 took={at.number(1, 30)}ms'
    return [Said("info", f"level=info {before}{at.one_of('metrics.go:237 ' + query, 'table_manager.go:136 ' + flush)}")]


def _next(at: Moment) -> list[Said]:
    if at.number(1, 100) <= 4:
        frame = "    at async Server.handleRequest (/app/node_modules/next/dist/server/base-server.js:829:20)"
        return [Said("error", " ⨯ Error: fetch failed: ECONNREFUSED opencut-srh:80"), Said("", frame)]
    if at.number(1, 100) <= 3:  # what people call their projects
        name = at.one_of("[bold red]final[/]", "\u202egnp.exe", "\x1b]0;title\x07cut", "été ✂ 剪辑")
        return [Said("", f" saved project {name}")]
    path = at.one_of("/", "/api/health", "/api/projects", "/editor/9f2c")
    return [Said("", f" {at.one_of('GET', 'GET', 'POST')} {path} 200 in {at.number(3, 240)}ms")]


def _elixir(at: Moment) -> list[Said]:
    return [Said("info", f"{at.utc('%H:%M:%S.%f')} [info] POST /pipeline sent 200 in {at.number(1, 30)}ms")]


def _other(at: Moment) -> list[Said]:
    if at.number(1, 100) <= 5:
        return [Said("warn", f'level=warn msg="slow operation" duration_ms={at.number(900, 4000)}')]
    path = at.one_of("/health", "/metrics", "/")
    return [
        Said(
            "info",
            f'level=info msg="request completed" method=GET path={path} status=200 duration_ms={at.number(1, 80)}',
        )
    ]


_KINDS = {
    "postgres": Kind(7, _postgres, ("info", "warn", "error", "critical", "")),
    "pgvector": Kind(7, _postgres, ("info", "warn", "error", "critical", "")),
    "redis": Kind(3, _redis, ("warn", "")),
    "valkey": Kind(2, _redis, ("warn", "")),
    "qdrant": Kind(8, _qdrant, ("info", "warn")),
    "n8n": Kind(14, _n8n, ("info", "warn", "error", "debug")),
    "litellm": Kind(18, _litellm, ("info", "debug", "error", "")),
    "caddy": Kind(26, _caddy, ("info", "warn", "error")),
    "headscale": Kind(9, _headscale, ("info", "warn", "error", "debug")),
    "loki": Kind(6, _loki, ("info", "warn")),
    "opencut-local": Kind(5, _next, ("error", "")),
    "serverless-redis-http": Kind(2, _elixir, ("info",)),
    "caddy-ovh-local": Kind(26, _caddy, ("info", "warn", "error")),
    **MORE,
}
_OTHER = Kind(5, _other, ("info", "warn"))


def known(image: str) -> bool:
    """Whether it is a service that has a voice of its own."""
    return kind_of(image) is not _OTHER


def kind_of(image: str) -> Kind:
    """The kind of service an image is of: by its name, and its owner's where that says nothing (`usekaneo/api`)."""
    path = image.partition("@")[0].split("/")
    name = path[-1].partition(":")[0]
    return _KINDS.get("/".join([*path[-2:-1], name])) or _KINDS.get(name, _OTHER)


def refused(at: Moment, kind: str, needed: str, port: int) -> list[Said]:
    """How a service complains that what it needs is not there."""
    where = f"{needed}:{port}"
    if kind == "n8n":
        stack = f"Error: connect ECONNREFUSED {where}\n    at TCPConnectWrap.afterConnect (node:net:1637:16)"
        document = {"level": "error", "message": f"connect ECONNREFUSED {where}", "metadata": {"stack": stack}}
        return [Said("error", json.dumps({**document, "timestamp": at.utc("%Y-%m-%dT%H:%M:%S.%f") + "Z"}))]
    if kind == "litellm":
        first = _python(at, "ERROR", f"connection to {where} refused")
        return [first, *traceback(f"APIConnectionError: connection to {where} refused")]
    if kind == "caddy":
        told = {"logger": "http.log.error.log0", "msg": f"dial tcp {where}: connect: connection refused", "status": 502}
        return [
            Said("error", json.dumps({"level": "error", "ts": round(at.seconds, 7), **told}, separators=(",", ":")))
        ]
    return [
        Said(
            "error", f'level=error msg="dependency check failed" error="dial tcp {where}: connect: connection refused"'
        )
    ]
