"""Values edited on the host go over into every new file, and count as no change."""

from __future__ import annotations

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.deploy.live import carry_over, without_live_keys
from vpai_tui.errors import PreflightRefused

SHIPPED = b"""# what may be spent
litellm_settings:
  max_budget: 10  # per month
  drop_params: true
dns:
  extra_records:
    - name: "a.example"
      value: 1.2.3.4
"""
KEYS = ("litellm_settings.max_budget", "dns.extra_records")


def test_the_hosts_values_go_over_and_comments_stay() -> None:
    present = SHIPPED.replace(b"10  #", b"42  #").replace(b"drop_params: true", b"drop_params: false")
    merged, kept = carry_over(SHIPPED, present, KEYS, "f")
    assert kept == ("litellm_settings.max_budget",)
    assert merged == SHIPPED.replace(b"10  #", b"42  #")


def test_the_same_values_leave_the_bytes_as_they_are() -> None:
    odd = b"dns: {extra_records:   []}\nlitellm_settings: {max_budget:    1}\n"
    assert carry_over(odd, odd, KEYS, "f") == (odd, ())


def test_a_key_the_host_does_not_have_keeps_the_shipped_value() -> None:
    assert carry_over(SHIPPED, b"litellm_settings: {}\ndns: 3\n", KEYS, "f") == (SHIPPED, ())


def test_whole_lists_go_over() -> None:
    present = (
        b"dns:\n  extra_records:\n    - {name: b.example, value: 5.6.7.8}\n    - {name: c.example, value: 9.9.9.9}\n"
    )
    merged, kept = carry_over(SHIPPED, present, KEYS, "f")
    assert kept == ("dns.extra_records",)
    assert [item["name"] for item in yaml.safe_load(merged)["dns"]["extra_records"]] == ["b.example", "c.example"]


@pytest.mark.parametrize(
    "shipped", [b"", b"dns:\n", b"a: 1\n", b"# none yet\ndns:  # later\n\n# next\na: 1\n", b"dns: {}\n"]
)
def test_a_mapping_that_is_missing_around_a_live_value_is_made(shipped: bytes) -> None:
    merged, kept = carry_over(shipped, b"dns:\n  extra_records: [1]\nother: 2\n", KEYS, "f")
    assert kept == ("dns.extra_records",)
    assert yaml.safe_load(merged) == {**(yaml.safe_load(shipped) or {}), "dns": {"extra_records": [1]}}
    assert without_live_keys(merged, KEYS) == without_live_keys(shipped, KEYS)  # and it counts as no change
    assert carry_over(shipped, merged, KEYS, "f")[0] == merged


@pytest.mark.parametrize("shipped", [b"dns: none\n", b"- dns\n"])
def test_a_live_value_without_a_place_is_refused_and_not_dropped(shipped: bytes) -> None:
    with pytest.raises(PreflightRefused, match=r"what holds dns\.extra_records is no mapping"):
        carry_over(shipped, b"dns:\n  extra_records: [1]\n", KEYS, "f")


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (b"token: s3cret\nx: [s3cret\ny: s3cret", "line 3, column 2"),
        (b"token: s3cret\ntoken: s3cret2\n", 'found duplicate key "token" at line 2, column 1'),
        (b"token: s3cret\n\xff", "byte 14 is no UTF-8"),
        (b"token: s3cret\n\x00", "it holds a character that YAML does not allow"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_without_a_piece_of_it(bad: bytes, why: str) -> None:
    with pytest.raises(PreflightRefused) as caught:
        carry_over(SHIPPED, bad, KEYS, "f")
    assert why in caught.value.message
    assert "s3cret" not in caught.value.message
    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)


@pytest.mark.parametrize("bad", [b"a: [", b"\xff\xfe", b"a: 1\n\tb: 2\n"])
def test_a_file_that_is_no_yaml_is_refused(bad: bytes) -> None:
    with pytest.raises(PreflightRefused, match="is not readable YAML"):
        carry_over(SHIPPED, bad, KEYS, "configs/f")


words = st.text("abcdef", min_size=1, max_size=4)
values = st.one_of(st.integers(-99, 99), st.booleans(), words, st.lists(st.integers(0, 9), max_size=3))
documents = st.dictionaries(
    words, st.one_of(values, st.dictionaries(words, values, max_size=3)), min_size=1, max_size=4
)


def _paths(data: dict[str, object]) -> list[str]:
    inner = [f"{k}.{sub}" for k, v in data.items() if isinstance(v, dict) for sub in v]
    return [*data, *inner]


def _get(data: object, key: str) -> object:
    for part in key.split("."):
        if not isinstance(data, dict) or part not in data:
            return None
        data = data[part]
    return data


@given(documents, documents, st.data())
def test_only_live_keys_differ_from_what_was_shipped(
    shipped: dict[str, object], present: dict[str, object], data: st.DataObject
) -> None:
    keys = data.draw(st.lists(st.sampled_from(_paths(shipped)), unique=True, max_size=2))
    ours, theirs = yaml.safe_dump(shipped).encode(), yaml.safe_dump(present).encode()
    merged, kept = carry_over(ours, theirs, keys, "f")
    assert set(kept) <= set(keys)
    assert without_live_keys(merged, keys) == without_live_keys(ours, keys)
    for key in kept:
        assert _get(yaml.safe_load(merged), key) == _get(present, key)
    assert carry_over(merged, theirs, keys, "f")[1] == ()  # once is enough


LAUGHS = b"a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (at, at, b", ".join([b"*a%d" % (at - 1)] * 10)) for at in range(1, 9)
)


@pytest.mark.parametrize(
    "content",
    [
        LAUGHS, b"a: &a [*a]\n", b"a: &a 1\nb: &a [*a]\n", b"[" * 3000, b"{a: " * 300 + b"}" * 300, b"a: 2020-99-99\n",
        b"a: 0x_\n", b"a: " + b"9" * 5000, b"a: !!int x\n", b"a: !!bool x\n", b"a: !!float x\n", b"#\n" * 200_000,
    ],
    ids=range(12),
)  # fmt: skip
def test_a_file_that_cannot_or_must_not_be_read_is_refused_in_words(content: bytes) -> None:
    for work in (
        lambda: carry_over(SHIPPED, content, KEYS, "f"),
        lambda: carry_over(content, content, ("a8", "a"), "f"),
        lambda: without_live_keys(content, KEYS),
    ):
        with pytest.raises(PreflightRefused) as caught:
            work()
        assert "is not readable YAML" in caught.value.message
        assert caught.value.remedy
