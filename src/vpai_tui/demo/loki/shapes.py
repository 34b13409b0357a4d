"""Answers as Loki writes them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from vpai_tui.demo.loki.metrics import Series, Work, number
from vpai_tui.demo.loki.model import Key, Labels, S, key_of
from vpai_tui.demo.loki.stages import Row

CATEGORIZE = "categorize-labels"
# Go's encoder writes these as escapes; they only occur inside strings.
_ESCAPED = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
_CHUNK = """
    headChunkBytes headChunkLines decompressedBytes decompressedLines compressedBytes totalDuplicates postFilterLines
    headChunkStructuredMetadataBytes decompressedStructuredMetadataBytes
"""
_ROWS = """
    prePredicateDecompressedRows prePredicateDecompressedBytes prePredicateDecompressedStructuredMetadataBytes
    postPredicateRows postPredicateDecompressedBytes postPredicateStructuredMetadataBytes postFilterRows pagesScanned
    pagesDownloaded pagesDownloadedBytes pageBatches totalRowsAvailable totalPageDownloadTime
"""
_CACHES = "chunk index result statsResult volumeResult seriesResult labelResult instantMetricResult"
_CACHE = """
    entriesFound entriesRequested entriesStored bytesReceived bytesSent requests downloadTime queryLengthServed
"""


def encoded(value: Any) -> str:
    """JSON as Go writes it."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for char, escape in _ESCAPED.items():
        text = text.replace(char, escape)
    return text


def _streams(rows: Iterable[Row], *, apart: bool) -> dict[Key, list[Row]]:
    found: dict[Key, list[Row]] = {}
    for row in rows:
        found.setdefault(key_of(row.stream if apart else row.labels()), []).append(row)
    return found


def categories(row: Row) -> dict[str, Labels]:
    """The third part of a value where labels are kept apart."""
    both = (("structuredMetadata", row.meta), ("parsed", row.parsed))
    return {name: dict(sorted(labels.items())) for name, labels in both if labels}


def value(row: Row, *, apart: bool) -> list[Any]:
    """`[ns, line]`, or with what is not the stream's own."""
    return [str(row.ts), row.line, categories(row)] if apart else [str(row.ts), row.line]


def streams(rows: Sequence[Row], flags: Sequence[str], work: Work) -> dict[str, Any]:
    """A `streams` result; `flags` of the request are echoed, known or not."""
    apart = CATEGORIZE in flags
    grouped = sorted(_streams(rows, apart=apart).items())
    data: dict[str, Any] = {"resultType": "streams"}
    if flags:
        data["encodingFlags"] = list(flags)
    data["result"] = [
        {"stream": dict(labels), "values": [value(row, apart=apart) for row in found]} for labels, found in grouped
    ]
    data["stats"] = stats(work, len(rows))
    return {"status": "success", "data": data}


def seconds(ns: int) -> float | int:
    """A moment in the results of metric queries."""
    return ns // S if ns % S == 0 else ns // 10**6 / 1000


def matrix(series: Series, work: Work) -> dict[str, Any]:
    result = [
        {"metric": dict(key), "values": [[seconds(time), number(it)] for time, it in sorted(points.items())]}
        for key, points in sorted(series.items())
        if points
    ]
    data = {"resultType": "matrix", "result": result, "stats": stats(work, len(result))}
    return {"status": "success", "data": data}


def vector(values: Iterable[tuple[Key, int, float]], work: Work) -> dict[str, Any]:
    """In the order given."""
    result = [{"metric": dict(key), "value": [seconds(time), number(it)]} for key, time, it in values]
    data = {"resultType": "vector", "result": result, "stats": stats(work, len(result))}
    return {"status": "success", "data": data}


def stats(work: Work, returned: int) -> dict[str, Any]:
    """The statistics of a query: what it went through, in the ingester; no store, no cache."""
    summary = {
        "bytesProcessedPerSecond": work.bytes * 100,
        "linesProcessedPerSecond": work.lines * 100,
        "totalBytesProcessed": work.bytes,
        "totalLinesProcessed": work.lines,
        "execTime": 0.01,
        "queueTime": 0,
        "subqueries": 0,
        "totalEntriesReturned": returned,
        "splits": 0,
        "shards": 1,
        "totalPostFilterLines": work.kept,
        "totalStructuredMetadataBytesProcessed": 0,
    }
    reached = {"totalReached": 1, "totalChunksMatched": 1, "totalBatches": 1, "totalLinesSent": work.kept}
    store = _store()
    store["chunk"].update(headChunkBytes=work.bytes, headChunkLines=work.lines, postFilterLines=work.kept)
    return {
        "summary": summary,
        "querier": {"store": _store()},
        "ingester": {**reached, "store": store},
        "cache": {name: dict.fromkeys(_CACHE.split(), 0) for name in _CACHES.split()},
        "index": {"totalChunks": 0, "postFilterChunks": 0, "shardsDuration": 0, "usedBloomFilters": False},
    }


def _store() -> dict[str, Any]:
    return {
        "totalChunksRef": 0,
        "totalChunksDownloaded": 0,
        "chunksDownloadTime": 0,
        "queryReferencedStructuredMetadata": False,
        "queryUsedV2Engine": False,
        "chunk": dict.fromkeys(_CHUNK.split(), 0),
        "chunkRefsFetchTime": 0,
        "congestionControlLatency": 0,
        "pipelineWrapperFilteredLines": 0,
        "dataobj": dict.fromkeys(_ROWS.split(), 0),
    }
