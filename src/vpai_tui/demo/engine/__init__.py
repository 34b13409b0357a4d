"""The simulated Docker engine: stored facts, and what follows from them and the clock.

Everything here is imported by the `docker` shim of a simulated host, a short process started many times in a
deploy: no import that is slow, PyYAML only where a Compose file is read.
"""
