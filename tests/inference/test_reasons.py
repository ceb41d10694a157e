"""Reasons are true: they are the model's own contributions, strongest first, in words that fit the value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from msgspec.structs import asdict
from worded_signature import WORDED

from churn_mlops.inference.reasons import Explainer, Reason
from churn_mlops.models.parity import build_edge_rows
from churn_mlops.models.signature import Feature, Signature

if TYPE_CHECKING:
    import pandas as pd

    from churn_mlops.inference.encoding import Value
    from churn_mlops.inference.scorer import Scorer
    from churn_mlops.models.churn_model import ChurnModel

SIGNATURE = Signature(
    features=(
        Feature(name="age", kind="numeric", minimum=18, maximum=90, typical=40.5),
        Feature(name="plan", kind="categorical", categories=("basic", "plus"), typical="basic"),
        Feature(name="paperless", kind="boolean", typical=False),
        Feature(name="empty", kind="numeric"),
    )
)
VALUES: list[Value] = [35.0, "plus", True, None]


def explain_with(contributions: list[float], count: int = 0, values: list[Value] = VALUES) -> list[Reason]:
    """Explain a customer by these contributions."""
    customer = dict(zip(SIGNATURE.names, values, strict=True))
    return Explainer(SIGNATURE).explain(customer, contributions, count)


@pytest.mark.parametrize(
    ("contributions", "expected"),
    [
        ([0.5, -2, 1, 0], ["plan", "paperless", "age", "empty"]),
        ([-0.1, 0.2, -0.3, 0.4], ["empty", "paperless", "plan", "age"]),
        ([1, -1, 1, -1], ["age", "plan", "paperless", "empty"]),
        ([0, 0, 0, 0], ["age", "plan", "paperless", "empty"]),
    ],
)
def test_the_strongest_come_first(contributions: list[float], expected: list[str]) -> None:
    """The order is by size, whatever the sign; equals stay in the signature's order."""
    assert [reason["feature"] for reason in explain_with(contributions)] == expected


@pytest.mark.parametrize(("count", "given"), [(0, 4), (1, 1), (3, 3), (4, 4), (5, 4), (10**30, 4)])
def test_as_many_as_asked_for(count: int, given: int) -> None:
    """The count is how many; 0 and more than there are is all of them."""
    assert len(explain_with([1, 2, 3, 4], count)) == given


def test_a_reason_carries_the_customers_value_and_the_contribution() -> None:
    """A reason belongs to its feature: name, value as sent and contribution are of the same one."""
    reason = explain_with([0.25, -2, 1, 0], 1)[0]
    assert (reason["feature"], reason["value"], reason["contribution"]) == ("plan", "plus", -2.0)


@pytest.mark.parametrize(
    ("feature", "value", "contribution", "text"),
    [
        ("age", 35.0, 0.5, "age is 35 (median 40.5): raises the risk"),
        ("age", 35.0, -0.5, "age is 35 (median 40.5): lowers the risk"),
        ("age", 40.5, 0.5, "age is 40.5 (the median): raises the risk"),
        ("age", 12345.5, 0.0, "age is 12,345.5 (median 40.5): leaves the risk as it is"),
        ("age", 1e300, 0.5, "age is 1e+300 (median 40.5): raises the risk"),
        ("age", -0.0, 0.5, "age is 0 (median 40.5): raises the risk"),
        ("age", None, 0.5, "age is missing: raises the risk"),
        ("plan", "plus", -0.5, "plan is plus (most often basic): lowers the risk"),
        ("plan", "basic", -0.5, "plan is basic (the most frequent): lowers the risk"),
        ("plan", "never seen", 0.5, "plan is never seen (most often basic): raises the risk"),
        ("plan", "{0} %s", 0.5, "plan is {0} %s (most often basic): raises the risk"),
        ("plan", None, -0.5, "plan is missing: lowers the risk"),
        ("paperless", True, 0.5, "paperless is true (most often false): raises the risk"),
        ("paperless", False, -0.5, "paperless is false (the most frequent): lowers the risk"),
        ("paperless", None, 0.0, "paperless is missing: leaves the risk as it is"),
        ("empty", 3.0, 0.0, "empty is 3 (never present in training): leaves the risk as it is"),
    ],
)
def test_a_reason_says_in_words_what_it_says_in_figures(
    feature: str, value: Value, contribution: float, text: str
) -> None:
    """The words name the value, what is usual, and the direction, for every kind and for a missing value."""
    place = SIGNATURE.names.index(feature)
    values, contributions = list(VALUES), [0.0, 0.0, 0.0, 0.0]
    values[place], contributions[place] = value, contribution
    reasons = explain_with(contributions, 0, values)
    assert next(reason["text"] for reason in reasons if reason["feature"] == feature) == text


def test_contributions_add_up_to_the_estimators_log_odds(
    sample_scorer: Scorer, sample_estimator: ChurnModel, sample_features: pd.DataFrame
) -> None:
    """On every customer and edge row, intercept plus all reasons are the log-odds before calibration, within 1e-5."""
    signature, intercept = sample_scorer.manifest.signature, sample_scorer.manifest.explanation.intercept
    for frame in (sample_features, build_edge_rows(signature)):
        scores = sample_scorer.score(sample_estimator.encoder_.transform(frame).astype(np.float32))
        reasons = [Explainer(signature).explain({}, row, 0) for row in scores.contributions.tolist()]
        total = [intercept + sum(reason["contribution"] for reason in customer) for customer in reasons]
        np.testing.assert_allclose(total, sample_estimator.decision_function(frame), rtol=0, atol=1e-5)


