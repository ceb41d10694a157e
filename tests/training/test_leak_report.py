"""The leak report: what a careless evaluation would have claimed, and what a later period does."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from learnable_tables import draw_customers, make_table
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from churn_mlops.config.settings import DataSettings, TrainingSettings
from churn_mlops.data.table import CustomerTable, load_customers
from churn_mlops.errors import DataError
from churn_mlops.models.folds import DuplicateGroupedKFold, group_rows
from churn_mlops.models.metrics import Metrics, ScoreCounts
from churn_mlops.training.leak_report import build_leak_report
from churn_mlops.training.refitting import Rows, refit

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy.typing as npt

    from churn_mlops.registry.manifest import LeakCheck
    from churn_mlops.training import refitting

SETTINGS = TrainingSettings(folds=5, seed=0)
HONEST = Metrics(0.75, 0.5, 0.4, 0.1, 0.01, 2.0)
CUSTOMERS = draw_customers(400)
TABLE = make_table(CUSTOMERS[["tenure", "charges"]], CUSTOMERS["churned"].to_numpy())
SCHEMES = ["random rows", "grouped duplicates", "unseen customers", "later period"]


def report_on(estimator: Any, table: CustomerTable) -> dict[str, LeakCheck]:
    """Evaluate honestly, as the job does, and build the report beside it; by scheme."""
    fold = DuplicateGroupedKFold(SETTINGS.folds, SETTINGS.seed).assign(
        table.features, table.churned, table.customer_ids
    )
    fit_predict, probability = refit(estimator, table), np.empty(len(fold))
    for number in range(SETTINGS.folds):
        probability[fold == number] = fit_predict(np.flatnonzero(fold != number), np.flatnonzero(fold == number))
    honest = ScoreCounts.count(table.churned, probability).metrics()
    return {check.scheme: check for check in build_leak_report(fit_predict, table, fold, honest, SETTINGS)}


def auc(check: LeakCheck) -> float:
    """Give the figure of a check that has one."""
    assert check.roc_auc is not None
    return check.roc_auc


def never(train: Rows, test: Rows) -> npt.NDArray[np.float64]:
    """Stand for a model that must not be fitted."""
    raise AssertionError


def say_half(train: Rows, test: Rows) -> npt.NDArray[np.float64]:
    """Give every customer the same probability."""
    return np.full(len(test), 0.5)


def report_without_model(
    table: CustomerTable, fit_predict: refitting.FitPredict, observe: Callable[[str], None] = lambda name: None
) -> dict[str, LeakCheck]:
    """Build the report for a model that is made up."""
    fold = DuplicateGroupedKFold(5, 0).assign(table.features, table.churned, table.customer_ids)
    return {check.scheme: check for check in build_leak_report(fit_predict, table, fold, HONEST, SETTINGS, observe)}


def customers_with_fingerprints() -> CustomerTable:
    """Draw 200 customers of 5 rows each, alike but not equal; who leaves has nothing to do with the features."""
    random = np.random.default_rng(0)
    customer = np.repeat(np.arange(200), 5)
    fingerprint = random.normal(0, 1, 200)[customer] + random.normal(0, 1e-6, 1000)
    table = make_table(pd.DataFrame({"fingerprint": fingerprint}), (random.random(200) < 0.4)[customer])
    return dataclasses.replace(table, customer_ids=pd.Series(customer).astype("str"))


def at_days(table: CustomerTable, days: npt.NDArray[np.intp]) -> CustomerTable:
    """Say as of when each row is, in days after the first of January."""
    return dataclasses.replace(table, time=pd.Timestamp("2024-01-01", tz="UTC") + pd.Series(pd.to_timedelta(days, "D")))


def test_customers_who_can_be_recognised_leak_under_random_rows_only() -> None:
    """A tree that learns fingerprints is perfect on customers it has seen, and chance on those it has not."""
    found = report_on(DecisionTreeClassifier(random_state=0), customers_with_fingerprints())
    assert auc(found["random rows"]) > 0.95
    assert auc(found["unseen customers"]) == auc(found["grouped duplicates"]) == pytest.approx(0.5, abs=0.1)
    assert "200 customers have several rows" in found["unseen customers"].note
    assert found["random rows"].note.startswith("800 rows repeat an earlier one's features or customer (0 with")


def test_a_table_that_drifts_is_worse_in_the_later_period() -> None:
    """Where what used to keep customers drives them away in the end, only the later period tells."""
    random = np.random.default_rng(1)
    days, price = np.arange(2000) // 20, random.normal(0, 1, 2000)
    churned = random.random(2000) < 1 / (1 + np.exp(-2 * price * np.where(days >= 80, -1, 1)))
    found = report_on(
        DecisionTreeClassifier(max_depth=3), at_days(make_table(pd.DataFrame({"price": price}), churned), days)
    )
    assert auc(found["grouped duplicates"]) > 0.6
    assert auc(found["later period"]) < 0.3
    assert found["later period"].note.startswith(
        "fitted on 1,600 rows before 2024-03-21, tested on the 400 from then on; no gap was left"
    )


@pytest.fixture(scope="module")
def iranian(real_data: Callable[[str], Path]) -> CustomerTable:
    """A table of which 314 rows have the features of an earlier one, 300 of them its outcome too."""
    return load_customers(DataSettings(source="table", path=real_data("iranian.csv"), target="Churn", positive_label=1))


def test_duplicates_of_a_real_table_leak_under_random_rows(iranian: CustomerTable) -> None:
    """Neighbours are found among twins: random rows claim at least half a point of AUC more."""
    found = report_on(KNeighborsClassifier(5), iranian)
    assert auc(found["random rows"]) > auc(found["grouped duplicates"]) + 0.005


def test_duplicates_that_agree_leak_into_boosted_trees(iranian: CustomerTable) -> None:
    """Without the rows whose twins contradict them, boosted trees claim more under random rows, by both figures."""
    groups = group_rows(iranian.features)
    agree = (pd.Series(iranian.churned).groupby(groups).transform("nunique") == 1).to_numpy()
    table = make_table(iranian.features[agree].reset_index(drop=True), iranian.churned[agree])
    model = HistGradientBoostingClassifier(max_iter=60, learning_rate=0.15, min_samples_leaf=5, random_state=0)
    found = report_on(model, table)
    random, honest = found["random rows"], found["grouped duplicates"]
    assert random.log_loss is not None
    assert honest.log_loss is not None
    assert auc(random) > auc(honest)
    assert random.log_loss < honest.log_loss


def test_nothing_is_fitted_where_it_could_only_find_the_same() -> None:
    """No row repeats and there are no times: four lines in their order, three with the honest figure or a reason."""
    table = dataclasses.replace(TABLE, customer_ids=pd.Series(range(400)).astype("str"))
    found = report_without_model(table, never)
    assert list(found) == SCHEMES
    assert [check.roc_auc for check in found.values()] == [0.75, 0.75, 0.75, None]
    assert [check.log_loss for check in found.values()] == [0.4, 0.4, 0.4, None]
    assert "nothing to part" in found["random rows"].note
    assert "every customer has one row" in found["unseen customers"].note
    assert found["later period"].note == "data.time names no column"


def test_without_ids_nothing_is_claimed_of_unseen_customers() -> None:
    """Whether two rows are one customer's cannot be known where no column says so."""
    unseen = report_without_model(TABLE, never)["unseen customers"]
    assert (unseen.roc_auc, unseen.log_loss) == (None, None)
    assert unseen.note.startswith("data.customer_id names no column")


