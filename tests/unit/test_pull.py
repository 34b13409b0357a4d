"""`pull`: what the host's script tells, and what a lying host cannot do."""

from __future__ import annotations

import base64
import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pull_host import COMPOSE, ID, SPEC, HostFolder, Now

from vpai_tui.deploy.bundle import describe, read_bundle
from vpai_tui.deploy.pull import pull_script, read_kept
from vpai_tui.deploy.pulled import check, compare, write
from vpai_tui.errors import OperatorError, PreflightRefused, UsageError
from vpai_tui.fleet.stacks import load_stack


@pytest.fixture
def host(tmp_path: Path) -> HostFolder:
    return HostFolder(tmp_path / "vpai")


def test_files_modes_and_stack_yaml_come(host: HostFolder) -> None:
    host.write("stack.yaml", SPEC)
    host.file("configs/web/a.conf", "a\n")
    host.file("configs/web/run it.sh", "#!/bin/sh\n", "755")
    kept = host.read()
    assert (kept.release, kept.notes) == (ID, [])
    assert kept.files == {
        "compose.yaml": (COMPOSE.encode(), 0o644),
        "stack.yaml": (SPEC.encode(), 0o644),
        "configs/web/a.conf": (b"a\n", 0o644),
        "configs/web/run it.sh": (b"#!/bin/sh\n", 0o755),
    }
    assert check(kept, "sese/web") == []


def test_a_host_that_keeps_no_such_stack_names_those_it_keeps(host: HostFolder) -> None:
    with pytest.raises(UsageError) as caught:
        host.read("nope")
    assert caught.value.remedy == "it keeps: web"


def test_an_older_release_gets_a_stack_yaml_that_gives_the_same_bundle(host: HostFolder, tmp_path: Path) -> None:
    home = tmp_path / "stacks/sese/web"
    (home / "configs/web").mkdir(parents=True)
    (home / "compose.yaml").write_text(COMPOSE)
    (home / "configs/web/a.yaml").write_text("top: {live: 1, other: 2}\n")
    (home / "stack.yaml").write_text(
        "project: old\none_shots: [web]\nfiles: [{path: configs/web, reload: kill -HUP 1}]\n"
        "live: [{file: configs/web/a.yaml, keys: [top.live]}]\n"
    )
    first = read_bundle(load_stack(tmp_path / "stacks", "sese/web"), "/opt/vpai")
    host.write("bundle.json", describe(first).decode())
    host.file("configs/web/a.yaml", "top: {live: 1, other: 2}\n")
    kept = host.read()
    assert "keeps no stack.yaml" in kept.notes[0]
    assert kept.files["stack.yaml"][0].startswith(b"# Made by `vpai-tui pull`")
    target = tmp_path / "other/stacks/sese/web"
    write(target, kept, compare(target, kept), Now())
    again = read_bundle(load_stack(tmp_path / "other/stacks", "sese/web"), "/opt/vpai")
    assert (again.project, again.files, again.labels, again.one_shots) == (
        first.project, first.files, first.labels, first.one_shots
    )  # fmt: skip


@pytest.mark.parametrize(
    ("made", "found"),
    [
        ("", "found: none"),
        ("a\\t/x/deploy/stacks/web/releases/1/c.yaml\\nb\\t/x/deploy/stacks/web/releases/2/c.yaml\\n", "found: a, b"),
        ("../a\\t/x/deploy/stacks/web/releases/1/c.yaml\\n", "found: ../a"),
        ("a\\t/x/deploy/stacks/other/releases/1/c.yaml\\n", "found: none"),
    ],
)
def test_a_project_that_is_not_known_is_never_guessed(tmp_path: Path, made: str, found: str) -> None:
    host = HostFolder(tmp_path / "vpai", made)
    host.write("manifest", f"id={ID}\nkind=deploy\n")
    with pytest.raises(PreflightRefused, match="does not tell its Compose project") as caught:
        host.read()
    assert found in caught.value.message
    assert "empty volumes" in caught.value.remedy


def test_the_project_of_what_a_release_made_is_its_own(tmp_path: Path) -> None:
    rows = "javisi\\t/x/deploy/stacks/web/releases/1/c.yaml\\n" * 2 + "b\\t/opt/b/c.yaml\\n"
    host = HostFolder(tmp_path / "vpai", rows)
    host.write("manifest", f"id={ID}\nkind=deploy\n")
    assert b"project: javisi\n" in host.read().files["stack.yaml"][0]