def test_the_average_customer_of_the_training_table_has_no_contributions(
    sample_scorer: Scorer, sample_estimator: ChurnModel, sample_features: pd.DataFrame
) -> None:
    """Contributions are against the average customer: over the training rows, each feature's average 0."""
    matrix = sample_estimator.encoder_.transform(sample_features).astype(np.float32)
    means = sample_scorer.score(matrix).contributions.astype(np.float64).mean(axis=0)
    np.testing.assert_allclose(means, 0, atol=1e-6)


def test_many_customers_are_explained_as_each_alone() -> None:
    """Among several, a customer's reasons are from its own values and contributions, in the same order as alone."""
    contributions = np.array([[1, 0, 0, 0], [0.5, -1, 1, 0], [-1, 0, 0, 1]], dtype=np.float32)
    customers: list[list[Value]] = [[35.0, None, None, None], [None, "plus", None, None], [35.0, None, None, None]]
    explainer = Explainer(SIGNATURE)
    together = explainer.explain_columns(list(zip(*customers, strict=True)), contributions, 0)
    alone = [
        explainer.explain(dict(zip(SIGNATURE.names, values, strict=True)), row, 0)
        for values, row in zip(customers, contributions.tolist(), strict=True)
    ]
    assert [[asdict(reason) for reason in reasons] for reasons in together] == alone
    assert [reasons[0].text for reasons in together] == [
        "age is 35 (median 40.5): raises the risk",
        "plan is plus (most often basic): lowers the risk",
        "age is 35 (median 40.5): lowers the risk",
    ]


@pytest.mark.parametrize(
    ("feature", "values", "text"),
    [
        ("login_events_30d", {}, "login events in the last 30 days are missing"),
        ("login_events_30d", {"login_events_30d": 2}, "2 login events in the last 30 days (median 9)"),
        ("login_events_30d", {"login_events_30d": 1.0}, "1 login event in the last 30 days (median 9)"),
        ("login_events_30d", {"login_events_30d": 9}, "9 login events in the last 30 days (the median)"),
        ("tenure_days", {"tenure_days": 1.04}, "1 day since the first event (median 412)"),
        ("tenure_days", {"tenure_days": 3.4567}, "3.5 days since the first event (median 412)"),
        ("tenure_days", {"tenure_days": 1e12}, "1e+12 days since the first event (median 412)"),
        ("share", {"share": 1 / 3}, "share of payments that failed is 33.3% (median 25%)"),
        ("share", {"share": 0.01}, "share of payments that failed is 1% (median 25%)"),
        ("share", {}, "share of payments that failed is missing"),
        ("gap_ratio", {"gap_ratio": 5.2345}, "ratio of this to that is 5.23 (median 1)"),
        ("gap_ratio", {"gap_ratio": 0.012345}, "ratio of this to that is 0.0123 (median 1)"),
        ("amount", {"amount": 99.999}, "sum of all amounts so far is 100 (median 1,234.57)"),
        (
            "login_trend_30d",
            {"login_trend_30d": -7, "login_events_30d": 2},
            "login events fell from 9 to 2 in 30 days (median 1 fewer)",
        ),
        (
            "login_trend_30d",
            {"login_trend_30d": 3.0, "login_events_30d": 1200.0},
            "login events rose from 1,197 to 1,200 in 30 days (median 1 fewer)",
        ),
        (
            "login_trend_30d",
            {"login_trend_30d": 0, "login_events_30d": 2},
            "login events stayed at 2 in 30 days (median 1 fewer)",
        ),
        (
            "login_trend_30d",
            {"login_trend_30d": -1, "login_events_30d": 0},
            "login events fell from 1 to 0 in 30 days (the median change)",
        ),
        (
            "login_trend_30d",
            {"login_trend_30d": -7},
            "login events: 7 fewer in the last 30 days than in the 30 before (median 1 fewer)",
        ),
        (
            "login_trend_30d",
            {"login_trend_30d": 0},
            "login events: as many in the last 30 days as in the 30 before (median 1 fewer)",
        ),
        ("login_trend_30d", {"login_events_30d": 2}, "the change of login events in 30 days is missing"),
        ("plan", {"plan": "plus"}, "plan is plus (most often basic)"),
    ],
)
def test_features_of_a_log_are_put_into_their_own_words(feature: str, values: dict[str, Value], text: str) -> None:
    """Counts come first, shares in per cent, and a trend says from where to where; alike one by one and together."""
    contributions = [1.0 if name == feature else 0.0 for name in WORDED.names]
    explainer = Explainer(WORDED)
    assert explainer.explain(values, contributions, 1)[0]["text"] == f"{text}: raises the risk"
    columns: list[list[Value]] = [[values.get(name)] for name in WORDED.names]
    ((reason,),) = explainer.explain_columns(columns, np.array([contributions], dtype=np.float32), 1)
    assert reason.text == f"{text}: raises the risk"
