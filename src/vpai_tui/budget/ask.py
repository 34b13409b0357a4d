"""Runs inside LiteLLM's container: asks the proxy there and prints its answers. Standard library only, Python 3.8.

Argument: JSON {"port", "timeout_s", "requests": [[method, path, body or null], ...]}. Prints a JSON list in that order,
one {"status", "headers", "body"} for each; status 0 with "error" where no answer came. The key is in this container's
environment and stays in it.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import urllib.error
import urllib.request
from typing import Any

LIMIT = 16 * 1024 * 1024  # bytes of one answer
SAID = 2000  # characters of an answer that is no JSON
SHOWN = ("x-litellm-", "x-eco-")


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """The key goes to this proxy and nowhere else."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        return None


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}), NoRedirect)


def body_of(raw: bytes) -> Any:
    """The JSON of an answer, else the beginning of its text."""
    if len(raw) > LIMIT:
        return "the answer is larger than 16 MiB"
    text = raw.decode("utf-8", "replace")
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text[:SAID]


def exchange(port: int, timeout_s: float, method: str, path: str, body: Any) -> dict[str, Any]:
    """One request and its answer, whatever its status."""
    headers = {"Accept": "application/json"}
    if os.environ.get("LITELLM_MASTER_KEY"):
        headers["Authorization"] = "Bearer " + os.environ["LITELLM_MASTER_KEY"]
    data = None
    if body is not None:
        headers["Content-Type"] = "application/json"
        data = json.dumps(body).encode()
    address = f"http://127.0.0.1:{port}{path}"
    request = urllib.request.Request(address, data=data, headers=headers, method=method)
    try:
        response = OPENER.open(request, timeout=timeout_s)
    except urllib.error.HTTPError as refused:
        response = refused
    with response:
        raw = response.read(LIMIT + 1)
        shown = {}
        for name, value in response.headers.items():
            if name.lower().startswith(SHOWN):
                shown[name.lower()] = value
        return {"status": response.getcode(), "headers": shown, "body": body_of(raw)}


def main() -> None:
    """All requests at the same time; who has not answered at the end of the time is left behind."""
    order = json.loads(sys.argv[1])
    timeout_s = order["timeout_s"]
    silence = f"no answer within {timeout_s:g} s"
    late: dict[str, Any] = {"status": 0, "headers": {}, "body": None, "error": silence}
    answers = [late] * len(order["requests"])

    def ask(index: int, request: list[Any]) -> None:
        try:
            answers[index] = exchange(order["port"], timeout_s, *request)
        except Exception as error:  # refused, reset, no HTTP at all: told, and the others go on
            cause = getattr(error, "reason", None) or error
            words = silence if isinstance(cause, TimeoutError) else getattr(cause, "strerror", None) or str(cause)
            answers[index] = {"status": 0, "headers": {}, "body": None, "error": words or type(cause).__name__}

    threads = [threading.Thread(target=ask, args=pair, daemon=True) for pair in enumerate(order["requests"])]
    end = time.monotonic() + timeout_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    sys.stdout.write(json.dumps(list(answers)) + "\n")
    sys.stdout.flush()
    os._exit(0)  # without waiting for those left behind


if __name__ == "__main__":
    main()
