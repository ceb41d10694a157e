"""Reasons: which features moved a customer's risk, by how much in log-odds, and in words."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

import numpy as np
from typing_extensions import TypedDict

from churn_mlops.inference.encoding import Value  # noqa: TC001 - an answer of the service is made of Reasons

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import numpy.typing as npt

    from churn_mlops.models.signature import Feature, Signature


class Reason(TypedDict):
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


_EFFECT: Final = {1: "raises the risk", -1: "lowers the risk", 0: "leaves the risk as it is"}

_REMEMBERED: Final = 1024
"""How many texts of a feature are kept: those of its categories, and of the numbers that come again and again."""


class Explainer:
    """Puts contributions into words.

    Args:
        signature: the features that they belong to.
    """

    def __init__(self, signature: Signature) -> None:
        self._features = tuple((feature.name, _describer(feature)) for feature in signature.features)

    def explain(
        self, customers: Sequence[Mapping[str, Value]], contributions: npt.NDArray[np.float32], count: int
    ) -> list[list[Reason]]:
        """Give each customer's strongest reasons first; equals stay in the signature's order.

        Args:
            customers: the values of each, by feature; one that is absent is missing.
            contributions: float32 [customers, features], in log-odds.
            count: how many reasons; 0 for all.
        """
        order = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, : count or None]
        return [
            [self._explain(values, place, sizes[place]) for place in places]
            for values, places, sizes in zip(customers, order.tolist(), contributions.tolist(), strict=True)
        ]

    def _explain(self, values: Mapping[str, Value], place: int, contribution: float) -> Reason:
        name, describe = self._features[place]
        value = values.get(name)
        sign = (contribution > 0) - (contribution < 0)
        return {"feature": name, "value": value, "contribution": contribution, "text": describe(value, sign)}


def _describer(feature: Feature) -> Callable[[Value, int], str]:
    """Give the function that describes a value of a feature whose contribution has a sign."""

    # typed: True and 1.0 are equal, but are not shown alike
    @lru_cache(_REMEMBERED, typed=True)
    def describe(value: Value, sign: int) -> str:
        if value is None:
            return f"{feature.name} is missing: {_EFFECT[sign]}"
        return f"{feature.name} is {_show(value)} ({_usual(feature, value)}): {_EFFECT[sign]}"

    return describe


def _usual(feature: Feature, value: Value) -> str:
    if feature.typical is None:
        return "never present in training"
    if feature.kind == "numeric":
        return "the median" if value == feature.typical else f"median {_show(feature.typical)}"
    return "the most frequent" if value == feature.typical else f"most often {_show(feature.typical)}"


def _show(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:,.6g}" if isinstance(value, float | int) else str(value)
