"""Values that are marked as JSON or Base64."""

from typing import Any


class Json:
    """Data for a JSON column."""

    def __init__(self, data: Any = None, **named: Any) -> None:
        self.data = named if data is None else data

    @classmethod
    def keys(cls, **data: Any) -> "Json":
        return cls(data)


class Base64:
    """Bytes."""

    def __init__(self, raw: bytes = b"") -> None:
        self.data = raw

    @classmethod
    def encode(cls, raw: bytes) -> "Base64":
        return cls(raw)
