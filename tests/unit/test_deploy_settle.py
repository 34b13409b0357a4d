"""Settling an interrupted deploy carries over what was edited on the host in the meantime."""

from __future__ import annotations

import io
import json
import tarfile

import pytest

from vpai_tui.deploy.facts import HostFacts
from vpai_tui.deploy.settle import merge
from vpai_tui.errors import PreflightRefused

PATH = "configs/l.yaml"


def facts(present: bytes, new: bytes | None, old: bytes | None) -> HostFacts:
    told = {"files": [{"path": PATH, "live_keys": ["budget"]}, {"path": "configs/other", "live_keys": []}]}
    return HostFacts(
        lives={PATH: present},
        bundle_lives={} if new is None else {PATH: new},
        prior_lives={} if old is None else {PATH: old},
        blobs={"bundle.bundle.json": json.dumps(told).encode()},
    )


def entries(raw: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        return {member.name: (tar.extractfile(member) or io.BytesIO()).read() for member in tar}


def test_both_ways_get_the_present_value() -> None:
    raw = merge(facts(b"budget: 9\nmodel: b\n", b"budget: 1\nmodel: b\n", b"budget: 1\nmodel: a\n"))
    assert entries(raw) == {
        f"files/{PATH}": b"budget: 9\nmodel: b\n",
        f"prior/{PATH}": b"budget: 9\nmodel: a\n",
    }


def test_nothing_edited_is_nothing_to_carry() -> None:
    same = b"budget: 1\nmodel: b\n"
    assert merge(facts(same, same, b"budget: 1\nmodel: a\n")) == b""
    assert merge(HostFacts()) == b""


def test_a_first_deploy_has_only_one_way() -> None:
    assert list(entries(merge(facts(b"budget: 9\n", b"budget: 1\n", None)))) == [f"files/{PATH}"]


def test_a_live_file_that_is_no_yaml_is_refused() -> None:
    with pytest.raises(PreflightRefused, match=r"configs/l\.yaml on the host is not readable YAML"):
        merge(facts(b"budget: [", b"budget: 1\n", None))
