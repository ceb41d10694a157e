"""The decision that is stored: the threshold worked out by hand, and profits that anyone can compute again."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from learnable_tables import make_table

from churn_mlops.config.settings import (
    ArtifactsSettings,
    DataSettings,
    DecisionSettings,
    EvaluationSettings,
    Settings,
    TrainingSettings,
)
from churn_mlops.data.table import load_customers
from churn_mlops.errors import DataError
from churn_mlops.models.folds import DuplicateGroupedKFold
from churn_mlops.models.logistic import build_logistic
from churn_mlops.training.candidates import cross_validate
from churn_mlops.training.deciding import choose_decision, draw_decision
from churn_mlops.training.job import train_baseline

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from churn_mlops.data.table import CustomerTable
    from churn_mlops.registry.manifest import Decision

    Floats = npt.NDArray[np.float64]

PLANS = pd.DataFrame({"plan": pd.Categorical(np.repeat(["a", "b", "c"], 100))})
LEFT = np.concatenate([np.arange(100) < left for left in (10, 30, 80)])
BY_PLAN = np.repeat([0.1, 0.3, 0.8], 100)


def decide(table: CustomerTable, probability: Floats, **keys: Any) -> Decision:
    """Choose by some keys of the configuration, with few resamples."""
    training = TrainingSettings(bootstrap_resamples=200)
    return choose_decision(
        Settings(decision=DecisionSettings.model_validate(keys), training=training), table, probability
    )


def decide_on_a_third(**keys: Any) -> tuple[Decision, Decision]:
    """Decide on 300 customers, and on the same thrice over of whom those 300 are the sample."""
    sample = three_plans(np.repeat([60.0, 100.0, 140.0], 100))
    whole, settings = sample.take(np.tile(np.arange(300), 3)), DecisionSettings.model_validate(keys)
    training = TrainingSettings(bootstrap_resamples=200)
    both = Settings(decision=settings, training=training)
    return choose_decision(both, sample, BY_PLAN, whole), choose_decision(both, whole, np.tile(BY_PLAN, 3))


def test_a_capacity_in_customers_is_one_of_all_customers() -> None:
    """300 of 900 customers are the hundred of the sample's 300 who are most at risk, not all of them."""
    of_sample, of_all = decide_on_a_third(mode="capacity", capacity=300)
    assert of_sample.threshold == of_all.threshold == 0.8
    assert of_sample.selected_share == of_all.selected_share == pytest.approx(1 / 3)
    assert of_sample.capacity == 300


def test_a_share_is_a_share_of_a_sample_too() -> None:
    """Nothing is to be converted."""
    of_sample, of_all = decide_on_a_third(mode="capacity", capacity=0.7)
    assert of_sample.threshold == of_all.threshold == 0.3


def test_totals_and_mean_value_are_those_of_all_customers() -> None:
    """What a customer of the sample earns is what each of all customers earns."""
    keys = {"mode": "profit", "customer_value": "value", "offer_cost": 10, "save_rate": 0.5}
    of_sample, of_all = decide_on_a_third(**keys)
    assert of_sample.profit is not None
    assert of_all.profit is not None
    assert of_sample.profit.chosen.total.value == pytest.approx(of_all.profit.chosen.total.value)
    assert of_sample.profit.chosen.per_customer.value == pytest.approx(of_all.profit.chosen.per_customer.value)
    assert of_sample.profit.chosen.total.low == pytest.approx(of_sample.profit.chosen.per_customer.low * 900)
    assert of_sample.threshold == of_all.threshold
    sample = three_plans(np.full(300, 50.0))
    everyone = dataclasses.replace(sample, customer_value=np.full(300, 200.0))
    found = choose_decision(Settings(decision=DecisionSettings.model_validate(keys)), sample, BY_PLAN, everyone)
    assert found.parameters is not None
    assert found.parameters.customer_value == 200


def three_plans(value: npt.ArrayLike | None = None) -> CustomerTable:
    """Make 300 customers on three plans, of whom 10, 30 and 80 in 100 leave."""
    table = make_table(PLANS, LEFT)
    return table if value is None else dataclasses.replace(table, customer_value=np.asarray(value, dtype=np.float64))


def test_the_profit_of_three_plans_by_hand() -> None:
    """Break-even is 10 / (0.5 * 100); the two riskier plans are contacted and earn 110 * 50 - 200 * 10."""
    found = decide(three_plans(), BY_PLAN, mode="profit", customer_value=100, offer_cost=10, save_rate=0.5)
    assert found.threshold == 0.2
    assert [found.selected_share, found.reached_share] == pytest.approx([2 / 3, 110 / 120])
    assert found.profit is not None
    rules = [found.profit.chosen, found.profit.nobody, found.profit.everybody, found.profit.top_decile]
    assert [rule.total.value for rule in rules] == pytest.approx([3500, 0, 3000, 24 * 50 - 300])
    assert [rule.per_customer.value * 300 for rule in rules] == pytest.approx([3500, 0, 3000, 900])
    assert [rule.chosen_gain.value * 300 for rule in rules] == pytest.approx([0, 3500, 500, 2600])
    assert [rule.contacted_share for rule in rules] == pytest.approx([2 / 3, 0, 1, 0.1])


