"""Verbs with which the operator lays hands on a service: a shell in it, its port on the laptop, its stack's files."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from vpai_tui.text import number

AddVerb = Callable[[str, str], argparse.ArgumentParser]
CHANGES = ("shell", "forward", "edit")  # each opens a way to change things


def add_hands(verb: AddVerb) -> None:
    one = verb("shell", "a shell in a service's container, or on a host; its exit status is passed on")
    one.add_argument("place", metavar="SERVICE|HOST")
    one = verb("edit", "a file of a stack in $VISUAL or $EDITOR of this laptop; then what a deploy would do")
    one.add_argument("stack", metavar="STACK", help="host/stack, or stack where that is unambiguous")
    one.add_argument("file", nargs="?", default="", metavar="FILE", help="below its folder; default: compose.yaml")
    one = verb("forward", "a service's port on 127.0.0.1 of this laptop, until ctrl+c; any TCP protocol")
    one.add_argument("service", metavar="SERVICE")
    one.add_argument("port", nargs="?", type=_port, metavar="PORT", help="the container's; default: by stack.yaml")
    free = "the laptop's; default: the same where it is free, else another"
    one.add_argument("--local", type=_port, metavar="PORT", help=free)


def _port(word: str) -> int:
    port = number(word, least=1, most=65535)
    if port is None:
        raise argparse.ArgumentTypeError(f"invalid port {word[:20]!r}: expected 1 to 65535")
    return port
