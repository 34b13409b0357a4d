"""The file of highlight rules, `highlights.yaml` beside the kept queries:

    slow: {pattern: 'duration=\\d{4,}', style: warn}
    mine: 'user=ann'

A rule that is wrong costs only itself: the others are drawn, and what is wrong with it is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vpai_tui.errors import UsageError
from vpai_tui.logs.highlight import Rule, Rules, rule
from vpai_tui.logs.kept import read_mapping, user_file, write_mapping
from vpai_tui.text import clean_line

FILE = "highlights.yaml"
MOST = 50
_EXPECTED = "a mapping of names to patterns, or to {pattern: …, style: …},"


class Highlights:
    """The file. It is read anew each time: two cockpits may have it open."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> Rules:
        """The rules there are; none where there is no file.

        Raises:
            UsageError: the file as a whole is none of rules.
        """
        good: list[Rule] = []
        problems: list[str] = []
        for raw_name, body in read_mapping(self.path, _EXPECTED).items():
            name = clean_line(raw_name, 40)
            if len(good) >= MOST:
                problems.append(f"{self.path}: only {MOST} rules are read")
                break
            try:
                good.append(self._one(name, body))
            except UsageError as error:
                remedy = f"; {error.remedy}" if error.remedy else ""
                problems.append(f"{self.path}: {name}: {error}{remedy}")
        return Rules(tuple(good), tuple(problems))

    def _one(self, name: str, body: object) -> Rule:
        if isinstance(body, str):
            return rule(name, body)
        if not isinstance(body, dict) or not all(isinstance(it, str) for pair in body.items() for it in pair):
            raise UsageError("a pattern, or {pattern: …, style: …} is expected", remedy="quote both")
        strange = sorted(clean_line(key, 40) for key in body if key not in ("pattern", "style"))
        if strange or "pattern" not in body:
            raise UsageError(f"{strange[0]} is no key of a rule" if strange else "it has no pattern")
        return rule(name, body["pattern"], body.get("style", ""))

    def add(self, made: Rule) -> None:
        """Keeps a rule behind the others, or in place of the one of its name.

        Raises:
            UsageError: there are too many already, or the file is none of rules: nothing of it is written over.
            OperatorError: the file cannot be written.
        """
        known = self._raw()
        if made.name not in known and len(known) >= MOST:
            raise UsageError(f"there are {MOST} rules already", remedy="highlight remove NAME")
        self._write({**known, made.name: {"pattern": made.pattern, "style": made.style}})

    def remove(self, name: str) -> bool:
        """Whether there was one of that name, right or wrong."""
        known = self._raw()
        names = [it for it in known if clean_line(it, 40) == name]
        for it in names:
            del known[it]
        if names:
            self._write(known)
        return bool(names)

    def _raw(self) -> dict[str, Any]:
        """As the file has them: a rule that is wrong is kept as it is."""
        return read_mapping(self.path, _EXPECTED)

    def _write(self, rules: Mapping[str, Any]) -> None:
        write_mapping(self.path, rules, "rules", sort=False)


def highlights() -> Highlights:
    """The user's own."""
    return Highlights(user_file(FILE))
