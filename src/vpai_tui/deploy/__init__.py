"""Stacks: bundle, plan, release, runner, rollback."""
