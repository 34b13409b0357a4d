"""Every check once: what failed in silence, where its signal is read, from when on it is bad, and what to do then.

docs/checks.md is made from this table (`checks_page`); a test holds them together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """One check. All but `id` and `title` are sentences for people."""

    id: str
    title: str
    incident: str  # what went unseen; "" for a check that no incident asked for
    source: str  # where the signal is read
    threshold: str  # from when on it is a warning or an error
    remedy: str  # what to do, where the finding does not know better
    alerts: bool = True  # False: the fleet's list has an alert of it from elsewhere


CHECKS: tuple[Check, ...] = (
    Check(
        "pg-dump",
        "PostgreSQL dumps",
        "Dumps were empty for three months: no password, and nobody looked at a size.",
        "The newest dump of each database below backups/pg_dump: age, size, and whether pg_restore could list it.",
        "Error: none, older than 26 h, smaller than the stack's `fresh` allows, or not listed by pg_restore.",
        "vpai-tui backups; run one now: vpai-tui backups run",
    ),
    Check(
        "pg-coverage",
        "Every database dumped",
        "Databases that were added later were never dumped.",
        "The server's own list of databases, less those that have a dump.",
        "Error: a database without any dump.",
        "vpai-tui backups run dumps every database the server has",
    ),
    Check(
        "backup-steps",
        "Steps of the last backup",
        "A copy of Redis that failed ended the script: Qdrant, n8n and the heartbeat never ran.",
        "The status file of the last run: one line per step; the artefacts themselves; Zerobyte's schedules, in its\n"
        "  own database.",
        "Error: a step failed; an artefact is gone, too small or older than 26 h; a schedule failed, is two hours\n"
        "  late, or has no volume. Warning: a schedule is switched off.",
        "read the step's reason: vpai-tui backups",
    ),
    Check(
        "backup-growth",
        "Growth of the backups",
        "Archives were empty behind a hidden error, and a directory that could not be cleaned grew by 143 MB a night.",
        "Size of each newest artefact, age of all, and the bytes of a day's newest artefacts against the day before.",
        "Error: an empty artefact. Warning: files two days past their retention, or twice the bytes of a day ago.",
        "look at the directory, then at backup-cleanup's line: vpai-tui backups",
    ),
    Check(
        "restore-test",
        "Restore tests",
        "Backups ran without any volume in them, and a restore was never tried.",
        "The result and age of the last restore test of each database. What Zerobyte's snapshots hold cannot be known.",
        "Warning: never tried, or older than 30 days. Error: the last one failed.",
        "vpai-tui backups restore-test DB",
    ),
    Check(
        "heartbeat",
        "Backup heartbeat",
        "Without an address the heartbeat was left out in silence.",
        "Whether the backup's env file has an address, and whether the last run sent it.",
        "Error: not configured, or not sent.",
        "put HEARTBEAT_URL into its env file: vpai-tui env sese/backups edit",
    ),
    Check(
        "containers",
        "Containers that should run",
        "All applications were down for 20 hours: a tag was gone and the failure was ignored.",
        "The services of the stack files against the engine's containers.",
        "Error: a service of a deployed stack has no container, or one that is down.",
        "see the plan of its stack",
        alerts=False,
    ),
    Check(
        "watcher",
        "Who watches the watcher",
        "No monitoring at all for a month: Grafana answered 502.",
        "Grafana's /api/health and VictoriaMetrics' /-/healthy, asked on their host, and Uptime Kuma's on its own.",
        "Error: one of them is nowhere, does not run or does not answer, or all are on one host.",
        "read their logs; restart them",
    ),
    Check(
        "container-series",
        "Metrics of containers",
        "Figures of containers had no names for five months.",
        "Names of containers in VictoriaMetrics' series against those that have run for three minutes, on each host.",
        "Error: none. Warning: fewer than nine in ten. Unknown on a host without cAdvisor.",
        "look at cAdvisor's mounts and at Alloy's targets",
    ),
    Check(
        "alert-rules",
        "Alert rules",
        "Rules without data, of things long gone, and one the wrong way round.",
        "Grafana's rules, asked inside its container with the password of its environment: health, state, last look.",
        "Error: a rule that cannot be evaluated. Warning: it fires, has no data, is 10 minutes late; or there is none.",
        "open the rule in Grafana",
    ),
    Check(
        "health-check-spend",
        "Hidden spend",
        "Health checks of LiteLLM called every model, for about ten dollars a week.",
        "Spend by key since yesterday: keys that LiteLLM uses itself, and their dollars an hour.",
        "Warning: such a key spent anything.",
        "set background_health_checks: false; check with /health/readiness",
    ),
    Check(
        "effective-cap",
        "The cap in force",
        "The cap was 10 dollars where everybody believed 5.",
        "The cap in force against the one in the configuration file on the host, and in the stack's on this laptop.",
        "Error: none at all, or none that anything holds. Warning: they differ.",
        "vpai-tui budget set USD",
    ),
    Check(
        "eco-acts",
        "Eco mode acts",
        "The flag stood in Redis and nothing read it.",
        "The callback's heartbeat, and, while a mode is on, LiteLLM's calls of the last 5 minutes that cost money.",
        "Error: eco mode or a cap is set and nothing holds it. Warning: such a call while a mode is on.",
        "deploy the stack with eco_mode.py",
        alerts=False,
    ),
    Check(
        "provider-credit",
        "Provider credit",
        "Credit was used up and read as a missing key.",
        "Lines of a 402 or of used-up credit in LiteLLM's last hour: from Loki, else from the container's own log.",
        "Error: any.",
        "top up the provider, or take its models out",
    ),
    Check(
        "telegram-channel",
        "Telegram channel",
        "After an upgrade the plugin was off and the container healthy.",
        "OpenClaw's own lists of plugins and channels, from its command line in the container.",
        "Error: the channel is not configured or not enabled, or its plugin not loaded.",
        "enable the plugin in openclaw.json; pair again",
    ),
    Check(
        "api-probes",
        "What a user would do",
        "The page answered 200 while the program behind it was in a loop.",
        "A WebSocket to OpenClaw; the APIs of n8n, LiteLLM, Palais, Kaneo, Sure, Qdrant, CouchDB, Zerobyte, ComfyUI "
        "and Remotion, asked on their host without a login.",
        "Error: no 101, or another status than the API's own.",
        "read its log; restart it",
    ),
    Check(
        "vpn-names",
        "Names in the VPN",
        "Records of the Pi were missing.",
        "Every subdomain for the VPN as 100.100.100.100 of a host answers it, against its host's VPN address.",
        "Error: no answer, or another address.",
        "vpai-tui dns check",
    ),
    Check(
        "node-seen",
        "Hosts beyond SSH",
        "A process killed for want of memory took the lease of an address along: 6.5 hours offline, the machine alive.",
        "Headscale's last sight of each host's node; the kernel's log of the last day for killed processes.",
        "Error: a host's node is offline, or gone. Warning: the kernel killed for want of memory in the last day.",
        "look at it from another machine of its network",
    ),
    Check(
        "disk-unaccounted",
        "Disk nobody accounts for",
        "A disk was full of content that `docker system df` does not see.",
        "Used bytes of Docker's filesystem, less what the engine and places of a known owner account for; the size of\n"
        "  containerd's own directory, where the engine's images are elsewhere. A good answer is kept for six hours.",
        "Warning: more than 10 GiB or a fifth of the disk.",
        "vpai-tui disk HOST",
    ),
    Check(
        "quiet-alerts",
        "Alerts that repeat",
        "A guard sent 96 messages a day, and nobody read them.",
        "Of this laptop's own notifications: each change of an alert once, and a disk's threshold with a band.",
        "Warning: an alert that came and went more than 6 times in a day.",
        "look at what it is near of, and mend that",
    ),
    Check(
        "sshd-listen",
        "Where sshd listens",
        "sshd was bound to an address of the VPN: with the VPN gone, so was the way in.",
        "`sshd -T` on the host against the addresses its interfaces have.",
        "Error: an address that no interface has. Warning: only addresses of the VPN.",
        "correct ListenAddress before the next restart of sshd",
    ),
    Check(
        "stale-code",
        "Old code still runs",
        "An env file or code was changed and the old container went on.",
        "Times of env files against their containers' creation; the image a tag stands for against the one that runs.",
        "Warning: the file is newer and not as the release that runs has it, or the tag stands for another image.",
        "see the plan of its stack",
    ),
    Check(
        "control-plane",
        "The VPN's control plane",
        "The hub could not be reached by SSH while the VPN was fine, and the other way round.",
        "Headscale's /health by its public name, asked from another host, apart from SSH.",
        "Error: no 200 over a certificate that holds. Unknown where only the hub itself could ask.",
        "vpai-tui describe seko/headscale/headscale",
    ),
    Check(
        "open-ports",
        "Open ports",
        "Redis and PostgreSQL listened to the whole Internet.",
        "`ss` on the host and the engine's ports against `access` of its stacks and `listens` of fleet.yaml.",
        "Error: a port open to all that no `access` names, or calls internal or the VPN's; one open to its\n"
        "  network that nothing declares. Warning: such a one on the VPN's address.",
        "bind it to 127.0.0.1 or to the VPN's address, or declare it",
    ),
    Check(
        "certificates",
        "Certificates",
        "",
        "The certificate of every subdomain, once an hour: by the VPN from another host, public names by public DNS.",
        "Error: it does not hold, or ends within 3 days. Warning: within 14 days.",
        "look at the log of its host's proxy, which renews it",
    ),
    Check(
        "laptop",
        "This laptop",
        "",
        "`tailscale status` of the laptop, and what its own resolver answers for its name and one of the fleet's.",
        "Error: not in the VPN, names that do not lead there, a key with less than a day. Warning: less than 7 days.",
        "tailscale up",
    ),
    Check(
        "units",
        "Units of the host",
        "",
        "systemd on the host: the units that its stacks name in `units`.",
        "Error: one that is not active. Warning: one that is not installed.",
        "vpai-tui units HOST restart UNIT",
    ),
    Check(
        "guard",
        "Firewall and bans",
        "",
        "UFW, Fail2ban and CrowdSec, each by its own command, where it is installed.",
        "Error: UFW inactive or Fail2ban down. Warning: CrowdSec does not answer.",
        "vpai-tui guard HOST",
    ),
)

BY_ID: Mapping[str, Check] = {check.id: check for check in CHECKS}


def checks_page() -> str:
    """docs/checks.md."""
    parts = [
        "# What fails in silence\n",
        "Made from `src/vpai_tui/upkeep/table.py`. Each is something that once went wrong unseen, or would. `vpai-tui\n"
        "status --checks` and `:checks` in the cockpit show how each stands; what cannot be asked says *cannot be\n"
        "known*, and why. On the demo `:demo break ID` breaks what a check looks at, and `:demo mend ID` mends it.\n",
    ]
    for check in CHECKS:
        parts.append(f"## {check.title} (`{check.id}`)\n")
        if check.incident:
            parts.append(f"- **Unseen**: {check.incident}")
        parts += [f"- **Read from**: {check.source}", f"- **Bad when**: {check.threshold}"]
        parts.append(f"- **Then**: {check.remedy}\n")
    return "\n".join(parts).rstrip() + "\n"
