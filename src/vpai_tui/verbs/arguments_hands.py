"""Verbs with which the operator lays hands on a service: a shell in it, its port on the laptop, its stack's files."""

from __future__ import annotations

import argparse
from collections.abc import Callable

AddVerb = Callable[[str, str], argparse.ArgumentParser]
CHANGES = ("shell",)


def add_hands(verb: AddVerb) -> None:
    one = verb("shell", "a shell in a service's container, or on a host; its exit status is passed on")
    one.add_argument("place", metavar="SERVICE|HOST")
