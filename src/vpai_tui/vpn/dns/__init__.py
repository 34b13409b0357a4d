"""Split DNS: the records of Headscale's configuration, staged on the laptop, applied by a script on the host."""
