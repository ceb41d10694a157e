"""Segments: who is in them, whether the model is calibrated there, and whom it selects."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from learnable_tables import make_table

from churn_mlops.config.settings import EvaluationSettings
from churn_mlops.errors import MissingColumn
from churn_mlops.training.segments import measure_segments, wilson

if TYPE_CHECKING:
    import numpy.typing as npt

    from churn_mlops.registry.manifest import SegmentMetrics


def measure(
    values: pd.Series, churned: npt.ArrayLike | None = None, probability: npt.ArrayLike | None = None
) -> list[SegmentMetrics]:
    """Measure one column; without outcomes every second customer left, without probabilities all have .5."""
    rows = len(values)
    left = np.arange(rows) % 2 == 0 if churned is None else np.asarray(churned, dtype=bool)
    score = np.full(rows, 0.5) if probability is None else np.asarray(probability, dtype=np.float64)
    table = make_table(pd.DataFrame({"x": np.zeros(rows)}), left)
    table = dataclasses.replace(table, segments={"region": values})
    return list(measure_segments(table, score, score > 0.5, EvaluationSettings(segments=("region",))))


def test_the_figures_of_a_segment_are_those_of_its_customers() -> None:
    """Base rate, mean probability, selection rate and gap, counted by hand."""
    north, south = measure(
        pd.Series(["north"] * 40 + ["south"] * 60).astype("category").cat.reorder_categories(["south", "north"]),
        churned=[True] * 10 + [False] * 30 + [True] * 30 + [False] * 30,
        probability=[0.4] * 10 + [0.2] * 30 + [0.6] * 30 + [0.4] * 30,
    )[::-1]
    assert (north.column, north.value, north.customers, south.value, south.customers) == (
        *("region", "north", 40),
        *("south", 60),
    )
    assert (north.base_rate.value, south.base_rate.value) == (0.25, 0.5)
    assert (north.selection_rate, south.selection_rate) == (0.0, 0.5)
    assert [north.mean_probability, south.mean_probability] == pytest.approx([0.25, 0.5])
    assert north.calibration_gap.value == pytest.approx(0, abs=1e-12)
    assert north.roc_auc == 1.0


def test_whom_the_decision_selects_is_counted() -> None:
    """Whatever the probability: a value of its own may make a customer worth contacting at .1 and not at .9."""
    table = make_table(pd.DataFrame({"x": np.zeros(4)}), np.array([True, False, True, False]))
    table = dataclasses.replace(table, segments={"region": pd.Series(list("nnss")), "age": pd.Series(list("oyyy"))})
    settings, probability = EvaluationSettings(segments=("region", "age")), np.array([0.1, 0.9, 0.9, 0.9])
    found = measure_segments(table, probability, np.array([True, True, False, False]), settings)
    assert {(segment.column, segment.value): segment.selection_rate for segment in found} == {
        ("region", "n"): 1.0,
        ("region", "s"): 0.0,
        ("age", "y"): pytest.approx(1 / 3),
        ("age", "o"): 1.0,
    }


def test_a_miscalibrated_segment_is_found() -> None:
    """Where .5 is said of customers of whom a quarter leave, the interval of the gap leaves out 0; elsewhere not."""
    region = pd.Series(np.repeat(["north", "south"], 1000))
    churned = np.arange(2000) % 4 < np.where(region == "north", 1, 2)
    north, south = sorted(measure(region, churned), key=lambda segment: segment.value)
    assert north.calibration_gap.low > 0.2
    assert south.calibration_gap.low < 0 < south.calibration_gap.high


def test_the_interval_of_the_gap_holds_the_truth_as_often_as_it_says() -> None:
    """Of 400 calibrated segments about 95 % have 0 within their interval."""
    random = np.random.default_rng(1)
    probability = random.uniform(0.1, 0.6, (400, 200))
    churned = random.random((400, 200)) < probability
    gaps = [
        measure(pd.Series(["all"] * 200), c, p)[0].calibration_gap for c, p in zip(churned, probability, strict=True)
    ]
    assert np.mean([gap.low <= 0 <= gap.high for gap in gaps]) == pytest.approx(0.95, abs=0.03)


def test_numbers_are_cut_into_quarters_named_by_their_ends() -> None:
    """Each of four ranges holds a quarter of the customers, and names what is in it."""
    found = measure(pd.Series(np.arange(100) / 2))
    assert [(segment.value, segment.customers) for segment in found] == [
        ("0 to 12", 25),
        ("12.5 to 24.5", 25),
        ("25 to 37", 25),
        ("37.5 to 49.5", 25),
    ]


def test_a_number_that_most_customers_have_is_a_range_of_its_own() -> None:
    """Quarters that would coincide are one, and no customer is lost."""
    found = measure(pd.Series([0.0] * 70 + [*np.arange(1.0, 31.0)]))
    assert [(segment.value, segment.customers) for segment in found] == [("0", 70), ("1 to 5", 5), ("6 to 30", 25)]


def test_few_different_numbers_are_values() -> None:
    """A flag that is stored as 0 and 1 has two segments, in order."""
    found = measure(pd.Series([1.0, 0.0, 1.0, 1.0] * 10))
    assert [(segment.value, segment.customers) for segment in found] == [("0", 10), ("1", 30)]


def test_missing_values_are_a_segment_of_their_own() -> None:
    """They stand last, whatever the kind of the column."""
    for values in (
        pd.Series([1.0, np.nan] * 20),
        pd.Series(["a", None] * 20, dtype="category"),
        pd.Series([True, None] * 20, dtype="boolean"),
        pd.Series([*np.arange(20.0), *[np.nan] * 20]),
    ):
        found = measure(values)
        assert (found[-1].value, found[-1].customers) == ("missing", 20)
        assert sum(segment.customers for segment in found) == 40


def test_booleans_are_named_in_words() -> None:
    """True and false stand as they do in JSON."""
    assert {segment.value for segment in measure(pd.Series([True, False] * 20, dtype="boolean"))} == {"true", "false"}


@pytest.mark.parametrize(("values", "segments", "last"), [(20, 20, "v00"), (21, 20, "other (2 values)")])
def test_a_column_has_at_most_twenty_segments(values: int, segments: int, last: str) -> None:
    """The rarest values beyond are one segment that says how many they are."""
    names = [f"v{number:02}" for number in range(values) for _ in range(number + 1)]
    found = measure(pd.Series(names, dtype="category"))
    assert (len(found), found[-1].value, found[0].value) == (segments, last, f"v{values - 1:02}")
    assert sum(segment.customers for segment in found) == len(names)


@pytest.mark.parametrize(("customers", "is_ranked"), [(29, False), (30, True)])
def test_a_small_segment_is_counted_but_not_ranked(customers: int, is_ranked: bool) -> None:
    """Fewer than 30 customers have every figure but the ROC AUC."""
    found = measure(pd.Series(["small"] * customers))[0]
    assert (found.customers, found.roc_auc is not None) == (customers, is_ranked)


def test_a_segment_of_one_outcome_is_not_ranked() -> None:
    """Where nobody left there is no one to rank above."""
    assert measure(pd.Series(["all"] * 50), churned=[False] * 50)[0].roc_auc is None


def test_a_single_customer_says_nothing_about_calibration() -> None:
    """The interval of the gap is all that a gap can be."""
    gap = measure(pd.Series(["alone"]), churned=[True])[0].calibration_gap
    assert (gap.value, gap.low, gap.high) == (-0.5, -1.0, 1.0)


def test_a_column_that_was_not_read_is_refused() -> None:
    """The sentence names the key."""
    table = make_table(pd.DataFrame({"x": np.zeros(2)}), np.array([True, False]))
    with pytest.raises(MissingColumn, match=r"evaluation\.segments names the column 'region'"):
        measure_segments(table, np.zeros(2), np.zeros(2, dtype=bool), EvaluationSettings(segments=("region",)))


def test_wilson_is_the_published_interval() -> None:
    """For 10 of 100 it is .0552 to .1744."""
    assert list(wilson(10, 100)) == pytest.approx([0.0552, 0.1744], abs=1e-4)


@given(trials=st.integers(1, 10_000), share=st.floats(0, 1))
def test_wilson_holds_the_share_and_stays_a_share(trials: int, share: float) -> None:
    """The interval lies within 0 and 1, around what was observed, and has some width even at the ends."""
    successes = round(share * trials)
    low, high = wilson(successes, trials)
    assert 0 <= low <= successes / trials + 1e-12
    assert successes / trials - 1e-12 <= high <= 1
    assert high > low
