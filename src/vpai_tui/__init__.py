"""Operator cockpit of VPAI: three machines, seen and changed over SSH."""

__version__ = "0.1.0"
