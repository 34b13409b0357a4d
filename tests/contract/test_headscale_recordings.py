"""Our Headscale answers what real ones answered: the recorded exchanges, one after the other, for four versions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.contract.headscale_kit import Fake, registration_id

RECORDED = Path(__file__).parents[1] / "recordings" / "headscale"
VERSIONS = ("0.26.1", "0.27.1", "0.28.0", "0.29.2")
# In the order in which they make sense; what a version has no recording of is passed over. `+`: steps between.
_NAMES = """
version health unknown-path-outside-api unknown-path wrong-method api-health auth-none auth-empty-bearer
auth-lowercase-bearer auth-malformed-no-dot auth-unknown-prefix auth-unknown-prefix-new-style auth-wrong-secret
apikey-create-past-expiration auth-expired-key apikey-create-no-expiration auth-key-created-without-expiration
apikey-create-bad-expiration apikey-create auth-new-key-works apikey-list apikey-expire-by-prefix auth-after-expire
apikey-expire-unknown apikey-expire-empty-body apikey-delete-unknown apikey-delete-by-id-query
apikey-delete-by-id-query-no-prefix user-list-empty user-create user-create-duplicate user-create-minimal +carol
user-create-broken-json user-create-name-empty user-create-name-one-letter user-create-name-digit-first
user-create-name-slash user-create-name-space user-create-name-two-at user-create-name-upper
user-create-name-email-like user-create-name-umlaut user-create-unknown-field user-list user-list-by-id
user-list-by-name user-list-by-name-missing user-list-by-email user-list-by-id-not-a-number user-list-name-and-id
user-rename user-rename-taken user-rename-missing user-rename-id-not-a-number user-rename-bad user-delete-missing
user-delete preauthkey-list-empty preauthkey-list-user-as-name preauthkey-create preauthkey-create-id-as-number
preauthkey-create-tags preauthkey-create-snake-case preauthkey-create-unknown-field preauthkey-create-no-expiration
preauthkey-create-no-user-no-tags preauthkey-create-tags-no-user preauthkey-create-user-as-name
preauthkey-create-user-missing preauthkey-create-bad-tag-no-prefix preauthkey-create-bad-tag-upper preauthkey-list
preauthkey-list-all preauthkey-expire-wrong-user preauthkey-expire preauthkey-expire-again preauthkey-expire-unknown
preauthkey-expire-new-style-by-id preauthkey-list-after-expire preauthkey-delete-unknown preauthkey-delete-query
node-list-empty debug-node-bad-key debug-node-bad-route debug-node-unknown-user debug-node-create
node-register-key-too-short node-register-unknown-key node-register-unknown-user node-register-user-as-id
node-register-body-instead-of-query node-register node-register-same-key-again +n2 +n3 +n4 node-get node-get-missing
node-get-id-not-a-number node-get-id-zero node-list node-list-by-user-as-id node-list-by-user-missing
node-rename-upper node-rename-underscore node-rename-space node-rename-slash node-rename-empty
node-rename-one-letter node-rename-64-chars node-rename-dot node-rename-hyphen-first node-rename-hyphen-last
node-rename-missing node-rename node-rename-same-name node-rename-taken node-tags-bad-no-prefix node-tags-bad-upper
node-tags-missing-node node-tags-set node-list-after-tags node-tags-replace node-tags-duplicate
node-tags-no-body-fields node-tags-empty node-approve-routes-bad node-approve-routes-missing-node
node-approve-routes-partial node-list-after-approve-partial node-approve-routes-replace
node-approve-routes-duplicate node-approve-routes-exit-v4-only node-list-after-approve-exit
node-get-after-approve-exit node-approve-routes-host-bits node-approve-routes-misspelt-field
node-approve-routes-clear node-expire-missing node-expire-bad-expiry node-expire node-expire-disable-expiry
node-expire-with-expiry-query node-expire-both node-move-missing node-move-user-missing node-move node-delete
node-delete-missing backfillips-not-confirmed backfillips policy-put-file-mode +n5 user-delete-not-empty
id-zero-rename id-zero-tags id-zero-approve-routes id-zero-expire id-zero-delete
"""
ORDER = _NAMES.split()
_PLACE = re.compile(r"\s*\(line \d+:\d+\):\s*")  # a position in white space that is the server's own


def recorded(version: str) -> dict[str, dict[str, Any]]:
    return {it["name"]: it for it in json.loads((RECORDED / f"{version}.json").read_text())["rest"]}


def shape(value: Any) -> Any:
    """Names and kinds, without what differs from run to run."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shape(value[0])] if value and isinstance(value[0], dict) else "list"
    return "text" if isinstance(value, str) else type(value).__name__


