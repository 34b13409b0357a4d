"""WHAT IS BACKED UP: how fresh, what is not, run now, restore tests."""
