"""Reasons: which features moved a customer's risk, by how much in log-odds, and in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from typing_extensions import TypedDict

from churn_mlops.features.wording import COUNTED
from churn_mlops.inference.encoding import Value
from churn_mlops.inference.records import ReasonRecord

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from churn_mlops.features.wording import Trend, Unit
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
        self._features = tuple(_unfold(feature, signature.names) for feature in signature.features)
        self._names = signature.names
        self._texts = [text for _, _, *texts in self._features for text in texts]
        self._places_beside = [find_beside(feature, self._names) for feature in signature.features]
        self._are_alone = all(place is None for place in self._places_beside)

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
            name, beside, raises, lowers, leaves = self._features[place]
            value, contribution = values.get(name), contributions[place]
            texts = raises if contribution > 0 else lowers if contribution < 0 else leaves
            text = texts[value] if beside is None else texts[value, values.get(beside)]
            reasons.append({"feature": name, "value": value, "contribution": contribution, "text": text})
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
        by_customer = list(zip(zip(*columns, strict=True), order.tolist(), strict=True))
        said = [values[place] for values, places in by_customer for place in places]
        # one flat list: a loop for each customer would take half as long again
        reasons = [
            ReasonRecord(names[place], value, size, texts[of_effect][key])
            for place, value, key, size, of_effect in zip(
                order.ravel().tolist(),
                said,
                said if self._are_alone else self._find_keys(by_customer),
                sizes.ravel().tolist(),
                (len(EFFECTS) * order + effects).ravel().tolist(),
                strict=True,
            )
        ]
        return list(map(list, zip(*[iter(reasons)] * order.shape[1], strict=True)))

    def _find_keys(self, by_customer: Sequence[tuple[Sequence[Value], list[int]]]) -> list[Value | Pair]:
        """Give what texts are looked up by: values, or those of two features."""
        beside = self._places_beside
        return [
            values[place] if (other := beside[place]) is None else (values[place], values[other])
            for values, places in by_customer
            for place in places
        ]


def find_beside(feature: Feature, names: Sequence[str]) -> int | None:
    """Find the feature whose value the texts of a trend name as well: what there is now; None for other features."""
    trend = feature.wording and feature.wording.trend
    return names.index(trend.of) if trend and trend.of in names else None


Pair = tuple[Value, Value]
"""The value of a trend, and that of what there is now."""

_Unfolded = tuple[str, str | None, "Texts", "Texts", "Texts"]
"""A feature's name, that of the one beside, and its texts where it raises the risk, lowers it, and leaves it."""


def _unfold(feature: Feature, names: Sequence[str]) -> _Unfolded:
    raises, lowers, leaves = (Texts(feature, effect) for effect in EFFECTS)
    beside = find_beside(feature, names)
    return feature.name, None if beside is None else names[beside], raises, lowers, leaves


class Texts(dict[Value | Pair, str]):
    """Describes the values of a feature whose contributions have the same sign, and keeps what it said.

    A dictionary, since looking into one takes a quarter of the time that calling a cached function does. Of a trend,
    what is looked up is the value, or with it that of what there is now: then the text says from where to where.

    Args:
        feature: whose values.
        effect: what they do, one of `EFFECTS`.

    Attributes:
        unit: of the numbers, where the feature has words.
        typical: the value that has an ending of its own.
        missing: the text of a missing value.
        before: what comes before any other.
        after_typical: what follows the typical value.
        after: what follows any other.
        after_one_typical: what follows the typical value where 1 is written.
        after_one: what follows any other where 1 is written.
    """

    def __init__(self, feature: Feature, effect: str) -> None:
        wording = feature.wording
        self._trend = wording.trend if wording else None
        self.unit = wording.unit if wording else None
        self.typical = feature.typical
        as_usual, unusual = (f" ({usual}): {effect}" for usual in _usual(feature))
        sign, named = ("%" if self.unit == "share" else ""), feature.name
        self.before = f"{feature.name} is "
        after, after_one, verb = sign, sign, "is"
        if wording is not None and wording.unit in COUNTED:
            self.before, after, after_one = "", f" {wording.words}", f" {wording.words_of_one}"
            named, verb = wording.words, "are"
        elif wording is not None:
            self.before, named = f"{wording.words} is ", wording.words
        if self._trend is not None:
            named, verb = f"the change of {self._trend.subject} in {self._trend.days} days", "is"
        self.missing = f"{named} {verb} missing: {effect}"
        self.after_typical, self.after = after + as_usual, after + unusual
        self.after_one_typical, self.after_one = after_one + as_usual, after_one + unusual
        self._usual_change, self._unusual_change = as_usual, unusual

    def __missing__(self, key: Value | Pair) -> str:
        if len(self) >= _REMEMBERED:
            self.clear()
        value, now = key if isinstance(key, tuple) else (key, None)
        self[key] = text = self.missing if value is None else self._describe(value, now)
        return text

    def _describe(self, value: bool | float | str, now: Value) -> str:
        is_typical = value == self.typical
        if self._trend is not None and not isinstance(value, str):
            ending = self._usual_change if is_typical else self._unusual_change
            return _describe_change(self._trend, value, now) + ending
        shown = _show(value, self.unit)
        if shown == "1":
            return f"{self.before}{shown}{self.after_one_typical if is_typical else self.after_one}"
        return f"{self.before}{shown}{self.after_typical if is_typical else self.after}"


def _describe_change(trend: Trend, change: float, now: Value) -> str:
    if isinstance(now, int | float):
        here, was = _show(now + 0.0), _show(now - change + 0.0)  # no count is -0
        if change == 0:
            return f"{trend.subject} stayed at {here} in {trend.days} days"
        return f"{trend.subject} {'fell' if change < 0 else 'rose'} from {was} to {here} in {trend.days} days"
    compared = f"in the last {trend.days} days {'as' if change == 0 else 'than'} in the {trend.days} before"
    return f"{trend.subject}: {_show_change(change)} {compared}"


def _show_change(change: float) -> str:
    if change == 0:
        return "as many"
    return f"{_show(abs(change))} {'fewer' if change < 0 else 'more'}"


def _usual(feature: Feature) -> tuple[str, str]:
    """Say of the typical value, and of any other, what is usual."""
    if feature.typical is None:
        return "", "never present in training"
    if feature.wording is not None and feature.wording.trend is not None and not isinstance(feature.typical, str):
        change = _show_change(feature.typical) if feature.typical else "no change"
        return "the median change", f"median {change}"
    if feature.kind == "numeric":
        unit = feature.wording.unit if feature.wording else None
        return "the median", f"median {_show(feature.typical, unit)}{'%' if unit == 'share' else ''}"
    return "the most frequent", f"most often {_show(feature.typical)}"


def _show(value: Value, unit: Unit | None = None) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, float | int):
        return str(value)
    return f"{value + 0.0 if unit is None else round_shown(value, unit):,.6g}"  # no -0


LARGEST_ROUNDED: Final = 1e9


def round_shown(value: float, unit: Unit) -> float:
    """Round a number to what is worth writing: days to tenths, shares to tenths of a per cent, others to hundredths."""
    if unit == "events":
        return value + 0.0  # which makes -0 a 0
    scaled, scale = _scale(value, unit)
    if not abs(scaled) < LARGEST_ROUNDED:
        return scaled
    return round(scaled * scale) / scale


def _scale(value: float, unit: Unit) -> tuple[float, float]:
    """Give a number in its unit, and how many parts of one are told."""
    if unit == "share":
        return value * 100, 10.0
    if unit == "days":
        return value, 10.0
    return value, 100.0 if abs(value) >= 1 else 10_000.0
