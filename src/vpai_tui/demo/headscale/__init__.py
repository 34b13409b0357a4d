"""A Headscale that is none: REST API, command line and records of 0.26 with its quirks, or of 0.27 to 0.29.

Standard library and PyYAML only: the `docker` shim of a simulated host starts it. What it answers was recorded from
real servers (tests/recordings/headscale).
"""