def test_every_figure_lies_in_its_interval() -> None:
    """Nobody is exactly 0; the others vary, and the gain over nobody is the profit itself."""
    found = decide(three_plans(), BY_PLAN, mode="profit", customer_value=100, offer_cost=10, save_rate=0.5).profit
    assert found is not None
    for rule in (found.chosen, found.everybody, found.top_decile):
        for estimate in (rule.per_customer, rule.total):
            assert estimate.low < estimate.value < estimate.high
        assert rule.total.low == pytest.approx(rule.per_customer.low * 300)
    assert found.nobody.chosen_gain == found.chosen.per_customer
    assert set(found.nobody.total.model_dump().values()) == set(found.chosen.chosen_gain.model_dump().values()) == {0}
    assert "-0" not in found.model_dump_json().replace("e-0", "").split(":")


def test_values_per_customer_by_hand() -> None:
    """Where the riskiest plan is worth too little to save, only the middle one is contacted."""
    value = np.repeat([100.0, 100.0, 20.0], 100)
    found = decide(three_plans(value), BY_PLAN, mode="profit", customer_value="worth", offer_cost=10, save_rate=0.5)
    assert found.parameters is not None
    assert found.parameters.value_column == "worth"
    assert found.parameters.customer_value == pytest.approx(220 / 3)
    assert found.threshold == pytest.approx(10 / (0.5 * 220 / 3))
    assert found.selected_share == pytest.approx(1 / 3)
    assert found.profit is not None
    assert found.profit.chosen.total.value == pytest.approx(30 * 50 - 100 * 10)
    assert found.profit.everybody.total.value == pytest.approx(40 * 50 + 80 * 10 - 3000)


def test_an_offer_that_never_pays_is_made_to_nobody() -> None:
    """If it costs more than it can save, no probability is enough, and nothing is earned or lost."""
    found = decide(three_plans(), BY_PLAN, mode="profit", customer_value=100, offer_cost=60, save_rate=0.5)
    assert (found.threshold, found.selected_share) == (1.2, 0)
    assert not found.predicts_churn(1.0)
    assert found.profit is not None
    assert found.profit.chosen.total.value == 0


def test_a_free_offer_is_made_to_everybody() -> None:
    """Nothing can be lost by it."""
    found = decide(three_plans(), BY_PLAN, mode="profit", customer_value=100, offer_cost=0, save_rate=0.5)
    assert (found.threshold, found.selected_share) == (0, 1)


def test_customers_worth_nothing_are_refused() -> None:
    """A column of zeros is a mistake, not a value."""
    with pytest.raises(DataError, match=r"decision\.customer_value names 'worth', which is 0 for every customer"):
        decide(three_plans(np.zeros(300)), BY_PLAN, mode="profit", customer_value="worth", offer_cost=1, save_rate=0.5)


@pytest.mark.parametrize(
    ("capacity", "threshold", "share"), [(100, 0.8, 1 / 3), (150, 0.8, 1 / 3), (0.7, 0.3, 2 / 3), (10, 0.8, 1 / 3)]
)
def test_capacity_stores_what_it_really_selects(capacity: float, threshold: float, share: float) -> None:
    """Plans are contacted whole, so the share is that of whole plans."""
    found = decide(three_plans(), BY_PLAN, mode="capacity", capacity=capacity)
    assert (found.mode, found.capacity, found.threshold) == ("capacity", capacity, threshold)
    assert found.selected_share == pytest.approx(share)
    assert (found.parameters, found.profit) == (None, None)


def test_a_threshold_is_kept_with_what_it_selects() -> None:
    """Keys of another mode change nothing, and are not stored."""
    found = decide(three_plans(), BY_PLAN, threshold=0.5, capacity=10, medium_risk=0.1, high_risk=0.2)
    assert (found.mode, found.threshold, found.medium_risk, found.high_risk) == ("threshold", 0.5, 0.1, 0.2)
    assert (found.capacity, found.parameters, found.profit) == (None, None, None)
    assert [found.selected_share, found.reached_share] == pytest.approx([1 / 3, 80 / 120])


@pytest.fixture(scope="module")
def telco() -> tuple[CustomerTable, Floats]:
    """The sample table with its monthly charges as values, and out-of-fold probabilities."""
    table = load_customers(DataSettings(), "monthly_charges")
    fold = DuplicateGroupedKFold(3, 0).assign(table.features, table.churned)
    candidate = cross_validate("logistic", build_logistic(table.kinds), {}, table, fold, 20, lambda number: None)
    return table, candidate.probability


