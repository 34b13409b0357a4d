"""What a host's `docker` and `docker compose` do, as a story of commands and expectations.

Nothing here knows which host answers: the simulated one of the demo, or a real engine with the same images in its
registry. `<dir>` is a folder on the host that the caller made, with the files of FILES in it; `<image>` and `<other>`
are two references of different bits that can be pulled, `<gone>` one that no registry has. Run in order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

FILES = {
    "compose.yaml": """
services:
  web:
    image: <image>
    command: [sh, -c, "trap 'exit 0' TERM; sleep 600 & wait"]
    env_file: [./web.env]
    environment: {GREETING: "${GREETING:-hello} $$x"}
    restart: unless-stopped
    stop_signal: SIGKILL
    depends_on: [base]
  base:
    image: <image>
    command: [sh, -c, "sleep 600"]
    stop_signal: SIGKILL
""",
    "label.yaml": 'services: {web: {labels: {vpai.files: "1"}}}\n',
    "other.yaml": "services: {web: {image: '<other>'}}\n",
    "gone.yaml": "services: {web: {image: '<gone>'}}\n",
    "noenv.yaml": "services: {a: {image: '<image>', env_file: nowhere.env}}\n",
    "need.yaml": "services: {a: {image: '<image>', environment: {A: '${NEEDED:?tell me}'}}}\n",
    "net.yaml": "services: {a: {image: '<image>', networks: [n]}}\nnetworks: {n: {external: true}}\n",
    "lives.yaml": """
name: lives
services:
  once: {image: <image>, entrypoint: [sh, -c, exit 0]}
  fails: {image: <image>, entrypoint: [sh, -c, exit 3]}
  loops: {image: <image>, entrypoint: [sh, -c, exit 4], restart: always}
  sick:
    image: <image>
    entrypoint: [sh, -c, sleep 600]
    stop_signal: SIGKILL
    healthcheck: {test: [CMD, "false"], interval: 1s, retries: 1}
  well:
    image: <image>
    entrypoint: [sh, -c, sleep 600]
    stop_signal: SIGKILL
    healthcheck: {test: [CMD, "true"], interval: 1s}
    volumes: ["kept:/kept"]
  after:
    image: <image>
    entrypoint: [sh, -c, sleep 600]
    stop_signal: SIGKILL
    depends_on: {once: {condition: service_completed_successfully}, well: {condition: service_healthy}}
  stuck:
    image: <image>
    depends_on: {fails: {condition: service_completed_successfully}}
  held:
    image: <image>
    depends_on: {sick: {condition: service_healthy}}
