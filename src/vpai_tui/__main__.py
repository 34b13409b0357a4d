"""`python -m vpai_tui`."""

from __future__ import annotations

import sys


def main() -> None:
    """The console script: imports the command line late, so that `--version` stays cheap."""
    from vpai_tui.cli import main as run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
