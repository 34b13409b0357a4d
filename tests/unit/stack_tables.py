"""What the architecture document says of each service: networks, ports, floors; and every exception, with its reason.

Written from section 8.3 first, then section 3, then the figures of the deployment that ran before. Nothing here is read
from the stacks: they are held against it.
"""

from __future__ import annotations

GIB = 1 << 30
MIB = 1 << 20

# Memory of each host. Sese and the Pi as in the document; it gives none for seko: the smallest VPS of that offer.
HOSTS = {"sese": 8 * GIB, "seko": 2 * GIB, "pi": 16 * GIB}
RESERVED_SHARE = 0.6

# §8.3, Docker networks of Sese-AI: subnet and whether it leads nowhere.
SESE_NETWORKS = {
    "vpai_frontend": ("172.20.1.0/24", False),
    "vpai_backend": ("172.20.2.0/24", True),
    "vpai_monitoring": ("172.20.3.0/24", True),
    "vpai_egress": ("172.20.4.0/24", False),
    "vpai_sandbox": ("172.20.5.0/24", True),
}

_F, _B, _M, _E, _S = SESE_NETWORKS
# Networks a service may join, by `host/service`. First §8.3, then §3.
NETWORKS: dict[str, frozenset[str]] = {
    "sese/caddy": frozenset({_F, _B}),
    "sese/grafana": frozenset({_F, _B, _M}),
    "sese/postgresql": frozenset({_B}),
    "sese/redis": frozenset({_B}),
    "sese/qdrant": frozenset({_B}),
    "sese/n8n": frozenset({_B, _E}),
    "sese/litellm": frozenset({_B, _E}),
    "sese/openclaw": frozenset({_B, _E}),
    "sese/alloy": frozenset({_B, _M}),
    "sese/victoriametrics": frozenset({_M}),
    "sese/loki": frozenset({_M}),
    "sese/cadvisor": frozenset({_M}),
    "sese/kaneo-api": frozenset({_B}),
    "sese/kaneo-web": frozenset({_B}),
    "pi/comfyui": frozenset({"workstation_creative"}),
    "pi/remotion": frozenset({"workstation_creative"}),
    "pi/caddy-workstation": frozenset({"host"}),
}
# What the document is silent on, and why it is so.
NETWORK_EXCEPTIONS: dict[str, tuple[frozenset[str], str]] = {
    "sese/litellm": (frozenset({_S}), "isolated sub-agents of OpenClaw reach models through it and nothing else"),
    "sese/palais": (frozenset({_F, _B}), "as deployed; §8.2 draws it among the applications"),
    "sese/sure-web": (frozenset({_F, _B}), "as deployed; §8.2 draws it among the applications"),
    "sese/sure-worker": (frozenset({_B}), "needs PostgreSQL, Redis and LiteLLM"),
    "sese/socket-proxy": (frozenset({_M}), "those that read Docker are there"),
    "sese/diun": (frozenset({_M, _E}), "asks the proxy there, and registries and Telegram outside"),
    "sese/backups": (frozenset({_E}), "its heartbeat; what it copies it reaches through the engine"),
    "sese/networks": (frozenset(SESE_NETWORKS), "runs `true` once, so that the networks exist"),
    "seko/headscale": (frozenset({"headscale_default"}), "its own, for the ports it publishes"),
    "seko/webhook-relay": (frozenset({"host"}), "§1 has a native Caddy: it asks 127.0.0.1 and the VPN"),
    "seko/couchdb": (frozenset({"services_default"}), "for the port it publishes"),
    "seko/zerobyte": (frozenset({"services_default"}), "for the port it publishes, and S3"),
    "seko/uptime-kuma": (frozenset({"services_default"}), "for the port it publishes, and what it watches"),
    "seko/socket-proxy": (frozenset({"services_shipping"}), "internal, with the shipper alone"),
    "seko/alloy": (frozenset({"services_shipping", "services_default"}), "asks the proxy, sends through the VPN"),
    "pi/socket-proxy": (frozenset({"workstation_shipping"}), "internal, with the shipper alone"),
    "pi/alloy": (
        frozenset({"workstation_shipping", "workstation_monitoring"}),
        "asks the proxy, sends through the VPN",
    ),
    "pi/opencut": (frozenset({"opencut_default"}), "OpenCut's own, for it is brought up and down alone"),
    "pi/opencut-db": (frozenset({"opencut_default"}), "with OpenCut alone"),
    "pi/opencut-valkey": (frozenset({"opencut_default"}), "with OpenCut alone"),
    "pi/opencut-srh": (frozenset({"opencut_default"}), "with OpenCut alone"),
}

# ANY: IPv4 and IPv6.
LOOPBACK, ANY, ANY4, SEKO_VPN = "127.0.0.1", "*", "0.0.0.0", "100.64.0.5"
# What may be published, by `host/service`: (address, port, protocol). Nobody else publishes anything.
PORTS: dict[str, frozenset[tuple[str, int, str]]] = {
    "sese/caddy": frozenset({(ANY4, 443, "tcp")}),
    "seko/headscale": frozenset(
        {(LOOPBACK, 8080, "tcp"), (LOOPBACK, 9090, "tcp"), (ANY, 3478, "udp")},
    ),
    "seko/couchdb": frozenset({(SEKO_VPN, 5984, "tcp")}),
    "seko/zerobyte": frozenset({(SEKO_VPN, 4096, "tcp")}),
    "seko/uptime-kuma": frozenset({(SEKO_VPN, 3001, "tcp")}),
    "pi/comfyui": frozenset({(LOOPBACK, 8188, "tcp")}),
    "pi/remotion": frozenset({(LOOPBACK, 3200, "tcp")}),
    "pi/opencut": frozenset({(LOOPBACK, 3100, "tcp")}),
}