SECRETS = [
    "      POSTGRES_PASSWORD: hunter2canary\n",
    "      - API_KEY=hunter2canary\n",
    '      "AUTH_TOKEN": "hunter2canary"\n',
    "      DB: postgres://me:hunter2canary@db/x\n",
    "      DB: https://hunter2canary@git.example/x\n",
    "      environment: {A: b, REDIS_PASSWORD: hunter2canary}\n",
    "      SECRET: ${SECRET:-hunter2canary}\n",
    "      command: redis-server --requirepass hunter2canary\n",
    "      command: --appendonly yes --masterauth=hunter2canary\n",
    '      test: ["CMD","redis-cli","-a","hunter2canary","ping"]\n',
    '      test: [CMD, mysqladmin, "-phunter2canary", ping]\n',
    "      test: curl -u me:hunter2canary http://x/\n",
    "      test: x --api-key hunter2canary\n",
    "      entrypoint: x --token=hunter2canary\n",
    "      - --password\n      - hunter2canary\n",
    "      DB_PASSWORD:\n        hunter2canary\n",
    "      DB_PASSWORD: |\n        hunter2canary\n",
    "      # DB_PASSWORD: hunter2canary\n",
    "      X: 8hunter2canary7f31a90b\n",
]
FILES = [
    "requirepass hunter2canary\n",
    "  password hunter2canary\n",
    "http_config: {authorization: {type: Bearer, credentials: hunter2canary}}\n",
    '{"a": 1, "apiKey":"hunter2canary"}\n',
    "admin $2a$14$hunter2canary\n",
    "-----BEGIN EC PRIVATE KEY-----\nhunter2canary\n",
    "header Authorization Bearer hunter2canary\n",
]
HARMLESS = """\
      image: keycloak/keycloak:24.0
      X_KEY: $X
      DB_PASSWORD: ${DB_PASSWORD}
      A_TOKEN: "${A_TOKEN:?is missing}"
      B_TOKEN_FILE: /run/secrets/b
      AUTH_ENABLED: "true"
      URL: https://example.com/login
      volumes: [keys:/etc/keys, ./authelia:/etc/authelia:ro]
      test: [CMD-SHELL, 'redis-cli -a "$$REDIS_PASSWORD" ping']
      command: --requirepass ${REDIS_PASSWORD} --tlskey /etc/tls/key.pem
      targets: ["token-spy:8080"]
      security_opt: [no-new-privileges:true]
      max_tokens: 4096
      price: {input_cost_per_token: 3.0e-7, output_cost_per_token: 0.0000015}
      api_key: os.environ/API_KEY
      opencut-valkey:
        <<: *common
      digest: x@sha256:6b3a4f4c1d2e5f60718293a4b5c6d7e8f90123456789abcdef0123456789abcd
    secrets:
      - db
"""


def adopted(host: HostFolder, compose: str = COMPOSE) -> None:
    host.write("manifest", f"id={ID}\nkind=adopted\n")
    host.write("project", "javisi\n")
    host.write("project_dir", f"{host.root}\n")
    for name in ("00-compose.yaml", "10-files.yaml"):
        (host.release / "compose" / name).unlink()
    host.write("compose/00-adopted.yaml", compose)


def test_what_ran_before_us_comes_as_it_is(host: HostFolder) -> None:
    adopted(host)
    kept = host.read()
    assert kept.files["compose.yaml"][0] == COMPOSE.encode()
    assert b"project: javisi\n" in kept.files["stack.yaml"][0]


@pytest.mark.parametrize("line", SECRETS)
def test_a_secret_in_what_ran_before_us_stays_on_the_host(host: HostFolder, line: str) -> None:
    adopted(host, COMPOSE + "    environment:\n" + line)
    told = withheld(host)
    assert told.startswith("what web ran with before has values in it that look secret (00-adopted.yaml line ")


def withheld(host: HostFolder) -> str:
    """Why the laptop is refused, after a look at every byte that left the host."""
    argv = ["sh", "-s", "--", str(host.root), str(host.docker), "web"]
    out = subprocess.run(argv, input=pull_script(), capture_output=True, check=True).stdout
    spelled = out + b"".join(base64.b64decode(cell + b"==") for cell in out.split() if len(cell) > 20)
    assert b"hunter2canary" not in spelled
    with pytest.raises(PreflightRefused) as caught:
        host.read()
    return caught.value.message


@pytest.mark.parametrize("content", FILES)
def test_so_does_one_in_the_files_it_ran_with(host: HostFolder, content: str) -> None:
    adopted(host)
    host.file("configs/web/a.conf", f"listen 80\n{content}")
    assert "(configs/web/a.conf line 2: " in withheld(host)


@pytest.mark.parametrize("where", ["container", "list", "root", "address"])
def test_what_its_environment_calls_a_secret_is_found_wherever_it_stands(host: HostFolder, where: str) -> None:
    adopted(host, COMPOSE + "    labels: [x, hunter2canary]\n")
    env = host.root / ("app.env" if where == "list" else ".env")
    if where in ("list", "root"):
        env.write_text("MODE=hunter2\nexport DB_PASSWORD='hunter2canary'\n")
        host.write("envs", f"{env}\n" if where == "list" else "")
    else:
        line = "DB_PASSWORD=hunter2canary" if where == "container" else "DATABASE=postgres://me:hunter2canary@db/x"
        host.docker.write_text(f"#!/bin/sh\n[ $1 = inspect ] && echo '{line}' || printf 'aaa\\tbbb\\n'\n")
    assert withheld(host).endswith("(00-adopted.yaml line 5: a value of its environment)")


def test_without_the_containers_words_nothing_is_sent(host: HostFolder) -> None:
    adopted(host)
    host.docker.write_text("#!/bin/sh\nexit 1\n")
    assert "could not be read" in withheld(host)


