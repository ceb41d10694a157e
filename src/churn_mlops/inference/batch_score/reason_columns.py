"""Reasons of many customers, column by column: the strongest features, by how much, and in the words of `Explainer`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn_mlops.features.wording import COUNTED
from churn_mlops.inference.batch_score.table_encoder import Levels
from churn_mlops.inference.reasons import EFFECTS, LARGEST_ROUNDED, Texts, find_beside

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from churn_mlops.features.wording import Unit
    from churn_mlops.inference.encoding import Value
    from churn_mlops.models.signature import Feature, Signature

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ReasonColumn:
    """One reason of each customer.

    Attributes:
        features: text [rows], dictionary-encoded.
        contributions: float32 [rows], in log-odds.
        texts: text [rows].
    """

    features: pa.Array
    contributions: npt.NDArray[np.float32]
    texts: pa.Array


class ReasonWriter:
    """Puts the contributions of many customers into words.

    Args:
        signature: the features that they belong to.
        count: how many reasons each customer gets; 0 for all.
    """

    def __init__(self, signature: Signature, count: int) -> None:
        self._words = tuple(map(_Words, signature.features))
        self._beside = tuple(find_beside(feature, signature.names) for feature in signature.features)
        self._names = pa.array(signature.names, pa.string())
        self.count = min(count or len(self._names), len(self._names))

    def explain(self, values: Sequence[Levels | Floats], contributions: npt.NDArray[np.float32]) -> list[ReasonColumn]:
        """Give each customer's strongest reasons, first the columns of the strongest.

        Args:
            values: of each feature, [rows].
            contributions: float32 [rows, features], in log-odds.
        """
        order = find_strongest(contributions, self.count)
        sizes = np.take_along_axis(contributions, order, axis=1)
        places, texts = self._describe(values, order, sizes)
        return [
            ReasonColumn(
                pa.DictionaryArray.from_arrays(pa.array(order[:, rank].astype(np.int32)), self._names),
                np.ascontiguousarray(sizes[:, rank]),
                texts.take(pa.array(places[:, rank])),
            )
            for rank in range(self.count)
        ]

    def _describe(
        self,
        values: Sequence[Levels | Floats],
        order: npt.NDArray[np.intp],
        sizes: npt.NDArray[np.float32],
    ) -> tuple[npt.NDArray[np.int64], pa.Array]:
        """Give the texts of some reasons, [rows, reasons], as places in those there are."""
        effects = ((sizes < 0) + 2 * (sizes == 0)).ravel()
        flat = order.ravel()
        by_feature = np.argsort(flat.astype(np.int16), kind="stable")
        ends = np.cumsum(np.bincount(flat, minlength=len(self._words)))
        places = np.empty(flat.size, dtype=np.int64)
        texts: list[pa.Array] = []
        start = total = 0
        for words, of_feature, beside, end in zip(self._words, values, self._beside, ends.tolist(), strict=True):
            reasons = by_feature[start:end]
            start = end
            rows = reasons // order.shape[1]
            if isinstance(of_feature, Levels):
                used, found = _find_used(of_feature.places[rows], effects[reasons], len(of_feature.values))
                described = words.describe_levels(of_feature.values, used)
            elif words.are_changes:
                now = None if beside is None else values[beside]
                assert not isinstance(now, Levels)  # noqa: S101 - a trend is one of numbers
                pairs = _Pairs.find(of_feature[rows], None if now is None else now[rows], effects[reasons])
                found, described = pairs.found, words.describe_changes(pairs)
            else:
                numbers = of_feature[rows]
                if _mostly_differ(numbers):
                    found = np.arange(len(numbers))
                    described = words.describe_numbers(numbers, found * 3 + effects[reasons])
                else:
                    distinct = pa.array(numbers, from_pandas=False).dictionary_encode()
                    used, found = _find_used(distinct.indices.to_numpy(), effects[reasons], len(distinct.dictionary))
                    described = words.describe_numbers(distinct.dictionary.to_numpy(), used)
            places[reasons] = found + total
            texts.append(described)
            total += len(described)
        return places.reshape(order.shape), pa.concat_arrays(texts)


class _Words:
    """The words about one feature; what to describe is given as `place of the value * 3 + place of the effect`."""

    def __init__(self, feature: Feature) -> None:
        self._texts = [Texts(feature, effect) for effect in EFFECTS]
        self.are_changes = feature.wording is not None and feature.wording.trend is not None
        endings = [
            ending
            for texts in self._texts
            for ending in (texts.after, texts.after_typical, texts.after_one, texts.after_one_typical)
        ]
        self._endings = pa.array(endings, pa.string())
        self._missing = pa.array([texts.missing for texts in self._texts], pa.string())

    def describe_levels(self, values: Sequence[Value], keys: npt.NDArray[np.intp]) -> pa.Array:
        """Describe values of which there are few."""
        return pa.array([self._texts[key % 3][values[key // 3]] for key in keys.tolist()], pa.string())

    def describe_numbers(self, values: Floats, keys: npt.NDArray[np.intp]) -> pa.Array:
        """Describe numbers, of which there may be many: joined by Arrow, which takes a fifth of the time."""
        described, effects = values[keys // 3], keys % 3
        texts = self._texts[0]
        shown = show_numbers(described if texts.unit is None else round_numbers(described, texts.unit))
        places = 4 * effects + (described == texts.typical)
        if texts.unit in COUNTED:
            places += 2 * pc.equal(shown, "1").to_numpy(zero_copy_only=False)
        endings = self._endings.take(pa.array(places))
        written = pc.binary_join_element_wise(pa.scalar(texts.before), shown, endings, "")
        absent = np.isnan(described)
        if not absent.any():
            return written
        return pc.if_else(pa.array(absent), self._missing.take(pa.array(effects)), written)

    def describe_changes(self, pairs: _Pairs) -> pa.Array:
        """Describe trends, of which there are few: counts now, and how they changed."""
        size = len(pairs.now)
        described = [
            self._texts[key % 3][pairs.changes[key // 3 // size], pairs.now[key // 3 % size]] for key in pairs.used
        ]
        return pa.array(described, pa.string())


@dataclass(frozen=True, slots=True)
class _Pairs:
    """The different pairs of a change and what there is now, with what they do.

    Attributes:
        changes: the different changes; None where it is missing.
        now: the different figures of now; likewise.
        used: which pairs occur with which effects, as `(place of the change * len(now) + place of now) * 3 + effect`.
        found: intp [rows], which of these each row is.
    """

    changes: Sequence[Value]
    now: Sequence[Value]
    used: Sequence[int]
    found: npt.NDArray[np.intp]

    @classmethod
    def find(cls, changes: Floats, now: Floats | None, effects: npt.NDArray[np.int_]) -> _Pairs:
        """Find the pairs of some rows; without the figures of now, they are missing."""
        first = pa.array(changes, from_pandas=False).dictionary_encode()
        places, figures = first.indices.to_numpy().astype(np.int64), pa.array([np.nan])
        if now is not None:
            second = pa.array(now, from_pandas=False).dictionary_encode()
            figures = second.dictionary
            places = places * len(figures) + second.indices.to_numpy()
        levels = len(first.dictionary) * len(figures)
        if levels <= _MOST_PAIRS:
            used, found = _find_used(places, effects, levels)
        else:
            used, found = np.unique(places * 3 + effects, return_inverse=True)
        return cls(_list_values(first.dictionary), _list_values(figures), used.tolist(), found)


_MOST_PAIRS: Final = 1 << 20
"""Of more, those that occur are found by sorting instead of in a table of all that could."""


def _list_values(numbers: pa.Array) -> list[Value]:
    return [None if number != number else number for number in numbers.to_pylist()]


def round_numbers(values: Floats, unit: Unit) -> Floats:
    """Round numbers, float64 [rows], as `round_shown` does each."""
    if unit == "events":
        return values + 0.0  # which makes -0 a 0
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = values * 100 if unit == "share" else values
        scale = 10.0 if unit in ("share", "days") else np.where(np.abs(values) >= 1, 100.0, 10_000.0)
        rounded: Floats = np.where(np.abs(scaled) < LARGEST_ROUNDED, np.rint(scaled * scale) / scale, scaled)
    return rounded + 0.0


_POWERS: Final = 10.0 ** np.arange(10)


def show_numbers(values: Floats) -> pa.Array:
    """Write numbers as `f"{value:,.6g}"` does.

    Python takes a third of a microsecond for each. Where that gives neither an exponent nor separators, a number is
    scaled to six digits before the point, rounded, and scaled back: the shortest text of the result, which is what
    Arrow writes, has the same digits. What is too near to the middle between two roundings is left to Python.
    """
    sizes = np.abs(values)
    with np.errstate(divide="ignore", invalid="ignore"):
        digits = np.floor(np.log10(sizes))
        powers = _POWERS[np.clip(np.nan_to_num(5 - digits), 0, 9).astype(np.intp)]
        scaled = sizes * powers
        rounded = np.rint(scaled)
        is_clear = np.abs(np.abs(scaled - rounded) - 0.5) > 1e-6
        is_plain = (sizes >= 1e-4) & (rounded < 1e3 * powers) & (rounded >= 1e5) & (rounded < 1e6) & is_clear
        texts = pa.array(np.copysign(rounded / powers, values)).cast(pa.string())
    others = np.flatnonzero(~is_plain)
    if not others.size:
        return texts
    written = pa.array([f"{value:,.6g}" for value in values[others].tolist()], pa.string())
    return pc.replace_with_mask(texts, pa.array(~is_plain), written)


def find_strongest(contributions: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.intp]:
    """Find the features of the largest contributions, intp [rows, count], largest first; equals in their order."""
    if count > _FEW:
        return np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :count]
    order = np.empty((len(contributions), count), dtype=np.intp)
    for start in range(0, len(order), _ROWS):
        block = slice(start, start + _ROWS)
        # one integer for the size, in which float32 bits have the order of their numbers, and then the feature
        sizes = np.abs(contributions[block].T, order="C").view(np.int32).astype(np.int64)
        keys = sizes << _PLACE_BITS | np.arange(_LAST_PLACE, _LAST_PLACE - len(sizes), -1)[:, np.newaxis]
        rows = np.arange(keys.shape[1])
        for rank in range(count):
            order[block, rank] = largest = _LAST_PLACE - (keys.max(axis=0) & _LAST_PLACE)
            keys[largest, rows] = -1
    return order


_FEW: Final = 8
"""So many passes over the contributions take less time than sorting them."""

_ROWS: Final = 1 << 13
"""Customers looked at at once: few enough for a processor's cache."""

_PLACE_BITS: Final = 20
_LAST_PLACE: Final = (1 << _PLACE_BITS) - 1


def _mostly_differ(numbers: Floats) -> bool:
    """Whether finding out which numbers are the same would not pay, by the first of them."""
    some = numbers[:_SAMPLED]
    return len(np.unique(some)) > len(some) / 2


_SAMPLED: Final = 512


def _find_used(
    places: npt.NDArray[np.integer], effects: npt.NDArray[np.int_], levels: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Find the pairs of value and effect that occur, as `value * 3 + effect`, and which of them each reason is."""
    keys = places * 3 + effects
    occurs = np.zeros(3 * levels, dtype=bool)
    occurs[keys] = True
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[keys]
