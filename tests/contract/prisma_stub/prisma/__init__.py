"""Stands in for prisma-client-py in tests: see ../README.md."""

from .client import Client, Prisma
from .fields import Base64, Json

__all__ = ["Base64", "Client", "Json", "Prisma"]
