"""Chooses the decision of a version on out-of-fold predictions, and says what it would have earned."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from churn_mlops.errors import DataError
from churn_mlops.models.decision import (
    Campaign,
    bootstrap_means,
    contact_top_decile,
    find_capacity_threshold,
    find_correction,
)
from churn_mlops.models.decision_curve import DecisionCurve, draw_profit, draw_reach
from churn_mlops.registry.manifest import Decision, Estimate, ProfitComparison, ProfitParameters, RuleProfit

if TYPE_CHECKING:
    import numpy.typing as npt

    from churn_mlops.config.settings import DecisionSettings, Settings, TrainingSettings
    from churn_mlops.data.table import CustomerTable

    Floats = npt.NDArray[np.float64]


def choose_decision(
    settings: Settings, table: CustomerTable, probability: Floats, everyone: CustomerTable | None = None
) -> Decision:
    """Choose the threshold that `decision.mode` asks for.

    Args:
        settings: the configuration.
        table: the customers; with their values if `decision.customer_value` names a column.
        probability: float64 [rows], predicted by models that never saw the customer.
        everyone: all customers, where `table` is a random sample of them: a capacity in customers, the mean value and
            the totals are theirs, and what the sample says per customer is taken to hold for them.

    Returns:
        The decision, with the share that it selects and, by profit, what it would have earned beside other rules.

    Raises:
        DataError: no customer is worth anything.
    """
    chosen = settings.decision
    everyone = everyone or table
    value = _values(chosen, table)
    parameters = None
    if chosen.mode == "profit":
        parameters = _find_parameters(chosen, table, probability, value, float(_values(chosen, everyone).mean()))
    draft = Decision(
        mode=chosen.mode,
        threshold=_find_threshold(chosen, probability, parameters, len(everyone.churned)),
        medium_risk=chosen.medium_risk,
        high_risk=chosen.high_risk,
        capacity=chosen.capacity if chosen.mode == "capacity" else None,
        parameters=parameters,
    )
    contacted = probability >= draft.thresholds(value)
    figures = {
        "selected_share": float(contacted.mean()),
        "reached_share": float(table.churned[contacted].sum() / table.churned.sum()),
    }
    if parameters is None:
        return draft.model_copy(update=figures)
    profit = parameters.campaign.profit(table.churned, value)
    compared = _compare(profit, probability, contacted, len(everyone.churned), settings.training)
    return draft.model_copy(update=figures | {"profit": compared})


def draw_decision(decision: Decision, table: CustomerTable, probability: Floats) -> DecisionCurve:
    """Draw what contacting more and more customers earns (by profit) or reaches (else), with the decision's own point.

    Args:
        decision: as `choose_decision` made it on the same customers.
        table: the customers.
        probability: float64 [rows], predicted by models that never saw the customer.
    """
    parameters = decision.parameters
    if parameters is None:
        return draw_reach(table.churned, probability, probability >= decision.threshold)
    value = np.full(len(probability), parameters.customer_value)
    if parameters.value_column is not None:
        assert table.customer_value is not None  # noqa: S101 - the table was read with this column
        value = table.customer_value
    contacted = probability >= decision.thresholds(value)
    return draw_profit(parameters.campaign, table.churned, probability, value, contacted)


def _values(chosen: DecisionSettings, table: CustomerTable) -> Floats:
    """Give each customer's value, float64 [rows]; zeros where the decision does not need it."""
    if isinstance(chosen.customer_value, float):
        return np.full(len(table.churned), chosen.customer_value)
    if chosen.value_column is None:
        return np.zeros(len(table.churned))
    assert table.customer_value is not None  # noqa: S101 - the table was read with this column
    if not table.customer_value.any():
        raise DataError(f"decision.customer_value names {chosen.value_column!r}, which is 0 for every customer.")
    return table.customer_value


def _find_parameters(
    chosen: DecisionSettings, table: CustomerTable, probability: Floats, value: Floats, mean_value: float
) -> ProfitParameters:
    assert chosen.offer_cost is not None and chosen.save_rate is not None  # noqa: S101, PT018 - else no valid settings
    campaign = Campaign(chosen.offer_cost, chosen.save_rate)
    return ProfitParameters(
        customer_value=mean_value if chosen.value_column else float(value[0]),
        value_column=chosen.value_column,
        offer_cost=campaign.offer_cost,
        save_rate=campaign.save_rate,
        correction=find_correction(campaign, table.churned, probability, value),
    )


def _find_threshold(
    chosen: DecisionSettings, probability: Floats, parameters: ProfitParameters | None, customers: int
) -> float:
    if parameters is not None:
        return float(parameters.correction * parameters.campaign.break_even(parameters.customer_value))
    if chosen.mode == "capacity":
        assert chosen.capacity is not None  # noqa: S101 - else no valid settings
        return find_capacity_threshold(probability, chosen.capacity, customers)
    return chosen.threshold


def _compare(
    profit: Floats, probability: Floats, contacted: npt.NDArray[np.bool_], customers: int, training: TrainingSettings
) -> ProfitComparison:
    rows = len(profit)
    rules = {
        "chosen": contacted.astype(np.float64),
        "nobody": np.zeros(rows),
        "everybody": np.ones(rows),
        "top_decile": contact_top_decile(probability),
    }
    earned = np.column_stack([*rules.values()]) * profit[:, None] + 0.0  # no figure is -0
    # resampled together, so that the interval of a difference is that of the same customers under both rules
    both = np.hstack([earned, earned[:, :1] - earned])
    means = bootstrap_means(both, training.bootstrap_resamples, training.seed)
    estimates = [Estimate(value=mean.value, low=mean.low, high=mean.high) for mean in means]
    pairs = zip(estimates[: len(rules)], estimates[len(rules) :], strict=True)
    return ProfitComparison(
        **{
            name: RuleProfit(
                contacted_share=float(contact.mean()),
                per_customer=mean,
                total=_scale(mean, customers),
                chosen_gain=gain,
            )
            for (name, contact), (mean, gain) in zip(rules.items(), pairs, strict=True)
        }
    )


def _scale(estimate: Estimate, factor: int) -> Estimate:
    return Estimate(value=estimate.value * factor, low=estimate.low * factor, high=estimate.high * factor)
