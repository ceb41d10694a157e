"""The scorer: encoded customers in, churn probabilities and contributions out, through ONNX Runtime."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np

from churn_mlops.errors import VersionRefused
from churn_mlops.models.graph_contract import CONTRIBUTIONS, INPUT, PROBABILITY
from churn_mlops.onnx_session import BoundCall, open_session

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from churn_mlops.registry.manifest import Manifest
    from churn_mlops.registry.reading import Registry


@dataclass(frozen=True, slots=True)
class Scores:
    """What the model says of some customers.

    Attributes:
        probability: float32 [rows], calibrated churn probability.
        contributions: float32 [rows, features], in log-odds before calibration.
    """

    probability: npt.NDArray[np.float32]
    contributions: npt.NDArray[np.float32]


class Scorer:
    """A version that is loaded, checked against its signature, and warmed.

    Args:
        manifest: of the version.
        graph: content of its model.onnx.
        threads: how many may run it; without, as many as there are processors.

    Raises:
        VersionRefused: the graph cannot be loaded, or does not fit the signature.
    """

    def __init__(self, manifest: Manifest, graph: bytes, threads: int | None = None) -> None:
        self.manifest = manifest
        try:
            self._session = open_session(graph, threads)
        except Exception as error:
            raise VersionRefused(
                manifest.version, f"ONNX Runtime cannot load model.onnx ({type(error).__name__})."
            ) from error
        self._check_names()
        self._check_shapes()
        features = len(manifest.signature.features)
        call = BoundCall(self._session, {INPUT: (1, features), PROBABILITY: (1,), CONTRIBUTIONS: (1, features)})
        self._row, self._probability, self._contributions = call.arrays.values()
        self._run = call.run
        self._turn = Lock()

    @property
    def version(self) -> str:
        """The name of the version."""
        return self.manifest.version

    def score(self, matrix: npt.NDArray[np.float32]) -> Scores:
        """Score customers, float32 [rows, features], encoded as `CustomerEncoder` does."""
        return Scores(*self._session.run([PROBABILITY, CONTRIBUTIONS], {INPUT: matrix}))

    def score_row(self, row: Sequence[float]) -> tuple[float, list[float]]:
        """Score one customer, encoded as `CustomerEncoder` does: give the probability and the contributions.

        The same as `score` says, and sooner.
        """
        with self._turn:
            self._row[0] = row
            self._run()
            return self._probability.item(), self._contributions[0].tolist()

    def _check_names(self) -> None:
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        names = [value.name for value in inputs], {value.name for value in outputs}
        if names[0] != [INPUT] or not names[1] >= {PROBABILITY, CONTRIBUTIONS}:
            problem = f"model.onnx maps {names[0]} to {sorted(names[1])}, not {INPUT} to {PROBABILITY}."
            raise VersionRefused(self.version, problem)

    def _check_shapes(self) -> None:
        """Score one customer, of whom nothing is known: the answers tell, and the next ones come sooner."""
        features = len(self.manifest.signature.features)
        try:
            scores = self.score(np.full((1, features), np.nan, dtype=np.float32))
        except Exception as error:
            found = self._session.get_inputs()[0]
            problem = f"model.onnx takes {found.type} {found.shape}, and the signature has {features} features."
            raise VersionRefused(self.version, problem) from error
        shapes = np.shape(scores.probability), np.shape(scores.contributions)
        if shapes != ((1,), (1, features)):
            problem = f"model.onnx answers one customer of {features} features with arrays of shapes {shapes}."
            raise VersionRefused(self.version, problem)


def load_champion(registry: Registry) -> Scorer:
    """Load the version to serve, after checking its hashes; nothing is ever unpickled.

    Raises:
        NoModel: there is none.
        RegistryError: it cannot be found or fails its checks.
    """
    return load_version(registry, registry.champion())


def load_version(registry: Registry, version: str, threads: int | None = None) -> Scorer:
    """Load any version, after the same checks, to be run by that many threads.

    Raises:
        RegistryError: it cannot be found or fails its checks.
    """
    manifest = registry.read(version)
    return Scorer(manifest, registry.read_file(manifest), threads)
