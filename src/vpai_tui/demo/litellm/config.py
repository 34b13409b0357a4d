"""What the proxy reads from litellm_config.yaml at its start, and what LiteLLM knows of a model's price."""

from __future__ import annotations

import math
from typing import Any

import yaml

from vpai_tui.demo import yaml_text

Doc = dict[str, Any]

# Dollars per million tokens, in and out, of the demo's models. Like LiteLLM's own list it lacks some of OpenRouter's.
PRICES: dict[str, tuple[float, float]] = {
    "anthropic/claude-opus-4-20250514": (15.0, 75.0),
    "anthropic/claude-sonnet-4-20250514": (3.0, 15.0),
    "anthropic/claude-haiku-4-5-20251001": (1.0, 5.0),
    "openai/gpt-4o": (2.5, 10.0),
    "openai/gpt-4o-mini": (0.15, 0.6),
    "openai/codex-mini-latest": (1.5, 6.0),
    "openai/text-embedding-3-small": (0.02, 0.0),
    "gemini/gemini-2.0-flash": (0.1, 0.4),
    "openrouter/deepseek/deepseek-chat": (0.14, 0.28),
    "openrouter/deepseek/deepseek-r1": (0.55, 2.19),
    "openrouter/minimax/minimax-m1": (0.4, 2.2),
    "openrouter/perplexity/sonar-pro": (3.0, 15.0),
    "openrouter/z-ai/glm-5": (0.8, 2.56),
    "zai/glm-4.6": (0.6, 2.2),
}
# A model that was added on the admin page: the proxy keeps it in its database (STORE_MODEL_IN_DB).
IN_DATABASE: Doc = {"model_name": "glm-4.6", "litellm_params": {"model": "zai/glm-4.6"}, "model_info": {}}


def start(text: bytes) -> Doc:
    """The loaded configuration: {"models": [...], "max_budget", "native", "callbacks"}. ValueError: it cannot start."""
    try:
        found = yaml_text.load(text.decode())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(str(error).splitlines()[0]) from None
    if not isinstance(found, dict):
        raise ValueError("the configuration is no mapping")
    general, native = _part(found, "general_settings"), _part(found, "litellm_settings")
    listed = found.get("model_list")
    models = [it for it in listed if _is_model(it)] if isinstance(listed, list) else []
    callbacks = native.get("callbacks")
    return {
        "models": [_model(it, stored=False) for it in models] + ([_model(IN_DATABASE, stored=True)] if models else []),
        "max_budget": money(general.get("max_budget")),
        "native": money(native.get("max_budget")),
        "callbacks": [str(it) for it in callbacks] if isinstance(callbacks, list) else [str(callbacks or "")],
    }


def money(value: object) -> float | None:
    """An amount as `eco_mode.number` reads it."""
    try:
        found = float(str(value))
    except ValueError:
        return None
    return found if 0 <= found < math.inf else None


def _part(found: Doc, name: str) -> Doc:
    part = found.get(name)
    return part if isinstance(part, dict) else {}


def _is_model(value: Any) -> bool:
    """LiteLLM leaves out what it finds wrong, and goes on: a `tier` of its own is one of two words."""
    if not isinstance(value, dict) or not isinstance(_part(value, "litellm_params").get("model"), str):
        return False
    return _part(value, "model_info").get("tier") in (None, "free", "paid")


def _model(entry: Doc, *, stored: bool) -> Doc:
    info = _part(entry, "model_info")
    model = str(entry["litellm_params"]["model"])
    known = PRICES.get(model)
    given = [info.get(f"{way}_cost_per_token") for way in ("input", "output")]
    price = [money(it) for it in given] if None not in given else [it / 1e6 for it in known] if known else [None, None]
    provider = model.partition("/")[0] if "/" in model else "openai"
    return {
        "alias": str(entry.get("model_name", model)),
        "model": model,
        "provider": provider,
        "vendor": _vendor(model, provider),
        "price": price,  # dollars per token, in and out; [None, None]: LiteLLM has none
        "tier": info.get("tier"),
        "stored": stored,
    }


def _vendor(model: str, provider: str) -> str:
    """As `eco_mode.vendor_of`."""
    parts = model.removeprefix(f"{provider}/").split("/")
    return parts[0] if len(parts) > 1 else provider
