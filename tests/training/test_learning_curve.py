"""The learning curve: fewer rows of the same customers, and a sentence that says what they were worth."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from learnable_tables import draw_customers, make_table
from sklearn.neighbors import KNeighborsClassifier

from churn_mlops.models.folds import DuplicateGroupedKFold
from churn_mlops.registry.manifest import LearningPoint
from churn_mlops.training.learning_curve import describe_learning_curve, measure_learning_curve
from churn_mlops.training.refitting import Rows, refit

if TYPE_CHECKING:
    from churn_mlops.data.table import CustomerTable

CUSTOMERS = draw_customers(2000)
TABLE = make_table(CUSTOMERS[["tenure", "charges"]], CUSTOMERS["churned"].to_numpy())
FOLD = DuplicateGroupedKFold(5, 0).assign(TABLE.features, TABLE.churned)


class Recorder:
    """A model that says the churn rate of the rows it was fitted on, and remembers which they and the others were."""

    def __init__(self, table: CustomerTable) -> None:
        self.churned = table.churned
        self.fits: list[tuple[Rows, Rows]] = []

    def __call__(self, train: Rows, test: Rows) -> npt.NDArray[np.float64]:
        """Fit and predict."""
        self.fits.append((train, test))
        return np.full(len(test), self.churned[train].mean())


def customers_with_rows(rows: int) -> CustomerTable:
    """Give the customers so many rows each, of which every one differs."""
    features = pd.concat([TABLE.features + number / 100 for number in range(rows)], ignore_index=True)
    ids = pd.Series(np.tile(np.arange(2000), rows)).astype("str")
    return dataclasses.replace(make_table(features, np.tile(TABLE.churned, rows)), customer_ids=ids)


def test_each_point_is_fitted_on_its_share_of_the_same_churn_rate() -> None:
    """An eighth, a quarter, half and all of the training rows, stratified to within a row."""
    recorder = Recorder(TABLE)
    points = measure_learning_curve(recorder, FOLD, TABLE)
    assert [point.customers for point in points] == pytest.approx([200, 400, 800, 1600], abs=2)
    rates = [TABLE.churned[train].mean() for train, _ in recorder.fits]
    assert rates == pytest.approx([TABLE.churned.mean()] * 8, abs=0.01)


def test_parts_are_nested_and_tested_on_the_same_rows() -> None:
    """What changes from point to point is only that rows were added; tested are two folds, never trained on."""
    recorder = Recorder(TABLE)
    measure_learning_curve(recorder, FOLD, TABLE)
    for number in (0, 1):
        fits = recorder.fits[number::2]
        assert all(set(small[0]) < set(large[0]) for small, large in pairwise(fits))
        is_tested = number == FOLD
        assert all((test == np.flatnonzero(is_tested)).all() for _, test in fits)
        assert (fits[-1][0] == np.flatnonzero(~is_tested)).all()


def test_rows_of_one_customer_enter_together() -> None:
    """No part holds some rows of a customer and leaves out others."""
    table = customers_with_rows(3)
    fold = DuplicateGroupedKFold(5, 0).assign(table.features, table.churned, table.customer_ids)
    recorder = Recorder(table)
    measure_learning_curve(recorder, fold, table)
    for train, _ in recorder.fits:
        assert set(np.bincount(train % 2000)) == {0, 3}


@pytest.mark.parametrize(("churners", "points"), [(600, 4), (300, 3), (70, 1), (60, 0)])
def test_parts_with_fewer_than_fifty_churners_are_left_out(churners: int, points: int) -> None:
    """Four fifths of them are trained on, of which an eighth, a quarter, half and all."""
    table = dataclasses.replace(TABLE, churned=np.arange(2000) < churners)
    fold = DuplicateGroupedKFold(5, 0).assign(table.features, table.churned)
    found = measure_learning_curve(Recorder(table), fold, table)
    assert len(found) == points
    assert all(point.customers * churners / 2000 >= 49 for point in found)


def test_customers_with_several_rows_count_once() -> None:
    """A hundred who stayed are too few for half of them to be enough, though they have a thousand rows."""
    table = dataclasses.replace(customers_with_rows(10), churned=np.tile(np.arange(2000) % 20 > 0, 10))
    fold = DuplicateGroupedKFold(5, 0).assign(table.features, table.churned, table.customer_ids)
    assert len(measure_learning_curve(Recorder(table), fold, table)) == 1


def test_every_fit_is_told_first() -> None:
    """Whoever watches hears of every point."""
    begun: list[str] = []
    measure_learning_curve(Recorder(TABLE), FOLD, TABLE, begun.append)
    assert [name.split()[0] for name in begun] == ["fitted"] * 4


def test_a_model_that_learns_goes_on_learning() -> None:
    """Log loss falls with the rows, by more than its standard error; the first point has none to compare with."""
    points = measure_learning_curve(refit(KNeighborsClassifier(25), TABLE), FOLD, TABLE)
    assert points[-1].log_loss < points[0].log_loss
    assert points[0].standard_error is None
    assert all(point.standard_error is not None and point.standard_error > 0 for point in points[1:])


def test_the_standard_error_is_that_of_the_mean_difference() -> None:
    """Worked out from what two fits said of the same held-out customers."""
    recorder = Recorder(TABLE)
    points = measure_learning_curve(recorder, FOLD, TABLE)
    losses = []
    for place in (-4, -2):
        parts = [(recorder.churned[train].mean(), TABLE.churned[test]) for train, test in recorder.fits[place:][:2]]
        losses.append(np.concatenate([-np.log(np.where(left, rate, 1 - rate)) for rate, left in parts]))
    difference = losses[1] - losses[0]
    assert points[-1].standard_error == pytest.approx(difference.std(ddof=1) / np.sqrt(800))


def test_equal_seeds_give_equal_curves() -> None:
    """The parts come from the seed alone."""
    model = refit(KNeighborsClassifier(25), TABLE)
    one, same, other = (measure_learning_curve(model, FOLD, TABLE, seed=seed) for seed in (0, 0, 1))
    assert one == same != other


def _curve(before: float, last: float, error: float) -> list[LearningPoint]:
    return [
        LearningPoint(customers=2800, roc_auc=0.8, log_loss=before),
        LearningPoint(customers=5600, roc_auc=0.8, log_loss=last, standard_error=error),
    ]


@pytest.mark.parametrize(
    ("points", "sentence"),
    [
        (
            _curve(0.424, 0.420, 0.001),
            "doubling the rows from 2,800 to 5,600 lowered log loss by 0.0040: more rows would help",
        ),
        (
            _curve(0.4204, 0.420, 0.001),
            "doubling the rows from 2,800 to 5,600 lowered log loss by less than its standard error: "
            "more rows of the same kind would hardly help",
        ),
        (
            _curve(0.42, 0.43, 0.001),
            "doubling the rows from 2,800 to 5,600 did not lower log loss: "
            "more rows of the same kind would hardly help",
        ),
        (_curve(0.42, 0.43, 0.001)[:1], "there are too few churners to tell whether more rows would help"),
        ([], "there are too few churners to tell whether more rows would help"),
    ],
)
def test_the_sentence_says_whether_more_rows_would_help(points: list[LearningPoint], sentence: str) -> None:
    """A gain is one from its standard error on."""
    assert describe_learning_curve(points) == sentence


def test_the_sentence_says_that_a_large_table_was_sampled() -> None:
    """The size of the sample is told with it."""
    sentence = describe_learning_curve(_curve(0.42, 0.43, 0.01), 99_998)
    assert sentence.endswith("(on the sample of 99,998 rows)")
