"""Scores every row of a table by a version that has not seen it, whichever table the version was trained on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

import numpy as np

from churn_mlops.errors import NotComparable
from churn_mlops.models.folds import hash_rows
from churn_mlops.models.frame_encoder import encode_frame
from churn_mlops.training.out_of_fold import NOT_HELD_OUT, read_out_of_fold

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from churn_mlops.data.table import CustomerTable
    from churn_mlops.inference.scorer import Scorer
    from churn_mlops.registry.manifest import Manifest
    from churn_mlops.registry.reading import Registry
    from churn_mlops.training.out_of_fold import OutOfFold

UNSEEN: Final = -2
"""The fold of a row that the version was not trained on."""

_CHUNK: Final = 5_000
"""Customers scored at once: linear leaves take `features` squared numbers of each."""


@dataclass(frozen=True)
class BlindScores:
    """What a version says of the rows of a table.

    Attributes:
        scorer: the version, loaded.
        probability: float64 [rows]; out of fold for the rows that it was trained on, as served for all others; NaN
            for rows that it was trained on and never held out.
        served: float64 [rows], as served.
        fold: int [rows], the fold in which it held the row out, `NOT_HELD_OUT` or `UNSEEN`.
        contradicted: bool [rows], whether it was always told the other outcome in training.
    """

    scorer: Scorer
    probability: npt.NDArray[np.float64]
    served: npt.NDArray[np.float64]
    fold: npt.NDArray[np.intp]
    contradicted: npt.NDArray[np.bool_]

    @property
    def trained_on(self) -> npt.NDArray[np.bool_]:
        """Bool [rows], whether the version was trained on a row with these values."""
        return np.not_equal(self.fold, UNSEEN)

    @property
    def blind(self) -> npt.NDArray[np.bool_]:
        """Bool [rows], whether there is a probability by a model that had not seen the row."""
        return np.not_equal(self.fold, NOT_HELD_OUT)

    def take(self, rows: npt.NDArray[np.intp]) -> BlindScores:
        """Give the scores of some of the rows, int positions."""
        return replace(
            self,
            probability=self.probability[rows],
            served=self.served[rows],
            fold=self.fold[rows],
            contradicted=self.contradicted[rows],
        )


def score_blindly(registry: Registry, scorer: Scorer, table: CustomerTable) -> BlindScores:
    """Score all customers of a table by a version.

    A row was seen if a row with the same values of the version's own features was trained on: its out-of-fold
    probability came from a model that saw none of them. Where training evaluated on a sample, the rows outside of it
    were seen and have no such probability, so they are not `blind`.

    Raises:
        NotComparable: the table lacks a feature, or the version does not say what it was trained on.
        VersionRefused: its out-of-fold probabilities fail their check.
    """
    manifest = scorer.manifest
    _require_features(manifest, table)
    known = read_out_of_fold(registry, manifest)
    place, is_known = _find(known, hash_rows(table.features[list(manifest.signature.names)]))
    served = _serve(scorer, table.features)
    return BlindScores(
        scorer=scorer,
        probability=np.where(is_known, known.probability[place], served),
        served=served,
        fold=np.where(is_known, known.fold[place], UNSEEN),
        contradicted=_find_contradicted(known, place, is_known, table.churned),
    )


def _require_features(manifest: Manifest, table: CustomerTable) -> None:
    for feature in manifest.signature.features:
        kind = table.kinds.get(feature.name)
        if kind is None:
            why = table.left_out.get(feature.name, "it has no such column, or the configuration leaves it out")
            problem = f"it needs the column {feature.name!r}, which is no feature of {table.name}: {why}."
            raise NotComparable(manifest.version, problem)
        if kind != feature.kind:
            problem = f"its column {feature.name!r} is {feature.kind}, and {kind} in {table.name}"
            raise NotComparable(manifest.version, f"{problem}; data.kinds can overrule that.")


def _find(known: OutOfFold, wanted: npt.NDArray[np.uint64]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Give the place of each wanted key among the known rows, and whether it is really there."""
    keys, first = np.unique(known.row_key, return_index=True)
    nearest = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return first[nearest], keys[nearest] == wanted


def _find_contradicted(
    known: OutOfFold,
    place: npt.NDArray[np.intp],
    is_known: npt.NDArray[np.bool_],
    churned: npt.NDArray[np.bool_],
) -> npt.NDArray[np.bool_]:
    _, group = np.unique(known.row_key, return_inverse=True)
    churn_rate = np.bincount(group, known.churned) / np.bincount(group)
    told = churn_rate[group[place]]
    contradicted: npt.NDArray[np.bool_] = is_known & (np.abs(told - churned) == 1)
    return contradicted


def _serve(scorer: Scorer, features: pd.DataFrame) -> npt.NDArray[np.float64]:
    signature = scorer.manifest.signature
    chunks = (features.iloc[start : start + _CHUNK] for start in range(0, len(features), _CHUNK))
    scores = [scorer.score(encode_frame(signature, chunk).astype(np.float32)).probability for chunk in chunks]
    return np.concatenate(scores).astype(np.float64)
