"""fleet.yaml: what is accepted, and that every mistake is told at once, with its place."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from vpai_tui.config import Fleet, find_config, find_stacks_dir, json_schema, load_fleet
from vpai_tui.errors import UsageError
from vpai_tui.strict import ConfigError, build, parse_yaml

ROOT = Path(__file__).parents[2]
ONE_HOST = "hosts:\n  box:\n    addresses: [203.0.113.7]\n    ssh: {user: op}\n"


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "fleet.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def complaints(folder: Path, text: str | bytes) -> list[str]:
    """The error lines of a broken fleet.yaml, without the folder's name."""
    with pytest.raises(ConfigError) as caught:
        load_fleet(write(folder, text))
    assert caught.value.exit_code == 2
    return [line.replace(f"{folder}/", "") for line in str(caught.value).splitlines()]


def test_the_vpai_fleet_is_as_its_architecture_says() -> None:
    fleet = load_fleet(ROOT / "config" / "fleet.yaml")
    places = {name: (host.addresses, host.ssh.port, host.ssh.user, host.root) for name, host in fleet.hosts.items()}
    assert places == {
        "sese": (("100.64.0.14", "137.74.114.167"), 804, "mobuone", "/opt/vpai"),
        "seko": (("87.106.30.160",), 22, "mobuone", "/opt/services"),
        "pi": (("100.64.0.1", "192.168.1.8"), 22, "mobuone", "/opt/workstation"),
    }
    assert {host.ssh.key for host in fleet.hosts.values()} == {"~/.ssh/seko-vpn-deploy"}
    assert [name for name, host in fleet.hosts.items() if host.hub] == ["seko"]
    assert fleet.domain == "ewutelo.cloud"
    assert fleet.stacks[-1] == "sese/edge"
    assert set(fleet.stacks) == {
        "sese/infra",
        "sese/apps",
        "sese/monitoring",
        "sese/backups",
        "sese/edge",
        "seko/headscale",
        "seko/services",
        "pi/edge",
        "pi/creative",
        "pi/opencut",
        "pi/monitoring",
    }


def test_one_host_needs_three_lines(tmp_path: Path) -> None:
    host = load_fleet(write(tmp_path, ONE_HOST)).hosts["box"]
    assert (host.ssh.port, host.ssh.key, host.sudo, host.root, host.docker) == (22, None, True, "/opt/vpai", "docker")


def test_five_hosts_keep_their_order(tmp_path: Path) -> None:
    names = ["e", "d", "c", "b", "a"]
    text = "hosts:\n" + "".join(
        f"  {name}: {{addresses: [10.0.0.{number}, '::{number}'], ssh: {{user: op, port: {number}}}}}\n"
        for number, name in enumerate(names, 1)
    )
    text += "stacks: [a/web, b/web, e/db]\n"
    fleet = load_fleet(write(tmp_path, text))
    assert list(fleet.hosts) == names
    assert fleet.hosts["c"].addresses == ("10.0.0.3", "::3")
    assert fleet.stacks == ("a/web", "b/web", "e/db")


