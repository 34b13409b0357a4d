"""An answer of VictoriaMetrics is another program's text: it may be anything."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vpai_tui.errors import OperatorError
from vpai_tui.fleet.trend import Point, quoted, read


def _answer(result: object) -> bytes:
    return json.dumps({"status": "success", "data": {"resultType": "matrix", "result": result}}).encode()


def test_values_that_are_none_are_left_out() -> None:
    values = [[60, "1.5"], [0, "1"], [120, "NaN"], [180, "+Inf"], [240], "x", [300, None], ["a", "1"], [1e999, "1"]]
    (found,) = read(_answer([{"metric": {"host": "se\x1b]52;c;x\x07se"}, "values": values}, {"values": []}, 7]), 200)
    assert found.points == (Point(0, 1), Point(60, 1.5))
    assert (found.least, found.mean, found.most) == (1, 1.25, 1.5)
    assert "\x1b" not in found.labels["host"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"<html>", 502, "HTTP 502, and what it says is no JSON"),
        (b"[" * 100_000, 200, "no JSON"),
        (b'{"status":"error","error":"no such\\u001b[2J thing"}', 422, "HTTP 422: no such"),
        (b'{"status":"success","data":{"result":{}}}', 200, "holds no series"),
        (b'{"status":"success"}', 500, "HTTP 500"),
    ],
)
def test_what_is_no_answer_is_said(body: bytes, status: int, said: str) -> None:
    with pytest.raises(OperatorError, match="VictoriaMetrics: ") as caught:
        read(body, status, host="sese")
    assert said in caught.value.message
    assert "\x1b" not in caught.value.message


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.sampled_from(["metric", "values", "status", "data", "result"]), inner, max_size=4)
        ),
    )
)
def test_any_answer_is_read_or_refused(value: object) -> None:
    for body in (json.dumps(value).encode(), _answer(value), _answer([value]), _answer([{"values": value}])):
        try:
            assert all(series.points for series in read(body, 200))
        except OperatorError as error:
            assert error.message


def test_a_name_cannot_end_its_quotes() -> None:
    assert quoted('a"} or up{x="') == '"a\\"} or up{x=\\""'
