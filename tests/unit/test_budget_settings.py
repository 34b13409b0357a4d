"""litellm_config.yaml on the host: what is read of it, and that no file crashes the reader or is quoted by it."""

from __future__ import annotations

from pathlib import Path

import pytest
from budget_things import CONFIG, MODELS, bent
from hypothesis import given
from hypothesis import strategies as st

from corpus_cases import is_safe
from vpai_tui.budget.model import Price
from vpai_tui.budget.prices import price_list
from vpai_tui.budget.settings import settings_of
from vpai_tui.errors import OperatorError

PATH = "/opt/vpai/configs/litellm/litellm_config.yaml"
SHIPPED = Path(__file__).parents[2] / "stacks/sese/apps/configs/litellm/litellm_config.yaml"


def test_the_shipped_configuration() -> None:
    found = settings_of(SHIPPED.read_bytes(), PATH)
    assert (found.max_budget, found.native_budget, found.problems) == (5.0, None, ())
    assert found.names_callback
    assert {alias for alias, price in found.prices.items() if price.free} == {
        "qwen3-coder",
        "deepseek-v3-free",
        "deepseek-r1-free",
    }
    assert len(found.deployments) > 15


def test_both_caps_and_prices_of_either_place() -> None:
    found = settings_of(
        b"general_settings: {max_budget: '3.5'}\n"
        b"litellm_settings: {max_budget: 4, callbacks: eco_mode.instance}\n"
        b"model_list:\n"
        b"- {model_name: a, litellm_params: {model: x/y, input_cost_per_token: 1e-6, output_cost_per_token: 2.0e-6}}\n"
        b"- {model_name: b, litellm_params: {model: x/z}, model_info: {input_cost_per_token: 0}}\n",
        PATH,
    )
    assert (found.max_budget, found.native_budget, found.names_callback) == (3.5, 4.0, True)
    assert dict(found.prices) == {"a": Price(1.0, 2.0)}  # b has but one: that is not free
    assert not found.deployments[1].price.free


@pytest.mark.parametrize("value", ["-1", ".nan", ".inf", "lots", "[1]", "true"])
def test_a_cap_that_is_none_is_told(value: str) -> None:
    found = settings_of(f"general_settings: {{max_budget: {value}}}\n".encode(), PATH)
    assert found.max_budget is None
    assert [it for it in found.problems if "no amount of money" in it]


def test_a_key_that_stands_twice_is_told() -> None:
    found = settings_of(b"general_settings: {max_budget: 5, max_budget: 50}\n", PATH)
    assert any("twice" in it for it in found.problems)


@pytest.mark.parametrize(
    "content",
    [
        b"general_settings: {max_budget: 5, master_key: sk-very-secret-1234",
        b"master_key: 'sk-very-secret-1234\nx: [",
        b"a: &a [*a, sk-very-secret-1234]\n",
        b"sk-very-secret-1234",
        b"[" * 5000,
        b"{a: " * 5000,
        b"a: &a [x]\n"
        + b"".join(b"%c: &%c [%s]\n" % (n, n, b",".join([b"*%c" % (n - 1)] * 9)) for n in range(98, 120)),
        b"\xff\xfe",
        b"a: !!python/object:os.system {}\n",
        b"a: *nothing\n",
        b"",
        b"x: " + b"y" * (2 << 20),
    ],
    ids=lambda it: repr(it[:12]),
)
def test_a_file_that_cannot_be_read_is_an_error_that_quotes_nothing(content: bytes) -> None:
    with pytest.raises(OperatorError, match=PATH) as refused:
        settings_of(content, PATH)
    assert "secret" not in str(refused.value)
    assert len(str(refused.value)) < 200


@given(st.one_of(st.binary(max_size=60), st.text(max_size=60).map(lambda it: it.encode("utf-8", "replace"))), st.data())
def test_any_file(noise: bytes, data: st.DataObject) -> None:
    where = data.draw(st.integers(0, len(CONFIG)))
    for content in (noise, CONFIG[:where] + noise + CONFIG[where:]):
        try:
            found = settings_of(content, PATH)
        except OperatorError as error:
            assert is_safe(str(error))
        else:
            assert all(is_safe(it) for it in found.problems)
            assert all(is_safe(it.alias) and is_safe(it.model) for it in found.deployments)


def test_prices_are_litellms_and_nothing_is_one_only_where_it_is_meant() -> None:
    prices = price_list(MODELS.body, settings_of(CONFIG, PATH), ())
    assert prices.of("claude-sonnet") == Price(3.0, 15.0)
    assert (prices.priced("claude-sonnet"), prices.free("claude-sonnet")) == (True, False)
    assert (prices.of("gpt-4o"), prices.priced("gpt-4o")) == (Price(None, None), False)  # LiteLLM knows none
    assert (prices.priced("qwen3-coder"), prices.free("qwen3-coder")) == (True, True)
    assert prices.priced("gone") is None


def test_without_litellm_the_files_own_prices_count() -> None:
    prices = price_list(None, settings_of(CONFIG, PATH), ("claude-sonnet",))
    assert prices.of("qwen3-coder") == Price(0.0, 0.0)
    assert prices.of("gpt-4o") == Price(None, None)
    assert prices.priced("gpt-4o") is None, "LiteLLM may know one"
    assert prices.free("claude-sonnet")  # the callback says so


def test_of_two_deployments_the_one_without_a_price_counts_and_images_have_other_prices() -> None:
    def row(alias: str, **info: float) -> dict[str, object]:
        return {"model_name": alias, "litellm_params": {"model": f"p/{alias}"}, "model_info": info}

    body = {
        "data": [
            row("two", input_cost_per_token=1e-6, output_cost_per_token=1e-6),
            row("two"),
            row("dear", input_cost_per_token=1e-6, output_cost_per_token=1e-6),
            row("dear", input_cost_per_token=2e-6, output_cost_per_token=1e-6),
            row("image", input_cost_per_token=0, output_cost_per_token=0, output_cost_per_image=0.04),
        ]
    }
    prices = price_list(body, None, ())
    assert prices.priced("two") is False
    assert prices.of("dear") == Price(2.0, 1.0)
    assert (prices.priced("image"), prices.free("image")) == (True, False)


@given(bent(MODELS.body))
def test_any_list_of_prices(body: object) -> None:
    prices = price_list(body, None, ("qwen3-coder",))
    for alias, price in prices.by_alias.items():
        assert is_safe(alias)
        assert all(it is None or it >= 0 for it in (price.input_usd_per_million, price.output_usd_per_million))
        assert prices.priced(alias) in (True, False)
