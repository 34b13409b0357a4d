"""A LiteLLM that is none, with the counters that `eco_mode.py` keeps in Redis and the tables it fills in PostgreSQL.

Standard library and PyYAML only: the `docker` shim of a simulated host answers with it. The answers have the shapes of
real ones (tests/contract/test_litellm_recordings.py), those of version 1.81.3.
"""
