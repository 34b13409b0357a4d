"""Headscale: nodes, users, keys, routes, and the split-DNS records of its config.yaml."""
