"""What a push brings, and what of it is refused."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from vpai_tui.demo.loki.levels import detected
from vpai_tui.demo.loki.model import Entry, Key, Labels, Refused, S, key_of, label_string, with_service_name

MAX_LINE = 256 << 10
MAX_LABELS = 15
SHARD = "__stream_shard__"
SHARD_BYTES = 1536 << 10
MAX_VALUE = 2048
_AHEAD_NS = 600 * S
_SCHEMA_START = 1577836800  # seconds: the first of 2020; nothing before that has a place
_NO_NUMBER = "Value looks like Number/Boolean/None, but can't find its end: ',' or '}' symbol"
_NO_STRING = "Value is string, but can't find closing '\"' symbol"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Batch(NamedTuple):
    """The good entries, and what is said of the others."""

    entries: list[tuple[Key, Entry]]
    refused: list[str]


def read(body: bytes, headers: Mapping[str, str], now: int) -> Batch:
    """The entries of a push body. Refused when it has none or is none."""
    kind = headers.get("content-type", "").partition(";")[0].strip()
    if not kind:
        raise Refused(400, "mime: no media type\n")
    if kind != "application/json":
        raise Refused(400, "snappy: corrupt input\n")
    if headers.get("content-encoding") == "gzip":
        body = gzip.decompress(body)
    if not body:
        raise Refused(400, "EOF\n")
    streams = _streams(body)
    if not streams:
        raise Refused(422, "error at least one valid stream is required for ingestion\n")
    batch = Batch([], [])
    for stream in streams:
        _take(stream, batch, now)
    return Batch(_sharded(batch.entries), batch.refused)


def _sharded(entries: list[tuple[Key, Entry]]) -> list[tuple[Key, Entry]]:
    """A stream that gets too much at once is divided, and shows it by a label more."""
    sizes: dict[Key, int] = {}
    for stream, entry in entries:
        sizes[stream] = sizes.get(stream, 0) + len(entry.line.encode())
    parts = {stream: -(-size // SHARD_BYTES) for stream, size in sizes.items() if size > SHARD_BYTES}
    if not parts:
        return entries
    return [
        (key_of({**dict(stream), SHARD: str(at % parts[stream])}) if stream in parts else stream, entry)
        for at, (stream, entry) in enumerate(entries)
    ]


def _streams(body: bytes) -> list[Any]:
    text = body.decode("utf-8", "replace")
    if text.lstrip()[:1] != "{":
        around = f"error found in #1 byte of ...|{text[:10]}|..., bigger context ...|{text[:50]}|..."
        raise Refused(400, f"readObjectStart: expect {{ or n, but found {text.lstrip()[:1]}, {around}\n")
    try:
        streams = json.loads(text).get("streams") or []
    except ValueError:
        raise _unreadable("Skip: do not know how to skip: 0", text, 10) from None
    try:
        wrong = next((told for stream in streams if (told := _wrong(stream))), "")
    except (AttributeError, IndexError, TypeError):
        wrong = _NO_NUMBER
    if wrong:
        raise _unreadable(f"unmarshalerDecoder: {wrong}", text, 12)
    return list(streams)


def _unreadable(told: str, text: str, shown: int) -> Refused:
    where = "loghttp.PushRequest.Streams: []loghttp.LogProtoStream"
    around = f"error found in #10 byte of ...|{text[-shown:]}|..., bigger context ...|{text[-(shown + 40) :]}|..."
    return Refused(400, f"{where}: {told}, {around}\n")


def _wrong(stream: dict[str, Any]) -> str:
    """What cannot be read of a stream, in the words of Loki's decoder."""
    if not all(isinstance(item, str) for item in stream.get("stream", {}).values()):
        return _NO_STRING
    return next((told for value in stream.get("values", ()) if (told := _wrong_value(value))), "")


def _wrong_value(value: list[Any]) -> str:
    if not isinstance(value[0], str) or not re.fullmatch(r"[0-9]{1,19}", value[0]):
        return _NO_NUMBER
    texts = [*value[1:2], *(value[2].values() if len(value) > 2 else ())]
    if not all(isinstance(text, str) for text in texts):
        return _NO_STRING
    return _NO_NUMBER if any(re.search("[\ud800-\udfff]", text) for text in texts) else ""


def _take(stream: dict[str, Any], batch: Batch, now: int) -> None:
    labels = _labels(stream.get("stream", {}))
    told = label_string(labels.items())
    if wrong := _too_much(labels, told):
        batch.refused.append(wrong)
        return
    for value in stream.get("values", ()):
        ts, line = int(value[0]), value[1] if len(value) > 1 else ""
        size = len(line.encode())
        if ts // S < _SCHEMA_START:
            when = f"{ts // 10**6 / 1000:.3f}".rstrip("0").rstrip(".")
            told = f"failed to create stream: no schema config found for time {when}"
            raise Refused(500, f"rpc error: code = Unknown desc = {told}\n")
        if size > MAX_LINE:
            while_ = f"while adding an entry with length '{size}' bytes"
            batch.refused.append(f"max entry size '{MAX_LINE}' bytes exceeded for stream '{told}' {while_}")
        elif ts > now + _AHEAD_NS:
            batch.refused.append(f"entry for stream '{told}' has timestamp too new: {_stamp(ts)}")
        else:
            meta = dict(value[2]) if len(value) > 2 else {}
            meta.setdefault("detected_level", detected(line, labels, meta))
            batch.entries.append((key_of(labels), Entry(ts, line, key_of(meta))))


def _labels(given: Labels) -> Labels:
    bad = next((name for name in given if not _NAME.fullmatch(name)), None)
    if bad is not None:
        at = next((place for place, char in enumerate(bad) if not (char.isalnum() or char == "_")), 0)
        told = f"1:{at + 2}: parse error: unexpected character inside braces: '{bad[at : at + 1]}'"
        raise Refused(400, f"couldn't parse labels: {told}\n")
    return with_service_name({name: value for name, value in given.items() if value})


def _too_much(labels: Labels, told: str) -> str:
    if (count := len([name for name in labels if name != "service_name"])) > MAX_LABELS:
        return f"entry for stream '{told}' has {count} label names; limit {MAX_LABELS}"
    long = next((value for value in labels.values() if len(value.encode()) > MAX_VALUE), None)
    return "" if long is None else f"stream '{told}' has label value too long: '{long}'"


def _stamp(ts: int) -> str:
    return datetime.fromtimestamp(ts // S, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
