"""stack.yaml and compose.yaml: what is read out of them, and which mistakes are found before anything is sent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.config import Fleet, Host, Ssh
from vpai_tui.errors import UsageError
from vpai_tui.fleet.compose import Bind, EnvFile, binds_of, env_files_of, start_order
from vpai_tui.fleet.stacks import Stack, find_service, find_stack, load_stack, load_stacks
from vpai_tui.strict import ConfigError

COMPOSE = """services:
  web:
    image: web:1
    depends_on: [db]
    env_file: [./configs/web/web.env]
    volumes:
      - ./configs/web:/etc/web:ro
      - data:/data
  db:
    image: db:1
volumes: {data: {}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`stacks/box/app` with a compose file of two services and one configuration file."""
    home = tmp_path / "box" / "app"
    (home / "configs" / "web").mkdir(parents=True)
    (home / "configs" / "web" / "web.conf").write_text("a")
    (home / "configs" / "web" / "web.env.example").write_text("KEY=\n")
    (home / "compose.yaml").write_text(COMPOSE)
    (home / "stack.yaml").write_text("files: [{path: configs/web}]\n")
    return home


def load(folder: Path, spec: str | None = None, compose: str | None = None) -> Stack:
    """The stack of `folder`, after its files were replaced."""
    if spec is not None:
        (folder / "stack.yaml").write_text(spec)
    if compose is not None:
        (folder / "compose.yaml").write_text(compose)
    return load_stack(folder.parents[1], "box/app")


def complaints(folder: Path, spec: str | None = None, compose: str | None = None) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        load(folder, spec, compose)
    assert caught.value.exit_code == 2
    return [line.replace(f"{folder}/", "") for line in str(caught.value).splitlines()]


# ── what is read ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_stack_tells_its_services_files_and_env_files(folder: Path) -> None:
    stack = load(folder)
    assert (stack.id, stack.host, stack.name, stack.project, stack.title) == ("box/app", "box", "app", "app", "app")
    assert stack.services == ("db", "web")
    assert stack.image("web") == "web:1"
    assert stack.binds == {"web": (Bind("configs/web", "/etc/web", True, "./configs/web"),), "db": ()}
    assert stack.env_files == ("configs/web/web.env",)
    assert stack.env_uses == (EnvFile("web", "configs/web/web.env"),)
    assert stack.env_example("configs/web/web.env") == folder / "configs/web/web.env.example"
    assert [relative for relative, _, _ in stack.shipped()] == ["configs/web/web.conf"]
    assert stack.services_of_file("configs/web/web.conf") == ("web",)
    assert stack.services_of_file("configs/webs.conf") == ()
    assert stack.spec.health_timeout_s == 120
    assert (stack.spec.confirm, stack.spec.confirm_timeout_s) == (None, 90)


def test_all_keys_of_stack_yaml(folder: Path) -> None:
    (folder / "configs" / "web" / "c.yaml").write_text("a: {b: 1}\n")
    spec = """title: The App
project: other
order: 3
on_demand: true
source: {web: "mine:1"}
data: [db]
health_timeout_s: 12.5
one_shots: [db]
confirm: none
confirm_timeout_s: 30
files:
  - {path: configs/web, reload: kill -HUP 1}
  - {path: configs/web/c.yaml, on_change: restart}
live: [{file: configs/web/c.yaml, keys: [a.b]}]
before: [{run: ./backup.sh}]
after: [{run: migrate, service: web, timeout_s: 300}]
units: [caddy.service]
fresh: [{glob: backups/*.dump, max_age_s: 90000, min_size_bytes: 1024}]
access: [{service: web, port: 80, subdomain: app, reach: vpn, needs: [API key]}]
"""
    stack = load(folder, spec)
    assert stack.project == "other"
    assert stack.spec.source == {"web": "mine:1"}
    assert stack.spec.before[0].timeout_s == 60
    assert stack.spec.access[0].needs == ("API key",)
    entries = {relative: entry.reload or entry.on_change for relative, _, entry in stack.shipped()}
    assert entries == {"configs/web/c.yaml": "restart", "configs/web/web.conf": "kill -HUP 1"}


@pytest.mark.parametrize(
    ("entry", "bind"),
    [
        ("./a/b:/c", Bind("a/b", "/c", False, "./a/b")),
        ("/var/run/docker.sock:/s:ro,z", Bind("/var/run/docker.sock", "/s", True, "/var/run/docker.sock")),
        ("${DIR:-/x}/y:/c:ro", Bind(None, "/c", True, "${DIR:-/x}/y")),
        ("data:/data", None),
        ("/data", None),
        ({"type": "bind", "source": "./a", "target": "/c", "read_only": True}, Bind("a", "/c", True, "./a")),
        ({"type": "volume", "source": "a", "target": "/c"}, None),
    ],
)
def test_binds_in_every_spelling(entry: object, bind: Bind | None) -> None:
    assert binds_of({"volumes": [entry]}) == (() if bind is None else (bind,))


@pytest.mark.parametrize(
    ("raw", "files"),
    [
        ("./a.env", [("a.env", True)]),
        (["./a.env", "/etc/b.env"], [("a.env", True), ("/etc/b.env", True)]),
        ([{"path": "./a.env", "required": False, "format": "raw"}], [("a.env", False)]),
        (None, []),
    ],
)
def test_env_files_in_every_spelling(raw: object, files: list[tuple[str, bool]]) -> None:
    assert [(item.path, item.required) for item in env_files_of("s", {"env_file": raw})] == files


names = st.sampled_from("abcdefg")


@given(st.dictionaries(names, st.lists(names, unique=True)))
def test_start_order_puts_each_service_after_what_it_needs(wanted: dict[str, list[str]]) -> None:
    services = {name: {"depends_on": [other for other in needs if other in wanted]} for name, needs in wanted.items()}
    order, cycle = start_order(services)
    assert sorted((*order, *cycle)) == sorted(services)
    for index, name in enumerate(order):
        assert set(services[name]["depends_on"]) <= set(order[:index])
    for name in cycle:
        assert set(services[name]["depends_on"]) & set(cycle)


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_all_mistakes_of_a_stack_are_told_at_once(folder: Path) -> None:
    lines = complaints(
        folder,
        "data: [db, nodb]\none_shots: [migrate]\nfiles: [{path: configs/web}, {path: configs/none.conf}]\n"
        "live: [{file: configs/x.yaml, keys: [a]}]\naccess: [{service: ui, port: 1}]\n",
    )
    assert lines == [
        'stack.yaml:1: data[1]: expected a service of db, web, found "nodb"',
        'stack.yaml:2: one_shots[0]: expected a service of db, web, found "migrate"',
        'stack.yaml:5: access[0].service: expected a service of db, web, found "ui"',
        f"stack.yaml:3: files[1].path: no such file or folder: {folder / 'configs/none.conf'}".replace(
            f"{folder}/", ""
        ),
        "stack.yaml:4: live[0].file: configs/x.yaml is not among the files that are sent",
    ]


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        ("helth_timeout_s: 3", 'stack.yaml:1: helth_timeout_s: unknown key; did you mean "health_timeout_s"?'),
        ("health_timeout_s: 0", "health_timeout_s: expected a number above 0, found 0"),
        ("confirm: maybe", 'confirm: expected one of none, reconnect, found the text "maybe"'),
        ("project: My App", "project: expected a Compose project"),
        ("files: [{path: ../other}]", "files[0].path: expected a path below the stack's folder"),
        ("files: [{path: /etc/passwd}]", "files[0].path: expected a path below the stack's folder"),
        ("files: [{path: configs/./web}]", "files[0].path: expected a path below the stack's folder"),
        ('files: [{path: "a b"}]', "files[0].path: expected a path below the stack's folder"),
        (
            "files: [{path: configs/web, on_change: explode}]",
            "files[0].on_change: expected one of none, recreate, restart",
        ),
        ("files: [{path: compose.yaml}, {path: configs/web}]", "files[0].path: compose.yaml is sent by itself"),
        ("files: [{path: configs/web}, {path: configs/web}]", "files[1].path: configs/web stands here twice"),
        (
            "files: [{path: configs/web, on_change: none, reload: x}]",
            "files[0]: expected either on_change or reload, found both",
        ),
        ("units: [caddy]", "units[0]: expected a systemd unit"),
        ("- x", "stack.yaml: expected a mapping with title, project"),
        ("files: []", "compose.yaml:6: services.web.volumes: ./configs/web lies in"),
        ("files: [{path: configs/web}]\nlive: [{file: configs/web/web.conf, keys: [a.b]}]", "web.conf has no a.b"),
    ],
)
def test_a_mistake_in_stack_yaml(folder: Path, spec: str, complaint: str) -> None:
    lines = complaints(folder, spec)
    assert len(lines) == 1
    assert complaint in lines[0]


@pytest.mark.parametrize(
    ("compose", "complaint"),
    [
        ("", "compose.yaml: expected a mapping with services, found nothing"),
        ("services:", "compose.yaml:1: services: expected at least one service, found nothing"),
        ("services: {web: {image: a\n", "not valid YAML"),
        ("services: {web: {}}", "services.web: expected image or build, found neither"),
        ("services: {web: [a]}", "services.web: expected a mapping, found a list"),
        ("services: {web: {image: 3}}", "services.web.image: expected an image reference, found 3"),
        ('services: {"-rm": {image: a}}', "services.-rm: expected a name of letters"),
        ('services: {"a\\e[2J": {image: a}}', "expected a name of letters"),
        ("services: {web: {image: a, container_name: '$(x)'}}", "services.web.container_name: expected a name"),
        ("services: {web: {image: a, depends_on: {db: {}}}}", 'services.web.depends_on: no service "db" in this file'),
        ("services: {a: {image: a, depends_on: [b]}, b: {image: a, depends_on: [a]}}", "a circle of services: a, b"),
        ("services: {web: {image: a, volumes: ['../x:/x']}}", "services.web.volumes[0]: expected a path below"),
        ("services: {web: {image: a, volumes: ['~/x:/x']}}", "services.web.volumes[0]: expected a path below"),
        ("services: {web: {image: a, env_file: ../x.env}}", "services.web.env_file: expected a path below"),
        ("services: {web: {image: a}}\nname: other", 'compose.yaml:2: name: expected "app" (project of stack.yaml)'),
        ("services: {web: {image: a}}\ninclude: [x.yaml]", "include: one compose.yaml per stack"),
        ("services: {web: {extends: {file: x, service: y}}}", "services.web.extends: one compose.yaml per stack"),
        ("services: {web: {build: ./nowhere}}", "services.web.build: no such build context"),
        ("services: {web: {build: {context: ../..}}}", "services.web.build: expected a build context inside"),
        ("services: {web: {image: a}, web: {image: b}}", "services.web: this key is here twice"),
    ],
)
def test_a_mistake_in_compose_yaml(folder: Path, compose: str, complaint: str) -> None:
    lines = complaints(folder, "title: x", compose)
    assert len(lines) == 1
    assert complaint in lines[0]
    assert "\x1b" not in lines[0]


def test_a_single_bound_file_cannot_be_reloaded(folder: Path) -> None:
    compose = COMPOSE.replace("./configs/web:/etc/web", "./configs/web/web.conf:/etc/web.conf")
    (line,) = complaints(folder, "files: [{path: configs/web/web.conf, reload: kill -HUP 1}]", compose)
    assert "stack.yaml:1: files[0].reload: web binds this file by itself and would go on reading the old one" in line
    load(folder, "files: [{path: configs/web/web.conf, on_change: restart}]", compose)


def test_links_out_of_the_stack_secrets_and_devices_are_not_sent(folder: Path) -> None:
    web = folder / "configs" / "web"
    (web / "out").symlink_to("/etc/passwd")
    (web / "web.env").write_text("KEY=hunter2\n")
    os.mkfifo(web / "pipe")
    (web / "folder").symlink_to(web.parent)
    (web / "a'b").write_text("")
    lines = complaints(folder)
    assert len(lines) == 5
    for part in (
        "out is a link that leads out of",
        "pipe is not a plain file",
        "web.env is an env file",
        "cannot be sent",
    ):
        assert any(part in line for line in lines), part
    assert "hunter2" not in "".join(lines)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"box/app: no such folder; box/app of fleet\.yaml is expected there"):
        load_stack(tmp_path, "box/app")


def test_several_stacks_report_together_and_may_not_share_a_name(folder: Path) -> None:
    fleet = Fleet(hosts={"box": Host(addresses=("h",), ssh=Ssh(user="u"))}, stacks=("box/app", "box/more", "box/gone"))
    (folder / "stack.yaml").write_text("project: p\nfiles: [{path: configs/web}]\n")
    more = folder.parent / "more"
    more.mkdir()
    (more / "stack.yaml").write_text("project: p\n")
    (more / "compose.yaml").write_text("services: {db: {image: a}}\n")
    with pytest.raises(ConfigError) as caught:
        load_stacks(folder.parents[1], fleet)
    first, second = caught.value.problems
    assert "no such folder" in first.message
    assert (second.path, second.message) == ("services.db", "box/app of the same project p has a service of this name")


# ── names ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_short_name_of_two_is_refused(folder: Path) -> None:
    one = load(folder)
    two = Stack(
        id="pi/app", host="pi", name="app", dir=one.dir, spec=one.spec, compose=one.compose,
        compose_path=one.compose_path, services=one.services, env_uses=one.env_uses, binds=one.binds,
    )  # fmt: skip
    with pytest.raises(UsageError, match='"app" may be box/app or pi/app'):
        find_stack((one, two), "app")
    with pytest.raises(UsageError, match='"web" may be box/app/web or pi/app/web'):
        find_service((one, two), "web")
    assert find_service((one, two), "pi/web")[0].id == "pi/app"


SENT = "files: [{path: configs/web}]\n"


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("before: [{run: x, container: new}]", "stack.yaml:2: before[0].container: expected a service beside it"),
        ("before: [{run: x, service: gone}]", 'before[0].service: expected a service of db, web, found "gone"'),
        ("before: [{run: x, service: db}]", "before[0]: db has a fixed address, which two cannot have"),
        ("after: [{run: x, service: db, container: new}]", "after[0]: db has a fixed address, which two cannot have"),
        ("fresh: [{glob: x, max_age_s: 1, dump_of: db}]", "fresh[0].dump_of: db is not among data"),
    ],
)
def test_commands_and_dumps_that_cannot_be(folder: Path, spec: str, told: str) -> None:
    fixed = COMPOSE.replace("image: db:1", "image: db:1\n    networks: {back: {ipv4_address: 10.0.0.2}}")
    (line,) = complaints(folder, f"{SENT}{spec}", fixed + "networks: {back: {}}\n")
    assert told in line


def test_a_service_has_one_place_for_its_dumps(folder: Path) -> None:
    one = "{glob: x, max_age_s: 1, dump_of: db}"
    assert load(folder, f"{SENT}data: [db]\nfresh: [{one}]").spec.fresh[0].dump_of == "db"
    (line,) = complaints(folder, f"{SENT}data: [db]\nfresh: [{one}, {one}]")
    assert "fresh[1].dump_of: db stands here twice" in line