def test_references_to_secrets_are_none(host: HostFolder) -> None:
    adopted(host, COMPOSE + "    environment:\n      DB_PASSWORD: ${DB_PASSWORD}\n      TOKEN_FILE:\n" + HARMLESS)
    host.file("configs/web/a.conf", "auth {\n  user $name\n}\ntls_key /etc/x\npassword {env.PW}\n")
    assert "compose.yaml" in host.read().files


def test_several_compose_files_and_another_folder_are_no_stack(host: HostFolder) -> None:
    adopted(host)
    host.write("project_dir", "/opt/javisi\n")
    with pytest.raises(PreflightRefused, match="adopted from /opt/javisi"):
        host.read()
    host.write("compose/01-adopted.yaml", COMPOSE)
    with pytest.raises(PreflightRefused, match="2 compose files"):
        host.read()


def test_too_much_is_not_sent(host: HostFolder) -> None:
    host.write("stack.yaml", SPEC)
    (host.release / "files").mkdir()
    (host.release / "files/big").write_bytes(os.urandom(20 << 20))
    with pytest.raises(PreflightRefused, match="too much to pull"):
        host.read()


def test_links_on_the_host_are_not_followed(host: HostFolder, tmp_path: Path) -> None:
    host.write("stack.yaml", "project: old\n")
    (tmp_path / "shadow").write_text("hunter2canary")
    host.file("configs/x", "")
    (host.release / "files/configs/x").unlink()
    (host.release / "files/configs/x").symlink_to(tmp_path / "shadow")
    assert "configs/x" not in host.read().files


# ── a host that lies ─────────────────────────────────────────────────────────────────────────────────────────────────


def answer(*files: tuple[str, str], **texts: str) -> bytes:
    def b64(text: str) -> str:
        return base64.b64encode(text.encode()).decode()

    rows = [f"release\t{ID}", f"compose\t00-compose.yaml\t{b64(COMPOSE)}", f"manifest\t{b64('kind=deploy')}"]
    rows += [f"{name.replace('_yaml', '.yaml').replace('_json', '.json')}\t{b64(text)}" for name, text in texts.items()]
    rows += [f"file\t{mode}\t{path}\t{b64('x')}" for mode, path in files]
    return "\n".join([*rows, "end", ""]).encode()


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd", "../x", "a/../../x", "a//b", "./a", "a/.", "-x", "", ".git/config", "a/.GIT/hooks/post-checkout",
        "HEAD", "configs/n8n.env", ".env", "compose.yaml", "stack.yaml", "a\x1b[2J", "a\\b", "a'b", "$(x)", "a`b",
        "x" * 500, "a\u202eb",
    ],
)  # fmt: skip
def test_a_hostile_path_is_refused(path: str) -> None:
    with pytest.raises(PreflightRefused, match="no release of ours") as caught:
        read_kept(answer(("644", path), stack_yaml=SPEC), "sese", "web", "/opt/vpai")
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("files", [[("644", "a"), ("644", "a")], [("644", "a"), ("644", "a/b")], [("4755", "a")]])
def test_doubles_conflicts_and_strange_modes_are_refused(files: list[tuple[str, str]]) -> None:
    with pytest.raises(PreflightRefused):
        read_kept(answer(*files, stack_yaml=SPEC), "sese", "web", "/opt/vpai")


def test_sizes_and_counts_are_capped() -> None:
    with pytest.raises(PreflightRefused, match="2001 files"):
        read_kept(answer(*[("644", f"f{at}") for at in range(2001)]), "sese", "web", "/opt/vpai")
    large = base64.b64encode(bytes(9 << 20)).decode()
    raw = answer(stack_yaml=SPEC).replace(b"end\n", f"file\t644\tbig\t{large}\nend\n".encode())
    with pytest.raises(PreflightRefused, match="9437184 bytes"):
        read_kept(raw, "sese", "web", "/opt/vpai")


@pytest.mark.parametrize("told", ["[]", "{", '{"files": [{}]}', '{"files": 3}', "[" * 5000, '{"data": 5}'])
def test_a_strange_description_is_refused(told: str) -> None:
    raw = answer(bundle_json=told, project="old")
    with pytest.raises(PreflightRefused):
        read_kept(raw, "sese", "web", "/opt/vpai")


@pytest.mark.parametrize(
    "spec",
    ["files: [{path: ../../x}]", "files: [{path: /etc}]", "nonsense: 1", ": [", "a: &a [*a]", "project: ../x", "\x00"],
)
def test_what_is_no_stack_is_refused_before_anything_is_written(spec: str) -> None:
    kept = read_kept(answer(stack_yaml=spec), "sese", "web", "/opt/vpai")
    with pytest.raises(PreflightRefused) as caught:
        check(kept, "sese/web")
    assert "/tmp" not in caught.value.output
    assert caught.value.output


@given(st.binary(max_size=300))
def test_no_answer_is_too_strange(raw: bytes) -> None:
    for whole in (raw, raw + b"\nend\n"):
        with pytest.raises(OperatorError):
            read_kept(whole, "sese", "web", "/opt/vpai")
