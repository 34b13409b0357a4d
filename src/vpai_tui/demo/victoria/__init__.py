"""A VictoriaMetrics as far as the cockpit asks one: range queries in a small part of PromQL, and the text import.

Written from its public documentation; tests/contract holds it against a real one.
"""