def test_rows_that_do_not_repeat_keep_their_fold() -> None:
    """Only twins move under random rows, so the figures differ by what they leak and not by another draw."""
    twice = pd.concat([TABLE.features, TABLE.features.iloc[:50]], ignore_index=True)
    table = make_table(twice, np.concatenate([TABLE.churned, ~TABLE.churned[:50]]))
    fold = DuplicateGroupedKFold(5, 0).assign(table.features, table.churned)
    tested: list[Rows] = []

    def note_tested(train: Rows, test: Rows) -> npt.NDArray[np.float64]:
        assert sorted([*train, *test]) == list(range(450))
        tested.append(test)
        return say_half(train, test)

    found = report_without_model(table, note_tested)
    assert [np.intersect1d(test, np.arange(400)).tolist() for test in tested] == [
        np.flatnonzero(fold[:400] == number).tolist() for number in range(5)
    ]
    assert any((fold[test] != number).any() for number, test in enumerate(tested))
    assert (
        "50 rows repeat an earlier one's features or customer (50 with the other outcome)" in found["random rows"].note
    )


def test_repeated_rows_are_dealt_out_by_outcome() -> None:
    """Each fold gets its share of the repeated churners, so that random rows are stratified as the folds are."""
    customers = customers_with_fingerprints()
    table = dataclasses.replace(customers, churned=np.arange(1000) % 10 == 1)
    tested: list[Rows] = []

    def note_tested(train: Rows, test: Rows) -> npt.NDArray[np.float64]:
        tested.append(test)
        return say_half(train, test)

    report_without_model(table, note_tested)
    assert [table.churned[test].sum() for test in tested] == [20] * 5


