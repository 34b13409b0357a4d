"""What the host's litellm_config.yaml says of the budget. Whatever else is in it stays there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from vpai_tui.budget.figures import mapping, money, name, rows
from vpai_tui.budget.model import Price
from vpai_tui.errors import OperatorError
from vpai_tui.redact import redact
from vpai_tui.strict import FILE_LIMIT, parse_yaml
from vpai_tui.text import clean_line

CALLBACK = "eco_mode.instance"


@dataclass(frozen=True, slots=True)
class Deployment:
    """One entry of `model_list`: an alias and what stands behind it. `price` is what the file itself says."""

    alias: str
    model: str  # openrouter/qwen/qwen3-coder:free
    price: Price


@dataclass(frozen=True, slots=True)
class Settings:
    """`max_budget` is the eco mode's cap; `native_budget` the one that LiteLLM itself reads."""

    max_budget: float | None = None
    native_budget: float | None = None
    callbacks: tuple[str, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    problems: tuple[str, ...] = field(default=())

    @property
    def names_callback(self) -> bool:
        return CALLBACK in self.callbacks

    @property
    def prices(self) -> Mapping[str, Price]:
        """By alias, of those that have both prices in the file."""
        return MappingProxyType({it.alias: it.price for it in self.deployments if it.price.known})


def settings_of(content: bytes, path: str) -> Settings:
    """The file at `path` on the host. What is not as expected is left out and told in `problems`.

    Raises:
        OperatorError: it is no YAML that can be read; in words that quote nothing of it.
    """
    if len(content) > FILE_LIMIT:
        raise OperatorError(f"{path} is larger than {FILE_LIMIT >> 20} MiB")
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise OperatorError(f"{path} is no UTF-8 text (byte {error.start})") from None
    document, problems = parse_yaml(text, Path(path))
    if not isinstance(document.value, dict):
        raise OperatorError(_unreadable(path, problems))
    found = mapping(document.value)
    general, litellm = mapping(found.get("general_settings")), mapping(found.get("litellm_settings"))
    callbacks = litellm.get("callbacks")
    words = [callbacks] if isinstance(callbacks, str) else callbacks if isinstance(callbacks, list) else []
    return Settings(
        max_budget=money(general.get("max_budget")),
        native_budget=money(litellm.get("max_budget")),
        callbacks=tuple(word for it in words if (word := name(it))),
        deployments=tuple(it for row in rows(found.get("model_list")) if (it := deployment(row)).alias),
        problems=tuple(_problems(path, general, problems)),
    )


def deployment(row: Mapping[str, Any]) -> Deployment:
    """One entry of the file's `model_list`, or of LiteLLM's `/model/info`; both places for prices are looked at."""
    params, info = mapping(row.get("litellm_params")), mapping(row.get("model_info"))
    price = Price(*(_per_million(info, params, side) for side in ("input", "output")))
    return Deployment(name(row.get("model_name")), name(params.get("model")), price)


def _per_million(info: Mapping[str, Any], params: Mapping[str, Any], side: str) -> float | None:
    """Dollars for a million tokens of one side, `input` or `output`; None where neither place says."""
    key = f"{side}_cost_per_token"
    cost = next((found for place in (info, params) if (found := money(place.get(key))) is not None), None)
    return None if cost is None else round(cost * 1e6, 6)


def _unreadable(path: str, problems: list[Any]) -> str:
    line = next((it.line for it in problems if it.line is not None), None)
    if not problems:
        return f"{path} is no mapping"
    return f"{path} is no YAML that can be read" + (f" (line {line})" if line else "")


def _problems(path: str, general: Mapping[str, Any], problems: list[Any]) -> list[str]:
    told = [redact(clean_line(f"{path}: {it.path}: {it.message}", 200)) for it in problems]
    given = general.get("max_budget")
    if given is not None and money(given) is None:
        told.append(f"{path}: general_settings.max_budget is no amount of money")
    return told