def same(value: Any) -> Any:
    """An error's words without positions; a success's shape."""
    if isinstance(value, dict) and "code" in value:
        return value["code"], _PLACE.sub(" ", re.sub("[\u00a0 ]+", " ", value["message"]))
    return shape(value) if isinstance(value, dict) else value


def facts(body: Any) -> Iterator[tuple[Any, ...]]:
    """What is said of the first node, which every recording has."""
    nodes = [body["node"]] if "node" in body else body.get("nodes", [])
    for node in nodes:
        if node["name"] == "n1" and node["id"] == "1":
            tags = [node.get(key) for key in ("tags", "forcedTags", "validTags")]
            routes = [node[key] for key in ("approvedRoutes", "availableRoutes", "subnetRoutes")]
            yield node["givenName"], tags, routes, node["online"], node["registerMethod"]


class Replay:
    """One version's recordings, asked of our server of that version."""

    def __init__(self, version: str) -> None:
        self.exchanges = recorded(version)
        self.fake = Fake(version)
        self.fake.doc["policy_mode"] = "file"
        theirs = [it["auth"] for it in self.exchanges.values() if it["auth"]]
        self.main = max(set(theirs), key=theirs.count).removeprefix("Bearer ")
        self.words: dict[str, str] = {}  # their keys → ours

    async def begin(self) -> None:
        made = await self.fake.command("apikeys", "create", "-e", "90d", "-o", "json")
        self.words[self.main] = json.loads(made.stdout)

    def ours(self, text: str) -> str:
        for theirs, our in self.words.items():
            text = text.replace(theirs, our)
        return text

    async def step(self, name: str) -> None:
        """A step between, which was not recorded under a name of its own."""
        user, routes = "bob" if name in ("n4", "n5") else "alice", ["10.1.0.0/24"] if name == "n2" else []
        if name == "carol":
            await self.ask("POST", "/api/v1/user", {"name": "carol"})
            return
        id_ = registration_id(".".join(str(it) for it in self.fake.world.series))
        await self.ask("POST", "/api/v1/debug/node", {"user": user, "key": id_, "name": name, "routes": routes})
        await self.ask("POST", f"/api/v1/node/register?user={user}&key={id_}", None)

    async def ask(self, method: str, path: str, body: Any, key: str | None = None) -> tuple[int, Any]:
        content = None if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        token = self.words[self.main] if key is None else key
        found = await self.fake.request(method, path, key=token, body=content, timeout_s=1)
        try:
            return found.status_code, found.json()
        except ValueError:
            return found.status_code, found.text

    async def check(self, name: str) -> None:
        it = self.exchanges[name]
        auth = self.ours(it["auth"] or "")
        if not name.startswith("auth-") and auth:
            auth = f"Bearer {self.words[self.main]}"  # some were recorded on another server
        key = auth.removeprefix("Bearer ") if auth.startswith("Bearer ") else ""
        if name == "auth-lowercase-bearer":
            key = ""
        body = json.loads(self.ours(json.dumps(it["body"]))) if it.get("body") is not None else None
        status, answer = await self.ask(it["method"], self.ours(it["path"]), body, key)
        assert (status, same(answer)) == (it["status"], same(it["answer"])), name
        if status == 200 and isinstance(answer, dict):
            if self.main in (it["auth"] or ""):  # of another server the nodes were other ones
                assert list(facts(answer)) == list(facts(it["answer"])), name
            self._learn(it["answer"], answer)

    def _learn(self, theirs: Any, ours: Any) -> None:
        """Keys that were made: later requests name them."""
        if "apiKey" in theirs:
            self.words[theirs["apiKey"]] = ours["apiKey"]
            self.words[prefix(theirs["apiKey"])] = prefix(ours["apiKey"])
        if "preAuthKey" in theirs:
            self.words[theirs["preAuthKey"]["key"]] = ours["preAuthKey"]["key"]


def prefix(key: str) -> str:
    return key.removeprefix("hskey-api-")[:12] if key.startswith("hskey-api-") else key.partition(".")[0]


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_recorded_exchanges_again(version: str) -> None:
    replay = Replay(version)
    await replay.begin()
    wrong, done = [], 0
    for name in ORDER:
        if name.startswith("+"):
            await replay.step(name[1:])
        elif name in replay.exchanges:
            done += 1
            try:
                await replay.check(name)
            except AssertionError as error:
                wrong.append(str(error)[:700])
    assert not wrong, f"{len(wrong)} of {done}:\n" + "\n\n".join(wrong)
    assert done > 100
