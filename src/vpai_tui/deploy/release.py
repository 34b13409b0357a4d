"""A release directory: what the laptop uploads, and what the host tells of those it keeps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from vpai_tui import __version__
from vpai_tui.clock import Clock, rfc3339
from vpai_tui.deploy.builds import tar_of
from vpai_tui.deploy.bundle import describe
from vpai_tui.deploy.checkout import checkout_of
from vpai_tui.deploy.compare import ImageTarget
from vpai_tui.deploy.facts import HostFacts, manifest, tsv
from vpai_tui.deploy.host import lines
from vpai_tui.deploy.plan import Prepared
from vpai_tui.fleet.operation import Release


def upload(prepared: Prepared, targets: Mapping[str, ImageTarget], clock: Clock, by: str) -> bytes:
    """The release directory as a tar. Every target has its id by now."""
    bundle = prepared.bundle
    entries = [(f"compose/{name}", content, "600") for name, content in bundle.compose.items()]
    entries += [(f"files/{item.path}", item.content, item.mode) for item in bundle.files if item.content is not None]
    texts = {
        "manifest": _manifest(prepared, clock, by),
        "files.sha256": lines(f"{item.sha256} {item.mode} {item.path}" for item in bundle.files),
        "images.lock": _images_lock(targets),
        "steps": b"".join(f"{step.line()}\n".encode() for step in prepared.steps),
        "steps.revert": b"".join(f"{step.line()}\n".encode() for step in prepared.revert_steps),
        "services": lines(bundle.services),
        "envs": lines(bundle.envs),
        "envs.optional": lines(bundle.optional_envs),
        "lives": lines(bundle.lives),
        "dumps": lines(bundle.dumps),
        "hooks": prepared.around.files.get("hooks", b""),
        "majors": prepared.around.files.get("majors", b""),
        "networks": lines(bundle.networks),
        "bundle.json": describe(bundle),
        "structure.json": json.dumps(prepared.structure, sort_keys=True).encode(),
    }
    if bundle.spec is not None:  # for `pull`; a rollback takes over that of the release it goes back to
        texts["stack.yaml"] = bundle.spec
    return tar_of(entries + [(name, content, "600") for name, content in texts.items()])


def _images_lock(targets: Mapping[str, ImageTarget]) -> bytes:
    rows = (
        "\t".join((target.service, target.ref, target.id or "-", target.digest or "-", "1" if target.built else "0"))
        for target in targets.values()
    )
    return "".join(f"{row}\n" for row in rows).encode()


def locked_targets(raw: bytes) -> dict[str, ImageTarget]:
    """`images.lock` read back, by service."""
    rows = [row for row in tsv(raw) if len(row) >= 5]
    return {
        row[0]: ImageTarget(row[0], row[1], row[2], None if row[3] == "-" else row[3], row[4] == "1") for row in rows
    }


def _manifest(prepared: Prepared, clock: Clock, by: str) -> bytes:
    plan = prepared.plan
    pairs = {
        "id": plan.release,
        "stack": plan.stack,
        "kind": plan.kind,
        "base": plan.base or "",
        "fingerprint": plan.fingerprint,
        "created_at": rfc3339(clock.now()),
        "by": by,
        "laptop": by.partition("@")[2],
        "project": prepared.bundle.project,
        "git_commit": prepared.git.commit,
        "git_dirty": "1" if prepared.git.dirty else "0",
        "git_root": prepared.git.root,
        "tool": f"vpai-tui {__version__}",
        "compose": prepared.compose_version,
        "confirm_timeout_s": str(prepared.confirm_timeout_s),
        "rollback_of": plan.rollback_to or "",
        "adopts": "1" if plan.adopts else "0",
        "data": " ".join(dump.service for dump in plan.dumps),
    }
    return "".join(f"{key}={value}\n" for key, value in pairs.items()).encode()


def releases_of(facts: HostFacts, data: Sequence[str] = ()) -> list[Release]:
    """Newest first; what was refused before it began is none. Restorable: its images are here or can be pulled.

    `data` are the services that hold data by the laptop's files, for releases that do not tell it themselves.
    """
    found = [_release(facts, data, *row) for row in facts.releases if not row[1].startswith("refused")]
    return sorted(found, key=lambda item: item.id, reverse=True)


def _release(facts: HostFacts, data: Sequence[str], release: str, status: str, raw: bytes, lock: bytes) -> Release:
    told = manifest(raw)
    made = checkout_of(told)
    targets = locked_targets(lock)
    gone = [item for item in targets.values() if item.id not in facts.have and (item.built or not item.digest)]
    outcome = status.split(" ", 1)[0] or ("pending" if release == facts.pending else "unfinished")
    took_effect = outcome in ("ok", "adopted")
    reason = ""
    if not took_effect:
        reason = {"reverted": "was reverted", "revert_failed": "its revert failed"}.get(outcome, "never took effect")
    elif gone:
        reason = f"the image of {gone[0].service} was built here and is gone"
    return Release(
        id=release,
        at=told.get("created_at", ""),
        by=told.get("by", ""),
        outcome=outcome,
        restorable=took_effect and not gone and release != facts.current,
        reason=reason or ("runs now" if release == facts.current else ""),
        rollback_of=told.get("rollback_of") or None,
        base=told.get("base") or None,
        images=tuple(
            (item.service, f"{item.ref}@{(item.id or '').removeprefix('sha256:')[:12]}") for item in targets.values()
        ),
        current=release == facts.current,
        commit=made.commit,
        dirty=made.dirty,
        checkout=made.root,
        data_newer=took_effect and release != facts.current and bool(told.get("data") or data),
        dumps=tuple((row[0], row[4]) for row in tsv(facts.dumps_then.get(release, b"")) if len(row) > 4),
    )
