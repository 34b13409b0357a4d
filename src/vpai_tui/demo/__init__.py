"""A simulated fleet of three hosts behind real SSH servers on loopback."""
