"""The text of a hostile host: everything that a terminal obeys, around a mark that is seen when it was drawn."""

from __future__ import annotations

MARK = "PWNED"
# Clipboard, title, link, colour, reports, DCS, APC, PM, SOS, all of them again as C1, bidi, cursor and screen. The
# colour and the place of the cursor are ones that the cockpit itself never uses.
HOSTILE = (
    f"\x1b]52;c;{MARK}\x07\x1b]0;{MARK}\x1b\\\x1b]8;;http://{MARK}\x1b\\x\x1b]8;;\x1b\\\x1b[38;5;199m\x1b[6n"
    f"\x1bP{MARK}\x1b\\\x1b_{MARK}\x1b\\\x1b^{MARK}\x1b\\\x1bX{MARK}\x1b\\\x9d52;c;{MARK}\x9c\x9b38;5;199m\x90{MARK}\x9c"
    f"\u202e{MARK}\u2066\x00\x07\x08\r\x0e\x1b[2J\x1b[77;199H\x1bc[red][@click=app.quit][link=http://{MARK}]"
)
