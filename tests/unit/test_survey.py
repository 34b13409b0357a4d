"""Which container is which service, and what is taken over: nothing near is guessed, nothing unfit is taken."""

from __future__ import annotations

from dataclasses import replace

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.deploy.facts import Held
from vpai_tui.deploy.survey import Found, Survey, score, survey
from vpai_tui.deploy.takeover import take_over
from vpai_tui.errors import PreflightRefused, UsageError
from vpai_tui.fleet.stacks import Stack, load_stack

COMPOSE = {
    "services": {
        "postgresql": {
            "image": "postgres:18.1-bookworm",
            "volumes": ["pg:/var/lib/postgresql", "./conf:/etc/postgresql:ro"],
            "networks": ["backend"],
        },
        "n8n": {
            "image": "docker.n8n.io/n8nio/n8n:2.7.3",
            "ports": ["127.0.0.1:5678:5678/tcp"],
            "volumes": ["./data/n8n:/home/node/.n8n"],
        },
    },
    "networks": {"backend": {"name": "vpai_backend"}},
    "volumes": {"pg": {"name": "vpai_pg"}},
}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Stack:
    home = tmp_path_factory.mktemp("laptop") / "sese/apps"
    home.mkdir(parents=True)
    (home / "compose.yaml").write_text(yaml.safe_dump(COMPOSE, sort_keys=False))
    (home / "stack.yaml").write_text("project: vpai\n")
    return load_stack(home.parents[1], "sese/apps")


POSTGRES = Found(
    id="p",
    name="javisi_postgresql",
    state="running",
    image="postgres:18.1-bookworm",
    project="javisi",
    service="postgresql",
    working_dir="/opt/javisi",
    mounts=(Held("/opt/javisi/data/pg", "/var/lib/postgresql", volume=False),),
    networks=("javisi_backend",),
)
N8N = Found(
    id="n",
    name="javisi_n8n",
    state="running",
    image="docker.n8n.io/n8nio/n8n:2.7.3",
    project="javisi",
    service="n8n",
    working_dir="/opt/javisi",
    ports=frozenset({("5678", "tcp")}),
    mounts=(Held("/opt/javisi/data/n8n", "/home/node/.n8n", volume=False),),
)


def chosen(found: Survey) -> dict[str, str | None]:
    return {match.service: match.choice.found.name if match.choice else None for match in found.matches}


def look(stack: Stack, *containers: Found) -> Survey:
    return survey("sese", [stack], containers)


def test_evidence_is_named_and_counted(stack: Stack) -> None:
    told = score(stack, "n8n", N8N)
    assert (told.points, told.evidence) == (14, ("service", "name", "image", "port", "mount"))
    fork = replace(N8N, service="flows", name="flows", image="ghcr.io/me/n8n:1", ports=frozenset())
    assert score(stack, "n8n", fork).evidence == ("image's name", "mount")


def test_each_service_gets_the_container_that_speaks_for_it(stack: Stack) -> None:
    stray = Found("s", "stray", "running", "busybox:1")
    found = look(stack, N8N, POSTGRES, stray)
    assert chosen(found) == {"postgresql": "javisi_postgresql", "n8n": "javisi_n8n"}
    assert found.unclaimed == (stray,)


def test_two_that_come_near_must_be_decided(stack: Stack) -> None:
    other = replace(POSTGRES, id="q", name="other-postgresql-1", project="other")
    found = look(stack, POSTGRES, other)
    assert [match.service for match in found.undecided] == ["postgresql"]
    with pytest.raises(PreflightRefused, match="may be javisi_postgresql, other-postgresql-1: say which"):
        take_over(found, [stack], (), "/opt/vpai")
    decided = found.choose("postgresql", "other-postgresql-1")
    assert (decided.undecided, chosen(decided)["postgresql"]) == ((), "other-postgresql-1")
    assert chosen(found.choose("apps/postgresql", None))["postgresql"] is None


def test_a_container_is_one_service_only(stack: Stack) -> None:
    found = look(stack, N8N, POSTGRES).choose("postgresql", "javisi_n8n")
    assert chosen(found) == {"postgresql": "javisi_n8n", "n8n": None}


@pytest.mark.parametrize(("service", "container"), [("nope", "javisi_n8n"), ("n8n", "nope")])
def test_what_is_not_there_cannot_be_chosen(stack: Stack, service: str, container: str) -> None:
    with pytest.raises(UsageError):
        look(stack, N8N).choose(service, container)


