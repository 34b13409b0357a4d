"""The lab from a shell: `python tests/lab/lab.py up`, then `ssh -F .lab/ssh_config sese`. Standard library only."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

import lab_wan
from lab_machines import MACHINES, Lab, LabError, missing
from lab_registry import KINDS, Registry


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="lab.py", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("up", help="start three hosts and their registry, or find them running")
    verbs.add_parser("down", help="remove them; images and keys stay")
    verbs.add_parser("status", help="exit 0 when the lab runs")
    for verb, what in (("cut", "drop every packet of HOST"), ("heal", "undo it"), ("clean", "empty HOST")):
        verbs.add_parser(verb, help=what).add_argument("host", choices=[m.name for m in MACHINES])
    rtt = verbs.add_parser("rtt", help="round-trip time of the far addresses, e.g. ssh -F .lab/ssh_config sese-far")
    rtt.add_argument("milliseconds", type=float)
    push = verbs.add_parser(
        "push", help="push a small image to the lab's registry, under any reference a stack may name"
    )
    push.add_argument("reference")
    push.add_argument("version", nargs="?", default="1")
    push.add_argument("--kind", choices=KINDS, default="web")
    chosen = parser.parse_args(argv)
    lab = Lab()
    if reason := missing():
        print(f"lab: {reason}", file=sys.stderr)
        return 2
    try:
        if not lab.running() and chosen.verb not in ("up", "down"):
            print("lab: not running", file=sys.stderr)
            return 1
        started = time.monotonic()
        if chosen.verb == "status":
            print("lab: running")
        elif chosen.verb == "push":
            print(Registry(lab).push(chosen.reference, chosen.version, kind=chosen.kind))
        elif chosen.verb == "rtt":
            lab_wan.set_delay(lab, chosen.milliseconds)
        elif chosen.verb == "up":
            lab.up()
            lab_wan.start(lab)
        else:
            if chosen.verb == "down":
                lab_wan.stop(lab)
            getattr(lab, chosen.verb)(*([chosen.host] if "host" in chosen else []))
    except (LabError, LookupError) as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    print(f"lab: {chosen.verb} done in {time.monotonic() - started:.1f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
