"""How the model does on each segment: whether it is calibrated, and whom it selects, group by group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd

from churn_mlops.errors import MissingColumn
from churn_mlops.models.metrics import Interval, ScoreCounts
from churn_mlops.registry.manifest import Estimate, SegmentMetrics

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt

    from churn_mlops.config.settings import EvaluationSettings
    from churn_mlops.data.table import CustomerTable

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

FEWEST_RANKED: Final = 30
"""A segment with fewer customers is counted, but how well they are ranked would be chance."""

MOST_VALUES: Final = 20
"""Of a column with more values, the most frequent ones are segments, and the others one together."""

_QUARTERS: Final = 4
_Z: Final = 1.959964  # the normal distribution's 97.5 % point


def measure_segments(
    table: CustomerTable, probability: Floats, predicted: Flags, settings: EvaluationSettings
) -> tuple[SegmentMetrics, ...]:
    """Measure base rate, selection rate and calibration by the values of the columns in `settings.segments`.

    The intervals hold 95 %: Wilson's (1927) for the base rate, and the normal approximation for the calibration gap,
    the mean of probability less outcome over customers, who are taken as independent.

    Args:
        table: the customers, read with these segments.
        probability: float64 [rows], out of fold.
        predicted: bool [rows], `churn_predicted`.
        settings: the columns.

    Raises:
        MissingColumn: the table was not read with such a column.
    """
    found = []
    for column in settings.segments:
        if column not in table.segments:
            raise MissingColumn("evaluation.segments", column, list(table.segments))
        for value, rows in _split(table.segments[column]):
            found.append(_measure(column, value, table.churned[rows], probability[rows], predicted[rows]))
    return tuple(found)


def _split(values: pd.Series) -> Iterator[tuple[str, Flags]]:
    """Give the segments of a column in words, each with its rows; missing values last."""
    missing = values.isna().to_numpy()
    if pd.api.types.is_float_dtype(values) and values.nunique() > _QUARTERS:
        yield from _split_numbers(values.to_numpy(dtype=np.float64))
    else:
        yield from _split_values(values)
    if missing.any():
        yield "missing", missing


def _split_numbers(numbers: Floats) -> Iterator[tuple[str, Flags]]:
    present = ~np.isnan(numbers)
    edges = np.unique(np.nanquantile(numbers, np.arange(1, _QUARTERS) / _QUARTERS))
    quarter = np.searchsorted(edges, numbers, side="left")
    for number in range(len(edges) + 1):
        rows = present & (quarter == number)
        if rows.any():  # named by what is in it, so that no number stands in two names
            low, high = numbers[rows].min(), numbers[rows].max()
            yield (_show(low) if low == high else f"{_show(low)} to {_show(high)}"), rows


def _split_values(values: pd.Series) -> Iterator[tuple[str, Flags]]:
    counts = values.value_counts()
    levels = counts[counts > 0].index.tolist()
    if pd.api.types.is_float_dtype(values):
        levels.sort()
    # one value beyond the most is named rather than hidden alone behind "other"
    named = levels if len(levels) <= MOST_VALUES else levels[: MOST_VALUES - 1]
    for level in named:
        yield _show(level), (values == level).fillna(value=False).to_numpy(dtype=bool)
    if len(named) < len(levels):
        yield f"other ({len(levels) - len(named):,} values)", values.isin(levels[len(named) :]).to_numpy()


def _measure(column: str, value: str, churned: Flags, probability: Floats, predicted: Flags) -> SegmentMetrics:
    left, customers = int(churned.sum()), len(churned)
    is_ranked = customers >= FEWEST_RANKED and 0 < left < customers
    base_rate, gap = left / customers, probability - churned
    return SegmentMetrics(
        column=column,
        value=value,
        customers=customers,
        base_rate=_estimate(base_rate, wilson(left, customers)),
        mean_probability=float(probability.mean()),
        selection_rate=float(predicted.mean()),
        roc_auc=ScoreCounts.count(churned, probability).metrics().roc_auc if is_ranked else None,
        calibration_gap=_estimate(float(gap.mean()), _mean_interval(gap)),
    )


def wilson(successes: int, trials: int) -> Interval:
    """Give the 95 % interval of a share (Wilson 1927): within 0 and 1, and never of no width."""
    share, spread = successes / trials, _Z**2 / trials
    middle = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * float(np.sqrt(share * (1 - share) / trials + spread / (4 * trials)))
    return Interval(max(0.0, middle - half), min(1.0, middle + half))


def _mean_interval(gap: Floats) -> Interval:
    if len(gap) == 1:  # one customer says nothing about the spread
        return Interval(-1.0, 1.0)
    mean, half = float(gap.mean()), _Z * float(gap.std(ddof=1)) / float(np.sqrt(len(gap)))
    return Interval(max(-1.0, mean - half), min(1.0, mean + half))


def _estimate(value: float, interval: Interval) -> Estimate:
    return Estimate(value=value, low=min(interval.low, value), high=max(interval.high, value))


def _show(value: object) -> str:
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    return f"{value:,.6g}" if isinstance(value, float | np.floating) else str(value)
