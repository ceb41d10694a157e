"""Follows the registry while the service runs: a version takes its place once it is loaded, checked and warmed."""

from __future__ import annotations

import logging
import math
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from churn_mlops.api.memory import release_memory
from churn_mlops.api.responses import Refused
from churn_mlops.errors import ChurnMlopsError, NoModel, RegistryError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from churn_mlops.api.served_model import ServedModel
    from churn_mlops.registry.reading import Registry

_LOOKS: Final = 4
"""How often the registry is looked at in the time that a change may take."""

_LONGEST_WAIT_SECONDS: Final = 60

_log = logging.getLogger("churn_mlops.api")


@dataclass(frozen=True)
class Refusal:
    """Why what the registry names is not served.

    Attributes:
        version: the one that was refused; None where the registry does not even name one.
        error: what is wrong with it.
        since: when that was first found, UTC.
    """

    version: str | None
    error: ChurnMlopsError
    since: datetime

    def as_answer(self) -> Refused:
        """Describe it to a client."""
        error = self.error
        return Refused(version=self.version, error=type(error).__name__, detail=str(error), since=self.since)


class Follower:
    """One part of the registry, champion or challenger, and the version that plays it here.

    Requests keep the version they began with; another takes its place by one assignment. One that fails a check takes
    nobody's place: it is tried again when a file of it or the aliases change, and otherwise ever less often.

    Args:
        registry: what is followed.
        part: for the log.
        find: names the version that is to play the part, or none.
        load: loads, checks and warms a version.
        retry_seconds: how soon a version that was refused is first tried again.

    Attributes:
        served: the version that plays the part.
        refusal: why it is not the one that the registry names; None while it is.
        loads: how many versions were loaded, the first included.
        failures: how many attempts to load one failed.
    """

    def __init__(
        self,
        registry: Registry,
        part: str,
        find: Callable[[], str | None],
        load: Callable[[str], ServedModel],
        retry_seconds: float,
    ) -> None:
        self.served: ServedModel | None = None
        self.refusal: Refusal | None = None
        self.loads = self.failures = 0
        self._registry = registry
        self._part = part
        self._find = find
        self._load = load
        self._retry_seconds = retry_seconds
        self._seen: tuple[object, ...] | None = None
        self._tries = 0
        self._try_again_at = math.inf

    def look(self) -> bool:
        """Look at the registry once, and follow it; it raises nothing.

        Returns:
            Whether a version took or left its place.
        """
        seen = self._registry.fingerprint(self.refusal.version if self.refusal else None)
        if seen == self._seen and time.monotonic() < self._try_again_at:
            return False
        self._seen = seen  # from before the look: the next sees what changes meanwhile
        before = self.served
        version: str | None = None
        try:
            version = self._find()
            if version == (self.served.version if self.served else None):
                self.refusal = None
            else:
                self._replace(version)
            self._tries, self._try_again_at = 0, math.inf
        except ChurnMlopsError as error:
            self._refuse(version, error)
        except Exception as error:  # noqa: BLE001 - the edge of a thread, which has to go on
            self._refuse(version, RegistryError(f"Version {version} cannot be loaded ({type(error).__name__})."))
        return self.served is not before

    def _replace(self, version: str | None) -> None:
        loaded = self._load(version) if version else None
        before, self.served, self.refusal = self.served, loaded, None
        about: dict[str, object] = {"part": self._part, "before": before.version if before else None}
        if loaded is None:
            _log.info("model unloaded", extra=about)
            return
        self.loads += 1
        manifest = loaded.scorer.manifest
        about |= {"model_version": manifest.version, "model": manifest.model, "sample": manifest.sample}
        _log.info("model loaded", extra=about)

    def _refuse(self, version: str | None, error: ChurnMlopsError) -> None:
        self._try_again_at = time.monotonic() + min(self._retry_seconds * 2**self._tries, _LONGEST_WAIT_SECONDS)
        self._tries = min(self._tries + 1, 10)
        self.failures += not isinstance(error, NoModel)
        known = self.refusal
        if known and (known.version, str(known.error)) == (version, str(error)):
            return
        self.refusal = Refusal(version, error, datetime.now(UTC))
        level = logging.WARNING if isinstance(error, NoModel) and not self.served else logging.ERROR
        about = {"part": self._part, "error": type(error).__name__, "detail": str(error), "refused_version": version}
        if self.served:
            _log.log(level, "the model stays", extra=about | {"model_version": self.served.version})
        else:
            _log.log(level, "no model is served", extra=about)


def find_champion(registry: Registry, served: ServedModel | None) -> str:
    """Name the version to serve.

    Where the aliases are gone, the bundled sample takes the place of nothing or of a sample, never of a real model.

    Raises:
        NoModel: there is none.
        RegistryError: the aliases cannot be used, or are gone.
    """
    if served and not served.scorer.manifest.sample and registry.aliases() is None:
        raise RegistryError(f"registry/{registry.aliases_file.name} is gone.")
    return registry.champion()


def find_challenger(registry: Registry) -> str | None:
    """Name the version that waits to be promoted; None where none does.

    Raises:
        RegistryError: the aliases cannot be used.
    """
    aliases = registry.aliases()
    return aliases.challenger if aliases else None


class Watch:
    """Follows the registry in a thread, from a first look on, while the context is open.

    A thread of its own and not a task of the event loop: a folder on a network may let a look hang for minutes, and
    neither requests nor the end of the process may wait for that.

    Args:
        followers: what looks at the registry.
        reload_seconds: how long a change may take to be served.
        after: called after each look.
    """

    def __init__(self, followers: Sequence[Follower], reload_seconds: float, after: Callable[[], None]) -> None:
        self._followers = followers
        self._seconds = reload_seconds / _LOOKS
        self._after = after
        self._ended = threading.Event()

    def __enter__(self) -> Watch:
        self._look()
        threading.Thread(target=self._run, name="registry watch", daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(self._seconds):
            if self._look():
                release_memory()  # of the version that was, unless requests still hold it

    def _look(self) -> bool:
        changed = [follower.look() for follower in self._followers]
        self._after()
        return any(changed)
