"""Reasons: which features moved this customer's risk, by how much in log-odds, and in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from churn_mlops.inference.encoding import Value  # noqa: TC001 - an answer of the service is made of Reasons

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from churn_mlops.models.signature import Feature, Signature


@dataclass(frozen=True, slots=True)
class Reason:
    """One feature's part in a score.

    Attributes:
        feature: its name.
        value: what the customer has; None where it is missing.
        contribution: change of the log-odds of churn against the average customer; positive raises the risk.
        text: the same in words.
    """

    feature: str
    value: Value
    contribution: float
    text: str


def explain(
    signature: Signature, values: Sequence[Value], contributions: npt.NDArray[np.float32], count: int
) -> list[Reason]:
    """Give the strongest reasons first.

    Args:
        signature: the features.
        values: the customer's, in the signature's order.
        contributions: float32 [features], in log-odds.
        count: how many reasons; 0 for all.
    """
    order = np.argsort(-np.abs(contributions), kind="stable")[: count or None]
    return [
        Reason(feature.name, values[place], contribution, _describe(feature, values[place], contribution))
        for place in order.tolist()
        for feature, contribution in [(signature.features[place], float(contributions[place]))]
    ]


_EFFECT = {1: "raises the risk", -1: "lowers the risk", 0: "leaves the risk as it is"}


def _describe(feature: Feature, value: Value, contribution: float) -> str:
    effect = _EFFECT[int(np.sign(contribution))]
    if value is None:
        return f"{feature.name} is missing: {effect}"
    if feature.typical is None:
        usual = "never present in training"
    elif feature.kind == "numeric":
        usual = "the median" if value == feature.typical else f"median {_show(feature.typical)}"
    else:
        usual = "the most frequent" if value == feature.typical else f"most often {_show(feature.typical)}"
    return f"{feature.name} is {_show(value)} ({usual}): {effect}"


def _show(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:,.6g}" if isinstance(value, float | int) else str(value)
