"""One file per mode of the cockpit."""
