"""Scores the challenger beside the champion, for the log: off the way of a request, and without a say in any answer."""

from __future__ import annotations

import logging
import threading
from collections import deque
from functools import lru_cache
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from pydantic_core import to_json

from churn_mlops.api.access_log import begin_line, write_log
from churn_mlops.api.errors import log_failure
from churn_mlops.errors import FeatureSchemaMismatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from churn_mlops.api.following import Follower
    from churn_mlops.api.served_model import ServedModel
    from churn_mlops.inference.encoding import Value

_MOST_WAITING: Final = 1024
_AT_ONCE: Final = 32
"""Few enough that the interpreter is held for less than a millisecond, as requests need it too."""

_PAUSE_SECONDS: Final = 0.05

_log = logging.getLogger("churn_mlops.shadow")


class _Answered(NamedTuple):
    """What the champion was asked and said."""

    champion: ServedModel
    request_id: bytes
    features: Mapping[str, Value]
    probability: float


class Shadow:
    """Scores what the champion answered with the challenger as well, in a thread, while the context is open.

    Each customer that was scored leaves a line in the log: request id, and version and probability of both. The
    challenger is given those of its features that the champion has too, of the same kind; the rest are missing to it.

    Args:
        challenger: what is scored; nothing while it has none, or refuses the one that the registry names.

    Attributes:
        scored: how many customers the challenger was scored on.
        dropped: how many it was not, because it was too slow for them.
        unscorable: how many it would refuse, because it would miss too many of their features.
        failed: how many could not be scored or logged, for a reason that the log has.
    """

    def __init__(self, challenger: Follower) -> None:
        self.scored = self.dropped = self.unscorable = self.failed = 0
        self._challenger = challenger
        self._waiting: deque[_Answered] = deque()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="shadow", daemon=True)

    def __enter__(self) -> Shadow:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        self._thread.join(timeout=1)

    def offer(
        self, champion: ServedModel, request_id: bytes, features: Mapping[str, Value], probability: float
    ) -> None:
        """Have what was answered scored later, if there is room; costs the request less than a microsecond."""
        if len(self._waiting) < _MOST_WAITING:
            self._waiting.append(_Answered(champion, request_id, features, probability))
        else:
            self.dropped += 1

    def _run(self) -> None:
        ended = False
        while not ended:
            ended = self._ended.wait(_PAUSE_SECONDS)  # what waits at the end is scored still
            while self._waiting:
                self._try_to_score([self._waiting.popleft() for _ in range(min(_AT_ONCE, len(self._waiting)))])

    def _try_to_score(self, answered: list[_Answered]) -> None:
        try:
            self._score(answered)
        except Exception as error:  # noqa: BLE001 - the edge of a thread, which has to go on
            self.failed += len(answered)
            log_failure(error, answered[0].request_id.decode())

    def _score(self, answered: list[_Answered]) -> None:
        challenger = None if self._challenger.refusal else self._challenger.served
        if challenger is None:
            return
        rows, scorable = [], []
        for one in answered:
            try:
                rows.append(challenger.predictor.encode(_give(one, challenger))[0])
                scorable.append(one)
            except FeatureSchemaMismatch:
                self.unscorable += 1
        if not rows:
            return
        probabilities = challenger.scorer.score(np.array(rows, dtype=np.float32)).probability.tolist()
        self.scored += len(rows)
        write_log("".join(_line(one, challenger.version, p) for one, p in zip(scorable, probabilities, strict=True)))


def _give(one: _Answered, challenger: ServedModel) -> Mapping[str, Value]:
    shared = _shared(one.champion, challenger)
    return {name: value for name, value in one.features.items() if name in shared}


@lru_cache(maxsize=1)
def _shared(champion: ServedModel, challenger: ServedModel) -> frozenset[str]:
    """Name the features that both have, of the same kind; say which the challenger will do without."""
    kinds = {feature.name: feature.kind for feature in champion.scorer.manifest.signature.features}
    features = challenger.scorer.manifest.signature.features
    absent = [feature.name for feature in features if kinds.get(feature.name) != feature.kind]
    if absent:
        about = {"model_version": champion.version, "shadow_version": challenger.version, "features": absent}
        _log.warning("the challenger has features that requests to the champion lack", extra=about)
    return frozenset(feature.name for feature in features).difference(absent)


def _line(one: _Answered, version: str, probability: float) -> str:
    line = {
        **begin_line("shadow", "shadow", one.request_id),
        "model_version": one.champion.version,
        "churn_probability": one.probability,
        "shadow_version": version,
        "shadow_probability": probability,
    }
    return to_json(line).decode() + "\n"
