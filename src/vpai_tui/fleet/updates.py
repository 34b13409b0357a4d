"""Whether the tag of a running image has moved upstream: its registry is asked through the host, one image at a time.

What was answered is kept in a file of the laptop, so that opening the cockpit again asks nobody: registries count
questions. One that refuses is left alone as long as one that answered.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from vpai_tui.clock import Clock, duration, rfc3339
from vpai_tui.errors import LinkLost, OperatorError
from vpai_tui.fleet.containers import Engine, moment
from vpai_tui.fleet.model import Service
from vpai_tui.text import clean_line

EVERY = timedelta(hours=6)
PAUSE_S = 1.0  # between two questions
ANSWER_WITHIN_S = 20.0
_DIGEST_LENGTH = len("sha256:") + 64
_KEPT = 500  # answers in the file


@dataclass(frozen=True, slots=True)
class Answer:
    """What a registry said of a reference, and when (RFC 3339 UTC); without a `digest` it said none, for `error`."""

    at: str
    digest: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Update:
    """What is known of one service's image. `moved` is None where it cannot be known, for `why`."""

    moved: bool | None
    why: str


class Updates:
    """Answers by reference, and the digests of the images that run; `path` is where the answers are kept."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._answers = _load(path)
        self._runs: dict[str, frozenset[str]] = {}  # digests in a registry by image id; none of what was built

    def of(self, service: Service) -> Update | None:
        """What is known of a service; None where it is not asked for: nothing runs, it was built, it names a digest."""
        ref = reference(service)
        runs = self._runs.get(service.container.image_id) if service.container else None
        if ref is None or runs == frozenset():
            return None
        answer = self._answers.get(ref)
        if answer is None or runs is None:
            return Update(None, "not asked yet")
        at = moment(answer.at)
        ago = f"asked {duration((self._clock.now() - at).total_seconds())} ago" if at else "asked once"
        if not answer.digest:
            return Update(None, f"cannot be known: {answer.error} ({ago})")
        if answer.digest in runs:
            return Update(False, f"the tag still stands for it ({ago})")
        return Update(True, f"the tag has moved to {answer.digest[:19]}… ({ago})")

    def due(self, services: Iterable[Service]) -> list[Service]:
        """Those whose registry should be asked, or whose image is not known yet; one service of each reference."""
        found: dict[tuple[str, str], Service] = {}
        for service in services:
            ref = reference(service)
            if ref is None or service.container is None or service.stale:
                continue
            runs = self._runs.get(service.container.image_id)
            if runs is None or (runs and self._old(ref)):
                found.setdefault((ref, service.container.image_id), service)
        return list(found.values())

    def moved(self, services: Iterable[Service]) -> dict[str, str]:
        """The images whose tag has moved upstream, by id of the service that runs them."""
        known = ((it, self.of(it)) for it in services)
        return {it.id: it.image for it, update in known if it.image and update is not None and update.moved}

    def unasked(self, services: Iterable[Service]) -> frozenset[str]:
        """The images of which no registry has told what its tag stands for."""
        known = ((it.image, self.of(it)) for it in services)
        return frozenset(image for image, update in known if image and update is not None and update.moved is None)

    def forget(self) -> None:
        """Ask all registries again."""
        self._answers.clear()

    async def ask(self, service: Service, engine: Engine, *, upstream: bool = True) -> bool:
        """Learns what runs and, where that is due and wanted, what the registry has; whether the registry was asked.

        Raises:
            LinkLost: the host is gone.
        """
        ref = reference(service)
        if ref is None or service.container is None:
            return False
        image = service.container.image_id
        if image not in self._runs:
            self._runs[image] = await _digests(engine, image)
        if not upstream or not self._runs[image] or not self._old(ref):
            return False
        self._answers[ref] = await self._upstream(engine, ref)
        self._save()
        return True

    async def _upstream(self, engine: Engine, ref: str) -> Answer:
        at = rfc3339(self._clock.now())
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                answer = await engine.call("inspect_distribution", ref)
            digest = answer["Descriptor"]["digest"]
            if isinstance(digest, str) and digest.startswith("sha256:") and len(digest) == _DIGEST_LENGTH:
                return Answer(at, digest)
            return Answer(at, error="its registry answers no digest")
        except LinkLost:
            raise
        except OperatorError as error:
            return Answer(at, error=clean_line(error.message, 200))
        except (TimeoutError, KeyError, TypeError):
            return Answer(at, error="its registry does not answer")

    def _old(self, ref: str) -> bool:
        answer = self._answers.get(ref)
        at = moment(answer.at) if answer else None
        # a time to come is a clock that was wrong
        return at is None or not timedelta(0) <= self._clock.now() - at < EVERY

    def _save(self) -> None:
        """Kept for the next time; a folder that cannot be written costs a question more, nothing else."""
        newest = sorted(self._answers.items(), key=lambda item: item[1].at)[-_KEPT:]
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            new = self._path.with_suffix(".new")
            new.write_text(json.dumps({ref: asdict(answer) for ref, answer in newest}), encoding="utf-8")
            new.replace(self._path)
        except OSError:
            return


async def look(
    updates: Updates,
    services: Callable[[], Iterable[Service]],
    engine: Callable[[str], Engine],
    most: int | None = None,
) -> bool:
    """Asks whatever is due, slowly, and `most` registries; whether anything was learnt. A host that goes away is left
    for the next time."""
    learnt, count, gone = False, 0, set()
    for service in updates.due(services()):
        if service.host in gone:
            continue
        try:
            asked = await updates.ask(service, engine(service.host), upstream=most is None or count < most)
        except OperatorError:
            gone.add(service.host)
            continue
        learnt = True
        count += asked
        if asked and count != most:
            await asyncio.sleep(PAUSE_S)
    return learnt


def reference(service: Service) -> str | None:
    """The reference that a registry is asked for; None for a digest, an id, an image of our own, nothing."""
    image = service.image or ""
    own = image.startswith(("vpai.build/", "vpai.keep/", "sha256:"))
    return None if not image or not service.stack or own or "@" in image else image


async def _digests(engine: Engine, image: str) -> frozenset[str]:
    try:
        answer = await engine.call("inspect_image", image)
    except LinkLost:
        raise
    except OperatorError:
        return frozenset()  # removed under the container that runs it
    found = answer.get("RepoDigests") if isinstance(answer, dict) else None
    return frozenset(
        item.rpartition("@")[2] for item in (found if isinstance(found, list) else []) if isinstance(item, str)
    )


def _load(path: Path) -> dict[str, Answer]:
    """What was kept; nothing of a file that is not there, or is not ours."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        return {
            str(ref): Answer(*(clean_line(str(told.get(key, "")), 200) for key in ("at", "digest", "error")))
            for ref, told in raw.items()
        }
    except (OSError, ValueError, AttributeError, TypeError, RecursionError):
        return {}