volumes: {kept: {}}
""",
    "web.env": "SECRET=one$$two\n",
}

DC = "docker compose --ansi never -p contract --project-directory <dir> -f <dir>/compose.yaml"
WEB = (
    "docker ps -aq --no-trunc --filter label=com.docker.compose.project=contract "
    "--filter label=com.docker.compose.service=web --filter label=com.docker.compose.oneoff=False"
)
HASH = "docker inspect -f '{{index .Config.Labels \"com.docker.compose.config-hash\"}}' $(" + WEB + ")"
PIPED = (
    DC + " config --format json | " + DC.split(" --project")[0] + " --project-directory <dir> -f - config --hash web"
)


@dataclass(frozen=True)
class Case:
    """One command and what must come of it; patterns are searched for, `same_as` names a case with equal output."""

    name: str
    command: str
    status: int | None = 0  # None: any but 0
    out: str | None = None
    err: str | None = None
    same_as: str = ""
    differs_from: str = ""


CASES = (
    Case("engine version", "docker version --format '{{.Server.Version}}'", out=r"^\d+\.\d+"),
    Case("compose version", "docker compose version --short", out=r"^v?\d+\.\d+\.\d+"),
    Case("pull", "docker pull -q <image> && docker pull -q <other>", out=r"\S"),
    Case("pull what is nowhere", "docker pull <gone>", None, err=r"not found|manifest unknown|denied"),
    Case(
        "repository digest", "docker image inspect -f '{{index .RepoDigests 0}}' <image>", out=r"@sha256:[0-9a-f]{64}$"
    ),
    Case("no such image", "docker image inspect <gone>", None, err=r"(?i)no such image"),
    Case("no such object", "docker inspect -f '{{.Id}}' contract-nothing", None, err=r"(?i)no such object"),
    Case("files are valid", DC + " config -q", out=r"^$"),
    Case("piped hash", PIPED, out=r"^web [0-9a-f]{64}$"),
    Case("create", DC + " up -d --no-build --pull never", err=r"Container contract-web-1 +Started"),
    Case("label is the piped hash", "echo web $(" + HASH + ")", same_as="piped hash"),
    Case("running", "docker inspect -f '{{.State.Status}} {{.RestartCount}}' $(" + WEB + ")", out=r"^running 0$"),
    Case("no health", "docker inspect -f '{{if .State.Health}}x{{else}}none{{end}}' $(" + WEB + ")", out="^none$"),
    Case(
        "environment",
        "docker inspect -f '{{range .Config.Env}}{{println .}}{{end}}' $(" + WEB + ")",
        out=r"(?ms)(?=.*^GREETING=hello \$x$)(?=.*^SECRET=one\$two$)",
    ),
    Case(
        "rows with tabs and labels",
        "docker ps -a --filter label=com.docker.compose.project=contract "
        "--format '{{.Names}}\t{{.State}}\t{{.Label \"com.docker.compose.service\"}}'",
        out=r"(?m)^contract-web-1\trunning\tweb$",
    ),
    Case("id of web", WEB, out=r"^[0-9a-f]{64}$"),
    Case("again is no change", DC + " up -d --no-build --pull never web", out=r"^$"),
    Case("same container", WEB, same_as="id of web"),
    Case("override", DC + " -f <dir>/label.yaml up -d --no-deps --no-build --pull never web", err="Recreate"),
    Case("another container", WEB, differs_from="id of web"),
    Case("its label", "docker inspect -f '{{index .Config.Labels \"vpai.files\"}}' contract-web-1", out="^1$"),
    Case("id of the second", WEB, out=r"^[0-9a-f]{64}$"),
    Case("move the tag", "docker tag $(docker image inspect -f '{{.Id}}' <other>) <image>", out=r"^$"),
    Case("a moved tag recreates", DC + " -f <dir>/label.yaml up -d --no-deps --pull never web", err="Recreate"),
    Case("a third container", WEB, differs_from="id of the second"),
    Case(
        "the image label is the image",
        "docker inspect -f '{{if eq (index .Config.Labels \"com.docker.compose.image\") .Image}}same{{end}}' "
        "contract-web-1",
        out="^same$",
    ),
    Case("id of the third", WEB, out=r"^[0-9a-f]{64}$"),
    Case(
        "a missing image",
        DC + " -f <dir>/gone.yaml up -d --no-deps --no-build --pull never web",
        None,
        err=r"(?i)no such image",
    ),
    Case("the old one stays", WEB, same_as="id of the third"),
    Case(
        "missing env file",
        "docker compose -f <dir>/noenv.yaml config -q",
        None,
        err=r"env file .*nowhere\.env not found",
    ),
    Case(
        "required variable",
        "docker compose -f <dir>/need.yaml config -q",
        None,
        err="required variable NEEDED is missing a value: tell me",
    ),
    Case(
        "external network",
        "docker compose -p other -f <dir>/net.yaml up -d",
        None,
        err="declared as external, but could not be found",
    ),
    Case("no such service", DC + " up -d nothing", None, err="no such service: nothing"),
    Case("stop", "docker stop -t 1 contract-web-1", out="^contract-web-1$"),
    Case("exited", "docker inspect -f '{{.State.Status}}' contract-web-1", out="^exited$"),
    Case("up starts it again", DC + " -f <dir>/label.yaml up -d --no-deps --pull never web", err="Started"),
    Case("same one, started", WEB, same_as="id of the third"),
    Case("restart", "docker restart -t 1 contract-web-1", out="^contract-web-1$"),
    Case("exec", "docker exec contract-web-1 echo said", out="^said$"),
    Case("exec fails", "docker exec contract-web-1 false", 1),
    Case("rename", "docker rename contract-base-1 contract-other && docker rename contract-other contract-base-1"),
    Case("rm refuses what runs", "docker rm contract-web-1", None, err="(?i)cannot remove|stop the container"),
    Case(
        "keeper",
        "docker create --name contract-keep --network none --label vpai.keep=1 <other> true",
        out=r"^[0-9a-f]{64}$",
    ),
    Case(
        "its name is taken",
        "docker create --name contract-keep <other> true",
        None,
        err="is already in use by container",
    ),
    Case("keeper never started", "docker inspect -f '{{.State.Status}}' contract-keep", out="^created$"),
    Case("its image is held", "docker rmi $(docker image inspect -f '{{.Id}}' <other>)", None, err="(?i)conflict"),
    Case("rm", "docker rm contract-keep", out="^contract-keep$"),
    Case("networks", "docker network inspect contract_default", out='"Name": "contract_default"'),
    Case("no such network", "docker network inspect contract_none", None, err="not found"),
    Case("compose rm", DC + " rm -sf web", err=r"Removed"),
    Case("only that one is gone", DC + " ps -a --format '{{.Service}}'", out="^base$"),
    Case("down", DC + " down -t 1", err="contract_default +Removed"),
    Case("nothing is left", "docker ps -aq --filter label=com.docker.compose.project=contract", out=r"^$"),
)


LIVES = "docker compose --ansi never --progress plain -f <dir>/lives.yaml"


def _state(service: str) -> str:
    return "docker inspect -f '{{.State.Status}} {{.State.ExitCode}}' lives-" + service + "-1"


def _until(question: str, answer: str) -> str:
    """Ask until the answer begins so, for 30 s at most; the last answer is printed."""
    return (
        f"n=0; while said=$({question}); case $said in {answer}) false ;; *) [ $n -lt 60 ] ;; esac; "
        "do n=$((n + 1)); sleep 0.5; done; echo $said"
    )


def _health(service: str) -> str:
    return "docker inspect -f '{{.State.Health.Status}}' lives-" + service + "-1"


LIFE_CASES = (
    Case(
        "up in order",
        LIVES + " up -d --pull never after",
        err=r"(?s)Volume .*Created.*once-1 +Exited.*after-1 +Started",
    ),
    Case("a one-shot has ended", _state("once"), out="^exited 0$"),
    Case("what it waited for", _health("well"), out="^healthy$"),
    Case("it runs", _state("after"), out="^running 0$"),
    Case("first run", "docker inspect -f '{{.State.StartedAt}}' lives-once-1", out=r"^\d{4}-"),
    Case("up runs a one-shot again", LIVES + " up -d --pull never once", err="Started"),
    Case("second run", "docker inspect -f '{{.State.StartedAt}}' lives-once-1", differs_from="first run"),
    Case("what fails is started too", LIVES + " up -d --pull never fails loops sick"),
    Case("its status", _until(_state("fails"), "exited*"), out="^exited 3$"),
    Case(
        "a loop restarts again and again",
        _until("docker inspect -f '{{.RestartCount}}' lives-loops-1", "[2-9]*"),
        out="^[2-9]",
    ),
    Case("with its status", _until(_state("loops"), "restarting*"), out="^restarting 4$"),
    Case("unhealthy", _until(_health("sick"), "unhealthy"), out="^unhealthy$"),
    Case("but running", _state("sick"), out="^running 0$"),
    Case(
        "a failed dependency",
        LIVES + " up -d --pull never stuck",
        None,
        err=r'service "fails" didn.t complete successfully: exit 3',
    ),
    Case("an unhealthy dependency", LIVES + " up -d --pull never held", None, err="lives-sick-1 is unhealthy"),
    Case("what needs it is created only", _state("held"), out="^created 0$"),
    Case("all down", LIVES + " down -t 1", err=r"(?s)well-1 +Stopped.*well-1 +Removed.*lives_default +Removed"),
    Case("the volume stays", "docker volume inspect -f '{{.Name}}' lives_kept", out="^lives_kept$"),
    Case("volume gone", "docker volume rm lives_kept", out="^lives_kept$"),
)


def filled(text: str, words: Mapping[str, str]) -> str:
    """A command or file with its words put in."""
    for word, value in words.items():
        text = text.replace(f"<{word}>", value)
    return text
