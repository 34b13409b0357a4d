"""A Loki that is none: the HTTP API and the tail of 3.6.5 with their quirks, over lines that depend on the clock.

What it answers was recorded from a real server; tests/contract holds it against those recordings. It understands the
part of LogQL that `parser.py` names; all else is a parse error in Loki's words.
"""
