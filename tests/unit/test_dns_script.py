"""The script that puts DNS records in place, as it is shipped, below a folder and with a stand-in for the engine."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from vpai_tui.vpn.dns.apply import script

ENGINE = """#!/bin/sh
case "$*" in
  *State.Running*) echo true ;;
  *NetworkMode*) echo net 192.0.2.9 ;;
  *RestartCount*) echo 0 ;;
  *"nodes list"*) printf '[{\\n"machine_key": "a"\\n}]\\n' ;;
  restart*) echo restarted >>{root}/restarts; [ ! -e {root}/at-restart ] || sh {root}/at-restart ;;
esac
"""
# The network: what lies in a file of the URL's name, else no answer.
CURL = """#!/bin/sh
for word do url=$word; done
echo "$url" >>{root}/fetched
cat "{root}/web/$(echo "$url" | tr -c 'a-z0-9.\\n' _)" 2>/dev/null || { echo "curl: (6) no $url" >&2; exit 6; }
"""
TOOLS = "sh date sync mv readlink rm timeout sha256sum cut flock grep head sleep dirname tail setsid ln cat cp sed tr"
HERE, PUBLIC, MAP = "http://192.0.2.9:8080", "https://vpn.example", "https://relays.example/map"
WELL = '{"status":"pass"}'


class Hub:
    """A config.yaml below a folder; the run `r1` put it there, kept what was before it, and was killed."""

    def __init__(self, root: Path) -> None:
        self.root, self.runs = root, root / "deploy/dns"
        self.file = root / "config.yaml"
        self.engine = root / "engine"
        self.engine.write_text(ENGINE.replace("{root}", str(root)))
        self.engine.chmod(0o755)
        self.file.write_text("new\n")
        self.lay("r1", "new\n")
        (self.runs / "r1/before").write_text("old\n")
        (self.runs / "pending").symlink_to("r1")
        (root / "deploy/owner").write_text("pid=1 apply sese/infra by ann since now\n")
        self.bin = root / "bin"
        self.bin.mkdir()
        for tool in TOOLS.split():
            (self.bin / tool).symlink_to(shutil.which(tool) or tool)
        (self.bin / "curl").write_text(CURL.replace("{root}", str(root)))
        (self.bin / "curl").chmod(0o755)
        (root / "web").mkdir()
        self.told = {"PORT": "8080", "PUBLIC": "", "DERP_URLS": ""}

    def put(self, url: str, text: str) -> Path:
        """What is answered there from now on."""
        file = self.root / "web" / re.sub(r"[^a-z0-9.]", "_", url)
        file.write_text(text)
        return file

    def first(self) -> None:
        """Nothing is left of an earlier run; the run r2 has something new to put in place."""
        (self.runs / "r1/status").write_text("committed 0 \n")
        self.lay("r2", "newer\n")

    def lay(self, run: str, content: str) -> None:
        (self.runs / run).mkdir(parents=True)
        (self.runs / run / "new").write_text(content)
        (self.runs / run / "journal").touch()

    def start(self, *args: str) -> subprocess.Popen[bytes]:
        program = self.root / "apply.sh"
        program.write_bytes(script())
        told = {
            "ROOT": str(self.root), "DOCKER": str(self.engine), "WHO": "me", "CONTAINER": "headscale",
            "FILE": str(self.file), "INSIDE": "/etc/headscale/config.yaml", "MODE": "restart", "HEALTH_S": "5",
            "HASH": hashlib.sha256(self.file.read_bytes()).hexdigest(), "SETTLE_WAIT_S": "0.1",
        }  # fmt: skip
        env = {"PATH": str(self.bin), "LC_ALL": "C", **told, **self.told}
        return subprocess.Popen(["sh", str(program), *args], env=env)

    def run(self, *args: str) -> int:
        return self.start(*args).wait(30)

    @property
    def pending(self) -> str | None:
        return os.readlink(self.runs / "pending") if (self.runs / "pending").is_symlink() else None

    @property
    def fetched(self) -> list[str]:
        file = self.root / "fetched"
        return file.read_text().split() if file.exists() else []

    def journal(self, run: str) -> dict[str, str]:
        lines = (self.runs / run / "journal").read_text().splitlines()
        return {event: detail for _, event, _, detail in (line.split("\t", 3) for line in lines)}

    def status(self, run: str) -> str | None:
        file = self.runs / run / "status"
        return file.read_text().strip() if file.exists() else None


@pytest.fixture
def hub(tmp_path: Path) -> Hub:
    return Hub(tmp_path)


def deploying(hub: Hub) -> subprocess.Popen[bytes]:
    """Somebody who holds the host's lock until he is killed."""
    command = f"exec 9>>'{hub.root}/deploy/lock'; flock 9; echo; exec sleep 60"
    holder = subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    return holder


