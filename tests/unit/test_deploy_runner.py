"""The runner on a host whose disk or engine misbehaves: what could not be written down is never told as done."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from runner_host import BASE, ID, Host


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_release_is_committed_by_its_link(host: Host) -> None:
    assert host.run() == 0
    assert (host.status, host.journal[-1]) == ("ok 0", "finished\t-\tok 0 ")
    assert os.readlink(host.home / "current") == f"releases/{ID}"
    assert not (host.home / "pending").is_symlink()


def test_a_pending_mark_that_cannot_be_written_is_a_refusal(host: Host) -> None:
    (host.home / "pending").mkdir()  # no link can be put in its place
    host.ship("web.conf", "new\n")
    assert host.run() == 78
    assert host.status == "refused 78 the pending mark could not be written"
    assert not (host.root / "web.conf").exists()
    assert os.readlink(host.home / "current") == f"releases/{BASE}"


def test_a_commit_that_cannot_be_written_is_taken_back_and_no_success(host: Host) -> None:
    (host.home / "current").unlink()
    (host.home / "current").mkdir()
    host.ship("web.conf", "new\n")
    assert host.run() == 2
    assert host.status == "reverted 2 the release could not be committed"
    assert not (host.root / "web.conf").exists()
    assert not (host.home / "pending").is_symlink()


def test_an_end_that_cannot_be_written_leaves_it_to_be_settled(host: Host) -> None:
    (host.release / "status.new").mkdir()
    (host.release / "status.new/in the way").touch()
    assert host.run() == 1
    assert os.readlink(host.home / "pending") == f"releases/{ID}"
    assert not any(line.startswith("finished") for line in host.journal)
    (host.release / "status.new/in the way").unlink()
    (host.release / "status.new").rmdir()
    assert host.run("resume") == 0  # it had its commit
    assert (host.status, (host.home / "pending").is_symlink()) == ("ok 0", False)


WARNING = r'time="t" level=warning msg="The \"{}\" variable is not set. Defaulting to a blank string."'


def test_a_variable_without_a_value_is_refused_and_one_of_an_env_file_is_nobodys_business(host: Host) -> None:
    (host.release / "compose/00-compose.yaml").write_text("services: {web: {image: 'x:${TAG}', user: $WHO_ID}}\n")
    warnings = "\n".join(WARNING.format(name) for name in ("TAG", "WHO", "part_of_a_password", "WHO_ID", "TAG"))
    host.say(f"case \"$*\" in *config*) cat >&2 <<'END'\n{warnings}\nEND\nesac")
    assert host.run() == 78
    assert host.status == "refused 78 variables have no value on the host: TAG WHO_ID"


@pytest.mark.parametrize(
    ("edited", "kept"), [("budget: 9\n", True), ("budget: 2\n", False), ("budget: 1\n", False), (None, False)]
)
def test_a_live_file_edited_while_a_release_was_tried_is_kept_beside(
    host: Host, edited: str | None, kept: bool
) -> None:
    live = host.root / "configs/live.yaml"
    live.parent.mkdir()
    live.write_text("budget: 1\n")
    host.ship("configs/live.yaml", "budget: 2\n", live=True)
    edit = "true" if edited is None else f"printf '{edited}' >'{live}'"
    (host.release / "steps").write_text("up\tweb\tservice\t5\t-\n")
    host.say(f'case "$*" in *" up "*) {edit}; exit 1;; esac')
    assert host.run() == 2
    assert live.read_text() == "budget: 1\n"
    aside = live.with_name(f"live.yaml.vpai-kept-{ID}")
    assert aside.exists() is kept
    told = [line for line in host.journal if line.startswith("kept_aside")]
    assert told == [f"kept_aside\t-\tconfigs/{aside.name} was edited meanwhile"] * kept
    assert not kept or aside.read_text() == edited


# What a rename of a database is for the runner: the old one's removal, then the new one.
_RENAME = "rm\told\tservice\t2\t-\nup\tnew\tservice\t2\t-\n"
_RENAME_BACK = "rm\tnew\tservice\t2\t-\nup\told\tservice\t2\tafter=new\n"
_ENGINE = """
home='{root}/engine.d'; mkdir -p "$home"
case "$*" in
  'ps -a '*) cd "$home"; for one in *; do [ -e "$one" ] && printf '%s\\tn\\trunning\\t%s\\n' "$one" "$one"; done ;;
  'ps -aq '*) for one in "$home"/*; do case "$*" in *"service=${{one##*/}} "*) echo "${{one##*/}}" ;; esac; done ;;
  *' up -d '*) for last; do :; done; echo "up $last" >>'{root}/calls'; touch "$home/$last" ;;
  'rm -f '*) echo "rm $3" >>'{root}/calls'; {rm} ;;
  inspect*) for last; do :; done; case $last in new) echo 'exited none 0 1' ;; *) echo 'running healthy 0 0' ;; esac ;;
esac
exit 0
"""


def renamed(host: Host, rm: str = 'rm -f "$home/$3"') -> list[str]:
    """A host that runs `old`, an apply that renames it to `new`, which then exits; what the engine was told."""
    for folder in (host.release, host.home / "releases" / BASE):
        (folder / "services").write_text("old\nnew\n")
    (host.release / "steps").write_text(_RENAME)
    (host.release / "steps.revert").write_text(_RENAME_BACK)
    (host.root / "engine.d").mkdir()
    (host.root / "engine.d/old").touch()
    host.say(_ENGINE.format(root=host.root, rm=rm))
    host.run()
    return (host.root / "calls").read_text().splitlines()


def test_a_renamed_database_never_runs_twice_there_and_back(host: Host) -> None:
    assert renamed(host) == ["rm old", "up new", "rm new", "up old"]
    assert host.status == "reverted 2 new: exited 1"
    assert [item.name for item in (host.root / "engine.d").iterdir()] == ["old"]


def test_what_was_replaced_is_not_brought_up_beside_what_could_not_be_removed(host: Host) -> None:
    calls = renamed(host, rm='[ "$3" = old ] && rm -f "$home/old" || exit 1')
    assert calls == ["rm old", "up new", "rm new"]
    assert host.status == "revert_failed 3 new: exited 1; then the revert failed: old: new is still there in its place"


def test_a_removal_that_fails_stops_before_the_new_one_is_made(host: Host) -> None:
    assert renamed(host, rm="exit 1") == ["rm old", "up old"]
    assert host.status == "reverted 2 old: cannot remove"


def test_the_base_of_a_release_is_kept_whatever_its_name_sorts_as(host: Host) -> None:
    newer = [f"20260102T00000{n}-0000" for n in range(6)]
    for name in newer:
        host.lay(name)
    assert host.run() == 0
    left = sorted(item.name for item in (host.home / "releases").iterdir())
    assert left == sorted([BASE, ID, *newer[1:]])
