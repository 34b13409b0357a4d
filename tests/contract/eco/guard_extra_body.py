"""Stands in for VPAI's own second callback: it looks at the model a request ends with, and must see the final one."""

from pathlib import Path
from typing import Any

from litellm.integrations.custom_logger import CustomLogger


class Guard(CustomLogger):
    async def async_pre_call_hook(
        self, user_api_key_dict: Any, cache: Any, data: dict[str, Any], call_type: str
    ) -> Any:
        Path("guard.saw").write_text(str(data.get("model")))
        return data


proxy_handler_instance = Guard()
