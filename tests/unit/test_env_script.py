"""env.sh in every shell: what it tells of env files, what it writes, and that no value is ever told."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vpai_tui.deploy.host import script

SHELLS = [shell for shell in ("dash", "bash", "busybox") if shutil.which(shell)]
PART = script("common.sh") + script("env.sh").replace(b". ./common.sh\n", b"")


def run(
    shell: str, here: Path, *words: str, files: Sequence[str] = (), names: str = "", defaults: str = ""
) -> list[list[str]]:
    """The records of one verb for the env files below `here/root`."""
    lists = {"files": "".join(f"{here}/root/{name}\n" for name in files), "names": names, "defaults": defaults}
    for name in ("others", "services", "volumes"):
        lists[name] = ""
    for name, text in lists.items():
        (here / name).write_text(text.replace("ROOT", f"{here}/root"))
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "ROOT": f"{here}/root"}
    (here / "env.sh").write_bytes(b"STACK=web PROJECT=web DOCKER=true\n" + PART)
    argv = ["busybox", "sh"] if shell == "busybox" else [shell]
    done = subprocess.run([*argv, "env.sh", *words], cwd=here, env=environment, capture_output=True, timeout=20)
    assert done.stderr == b""
    rows = [line.split("\t") for line in done.stdout.decode().replace(f"{here}/root/", "").splitlines()]
    assert rows[-1] == ["end"]
    return rows[:-1]


def put(here: Path, text: str, name: str = "a.env") -> Path:
    (here / "root").mkdir(exist_ok=True)
    path = here / "root" / name
    path.write_text(text)
    path.chmod(0o600)
    return path


ODD = """# c
A=plain
export B="multi
HIDDEN_SECRET=zzz
end" # ok
C=pa$ss
D=pa #ss
E=   # only a comment
F=
G='a$b # c'
hunter2
A=again
SOME_PASSWORD=changeme
OTHER_SECRET=from-the-example
TokenLike0AbCd=
K="never closed
L=inside
"""


@pytest.mark.parametrize("shell", SHELLS)
def test_keys_are_told_as_compose_reads_them(shell: str, tmp_path: Path) -> None:
    put(tmp_path, ODD)
    rows = run(shell, tmp_path, "check", files=["a.env"], defaults="ROOT/a.env\tOTHER_SECRET\tfrom-the-example\n")
    keys = {row[2]: row[3] for row in rows if row[0] == "key"}
    names = ("A", "B", "C", "D", "G", "SOME_PASSWORD", "OTHER_SECRET", "K")
    assert keys == dict.fromkeys(names, "set") | {"E": "empty", "F": "empty"}
    assert [tuple(row[2:]) for row in rows if row[0] == "lint"] == [
        ("6", "C", "d"),
        ("7", "D", "h"),
        ("8", "E", "c"),
        ("11", "-", "junk"),
        ("12", "A", "double"),
        ("13", "SOME_PASSWORD", "placeholder"),
        ("14", "OTHER_SECRET", "placeholder"),
        ("15", "-", "odd"),
        ("16", "K", "o"),
    ]
    told = str(rows)
    assert not re.search("HIDDEN|hunter2|TokenLike|plain|zzz|changeme|inside", told)


@pytest.mark.parametrize("shell", SHELLS)
def test_one_secret_in_two_files_is_told_by_its_keys(shell: str, tmp_path: Path) -> None:
    put(tmp_path, "X_TOKEN=abcdefgh1\nNAME=abcdefgh1\nB_KEY=short\n")
    put(tmp_path, "Y_TOKEN='abcdefgh1'\nB_KEY=short\n", "b.env")
    rows = run(shell, tmp_path, "check", files=["a.env", "b.env", "c.env"])
    assert [row for row in rows if row[0] == "same"] == [["same", "a.env", "X_TOKEN", "b.env", "Y_TOKEN"]]
    assert ["file", "c.env", "missing", "-", "-"] in rows


VALUES = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
LINES = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["A", "B_KEY", "export C", "d.e", ""]),
            st.sampled_from(["=", " =", ": ", "", "='", '="']),
            VALUES,
        ),
        st.tuples(VALUES, st.just("="), VALUES),
    ),
    max_size=8,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(LINES)
def test_no_value_is_ever_told(tmp_path: Path, lines: list[tuple[str, str, str]]) -> None:
    canary = "Zq8canary"
    text = "\n".join(f"{name}{mark}{canary}{value}{canary}" for name, mark, value in lines)
    put(tmp_path, text)
    put(tmp_path, text, "b.env")
    assert canary not in str(run("sh", tmp_path, "check", files=["a.env", "b.env"]))


def todo(here: Path, name: str, expected: str, *rows: str) -> None:
    (here / "todo").mkdir(exist_ok=True)
    number = len(list((here / "todo").iterdir()))
    text = "\n".join([f"{here}/root/{name}\t{expected}", *rows]) + "\n"
    (here / f"todo/{number:03}").write_text(text.replace("ROOT", f"{here}/root"))


@pytest.fixture
def root_or_skip() -> None:
    if os.geteuid() != 0:
        pytest.skip("env files become root's, and only root can give them away")


@pytest.mark.usefixtures("root_or_skip")
@pytest.mark.parametrize("shell", SHELLS)
def test_what_is_missing_is_written_and_what_is_there_stays(shell: str, tmp_path: Path) -> None:
    old = "# mine\nKEEP='a$b'\nexport FILL= # why\nLAST=no newline\\n"
    put(tmp_path, old)
    todo(
        tmp_path,
        "new/b.env",
        "missing",
        "add\ttext\t.# a  comment\twith a tab",
        "add\ttext\t.",
        "add\tgenerate\tSECRET\t40\t0-9a-f\t.sk-",
        "add\tblank\tYOURS",
        "add\tdefault\tTZ\t.'a b'",
    )
    todo(
        tmp_path,
        "a.env",
        "present",
        "fill\tgenerate\tFILL\t20\tA-Za-z0-9\t.",
        "fill\tgenerate\tKEEP\t20\tA-Za-z0-9\t.",
        "add\tsame\tURL\tROOT/new/b.env\tSECRET\t.x://u:\t.@db",
        "add\tsame\tQUOTED\tROOT/new/b.env\tTZ\t.\t.",
        "add\tsame\tNONE\tROOT/new/b.env\tYOURS\t.\t.",
        "add\tgenerate\tKEEP\t20\tA-Za-z0-9\t.",
    )
    rows = run(shell, tmp_path, "init", "me@laptop")
    new = (tmp_path / "root/new/b.env").read_text()
    secret = re.fullmatch(r"# a  comment\twith a tab\n\nSECRET=(sk-[0-9a-f]{40})\nYOURS=\nTZ='a b'\n", new)
    assert secret is not None
    pattern = (
        r"# mine\nKEEP='a\$b'\n# why\nexport FILL=[A-Za-z0-9]{20}\nLAST=no newline\\n\n"
        rf"URL=x://u:{secret[1]}@db\nQUOTED='a b'\nNONE=\n"
    )
    assert re.fullmatch(pattern, (tmp_path / "root/a.env").read_text())
    for name in ("a.env", "new/b.env"):
        assert (tmp_path / "root" / name).stat().st_mode & 0o777 == 0o600
    assert rows == [
        ["made", "new/b.env", "SECRET", "generate"],
        ["left", "new/b.env", "YOURS", "blank"],
        ["made", "new/b.env", "TZ", "default"],
        ["wrote", "new/b.env"],
        ["made", "a.env", "FILL", "generate"],
        ["made", "a.env", "URL", "same"],
        ["made", "a.env", "QUOTED", "same"],
        ["left", "a.env", "NONE", "same"],
        ["wrote", "a.env"],
    ]
    assert sorted(path.name for path in (tmp_path / "root").rglob(".*")) == []


@pytest.mark.usefixtures("root_or_skip")
@pytest.mark.parametrize("shell", SHELLS)
def test_nothing_is_written_where_a_file_came_or_went_or_is_no_file(shell: str, tmp_path: Path) -> None:
    put(tmp_path, "A=1\n")
    (tmp_path / "root/link.env").symlink_to("a.env")
    for name, expected in (("a.env", "missing"), ("b.env", "present"), ("link.env", "present")):
        shutil.rmtree(tmp_path / "todo", ignore_errors=True)
        todo(tmp_path, "first.env", "missing", "add\tgenerate\tA\t20\tA-Z\t.")
        todo(tmp_path, name, expected, "add\tgenerate\tB\t20\tA-Z\t.")
        assert run(shell, tmp_path, "init", "me") == [["stale", name]]
    assert sorted(path.name for path in (tmp_path / "root").iterdir()) == ["a.env", "deploy", "link.env"]


@pytest.mark.usefixtures("root_or_skip")
@pytest.mark.parametrize("shell", SHELLS)
def test_who_holds_the_lock_is_named_and_waited_for_a_moment(shell: str, tmp_path: Path) -> None:
    put(tmp_path, "A=1\n")
    (tmp_path / "root/deploy").mkdir()
    todo(tmp_path, "a.env", "present", "add\tgenerate\tB\t20\tA-Z\t.")
    holder = shlex.join(["flock", f"{tmp_path}/root/deploy/lock", "sh", "-c", "echo locked; read x"])
    (tmp_path / "root/deploy/owner").write_text("pid=1 apply web by else@where\n")
    with subprocess.Popen(holder, shell=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as held:
        assert held.stdout is not None
        assert held.stdout.readline() == b"locked\n"
        assert run(shell, tmp_path, "init", "me") == [["held", "pid=1 apply web by else@where"]]
        held.communicate(b"\n")
    assert (tmp_path / "root/a.env").read_text() == "A=1\n"


@pytest.mark.usefixtures("root_or_skip")
@pytest.mark.parametrize("shell", SHELLS)
def test_an_unclosed_quote_would_swallow_what_is_added(shell: str, tmp_path: Path) -> None:
    put(tmp_path, "A='open\n")
    todo(tmp_path, "a.env", "present", "add\tgenerate\tB\t20\tA-Z\t.")
    assert run(shell, tmp_path, "init", "me") == [["failed", "a.env", "it would lose a value"]]
    assert (tmp_path / "root/a.env").read_text() == "A='open\n"
    assert [path.name for path in (tmp_path / "root").iterdir() if path.name != "deploy"] == ["a.env"]


def test_a_runner_that_only_tidies_up_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "todo").mkdir()
    (tmp_path / "root/deploy").mkdir(parents=True)
    (tmp_path / "root/deploy/owner").write_text("pid=1 tidies up after web since now\n")
    holder = shlex.join(["flock", f"{tmp_path}/root/deploy/lock", "sh", "-c", "echo locked; sleep 5"])
    (tmp_path / "todo/00").write_text(f"{tmp_path}/root/a.env\tpresent\n")
    with subprocess.Popen(holder, shell=True, stdout=subprocess.PIPE) as held:
        assert held.stdout is not None
        assert held.stdout.readline() == b"locked\n"
        assert run("sh", tmp_path, "init", "me") == [["stale", "a.env"]]
