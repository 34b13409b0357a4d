"""WHAT FILLS A DISK: images, build cache, logs, volumes, what nobody accounts for; a plan that frees what is safe."""
