"""Reads the target column: who left, who stayed, and which rows do not say."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow.compute as pc

from churn_mlops.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from churn_mlops.config.settings import DataSettings

_SHOWN: Final = 10


@dataclass(frozen=True)
class Target:
    """The outcome of every row.

    Attributes:
        churned: bool [rows]; False also where the row is rejected.
        rejected: reason by position, for rows without a usable outcome.
    """

    churned: npt.NDArray[np.bool_]
    rejected: dict[int, str]


def read_target(column: pa.ChunkedArray, settings: DataSettings) -> Target:
    """Tell churners by `data.positive_label`; "1", 1 and 1.0 are the same label, as are "true" and True.

    Raises:
        DataError: a label does not occur, both are the same, or there are more than two values and no
            `data.negative_label`.
    """
    labels = np.array([_canonical(value) for value in column.to_pylist()], dtype=object)
    missing = np.isin(labels, [_canonical(token) for token in settings.missing_values])
    missing |= pc.is_null(column, nan_is_null=True).to_numpy()
    counts = Counter(sorted(labels[~missing]))
    positive = _known_label("positive_label", settings.positive_label, counts, settings)
    negatives = [label for label in counts if label != positive]
    if settings.negative_label is not None:
        negatives = [_known_label("negative_label", settings.negative_label, counts, settings)]
        if negatives == [positive]:
            raise DataError(f"data.positive_label and data.negative_label are both {positive!r}; they must differ.")
    elif len(negatives) > 1:
        raise DataError(
            f"The target {settings.target!r} has {len(counts)} values ({_list(counts)}) where two were expected; "
            f"set data.negative_label to the one that means the customer stayed, and the others are rejected."
        )
    usable = np.isin(labels, [positive, *negatives])
    rejected = {
        int(position): f"the target {settings.target!r} is missing."
        if missing[position]
        else f"the target {settings.target!r} is {labels[position]!r}; {positive!r} or {negatives[0]!r} was expected."
        for position in np.flatnonzero(~usable)
    }
    return Target(labels == positive, rejected)


def _known_label(key: str, label: object, counts: dict[str, int], settings: DataSettings) -> str:
    known = _canonical(label)
    if known not in counts:
        raise DataError(
            f"data.{key} is {label!r}, which the target {settings.target!r} never is; its values are {_list(counts)}."
        )
    return known


def _list(counts: dict[str, int]) -> str:
    most = sorted(counts, key=lambda label: -counts[label])
    listed = ", ".join(f"{label!r} ({counts[label]:,} rows)" for label in most[:_SHOWN])
    return listed + (f" and {len(most) - _SHOWN} more" if len(most) > _SHOWN else "") if most else "all missing"


def _canonical(value: object) -> str:
    if value is None:
        return ""
    text = str(value).strip()
    if text.lower() in ("true", "false"):
        return text.lower()
    try:
        number = float(text)
    except ValueError:
        return text
    return str(int(number)) if number.is_integer() else str(number)