@pytest.mark.parametrize(
    ("days", "train", "cut"),
    [
        (np.arange(400), 320, "2024-11-16"),
        (np.repeat([0, 1], 200), 200, "2024-01-02"),
        (np.repeat([0, 1, 2], [250, 100, 50]), 350, "2024-01-03"),
    ],
)
def test_the_later_period_is_about_a_fifth_and_parts_no_day(days: npt.NDArray[np.intp], train: int, cut: str) -> None:
    """The cut is the time that leaves nearest to 20 % of the rows after it."""
    note = report_without_model(at_days(TABLE, days), say_half)["later period"].note
    assert note.startswith(f"fitted on {train} rows before {cut}, tested on the {400 - train} from then on")


def test_a_cut_within_a_day_says_the_time() -> None:
    """Rows of one day that differ by the hour are told apart."""
    time = pd.Series(pd.date_range("2024-01-01", periods=400, freq="min", tz="UTC"))
    note = report_without_model(dataclasses.replace(TABLE, time=time), say_half)["later period"].note
    assert "before 2024-01-01 05:20:00 UTC" in note


@pytest.mark.parametrize(
    ("days", "churned", "said"),
    [
        (np.zeros(400, dtype=int), TABLE.churned, "every row is of 2024-01-01"),
        (np.arange(400), np.arange(400) >= 320, "too few churners or customers who stayed"),
        (np.arange(400), np.arange(400) % 5 < 2 * (np.arange(400) < 320), "too few churners or customers who stayed"),
        (np.arange(400), np.arange(400) % 5 < 2 * (np.arange(400) < 340), "too few churners or customers who stayed"),
    ],
)
def test_a_later_period_that_says_nothing_is_not_measured(
    days: npt.NDArray[np.intp], churned: npt.NDArray[np.bool_], said: str
) -> None:
    """One time only, or one outcome before or after the cut, gives a reason in place of a figure."""
    later = report_without_model(at_days(dataclasses.replace(TABLE, churned=churned), days), never)["later period"]
    assert later.roc_auc is None
    assert later.note.startswith(said)


def test_a_model_that_cannot_be_fitted_on_the_earlier_rows_is_no_end() -> None:
    """The main evaluation stands, and the report says what was wrong."""

    def refuse(train: Rows, test: Rows) -> npt.NDArray[np.float64]:
        message = "too few rows differ."
        raise DataError(message)

    later = report_without_model(at_days(TABLE, np.arange(400)), refuse)["later period"]
    assert (later.roc_auc, later.note.endswith("too few rows differ.")) == (None, True)


def test_what_is_evaluated_is_told_first() -> None:
    """Whoever watches hears only of what is fitted."""
    begun: list[str] = []
    report_without_model(at_days(customers_with_fingerprints(), np.arange(1000)), say_half, begun.append)
    assert begun == ["random rows", "later period"]