# Memory (MiB) and CPUs that a limit may not be below: what the earlier deployment was found to need.
FLOORS: dict[str, tuple[int, float]] = {
    "sese/postgresql": (1536, 1.5),
    "sese/redis": (768, 0.5),
    "sese/qdrant": (1536, 0.75),
    "sese/caddy": (256, 0.5),
    "sese/n8n": (1024, 1),
    "sese/litellm": (1024, 1),
    "sese/openclaw": (1536, 1),
    "sese/palais": (192, 0.75),
    "sese/sure-web": (768, 1),
    "sese/sure-worker": (384, 0.5),
    "sese/kaneo-api": (384, 0.5),
    "sese/kaneo-web": (384, 0.5),
    "sese/cadvisor": (256, 0.25),
    "sese/victoriametrics": (512, 0.5),
    "sese/loki": (384, 0.5),
    "sese/alloy": (256, 0.25),
    "sese/grafana": (384, 0.5),
    "sese/diun": (128, 0.25),
    "seko/couchdb": (512, 0.5),
    "pi/comfyui": (4096, 3),
    "pi/remotion": (512, 2),
    "pi/opencut": (1024, 2),
    "pi/opencut-db": (256, 0.5),
    "pi/opencut-valkey": (128, 0),
    "pi/opencut-srh": (128, 0),
}

# What a service may add to no capability at all.
CAPABILITIES = frozenset({"CHOWN", "SETGID", "SETUID", "DAC_OVERRIDE", "FOWNER", "NET_BIND_SERVICE", "DAC_READ_SEARCH"})
# Who may see the engine's socket, or a folder that it is in.
SOCKET: dict[str, str] = {
    "sese/socket-proxy": "gives others a part of it",
    "sese/cadvisor": "names of containers are nowhere else: behind the proxy it sees one, `/`",
    "sese/backups": "runs each server's own program for copies, in its container; a network and passwords would not do",
    "sese/alloy": "the host's root, read-only, for the size of filesystems",
    "seko/socket-proxy": "gives others a part of it",
    "seko/alloy": "the host's root, read-only, for the size of filesystems",
    "pi/socket-proxy": "gives others a part of it",
    "pi/alloy": "the host's root, read-only, for the size of filesystems",
}
# Programs that a healthcheck may call, by the image's repository: what is known to be in it.
_BUSYBOX = frozenset({"wget"})
PROGRAMS: dict[str, frozenset[str]] = {
    "postgres": frozenset({"pg_isready"}),
    "redis": frozenset({"redis-cli", "grep"}),
    "qdrant/qdrant": frozenset({"bash"}),
    "caddy": _BUSYBOX,
    "caddy-ovh-local": _BUSYBOX,
    "docker.n8n.io/n8nio/n8n": _BUSYBOX,
    "ghcr.io/berriai/litellm": frozenset({"python3"}),
    "ghcr.io/openclaw/openclaw": frozenset({"node"}),
    "palais-local": frozenset({"node"}),
    "ghcr.io/we-promise/sure": frozenset({"curl", "ruby"}),
    "ghcr.io/usekaneo/api": _BUSYBOX,
    "ghcr.io/usekaneo/web": _BUSYBOX,
    "ghcr.io/google/cadvisor": _BUSYBOX,
    "victoriametrics/victoria-metrics": _BUSYBOX,
    "grafana/loki": frozenset({"/usr/bin/loki"}),
    "grafana/alloy": frozenset({"bash"}),
    "grafana/grafana": _BUSYBOX,
    "docker": frozenset({"sh"}),
    "crazymax/diun": frozenset({"diun"}),
    "tecnativa/docker-socket-proxy": _BUSYBOX,
    "headscale/headscale": frozenset({"headscale"}),
    "apache/couchdb": frozenset({"curl"}),
    "ghcr.io/nicotsx/zerobyte": _BUSYBOX,
    "louislam/uptime-kuma": frozenset({"extra/healthcheck"}),
    "comfyui-local": frozenset({"python"}),
    "remotion-local": frozenset({"node"}),
    "opencut-local": _BUSYBOX,
    "valkey/valkey": frozenset({"valkey-cli", "grep"}),
    "hiett/serverless-redis-http": _BUSYBOX,
}
# Repositories whose images exist for arm64, beside what the Pi builds itself.
ARM64 = frozenset(
    {"postgres", "valkey/valkey", "hiett/serverless-redis-http", "grafana/alloy", "tecnativa/docker-socket-proxy"}
)

# §7: what is up before what; inside a stack by `depends_on`, between stacks by their order in fleet.yaml.
STARTUP = (
    ("postgresql", "n8n"),
    ("postgresql", "litellm"),
    ("redis", "litellm"),
    ("litellm", "openclaw"),
    ("victoriametrics", "alloy"),
    ("loki", "alloy"),
    ("victoriametrics", "grafana"),
    ("loki", "grafana"),
    *((name, "caddy") for name in ("n8n", "litellm", "openclaw", "qdrant", "grafana")),
)
# Services that answer on no port of their own.
SILENT = {
    "sese/sure-worker": "takes jobs from Redis",
    "sese/diun": "asks registries and tells Telegram",
    "sese/backups": "goes by the clock",
}
