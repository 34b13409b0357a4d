"""What only the operator can answer while a connection is made."""

from __future__ import annotations

from typing import Protocol


class Prompts(Protocol):
    """Asked on the event loop; several hosts may ask at once. Absent prompts mean: refuse, with a remedy."""

    async def accept_host_key(self, host: str, address: str, fingerprint: str, key_type: str) -> bool:
        """Whether the unknown key `fingerprint` (`SHA256:…`) that `address` showed is `host`'s."""
        ...

    async def passphrase(self, key_path: str) -> str | None:
        """The passphrase of an encrypted private key; None when the operator gives up."""
        ...
