"""How a host is reached: one SSH connection, and everything that goes over it."""
