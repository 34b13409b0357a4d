"""LOKI: logs of all hosts, with the proof that none is missing."""
