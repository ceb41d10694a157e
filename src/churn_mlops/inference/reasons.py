"""Reasons: which features moved a customer's risk, by how much in log-odds, and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from typing_extensions import TypedDict

from churn_mlops.inference.encoding import Value
from churn_mlops.inference.records import ReasonRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

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


EFFECTS: Final = ("raises the risk", "lowers the risk", "leaves the risk as it is")

_REMEMBERED: Final = 1024
"""How many texts of a feature are kept before all are forgotten: of its categories, and of numbers that come again."""


class Explainer:
    """Puts contributions into words.

    Args:
        signature: the features that they belong to.
    """

    def __init__(self, signature: Signature) -> None:
        self._features = tuple(map(_unfold, signature.features))
        self._names = signature.names
        self._texts = [text for _, *texts in self._features for text in texts]

    def explain(self, values: Mapping[str, Value], contributions: Sequence[float], count: int) -> list[Reason]:
        """Give a customer's strongest reasons first; equals stay in the signature's order.

        Args:
            values: by feature; one that is absent is missing.
            contributions: of each feature, in log-odds.
            count: how many reasons; 0 for all.
        """
        strengths = list(map(abs, contributions))
        places = sorted(range(len(strengths)), key=strengths.__getitem__, reverse=True)
        reasons: list[Reason] = []
        for place in places[: count or None]:
            name, raises, lowers, leaves = self._features[place]
            value, contribution = values.get(name), contributions[place]
            texts = raises if contribution > 0 else lowers if contribution < 0 else leaves
            reasons.append({"feature": name, "value": value, "contribution": contribution, "text": texts[value]})
        return reasons

    def explain_columns(
        self, columns: Sequence[Sequence[Value]], contributions: npt.NDArray[np.float32], count: int
    ) -> list[list[ReasonRecord]]:
        """Do the same for many customers.

        Args:
            columns: the customers' values of each feature, in the signature's order.
            contributions: float32 [customers, features], in log-odds.
            count: how many reasons of each; 0 for all.
        """
        order = np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, : count or None]
        sizes = np.take_along_axis(contributions, order, axis=1)
        names, texts = self._names, self._texts
        effects = np.where(sizes > 0, 0, np.where(sizes < 0, 1, 2))
        by_customer = zip(zip(*columns, strict=True), order.tolist(), strict=True)
        # one flat list: a loop for each customer would take half as long again
        reasons = [
            ReasonRecord(names[place], value, size, texts[of_effect][value])
            for place, value, size, of_effect in zip(
                order.ravel().tolist(),
                [values[place] for values, places in by_customer for place in places],
                sizes.ravel().tolist(),
                (len(EFFECTS) * order + effects).ravel().tolist(),
                strict=True,
            )
        ]
        return list(map(list, zip(*[iter(reasons)] * order.shape[1], strict=True)))


_Unfolded = tuple[str, "Texts", "Texts", "Texts"]
"""A feature's name, and its texts where it raises the risk, lowers it, and leaves it as it is."""


def _unfold(feature: Feature) -> _Unfolded:
    raises, lowers, leaves = (Texts(feature, effect) for effect in EFFECTS)
    return feature.name, raises, lowers, leaves


class Texts(dict[Value, str]):
    """Describes the values of a feature whose contributions have the same sign, and keeps what it said.

    A dictionary, since looking into one takes a quarter of the time that calling a cached function does.

    Args:
        feature: whose values.
        effect: what they do, one of `EFFECTS`.

    Attributes:
        typical: the value that has an ending of its own.
        missing: the text of a missing value.
        before: what comes before any other.
        after_typical: what follows the typical value.
        after: what follows any other.
    """

    def __init__(self, feature: Feature, effect: str) -> None:
        as_usual, unusual = _usual(feature)
        self.typical = feature.typical
        self.missing = f"{feature.name} is missing: {effect}"
        self.before = f"{feature.name} is "
        self.after_typical, self.after = f" ({as_usual}): {effect}", f" ({unusual}): {effect}"

    def __missing__(self, value: Value) -> str:
        if len(self) >= _REMEMBERED:
            self.clear()
        after = self.after_typical if value == self.typical else self.after
        self[value] = text = self.missing if value is None else f"{self.before}{_show(value)}{after}"
        return text


def _usual(feature: Feature) -> tuple[str, str]:
    """Say of the typical value, and of any other, what is usual."""
    if feature.typical is None:
        return "", "never present in training"
    if feature.kind == "numeric":
        return "the median", f"median {_show(feature.typical)}"
    return "the most frequent", f"most often {_show(feature.typical)}"


def _show(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:,.6g}" if isinstance(value, float | int) else str(value)