def test_a_settling_without_the_lock_leaves_the_run_unsettled(hub: Hub) -> None:
    with deploying(hub) as holder:
        assert hub.run("settle", "r1") == 75
        holder.kill()
    assert (hub.status("r1"), hub.pending) == (None, "r1")
    assert "held\t-\tpid=1 apply sese/infra by ann" in (hub.runs / "r1/journal").read_text()
    assert hub.run("settle", "r1") == 4
    assert (hub.file.read_text(), hub.pending) == ("old\n", None)
    assert (hub.root / "restarts").exists()


def test_the_guard_waits_for_the_lock_however_long_it_is_held(hub: Hub) -> None:
    with deploying(hub) as holder, hub.start("guard", "r1", "2147483646") as guard:
        with pytest.raises(subprocess.TimeoutExpired):
            guard.wait(1)
        assert (hub.status("r1"), hub.pending) == (None, "r1")
        holder.kill()
        guard.wait(30)
    assert (hub.status("r1"), hub.pending) == ("reverted 4 the apply was interrupted", None)
    assert hub.file.read_text() == "old\n"


def test_an_end_that_cannot_be_written_down_leaves_the_run_to_be_settled(hub: Hub) -> None:
    (hub.runs / "r1/status.new").mkdir()  # no file can be put there, not even by root
    assert hub.run("settle", "r1") == 1
    assert (hub.status("r1"), hub.pending) == (None, "r1")
    assert "finished" not in (hub.runs / "r1/journal").read_text()
    (hub.runs / "r1/status.new").rmdir()
    assert hub.run("settle", "r1") == 4
    assert (hub.status("r1"), hub.pending) == ("reverted 4 the apply was interrupted", None)


def test_a_refusal_that_cannot_be_written_down_is_told_all_the_same(hub: Hub) -> None:
    hub.lay("r2", "newer\n")
    (hub.runs / "r2/status.new").mkdir()
    assert hub.run("apply", "r2") == 76
    assert "finished\t-\trefused 76 the apply r1 was interrupted" in (hub.runs / "r2/journal").read_text()
    assert hub.pending == "r1"


@pytest.mark.parametrize("held", [True, False])
def test_a_refused_apply_leaves_the_pending_mark_of_another(hub: Hub, held: bool) -> None:
    hub.lay("r2", "newer\n")
    if held:
        with deploying(hub) as holder:
            code = hub.run("apply", "r2")
            holder.kill()
    else:
        code = hub.run("apply", "r2")
    assert code == (75 if held else 76)
    assert (hub.status("r1"), hub.pending) == (None, "r1")
    assert hub.file.read_text() == "new\n"
    assert (hub.status("r2") or "").startswith(f"refused {code} ")


def test_a_run_that_ended_and_left_its_mark_keeps_nobody(hub: Hub) -> None:
    hub.first()
    assert hub.run("apply", "r2") == 0
    assert (hub.file.read_text(), hub.pending) == ("newer\n", None)


def test_it_waits_for_a_runner_that_only_tidies_up(hub: Hub) -> None:
    hub.first()
    (hub.root / "deploy/owner").write_text("pid=1 tidies up after infra since now\n")
    with deploying(hub) as holder, hub.start("apply", "r2") as applying:
        with pytest.raises(subprocess.TimeoutExpired):
            applying.wait(4)
        holder.kill()
        assert applying.wait(30) == 0


# -- what a configtest does not see ---------------------------------------------------------------------------------


def test_the_relay_map_is_fetched_before_anything_is_changed(hub: Hub) -> None:
    hub.first()
    hub.told["DERP_URLS"] = f"{MAP} {MAP}2"
    for url in (MAP, f"{MAP}2"):
        hub.put(url, '{"Regions": {"1": {}}}')
    assert hub.run("apply", "r2") == 0
    assert hub.journal("r2")["relays"] == f"{MAP}2"
    assert hub.fetched[-2:] == [MAP, f"{MAP}2"]


@pytest.mark.parametrize(
    ("answer", "why"),
    [(None, "curl: (6) no https://relays.example/map"), ("<html>sign in</html>", f"{MAP} gives none")],
)
def test_without_a_relay_map_nothing_is_changed(hub: Hub, answer: str | None, why: str) -> None:
    hub.first()
    hub.told["DERP_URLS"] = MAP
    if answer is not None:
        hub.put(MAP, answer)
    assert hub.run("apply", "r2") == 78
    assert (hub.file.read_text(), hub.pending) == ("new\n", "r1")
    assert "would not start again without a relay map" in (hub.status("r2") or "")
    assert why in (hub.status("r2") or "")
    assert not (hub.root / "restarts").exists()
    assert sorted(path.name for path in hub.root.iterdir() if "candidate" in path.name) == []