def test_all_mistakes_are_told_at_once_in_file_order(tmp_path: Path) -> None:
    text = """hosts:
  sese:
    adresses: [100.64.0.14]
    ssh: {user: "", port: 99999}
    sudo: "yes"
    root: opt/vpai
  Pi 5: {addresses: [], ssh: {user: op, port: "22"}}
stacks: [sese/apps, moon/apps, sese/apps, apps]
colour: red
"""
    assert complaints(tmp_path, text) == [
        "fleet.yaml:2: hosts.sese.addresses: missing; expected a list of at least one text",
        'fleet.yaml:3: hosts.sese.adresses: unknown key; did you mean "addresses"?',
        'fleet.yaml:4: hosts.sese.ssh.user: expected a user name, found the text ""',
        "fleet.yaml:4: hosts.sese.ssh.port: expected a whole number from 1 to 65535, found 99999",
        'fleet.yaml:5: hosts.sese.sudo: expected true or false, found the text "yes"',
        "fleet.yaml:6: hosts.sese.root: expected an absolute path of letters, digits and _ . -, not / itself, "
        'found the text "opt/vpai"',
        'fleet.yaml:7: hosts."Pi 5": expected a name of a-z, 0-9 and -, found the text "Pi 5"',
        'fleet.yaml:7: hosts."Pi 5".addresses: expected a list of at least one text, found an empty list',
        'fleet.yaml:7: hosts."Pi 5".ssh.port: expected a whole number from 1 to 65535, found the text "22"',
        'fleet.yaml:8: stacks[3]: expected a stack as host/stack, found the text "apps"',
        'fleet.yaml:8: stacks[1]: expected a host of sese, Pi 5, found "moon"',
        "fleet.yaml:8: stacks[2]: sese/apps stands here twice",
        "fleet.yaml:9: colour: unknown key; expected one of hosts, stacks, domain",
    ]


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "fleet.yaml: hosts: missing; expected a mapping with at least one entry"),
        ("hosts: {}", "fleet.yaml:1: hosts: expected a mapping with at least one entry, found an empty mapping"),
        ("- hosts", "fleet.yaml: expected a mapping with hosts, stacks, domain, found a list"),
        ("hosts: {a: 3}", "fleet.yaml:1: hosts.a: expected a mapping with title, addresses, ssh, sudo, root, docker"),
        ("hosts: [", "fleet.yaml:2: not valid YAML: "),
        ("hosts:\n\t- a", "fleet.yaml:2: not valid YAML: "),
        (b"hosts: \xff", "fleet.yaml: expected UTF-8 text, found byte 0xff at 7"),
        ("a: \x00", "fleet.yaml: not valid YAML: "),
        ("a: !!python/object:os.system {}", "fleet.yaml:1: not valid YAML: could not determine a constructor"),
        pytest.param("[" * 30000, "not valid YAML: ", id="deeply nested"),
        (
            f"{ONE_HOST}    ssh: {{user: other}}\n",
            "fleet.yaml:5: hosts.box.ssh: this key is here twice (first in line 4)",
        ),
        (
            f"{ONE_HOST}    root: /\n",
            "fleet.yaml:5: hosts.box.root: expected an absolute path of letters, digits and _ . -, not / itself",
        ),
        (
            f"{ONE_HOST}    root: /opt/v pai\n",
            "fleet.yaml:5: hosts.box.root: expected an absolute path of letters, digits",
        ),
        (f"{ONE_HOST}    root: /opt/../etc\n", 'fleet.yaml:5: hosts.box.root: expected an absolute path without ".."'),
        (
            f"{ONE_HOST}    docker: docker --host x\n",
            "fleet.yaml:5: hosts.box.docker: expected a command's name or path",
        ),
        (f"{ONE_HOST}    docker: -v\n", "fleet.yaml:5: hosts.box.docker: expected a command's name or path"),
        (f"{ONE_HOST}domain: https://x\n", "fleet.yaml:5: domain: expected a domain such as example.org"),
        (
            f"{ONE_HOST}  copy:\n    addresses: [203.0.113.7]\n    ssh: {{user: op}}\n",
            "fleet.yaml:6: hosts.copy.addresses[0]: 203.0.113.7 port 22 is already host box",
        ),
        ("hosts: {a: {addresses: [x, x], ssh: {user: u}}}", "fleet.yaml:1: hosts.a.addresses[1]: x stands here twice"),
        ("hosts: {a: {addresses: [-oProxyCommand=x], ssh: {user: u}}}", "hosts.a.addresses[0]: expected an IP address"),
    ],
)
def test_each_mistake_is_named_with_its_place(tmp_path: Path, text: str | bytes, complaint: str) -> None:
    lines = complaints(tmp_path, text)
    assert len(lines) == 1
    assert complaint in lines[0]


def test_a_missing_or_unreadable_file_says_so(tmp_path: Path) -> None:
    for path in (tmp_path / "none.yaml", tmp_path):
        with pytest.raises(UsageError, match=r"no such file|cannot be read"):
            load_fleet(path)


def test_hostile_values_cannot_drive_the_terminal(tmp_path: Path) -> None:
    (line,) = complaints(tmp_path, ONE_HOST + '    root: "\\e[2Jopt\\nx"\n')
    assert "\x1b" not in line
    assert "[2Jopt x" in line


def test_scalars_are_those_of_yaml_1_2(tmp_path: Path) -> None:
    text = "a: on\nb: 22:22\nc: 2026-02-26\nd: 0x10\ne: 1e3\nf: ~\ng: true\nh: 3.0\n'i': no\nj: 12_000\nk: -4\nl: .5\n"
    document, problems = parse_yaml(text, tmp_path / "x.yaml")
    assert problems == []
    assert document.value == {
        "a": "on", "b": "22:22", "c": "2026-02-26", "d": 16, "e": 1000.0, "f": None, "g": True, "h": 3.0, "i": "no",
        "j": "12_000", "k": -4, "l": 0.5,
    }  # fmt: skip


