"""The level that Loki 3.6.5 finds for a line when it is pushed; with all that it finds wrong."""

from __future__ import annotations

import json
import re
from typing import Any

from vpai_tui.demo.loki.model import Labels

_FIELDS = (
    "level",
    "LEVEL",
    "Level",
    "log.level",
    "severity",
    "SEVERITY",
    "Severity",
    "SeverityText",
    "lvl",
    "LVL",
    "Lvl",
    "severity_text",
    "Severity_Text",
    "SEVERITY_TEXT",
)
_DEPTH = 2  # how deep it looks into JSON
_WORDS = {
    "trace": "trace",
    "trc": "trace",
    "debug": "debug",
    "dbg": "debug",
    "info": "info",
    "inf": "info",
    "information": "info",
    "warn": "warn",
    "wrn": "warn",
    "warning": "warn",
    "error": "error",
    "err": "error",
    "critical": "critical",
    "fatal": "fatal",
}
# In this order, and case matters: `info` anywhere wins over an error that is shouted.
_SCAN = (
    ("info", ("info", "INFO")),
    ("error", ("err:", "ERR:", "[err]", "[ERR]", "[error]", "[ERROR]")),
    ("warn", ("warn:", "WARN:", "[warn]", "[WARN]", "warning", "WARNING")),
    ("critical", ("critical:", "CRITICAL:", "[critical]", "[CRITICAL]")),
    ("debug", ("debug", "DEBUG")),
)
_PAIR = re.compile(r'([^\s="]+)=(?:"((?:[^"\\]|\\.)*)"|(\S*))')


def detected(line: str, labels: Labels, meta: Labels) -> str:
    """The `detected_level` of a new entry; what the pusher gave stands as it is."""
    for given in (labels, meta):
        for name in _FIELDS:
            if name in given:
                return given[name]
    return of_line(line)


def of_line(line: str) -> str:
    """The level that the text alone gives."""
    bare = line.strip()
    if bare.startswith("{") and bare.endswith("}"):
        found = _in_json(bare)
    elif "=" in line:
        found = _in_pairs(line)
    else:
        return _scan(line)
    return _WORDS.get(found.lower()) or _scan(line)


def _in_json(text: str) -> str:
    try:
        return _below(json.loads(text), 0)
    except ValueError:
        return ""


def _below(value: Any, depth: int) -> str:
    if depth >= _DEPTH or not isinstance(value, dict):
        return ""
    for key, item in value.items():
        if isinstance(item, str) and key in _FIELDS:
            return item
        if isinstance(item, dict) and (found := _below(item, depth + 1)):
            return found
    return ""


def _in_pairs(line: str) -> str:
    found, place = "", len(_FIELDS)
    folded = [name.lower() for name in _FIELDS]
    for name, quoted, bare in _PAIR.findall(line):
        if name.lower() in folded and (at := folded.index(name.lower())) < place:
            found, place = quoted or bare, at
    return found


def _scan(line: str) -> str:
    return next((level for level, marks in _SCAN if any(mark in line for mark in marks)), "unknown")
