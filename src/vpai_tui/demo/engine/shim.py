"""What the `docker` shim of a simulated host starts: `shim.py SOURCES PACKAGES HOST-FOLDER ARGUMENTS…`.

Run with `python -I -S`: no site directory is looked at, which is half of Python's start. PACKAGES is searched last,
for PyYAML.
"""

import sys

if __name__ == "__main__":
    sys.path[:0] = [sys.argv[1]]
    sys.path.append(sys.argv[2])
    from vpai_tui.demo.engine.cli import main

    sys.exit(main(sys.argv[3], sys.argv[4:]))
