"""Measures what pairs of features do together, from the two-feature terms of a model that has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from churn_mlops.models.ebm import AdditiveBoosting, find_interaction
from churn_mlops.training.report.content import PairEffect
from churn_mlops.training.report.effects import draw_customers, group_codes, group_numbers

if TYPE_CHECKING:
    import numpy.typing as npt

    from churn_mlops.models.ebm import LookupTable
    from churn_mlops.models.signature import Feature, Signature

    Floats = npt.NDArray[np.float64]

MOST_PAIRS: Final = 6
"""Pairs that are measured, the strongest ones; the next ones move hardly anybody's risk."""

MOST_LEVELS: Final = 8
"""Rows and columns of a pair, beside one for missing values."""


def measure_pairs(family: object, signature: Signature, matrix: Floats, seed: int = 0) -> tuple[PairEffect, ...]:
    """Measure what features do in pairs, beyond what each does alone, on the customers of a table.

    Args:
        family: the fitted model; only an explainable boosting machine has terms of two features.
        signature: the features.
        matrix: float [rows, features], encoded customers; missing is NaN.
        seed: draws the customers from a large table.

    Returns:
        The pairs with the largest mean absolute contribution, strongest first.
    """
    if not isinstance(family, AdditiveBoosting):
        return ()
    matrix = draw_customers(matrix, seed).astype(np.float64)
    pairs = [_measure(table, signature, matrix) for table in family.tables() if len(table.axes) == 2]
    return tuple(sorted(pairs, key=lambda pair: -pair.importance)[:MOST_PAIRS])


def _measure(table: LookupTable, signature: Signature, matrix: Floats) -> PairEffect:
    contribution = find_interaction(table).look_up(matrix)
    features = [signature.features[axis.feature] for axis in table.axes]
    (rows, first), (columns, second) = (
        _group(feature, matrix[:, axis.feature]) for feature, axis in zip(features, table.axes, strict=True)
    )
    cell, cells = rows * len(second) + columns, len(first) * len(second)
    customers = np.bincount(cell, minlength=cells)
    mean = np.full(cells, np.nan)
    np.divide(np.bincount(cell, contribution, cells), customers, out=mean, where=customers > 0)
    return PairEffect(
        first=features[0].name,
        second=features[1].name,
        first_values=first,
        second_values=second,
        contribution=mean.reshape(len(first), len(second)),
        importance=float(np.abs(contribution).mean()),
    )


def _group(feature: Feature, values: Floats) -> tuple[npt.NDArray[np.intp], tuple[str, ...]]:
    """Group customers by a feature, missing values last: the group of each, int [rows], and their names."""
    missing = np.isnan(values)
    present = values[~missing]
    if feature.kind == "numeric":
        place, names = _group_numbers(present)
    else:
        place, names = group_codes(feature, present, MOST_LEVELS)
    group = np.full(len(values), len(names), dtype=np.intp)
    group[~missing] = place
    return group, (*names, "missing") if missing.any() else names


def _group_numbers(values: Floats) -> tuple[npt.NDArray[np.intp], tuple[str, ...]]:
    place = group_numbers(values, MOST_LEVELS)
    groups = [values[place == number] for number in range(int(place.max(initial=-1)) + 1)]
    return place, tuple(_name(float(group.min()), float(group.max())) for group in groups)


def _name(low: float, high: float) -> str:
    ends = dict.fromkeys(f"{float(f'{end:.3g}'):,.6g}" for end in (low, high))
    return " to ".join(ends)
