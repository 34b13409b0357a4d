"""Examples of env files, and what a stack's files want of its host."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.deploy.envexample import Generate, SameAs, parse_example
from vpai_tui.deploy.envfiles import choose
from vpai_tui.deploy.envwanted import required_keys, variables_of, wanted_files
from vpai_tui.errors import UsageError
from vpai_tui.fleet.stacks import Stack, load_stack

TEXT = """# The file.
# generate 48 hex

# The superuser.
# generate 32
DB_PASSWORD=
# generate 48 alnum sk-
MASTER_KEY=
# generate
SHORT=
# same as ./configs/db/db.env PASSWORD
COPY=
# same as .env PASSWORD in postgres://u:{}@db/x
URL=
# optional, see the manual
EXTRA=
TZ=Europe/Paris # where
export QUOTED='a # b'
"""


def test_marks_belong_to_the_key_right_below_them() -> None:
    example = parse_example(TEXT, "x")
    assert example.problems == ()
    assert {name: key.source for name, key in example.keys.items()} == {
        "DB_PASSWORD": Generate(32),
        "MASTER_KEY": Generate(48, "alnum", "sk-"),
        "SHORT": Generate(),
        "COPY": SameAs("configs/db/db.env", "PASSWORD"),
        "URL": SameAs(".env", "PASSWORD", "postgres://u:", "@db/x"),
        "EXTRA": None,
        "TZ": None,
        "QUOTED": None,
    }
    assert [name for name, key in example.keys.items() if not key.required] == ["EXTRA"]
    assert (example.keys["TZ"].default, example.keys["QUOTED"].default) == ("Europe/Paris", "'a # b'")


@pytest.mark.parametrize(
    "mark",
    [
        "generate it by hand",
        "generate 7",
        "generate 513",
        "generate 30 base64",
        "generate 32 hex a;b",
        "same as /etc/x KEY",
        "same as ../x KEY",
        "same as configs/a.env",
        "same as configs/a.env KEY in no-place",
        "same as configs/a.env KEY in {}$(x)",
    ],
)
def test_a_mark_that_cannot_be_understood_is_told_with_its_line(mark: str) -> None:
    found = parse_example(f"\n# {mark}\nKEY=\n", "stacks/x.env.example").problems
    assert len(found) == 1
    assert found[0].startswith("stacks/x.env.example:2: expected ")


def test_a_key_twice_is_told() -> None:
    assert parse_example("A=\nA=\n", "x").problems == ("x:2: A stands here twice",)


@given(st.text())
def test_no_text_is_too_odd_for_an_example(text: str) -> None:
    example = parse_example(text, "x")
    assert all(key.name in text for key in example.keys.values())


def stack(folder: Path, compose: str, **files: str) -> Stack:
    home = folder / "stacks/sese/web"
    home.mkdir(parents=True)
    (home / "compose.yaml").write_text(compose)
    (home / "stack.yaml").write_text("{}\n")
    for name, text in files.items():
        (home / f"{name}.env.example").write_text(text)
    return load_stack(folder / "stacks", "sese/web")


COMPOSE = """services:
  web:
    image: web:${TAG:-1}
    env_file: [./b.env, ./a.env, {path: ./maybe.env, required: false}]
    environment: {GIVEN: "1", PASSED_ON: null}
    labels: {a: "${MUST:?}", b: "${MAY_BE_EMPTY}", c: "$$NOT ${HOME} ${ON:+x}"}
  job:
    image: web
    env_file: ./a.env
"""


def test_files_are_wanted_with_what_others_copy_first(tmp_path: Path) -> None:
    found = wanted_files(
        stack(tmp_path, COMPOSE, a="A=\nGIVEN=\n# optional\nO=\n", b="# same as a.env A\nB=\nGIVEN=\nPASSED_ON=\n"),
        "/opt/x",
    )
    assert [file.path for file in found] == ["/opt/x/a.env", "/opt/x/b.env", "/opt/x/maybe.env", "/opt/x/.env"]
    assert [file.required for file in found] == [True, True, False, True]
    assert [file.services for file in found] == [("web", "job"), ("web",), ("web",), ()]
    dotenv = {key.name: (key.required, key.may_be_empty) for key in found[-1].keys}
    assert dotenv == {
        "TAG": (False, True),
        "MUST": (True, False),
        "MAY_BE_EMPTY": (True, True),
        "ON": (False, True),
    }
    with pytest.raises(UsageError, match=r'no env file "c\.env"') as caught:
        choose(found, "c.env", "sese/web")
    assert "/opt/x/a.env" in caught.value.remedy
    assert choose(found, "./b.env", "sese/web").path == choose(found, "/opt/x/b.env", "sese/web").path


def test_a_deploy_needs_what_is_not_optional_and_not_given_by_compose(tmp_path: Path) -> None:
    web = stack(tmp_path, COMPOSE, a="A=\nGIVEN=\n# optional\nO=\n", b="B=\nGIVEN=\nPASSED_ON=\n")
    # of a.env `job` has no GIVEN of its own; of b.env `web` alone is the reader
    assert required_keys(web, "/opt/x") == (
        ("B", "/opt/x/b.env"),
        ("PASSED_ON", "/opt/x/b.env"),
        ("A", "/opt/x/a.env"),
        ("GIVEN", "/opt/x/a.env"),
    )


def test_an_operator_in_one_place_does_not_make_a_variable_optional_in_another() -> None:
    assert variables_of({"a": ["${X:-1}", "$X"]}) == {"X": (True, True)}
    assert variables_of({"a": ["${X}", "${X:?no}"]}) == {"X": (True, False)}
