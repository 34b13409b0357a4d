"""LITELLM: what AI costs, the cap, eco mode, and the proof that both hold."""
