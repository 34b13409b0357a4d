"""Makes the keys of LiteLLM's clients known to it: CLIENT_KEY_<NAME> of litellm.env becomes the key of alias `<name>`.

Run inside the container after every deploy. A key that is known is left alone, with its budgets and its spend; a key
that was changed is added beside the old one, whose alias then is `<name>-before`. No key is printed.
"""

import json
import os
import sys
import urllib.error
import urllib.request

BASE = "http://127.0.0.1:4000"
PREFIX = "CLIENT_KEY_"


def ask(path, body=None):
    """What the proxy answers: status and document."""
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(BASE + path, data)  # noqa: S310 (this container's own port)
    request.add_header("Authorization", "Bearer " + os.environ["LITELLM_MASTER_KEY"])
    request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        try:
            return error.code, json.load(error)
        except ValueError:
            return error.code, {}


def known(key):
    """Whether LiteLLM has the key."""
    status, _ = ask("/key/info?key=" + key)
    if status not in (200, 404):
        raise SystemExit(f"LiteLLM answers {status} when it is asked for a key")
    return status == 200


def by_alias(name):
    """The hash of the key that has the alias `name`; None without one."""
    _, found = ask("/key/list?return_full_object=true&size=100&key_alias=" + name)
    keys = found.get("keys") or []
    return next((it["token"] for it in keys if it.get("key_alias") == name), None)


def make(name, key):
    """Adds `key` under the alias `name`; what had that alias steps aside."""
    old = by_alias(name)
    if old is not None:
        ask("/key/update", {"key": old, "key_alias": f"{name}-before"})
    status, answer = ask("/key/generate", {"key": key, "key_alias": name})
    if status != 200:
        error = answer.get("error") or answer.get("detail") or {}
        said = str(error.get("message") if isinstance(error, dict) else error)
        raise SystemExit(f"the key of {name} could not be made: {status} {said.replace(key, '***')[:300]}")


def main():
    """One line per client."""
    clients = {name[len(PREFIX) :].lower(): key for name, key in sorted(os.environ.items()) if name.startswith(PREFIX)}
    for name, key in clients.items():
        if not key:
            continue
        if known(key):
            print(f"{name}: known")
        else:
            make(name, key)
            print(f"{name}: made")


if __name__ == "__main__":
    sys.exit(main())
