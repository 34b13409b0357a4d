"""What is there: hosts, stacks, services, their health and alerts."""