@pytest.mark.parametrize("url", ["relays.example/map", "--output", "ftp://relays.example/map"])
def test_what_is_no_url_is_not_asked_for(hub: Hub, url: str) -> None:
    hub.first()
    hub.told["DERP_URLS"] = url
    hub.put(url, '{"Regions": {"1": {}}}')
    assert hub.run("apply", "r2") == 78
    assert f"{url} is no http or https URL" in (hub.status("r2") or "")
    assert url not in hub.fetched


def test_an_address_that_curl_cannot_read_is_not_taken_for_a_host_without_curl(hub: Hub) -> None:
    hub.first()
    hub.told["DERP_URLS"] = "https://relays.example:x/map"
    (hub.bin / "curl").write_text("#!/bin/sh\necho 'curl: (3) URL rejected' >&2; exit 3\n")
    assert hub.run("apply", "r2") == 78
    assert "curl: (3) URL rejected" in (hub.status("r2") or "")
    assert "relays" not in hub.journal("r2")


@pytest.mark.parametrize("known", [True, False])
def test_a_host_that_cannot_fetch_looks_the_name_up(hub: Hub, known: bool) -> None:
    hub.first()
    hub.told["DERP_URLS"] = "https://relays.example:8443/map"
    (hub.bin / "curl").unlink()
    (hub.bin / "getent").write_text(f'#!/bin/sh\necho "$@" >>{hub.root}/fetched; {"true" if known else "exit 2"}\n')
    (hub.bin / "getent").chmod(0o755)
    assert hub.run("apply", "r2") == (0 if known else 78)
    assert hub.fetched == ["hosts", "relays.example"]
    if known:
        assert "was not fetched: this host has neither curl nor wget" in hub.journal("r2")["relays"]
    else:
        assert "relays.example is not found" in (hub.status("r2") or "")


# -- where it answers -----------------------------------------------------------------------------------------------


def test_it_must_answer_again_where_it_answered_before(hub: Hub) -> None:
    hub.first()
    hub.told |= {"PUBLIC": PUBLIC, "HEALTH_S": "1"}
    hub.put(f"{HERE}/health", WELL)
    gone = hub.put(f"{PUBLIC}/health", WELL)
    (hub.root / "at-restart").write_text(f"rm -f {gone}")
    assert hub.run("apply", "r2") == 4
    assert hub.journal("r2")["checked"] == f"1 nodes, /health of here {PUBLIC}"
    assert (hub.file.read_text(), hub.pending) == ("new\n", None)
    reason = f"it did not answer at {PUBLIC}/health, as it did before, within 1 s"
    assert hub.status("r2") == f"reverted 4 {reason}; with the file before it does not either, so far"
    assert (hub.root / "restarts").read_text().split() == ["restarted"] * 2


def test_an_answer_that_comes_back_with_the_old_file_is_the_new_files_fault(hub: Hub) -> None:
    hub.first()
    hub.told |= {"PUBLIC": PUBLIC, "HEALTH_S": "1"}
    answer = hub.put(f"{PUBLIC}/health", WELL)
    (hub.root / "at-restart").write_text(
        f"if grep -q newer {hub.file}; then rm {answer}; else echo '{WELL}' >{answer}; fi"
    )
    assert hub.run("apply", "r2") == 4
    assert hub.status("r2") == f"reverted 4 it did not answer at {PUBLIC}/health, as it did before, within 1 s"


def test_the_inner_address_is_asked_for_again_after_the_restart(hub: Hub) -> None:
    hub.first()
    hub.put(f"{HERE}/health", WELL)
    moved = hub.put("http://192.0.2.10:8080/health", WELL)
    (hub.root / "at-restart").write_text(
        f"sed -i s/192.0.2.9/192.0.2.10/ {hub.engine}; rm {hub.put(f'{HERE}/health', WELL)}"
    )
    assert hub.run("apply", "r2") == 0
    assert moved.exists() and hub.fetched[-1] == "http://192.0.2.10:8080/health"


def test_what_did_not_answer_before_is_not_waited_for(hub: Hub) -> None:
    """A host may not reach its own public address; a 200 that is not Headscale's is no answer."""
    hub.first()
    hub.told["PUBLIC"] = PUBLIC
    hub.put(f"{PUBLIC}/health", "<html></html>")
    assert hub.run("apply", "r2") == 0
    assert hub.journal("r2")["checked"] == "1 nodes"
    assert hub.fetched == [f"{HERE}/health", f"{PUBLIC}/health"]


def test_a_watched_file_asks_neither_relays_nor_addresses(hub: Hub) -> None:
    hub.first()
    hub.told |= {"PUBLIC": PUBLIC, "DERP_URLS": MAP, "MODE": "path"}
    assert hub.run("apply", "r2") == 0
    assert hub.fetched == []