@pytest.mark.parametrize("customer_value", [70.0, "monthly_charges"])
def test_the_profit_on_telco_is_reproduced_row_by_row(
    telco: tuple[CustomerTable, Floats], customer_value: float | str
) -> None:
    """From outcome, probability and value alone, a loop without the product's code gets the stored profits."""
    table, probability = telco
    keys = {"mode": "profit", "customer_value": customer_value, "offer_cost": 5, "save_rate": 0.3}
    found = decide(table, probability, **keys)
    charges = table.features["monthly_charges"] if isinstance(customer_value, str) else [customer_value] * 7043
    rows = list(zip(table.churned.tolist(), probability.tolist(), list(charges), strict=True))
    assert found.parameters is not None
    cut = found.parameters.correction * 5
    contacted = [(left, value) for left, p, value in rows if 0.3 * p * value >= cut]
    assert found.selected_share == len(contacted) / 7043
    assert found.profit is not None
    assert found.profit.chosen.total.value == pytest.approx(sum(0.3 * value * left - 5 for left, value in contacted))
    riskiest = sorted(rows, key=lambda row: -row[1])[:704]
    decile = sum(0.3 * value * left - 5 for left, _, value in riskiest)
    assert found.profit.top_decile.total.value == pytest.approx(decile, abs=30)  # one tie at the edge
    assert found.profit.everybody.total.value == pytest.approx(sum(0.3 * v * left - 5 for left, _, v in rows))


def test_on_telco_the_decision_earns_more_than_any_plain_rule(telco: tuple[CustomerTable, Floats]) -> None:
    """The whole interval of each difference lies above 0: what the decision is for."""
    found = decide(*telco, mode="profit", customer_value="monthly_charges", offer_cost=5, save_rate=0.3).profit
    assert found is not None
    gains = [rule.chosen_gain.low for rule in (found.nobody, found.everybody, found.top_decile)]
    assert min(gains) > 0


@pytest.mark.parametrize(
    ("keys", "quantity"),
    [
        ({"threshold": 0.4}, "share of churners reached"),
        ({"mode": "capacity", "capacity": 500}, "share of churners reached"),
        ({"mode": "profit", "customer_value": 90, "offer_cost": 5, "save_rate": 0.3}, "profit per customer"),
        ({"mode": "profit", "customer_value": "fee", "offer_cost": 5, "save_rate": 0.3}, "profit per customer"),
    ],
)
def test_the_curve_passes_through_the_decision(
    telco: tuple[CustomerTable, Floats], keys: dict[str, Any], quantity: str
) -> None:
    """Its point is what the decision stores, and lies on the line."""
    decision = decide(*telco, **keys)
    curve = draw_decision(decision, *telco)
    stored = decision.profit.chosen.per_customer.value if decision.profit else decision.reached_share
    assert curve.quantity == quantity
    assert [curve.chosen_share, curve.chosen_height] == pytest.approx([decision.selected_share, stored])
    on_line = float(np.interp(curve.chosen_share, curve.contacted_share, curve.height))
    assert on_line == pytest.approx(curve.chosen_height, abs=0.02)


def test_the_manifests_profit_follows_from_the_file_beside_it(real_data: Callable[[str], Path], tmp_path: Path) -> None:
    """A loop over out_of_fold.csv that knows nothing of the product gets the stored profits."""
    version = train_baseline(
        Settings(
            data=DataSettings(source="table", path=real_data("telco.csv"), target="Churn", positive_label="Yes"),
            training=TrainingSettings(bootstrap_resamples=100, budget_seconds=1e-6),
            evaluation=EvaluationSettings(leak_report=False, learning_curve=False),
            decision=DecisionSettings(mode="profit", customer_value="MonthlyCharges", offer_cost=5, save_rate=0.3),
            artifacts=ArtifactsSettings(path=tmp_path),
        )
    ).manifest.version
    folder = tmp_path / "models" / version
    decision = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["decision"]
    with (folder / "out_of_fold.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    chosen, everybody = [], []
    for row in rows:
        value, probability = float(row["customer_value"]), float(row["churn_probability"])
        profit = 0.3 * value * int(row["churned"]) - 5
        everybody.append(profit)
        if probability * 0.3 * value >= decision["parameters"]["correction"] * 5:
            chosen.append(profit)
    assert decision["selected_share"] == len(chosen) / 7043
    stored = decision["profit"]
    assert [stored[rule]["total"]["value"] for rule in ("chosen", "everybody")] == pytest.approx(
        [math.fsum(chosen), math.fsum(everybody)], rel=1e-12
    )
