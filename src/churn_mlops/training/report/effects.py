"""Measures what each feature does, from the contributions of the served graph, the same way for every family."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from churn_mlops.models.graph_contract import CONTRIBUTIONS, INPUT
from churn_mlops.onnx_session import open_session
from churn_mlops.training.report.content import Effect

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from churn_mlops.models.signature import Feature, Signature

    Floats = npt.NDArray[np.float64]
    Contribute = Callable[[npt.NDArray[np.float32]], npt.NDArray[np.float32]]

MOST_CUSTOMERS: Final = 20_000
"""More customers than this would sharpen no curve; that many are drawn from a larger table."""

MOST_POINTS: Final = 40
MOST_CATEGORIES: Final = 15
DENSITY_BINS: Final = 30
FEW_VALUES: Final = 12
"""Up to this many distinct numbers are points of their own, whose shares are their density."""

RARE: Final = "rare categories"

_FEWEST_AT_A_POINT: Final = 20
_CHUNK: Final = 5_000
_DRAWN_RANGE: Final = (0.005, 0.995)
_LONG_TAIL: Final = 1.5
"""The axis leaves the outermost customers out where they would make it this many times as long."""


class _Points(NamedTuple):
    """Contributions by point: mean, 10th and 90th percentile, and share of all customers; float64 [points] each."""

    mean: Floats
    low: Floats
    high: Floats
    share: Floats


def read_contributions(graph: bytes) -> Contribute:
    """Give a served graph as a function from float32 [rows, features] to contributions, float32 [rows, features]."""
    session = open_session(graph)

    def contribute(matrix: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        parts = [matrix[start : start + _CHUNK] for start in range(0, len(matrix), _CHUNK)]
        return np.concatenate([session.run([CONTRIBUTIONS], {INPUT: part})[0] for part in parts])

    return contribute


def measure_effects(contribute: Contribute, signature: Signature, matrix: Floats, seed: int = 0) -> tuple[Effect, ...]:
    """Measure the effect of every feature on the customers of a table.

    Customers are grouped by the feature's value; each group gives a point of the curve (its mean contribution) and
    how far its customers differ (10th to 90th percentile): not at all where a feature acts alone, and by as much as
    it acts together with others.

    Args:
        contribute: the model, from float32 [rows, features] to contributions of the same shape.
        signature: the features.
        matrix: float [rows, features], encoded customers; missing is NaN.
        seed: draws the customers from a table of more than `MOST_CUSTOMERS`.

    Returns:
        One effect per feature, in the signature's order.
    """
    matrix = draw_customers(matrix, seed)
    contributions = contribute(matrix.astype(np.float32)).astype(np.float64)
    return tuple(
        _measure(feature, matrix[:, place].astype(np.float64), contributions[:, place])
        for place, feature in enumerate(signature.features)
    )


def draw_customers(matrix: Floats, seed: int) -> Floats:
    """Give all customers, or `MOST_CUSTOMERS` of a larger table, float [rows, features]."""
    if len(matrix) <= MOST_CUSTOMERS:
        return matrix
    drawn = np.random.default_rng(seed).choice(len(matrix), MOST_CUSTOMERS, replace=False)
    return matrix[np.sort(drawn)]


def _measure(feature: Feature, values: Floats, contributions: Floats) -> Effect:
    missing = np.isnan(values)
    present = values[~missing]
    place, grid, categories = _place_numbers(present) if feature.kind == "numeric" else _place_codes(feature, present)
    points = _summarise(place, contributions[~missing], len(values))
    edges, density = _count_density(present, len(values)) if feature.kind == "numeric" else (np.empty(0), np.empty(0))
    return Effect(
        feature=feature.name,
        kind=feature.kind,
        grid=grid,
        categories=categories,
        contribution=points.mean,
        low=points.low,
        high=points.high,
        share=points.share,
        density_edges=edges,
        density=density,
        missing_contribution=float(contributions[missing].mean()) if missing.any() else None,
        missing_share=float(missing.mean()),
        importance=float(np.abs(contributions).mean()),
    )


def _summarise(place: npt.NDArray[np.intp], contributions: Floats, customers: int) -> _Points:
    groups = [contributions[place == point] for point in range(int(place.max()) + 1 if len(place) else 0)]
    low, high = (np.array([np.percentile(group, percent) for group in groups]) for percent in (10, 90))
    mean = np.array([group.mean() for group in groups], dtype=np.float64)
    return _Points(mean, low, high, np.array([len(group) / customers for group in groups], dtype=np.float64))


def group_numbers(values: Floats, most: int) -> npt.NDArray[np.intp]:
    """Group numbers, int [rows] in ascending order: by value where there are few, else about equally many in each."""
    distinct, place = np.unique(values, return_inverse=True)
    if len(distinct) > most:
        points = int(np.clip(len(values) // _FEWEST_AT_A_POINT, 2, most))
        cuts = np.unique(np.quantile(values, np.arange(1, points) / points))
        _, place = np.unique(np.searchsorted(cuts, values, side="right"), return_inverse=True)
    return np.asarray(place, dtype=np.intp)


def group_codes(feature: Feature, codes: Floats, most: int) -> tuple[npt.NDArray[np.intp], tuple[str, ...]]:
    """Group customers by category, the most frequent first and those beyond the most together; name the groups."""
    names = {0.0: "false", 1.0: "true"} if feature.kind == "boolean" else dict(enumerate(feature.categories))
    found, place, counts = np.unique(codes, return_inverse=True, return_counts=True)
    rank = np.empty(len(found), dtype=np.intp)
    rank[np.lexsort((found, -counts))] = np.arange(len(found))
    words = [""] * len(found)
    for position, code in zip(rank, found, strict=True):
        words[position] = RARE if code == feature.other_code else names[code]
    if len(words) > most:
        rest = len(words) - most + 1
        words = [*words[: most - 1], f"{rest:,} other categories"]
    return np.minimum(rank[place], len(words) - 1), tuple(words)


def _place_numbers(values: Floats) -> tuple[npt.NDArray[np.intp], Floats, tuple[str, ...]]:
    place = group_numbers(values, MOST_POINTS)
    members = np.bincount(place)
    # a mean of the largest float32s is within range, their sum is only in float64
    return place, np.bincount(place, values) / members, ()


def _place_codes(feature: Feature, codes: Floats) -> tuple[npt.NDArray[np.intp], Floats, tuple[str, ...]]:
    place, words = group_codes(feature, codes, MOST_CATEGORIES)
    return place, np.empty(0), words


def _count_density(values: Floats, customers: int) -> tuple[Floats, Floats]:
    """Count customers in bins of equal width between the ends of what is drawn; a few outliers lie beyond."""
    if len(np.unique(values)) <= FEW_VALUES:
        return np.empty(0), np.empty(0)
    low, high = np.quantile(values, _DRAWN_RANGE)
    if not np.ptp(values) > _LONG_TAIL * (high - low) > 0:
        low, high = values.min(), values.max()
    edges = np.linspace(low, high, DENSITY_BINS + 1)
    counts, _ = np.histogram(values, edges)
    return edges, counts / customers