def test_names_and_places_are_taken_over(stack: Stack) -> None:
    networks = ("bridge", "javisi_backend", "other_backend")
    made = take_over(look(stack, N8N, POSTGRES), [stack], networks, "/opt/vpai").adopted
    assert made.root == "/opt/javisi"
    apps = made.stacks["apps"]
    assert (apps.project, apps.networks, apps.volumes) == ("javisi", {"backend": "javisi_backend"}, {})
    assert apps.containers == {"postgresql": "javisi_postgresql", "n8n": "javisi_n8n"}
    # n8n's is where ./data/n8n is below the new root
    assert apps.mounts == {"postgresql": {"/var/lib/postgresql": "/opt/javisi/data/pg"}}


def test_a_volume_under_another_name_is_taken_by_its_key(stack: Stack) -> None:
    volume = replace(POSTGRES, mounts=(Held("javisi_pg", "/var/lib/postgresql", volume=True),))
    apps = take_over(look(stack, volume), [stack], (), "/opt/vpai").adopted.stacks["apps"]
    assert (apps.volumes, apps.mounts) == ({"pg": "javisi_pg"}, {})


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (replace(N8N, project="", service=""), "was made by hand"),
        (replace(N8N, service="flows"), "rename n8n to flows in"),
    ],
)
def test_what_compose_would_not_take_over_is_refused_with_the_way_out(stack: Stack, found: Found, said: str) -> None:
    with pytest.raises(PreflightRefused, match=said) as refused:
        take_over(look(stack, found).choose("n8n", found.name), [stack], (), "/opt/vpai")
    assert refused.value.exit_code == 78
    assert "--map SERVICE=-" in refused.value.remedy


def test_a_stack_is_of_one_project_and_a_host_has_one_root(stack: Stack) -> None:
    elsewhere = replace(N8N, project="other", working_dir="/srv/other")
    with pytest.raises(PreflightRefused) as refused:
        take_over(look(stack, POSTGRES, elsewhere), [stack], (), "/opt/vpai")
    assert "runs in several projects" in refused.value.output
    assert "name the host's root with --root" in refused.value.output
    below = replace(N8N, working_dir="/opt/javisi/creative")
    assert take_over(look(stack, POSTGRES, below), [stack], (), "/opt/vpai").adopted.root == "/opt/javisi"


def test_releases_below_another_root_are_not_lost(stack: Stack) -> None:
    found = replace(look(stack, N8N, POSTGRES), deployed=frozenset({"sese/other"}))
    with pytest.raises(PreflightRefused, match="sese/other has releases below /opt/vpai"):
        take_over(found, [stack], (), "/opt/vpai")


def test_what_we_deployed_ourselves_is_not_adopted(stack: Stack) -> None:
    ours = replace(N8N, project="vpai", name="vpai-n8n-1", working_dir="/opt/vpai")
    found = replace(look(stack, ours), deployed=frozenset({"sese/apps"}))
    with pytest.raises(PreflightRefused, match="nothing there runs under other names"):
        take_over(found, [stack], (), "/opt/vpai")


_FOUND = st.builds(
    Found,
    id=st.uuids().map(str),
    name=st.sampled_from(["n8n", "javisi_n8n", "postgresql", "x-postgresql-1", "stray"]),
    state=st.just("running"),
    image=st.sampled_from(["postgres:17", "docker.n8n.io/n8nio/n8n:1", "busybox"]),
    project=st.sampled_from(["", "javisi"]),
    service=st.sampled_from(["", "n8n", "postgresql"]),
    ports=st.sampled_from([frozenset[tuple[str, str]](), frozenset({("5678", "tcp")})]),
)


@given(containers=st.lists(_FOUND, max_size=5, unique_by=lambda item: item.name))
def test_no_container_is_two_services_and_no_near_rival_is_passed_over(stack: Stack, containers: list[Found]) -> None:
    found = survey("sese", [stack], containers)
    taken = [match.choice.found.id for match in found.matches if match.choice]
    assert len(taken) == len(set(taken))
    for match in found.matches:
        if match.choice:
            assert not match.undecided
            free = [item for item in match.candidates if item.found.id not in taken]
            assert all(item.points < match.choice.points - 1 for item in free)
    assert {item.id for item in found.unclaimed} == {item.id for item in containers} - set(taken)
