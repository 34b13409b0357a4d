"""The probe's answer: read whole or refused, whatever comes."""

from __future__ import annotations

import base64

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from vpai_tui.deploy.facts import HostFacts, parse
from vpai_tui.errors import OperatorError

KINDS = [
    "current",
    "pending",
    "lock",
    "local",
    "compose",
    "fingerprint",
    "container",
    "hash",
    "plain",
    "image",
    "netns",
    "unset",
    "was",
    "have",
    "file",
    "env",
    "envkey",
    "live",
    "network",
    "bind",
    "disk",
    "structure",
    "error",
    "release",
    "out",
    "status",
    "base.services",
    "bundle.live",
    "bundle.manifest",
    "end",
    "nonsense",
]


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


ANSWER = "\n".join(
    (
        "current\tr1",
        "pending\t",
        "lock\theld\tpid=1 apply web by me@laptop",
        "container\tid1\tapps-web-1\trunning\tweb\th1\tsha256:i\t2.26.1\tf1\t/x.yml\t/opt\tlab/web:1",
        "hash\tweb\th2",
        "image\tweb\tlab/web:1",
        "local\tsha256:i\tlinux/amd64\tlab/web:1 lab/web:2 \tlab/web@sha256:d ",
        "file\tconfigs/f\tmissing\t-",
        "env\t/opt/vpai/a.env\t600 root",
        "envkey\t/opt/vpai/a.env\t~\tTOKEN",
        f"live\tconfigs/l.yaml\t{b64('a: 1')}",
        "network\tbackbone\tmissing",
        "bind\t/srv/x\tdir",
        "disk\t123456",
        f"structure\t{b64('{}')}",
        f"error\tconfig\t{b64('no such file')}",
        f"base.services\t{b64('web')}",
        "compose\tv2.26.1-4",
        "fingerprint\tabc",
        "end\n",
    )
).encode()


def test_an_answer_is_read_whole() -> None:
    facts = parse(ANSWER, "sese")
    assert (facts.current, facts.pending, facts.busy) == ("r1", None, True)
    assert facts.owner == "pid=1 apply web by me@laptop"
    assert (facts.containers[0].service, facts.containers[0].files_label) == ("web", "f1")
    assert facts.images[0].tags == ("lab/web:1", "lab/web:2")
    assert facts.images[0].digests == ("lab/web@sha256:d",)
    assert (facts.compose, facts.free_kib, facts.fingerprint) == ("2.26.1-4", 123456, "abc")
    assert facts.env_keys == {"/opt/vpai/a.env": [("~", "TOKEN")]}
    assert (facts.lives, facts.errors) == ({"configs/l.yaml": b"a: 1"}, {"config": "no such file"})
    assert facts.missing_networks == ["backbone"]
    assert facts.blobs == {"base.services": b"web"}


@pytest.mark.parametrize("cut", [b"", b"current\tr1\n", ANSWER[:-5], b"sh: docker: not found\n"])
def test_a_cut_answer_is_refused(cut: bytes) -> None:
    with pytest.raises(OperatorError, match="cut") as caught:
        parse(cut, "sese")
    assert caught.value.host == "sese"


def _read(raw: bytes) -> HostFacts | None:
    """The facts, or None when they were refused in the one way that is allowed."""
    try:
        return parse(raw, "sese")
    except OperatorError as error:
        assert "\x1b" not in error.output
        return None


@given(st.binary(max_size=400))
@example(b"\x1b[2J\nend\n")
def test_garbage_is_refused_and_never_a_traceback(raw: bytes) -> None:
    _read(raw)
    _read(raw + b"\nend\n")


cells = st.one_of(st.text(max_size=12), st.sampled_from(["", "-", "r1", "not base64!", "YQ==", "eyJhIjogMX0=", "W10="]))


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.lists(cells, max_size=10)), max_size=6))
def test_records_with_odd_cells_are_taken_or_refused(rows: list[tuple[str, list[str]]]) -> None:
    raw = b"".join(("\t".join((kind, *row)).encode(errors="replace") + b"\n") for kind, row in rows)
    facts = _read(raw + b"end\n")
    if facts is not None:
        assert isinstance(facts.structure, dict)
        assert isinstance(facts.base_json(), dict)


def test_what_a_host_says_cannot_drive_the_terminal() -> None:
    facts = parse(b"lock\theld\t\x1b]0;pwned\x07 by \xff\nend\n", "sese")
    assert facts.owner == "]0;pwned by \ufffd"