def test_aliases_that_multiply_are_no_work(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
    document, (problem,) = parse_yaml("\n".join(lines), tmp_path / "x.yaml")
    assert document.value is None
    assert "aliases multiply" in problem.message


# ── where it is found ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory and an empty user configuration directory below one folder."""
    (tmp_path / "cwd" / "config").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "cwd")
    monkeypatch.setattr("platformdirs.user_config_path", lambda _app: tmp_path / "user")
    return tmp_path


def test_the_order_in_which_configuration_is_looked_for(places: Path) -> None:
    user, local, named, option = (places / name for name in ("user", "cwd/config", "named", "option"))
    for folder in (user, named, option):
        folder.mkdir()
    env = {"VPAI_TUI_CONFIG": str(named / "fleet.yaml")}
    write(user, ONE_HOST)
    assert find_config(None, {}) == user / "fleet.yaml"
    write(local, ONE_HOST)
    assert find_config(None, {}).resolve() == local / "fleet.yaml"
    write(named, ONE_HOST)
    assert find_config(None, env) == named / "fleet.yaml"
    write(option, ONE_HOST)
    assert find_config(option / "fleet.yaml", env) == option / "fleet.yaml"
    assert find_config(None, {"VPAI_TUI_CONFIG": ""}).resolve() == local / "fleet.yaml"


def test_what_is_named_must_be_there(places: Path) -> None:
    write(places / "cwd" / "config", ONE_HOST)
    with pytest.raises(UsageError, match=r"--config: .*nope: no such file"):
        find_config(places / "nope", {})
    with pytest.raises(UsageError, match=r"\$VPAI_TUI_CONFIG: .* is a directory, not a file"):
        find_config(None, {"VPAI_TUI_CONFIG": str(places)})


def test_no_configuration_at_all_says_what_to_do(places: Path) -> None:
    with pytest.raises(UsageError, match=r"no fleet\.yaml found") as caught:
        find_config(None, {})
    assert "vpai-tui init" in caught.value.remedy
    assert "--demo" in caught.value.remedy


def test_stacks_lie_beside_the_file_or_beside_its_folder(places: Path) -> None:
    assert find_stacks_dir(Path("config/fleet.yaml")) == places / "cwd" / "stacks"
    (places / "cwd" / "config" / "stacks").mkdir()
    assert find_stacks_dir(Path("config/fleet.yaml")) == Path("config/stacks")


# ── types, schema and checks agree ───────────────────────────────────────────────────────────────────────────────────


def test_the_shipped_schemas_are_generated_from_the_types() -> None:
    from vpai_tui.fleet.stacks import schemas

    for name, text in schemas().items():
        shipped = (ROOT / "config" / name).read_text(encoding="utf-8")
        assert shipped == text, f"config/{name} is old: write schemas()[{name!r}] of vpai_tui.fleet.stacks there"
        Draft202012Validator.check_schema(json.loads(text))


scalars = (
    st.none() | st.booleans() | st.integers(-1, 70000) | st.sampled_from(["", "op", "-x", "/opt/a", "a/b", "h", "x.y"])
)
keys = st.sampled_from([
    "hosts", "stacks", "domain", "addresses", "ssh", "user", "port", "key", "root", "sudo", "a", "b", "A b"
])  # fmt: skip
documents = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner), max_leaves=12
)
hosts = st.dictionaries(keys, st.fixed_dictionaries({"addresses": documents, "ssh": documents}), max_size=2)


@given(documents | st.fixed_dictionaries({"hosts": hosts}, optional={"stacks": documents, "domain": documents}))
def test_the_walk_accepts_exactly_what_the_schema_accepts(raw: object) -> None:
    """Two independent readings of the types: ours, with its words, and JSON Schema's."""
    document, problems = parse_yaml(yaml.safe_dump(raw), Path("fleet.yaml"))
    assert problems == []
    fleet, wrong = build(Fleet, document)
    schema = json.loads(json_schema(Fleet, "fleet.yaml"))
    value = {} if raw is None else raw
    assert Draft202012Validator(schema).is_valid(value) == (fleet is not None)
    assert (fleet is None) == bool(wrong)


@given(st.text(max_size=200))
def test_no_text_makes_the_reader_fail(text: str) -> None:
    document, problems = parse_yaml(text, Path("fleet.yaml"))
    if not problems:
        build(Fleet, document)
    for problem in problems:
        assert str(problem).startswith("fleet.yaml")
        assert "\n" not in str(problem)


def test_loading_the_configuration_imports_nothing_heavy() -> None:
    code = (
        "import sys; from pathlib import Path; from vpai_tui.config import load_fleet; "
        "load_fleet(Path('config/fleet.yaml')); "
        "print(*sorted({'asyncssh', 'textual', 'rich', 'docker', 'httpx', 'asyncio'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
