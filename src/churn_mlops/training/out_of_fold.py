"""The out-of-fold probabilities of a version, kept with it: which rows it saw, and what it said of each before."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from churn_mlops.errors import NotComparable, VersionRefused
from churn_mlops.models.folds import hash_rows
from churn_mlops.registry.manifest import OUT_OF_FOLD

if TYPE_CHECKING:
    import numpy.typing as npt

    from churn_mlops.data.table import CustomerTable
    from churn_mlops.models.signature import Signature
    from churn_mlops.registry.manifest import Manifest
    from churn_mlops.registry.reading import Registry

NOT_HELD_OUT: Final = -1
"""The fold of a row that was trained on, but not evaluated."""

_COLUMNS: Final = ("row", "row_key", "fold", "churned", "churn_probability")


@dataclass(frozen=True)
class OutOfFold:
    """What a version's training said of each of its rows, by models that had not seen it.

    Where only a sample of the rows was evaluated, the others are there without fold and probability: the version has
    seen them all the same.

    Attributes:
        row_key: uint64 [rows], hash of the row's values of the version's own features.
        fold: int [rows], the fold in which the row was held out, or `NOT_HELD_OUT`.
        churned: bool [rows], the outcome that training was told.
        probability: float64 [rows], churn probability; NaN where the row was not held out.
        customer_value: float64 [rows], where the decision weighs each customer by a column; not read back.
    """

    row_key: npt.NDArray[np.uint64]
    fold: npt.NDArray[np.intp]
    churned: npt.NDArray[np.bool_]
    probability: npt.NDArray[np.float64]
    customer_value: npt.NDArray[np.float64] | None = None

    @property
    def held_out(self) -> npt.NDArray[np.bool_]:
        """Bool [rows], whether the row was evaluated."""
        return np.not_equal(self.fold, NOT_HELD_OUT)

    def to_csv(self) -> bytes:
        """Write one line a row: number among the accepted rows from 1, key in hex, fold, 0 or 1, probability, value.

        Fold and probability are empty where the row was not held out.
        """
        columns = (
            np.arange(1, len(self.fold) + 1),
            [f"{key:016x}" for key in self.row_key.tolist()],
            pd.Series(self.fold, dtype="Int64").where(self.held_out),
            self.churned.astype(int),
            # in full, so that every metric can be had again exactly
            pd.Series(self.probability, dtype=object).where(self.held_out, None),
        )
        frame = pd.DataFrame(dict(zip(_COLUMNS, columns, strict=True)))
        if self.customer_value is not None:
            frame["customer_value"] = list(map(repr, self.customer_value.tolist()))
        return frame.to_csv(index=False, lineterminator="\n").encode()

    @classmethod
    def from_csv(cls, content: bytes) -> OutOfFold:
        """Read what `to_csv` wrote.

        Raises:
            ValueError: it is something else.
        """
        frame = pd.read_csv(io.BytesIO(content), dtype=str, usecols=list(_COLUMNS), keep_default_na=False)
        return cls(
            row_key=np.array([int(key, 16) for key in frame["row_key"]], dtype=np.uint64),
            fold=np.array([int(fold) if fold else NOT_HELD_OUT for fold in frame["fold"]], dtype=np.intp),
            churned=np.array(list(map(int, frame["churned"])), dtype=bool),
            # pandas' own reading of floats is not exact to the last bit in all its versions
            probability=np.array([float(text) if text else np.nan for text in frame["churn_probability"]]),
        )


def collect_out_of_fold(
    table: CustomerTable,
    signature: Signature,
    rows: npt.NDArray[np.intp],
    fold: npt.NDArray[np.intp],
    probability: npt.NDArray[np.float64],
) -> OutOfFold:
    """Collect what training knows of its rows.

    Args:
        table: all customers that the version was fitted on.
        signature: of the version.
        rows: int [evaluated], the positions of the rows that were held out.
        fold: int [evaluated].
        probability: float64 [evaluated], out of fold.
    """
    row_key = hash_rows(table.features[list(signature.names)])
    every_fold, every_probability = np.full(len(row_key), NOT_HELD_OUT), np.full(len(row_key), np.nan)
    every_fold[rows], every_probability[rows] = fold, probability
    return OutOfFold(row_key, every_fold, table.churned, every_probability, table.customer_value)


def read_out_of_fold(registry: Registry, manifest: Manifest) -> OutOfFold:
    """Read a version's out-of-fold probabilities.

    Raises:
        NotComparable: it was trained before they were kept.
        VersionRefused: the file is not the one that was written, or cannot be read as such.
    """
    if OUT_OF_FOLD not in manifest.files:
        raise NotComparable(manifest.version, f"it has no {OUT_OF_FOLD}, so nobody can tell which rows it has seen.")
    try:
        return OutOfFold.from_csv(registry.read_file(manifest, OUT_OF_FOLD))
    except ValueError as error:
        raise VersionRefused(manifest.version, f"{OUT_OF_FOLD} cannot be read ({error}).") from error
