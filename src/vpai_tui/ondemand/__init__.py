"""Stacks that run when they are wanted: start, stop, idle stop, and what shares their host."""
