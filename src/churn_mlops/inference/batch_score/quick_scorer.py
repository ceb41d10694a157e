"""Scores many customers as quickly as their version allows: by tables where it is additive trees, else by its graph."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from churn_mlops.errors import VersionRefused
from churn_mlops.inference.batch_score.additive_tables import AdditiveTables, NoTablesError
from churn_mlops.inference.scorer import Scorer, Scores
from churn_mlops.registry.manifest import GRAPH

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from churn_mlops.inference.batch_score.table_encoder import Levels
    from churn_mlops.registry.manifest import Manifest

_COMPARED: Final = 64
_LIMIT: Final = 1e-6

_NUMBERS_AT_ONCE: Final = 1 << 23
_ROWS_AT_ONCE: Final = 1 << 13


class VersionFiles(Protocol):
    """Where the files of a version are read from: its registry, or a copy that was sent here."""

    def read_file(self, manifest: Manifest, name: str = GRAPH) -> bytes:
        """Read one file of a version; a registry checks it against the hash in the manifest, a copy already was.

        Raises:
            VersionRefused: it fails the check.
        """


class QuickScorer:
    """Scores customers as `Scorer` does; several threads may ask.

    Tables are not believed: the first customers of each call are scored by the graph as well.

    Args:
        scorer: the version, run by one thread.
        graph: content of its model.onnx.
    """

    def __init__(self, scorer: Scorer, graph: bytes) -> None:
        self._scorer = scorer
        # linear leaves take `features` squared numbers of each customer
        features = len(scorer.manifest.signature.features)
        self._rows_at_once = min(_ROWS_AT_ONCE, max(64, _NUMBERS_AT_ONCE // (features + 1) ** 2))
        try:
            self._tables: AdditiveTables | None = AdditiveTables(scorer.manifest, graph)
        except NoTablesError:
            self._tables = None

    @property
    def manifest(self) -> Manifest:
        """The version's."""
        return self._scorer.manifest

    @classmethod
    def load(cls, files: VersionFiles, manifest: Manifest) -> QuickScorer:
        """Load a version, to be run by one thread a batch, since batches are scored side by side.

        Raises:
            VersionRefused: its graph fails a check.
        """
        graph = files.read_file(manifest)
        return cls(Scorer(manifest, graph, threads=1), graph)

    @classmethod
    def load_further(cls, files: VersionFiles, manifest: Manifest) -> dict[int, QuickScorer]:
        """Load the further horizons of a version, by their days.

        Raises:
            VersionRefused: a graph fails a check.
        """
        loaded = {}
        for horizon in manifest.horizons:
            graph, of_horizon = files.read_file(manifest, horizon.graph), manifest.of_horizon(horizon)
            loaded[horizon.days] = cls(Scorer(of_horizon, graph, threads=1), graph)
        return loaded

    def score(self, matrix: npt.NDArray[np.float32], levels: Mapping[int, Levels] | None = None) -> Scores:
        """Score customers.

        Args:
            matrix: float32 [rows, features], encoded as `CustomerEncoder` does.
            levels: of features of which few different values are in it, by their place; may be left out.

        Raises:
            VersionRefused: tables and graph disagree.
        """
        if not len(matrix):
            return Scores(np.empty(0, dtype=np.float32), np.empty(matrix.shape, dtype=np.float32))
        if self._tables is None:
            return self._run(matrix)
        scores = self._tables.score(matrix, levels)
        expected = self._scorer.score(np.ascontiguousarray(matrix[:_COMPARED]))
        difference = float(np.abs(scores.probability[:_COMPARED] - expected.probability).max())
        if not difference <= _LIMIT:
            raise VersionRefused(self.manifest.version, f"its graph differs from its own tables by {difference:.1e}.")
        return scores

    def _run(self, matrix: npt.NDArray[np.float32]) -> Scores:
        step = self._rows_at_once
        by_rows = np.ascontiguousarray(matrix)
        scores = [self._scorer.score(by_rows[at : at + step]) for at in range(0, len(matrix), step)]
        return Scores(
            np.concatenate([s.probability for s in scores]), np.concatenate([s.contributions for s in scores])
        )
