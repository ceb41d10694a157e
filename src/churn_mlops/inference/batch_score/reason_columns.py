"""Reasons of many customers, column by column: the strongest features, by how much, and in the words of `Explainer`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa

from churn_mlops.features.wording import COUNTED
from churn_mlops.inference.batch_score.number_texts import (
    NOTHING,
    NUMBER_PIECES,
    PIECES,
    join_pieces,
    split_numbers,
)
from churn_mlops.inference.batch_score.table_encoder import Levels
from churn_mlops.inference.reasons import EFFECTS, LARGEST_ROUNDED, Texts, find_beside

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from churn_mlops.features.wording import Unit
    from churn_mlops.inference.batch_score.number_texts import Places
    from churn_mlops.inference.encoding import Value
    from churn_mlops.models.signature import Signature

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
        features = signature.features
        self._texts = [[Texts(feature, effect) for effect in EFFECTS] for feature in features]
        self._are_changes = [f.wording is not None and f.wording.trend is not None for f in features]
        self._beside = [find_beside(feature, signature.names) for feature in features]
        self._names = pa.array(signature.names, pa.string())
        self._typical = np.array([f.typical if f.kind == "numeric" else None for f in features], dtype=np.float64)
        self.count = min(count or len(features), len(features))
        befores = [of_feature[0].before for of_feature in self._texts]
        endings = [
            ending
            for texts in self._texts
            for text in texts
            for ending in (text.after, text.after_typical, text.after_one, text.after_one_typical)
        ]
        missing = [text.missing for texts in self._texts for text in texts]
        self._befores = len(NUMBER_PIECES)
        self._endings = self._befores + len(befores)
        self._missing = self._endings + len(endings)
        self._pieces = pa.concat_arrays([NUMBER_PIECES, pa.array([*befores, *endings, *missing], pa.string())])

    def explain(self, values: Sequence[Levels | Floats], contributions: npt.NDArray[np.float32]) -> list[ReasonColumn]:
        """Give each customer's strongest reasons, first the columns of the strongest.

        Args:
            values: of each feature, [rows].
            contributions: float32 [rows, features], in log-odds.
        """
        order = np.ascontiguousarray(find_strongest(contributions, self.count).T)
        sizes = np.take_along_axis(contributions.T, order, axis=0)
        table, pieces = self._describe(values, order.ravel(), sizes.ravel())
        return [
            ReasonColumn(
                pa.DictionaryArray.from_arrays(pa.array(of_rank.astype(np.int32)), self._names),
                sizes[rank],
                join_pieces(table, pieces[rank * len(of_rank) : (rank + 1) * len(of_rank)]),
            )
            for rank, of_rank in enumerate(order)
        ]

    def _describe(
        self, values: Sequence[Levels | Floats], features: npt.NDArray[np.intp], sizes: npt.NDArray[np.float32]
    ) -> tuple[pa.Array, Places]:
        """Find the texts of reasons feature by feature, and put them in their order, those of the first rank first.

        A text about a number is put together from what comes before, the number and what follows; others are one piece.

        Returns:
            The pieces there are, and which of them each text consists of, [reasons * rows, pieces].
        """
        by_feature = np.argsort(features.astype(np.min_scalar_type(len(values))), kind="stable")
        ends = np.cumsum(np.bincount(features, minlength=len(values))).tolist()
        customers = max(1, len(features) // self.count)
        rows = by_feature - by_feature // customers * customers  # a remainder, in half the time
        sizes = sizes[by_feature]
        effects = (sizes < 0) + np.int32(2) * (sizes == 0)
        pieces = np.empty((len(features), PIECES + 2), dtype=np.int32)
        texts = _Texts(self._pieces)
        for feature, (of_feature, start, end) in enumerate(zip(values, [0, *ends[:-1]], ends, strict=True)):
            group = slice(start, end)
            if isinstance(of_feature, Levels):
                self._describe_levels(pieces[group], feature, of_feature, rows[group], effects[group], texts)
            elif self._are_changes[feature]:
                self._describe_changes(pieces[group], feature, values, rows[group], effects[group], texts)
            elif start < end:
                self._describe_numbers(pieces[group], feature, of_feature[rows[group]], effects[group], texts)
        in_order = np.empty_like(pieces)
        as_items = f"V{pieces.strides[0]}"
        in_order.view(as_items)[by_feature] = pieces.view(as_items)
        return texts.collect(), in_order

    def _describe_levels(
        self,
        pieces: Places,
        feature: int,
        levels: Levels,
        rows: npt.NDArray[np.intp],
        effects: Places,
        texts: _Texts,
    ) -> None:
        used, found = _find_used(levels.places[rows], effects, len(levels.values))
        described = [self._texts[feature][key % 3][levels.values[key // 3]] for key in used.tolist()]
        pieces[:, 0] = found + texts.add(pa.array(described, pa.string()))
        pieces[:, 1:] = NOTHING

    def _describe_changes(
        self,
        pieces: Places,
        feature: int,
        values: Sequence[Levels | Floats],
        rows: npt.NDArray[np.intp],
        effects: Places,
        texts: _Texts,
    ) -> None:
        """Describe trends, of which there are few: counts now, and how they changed."""
        beside = self._beside[feature]
        changes, now = values[feature], None if beside is None else values[beside]
        assert not isinstance(changes, Levels)  # noqa: S101 - a trend is one of numbers
        assert not isinstance(now, Levels)  # noqa: S101 - the same
        pairs = _Pairs.find(changes[rows], None if now is None else now[rows], effects)
        size = len(pairs.now)
        described = [
            self._texts[feature][key % 3][pairs.changes[key // 3 // size], pairs.now[key // 3 % size]]
            for key in pairs.used
        ]
        pieces[:, 0] = pairs.found + texts.add(pa.array(described, pa.string()))
        pieces[:, 1:] = NOTHING

    def _describe_numbers(self, pieces: Places, feature: int, numbers: Floats, effects: Places, texts: _Texts) -> None:
        absent = np.flatnonzero(np.isnan(numbers))
        numbers[absent] = 0
        unit = self._texts[feature][0].unit
        shown = numbers + 0.0 if unit is None else round_numbers(numbers, unit)  # no -0
        if unit in COUNTED:
            _settle_ones(shown)
        pieces[:, 0] = self._befores + feature
        pieces[:, 1:-1], others = split_numbers(shown, texts.size)
        texts.add(others)
        endings = self._endings + 12 * feature + 4 * effects + (numbers == self._typical[feature])
        pieces[:, -1] = endings + 2 * (pieces[:, 1:-1] == _ONE).all(axis=1) if unit in COUNTED else endings
        pieces[absent, 0] = self._missing + 3 * feature + effects[absent]
        pieces[absent, 1:] = NOTHING


class _Texts:
    """Texts and pieces of them, one after the other."""

    def __init__(self, first: pa.Array) -> None:
        self._parts = [first]
        self.size = len(first)

    def add(self, texts: pa.Array) -> int:
        """Add some, and say where they begin."""
        self._parts.append(texts)
        self.size += len(texts)
        return self.size - len(texts)

    def collect(self) -> pa.Array:
        """Give all of them."""
        return pa.concat_arrays(self._parts)


def _settle_ones(shown: Floats) -> None:
    """Make 1 of what is written as 1, by whose pieces it is then known."""
    near = np.flatnonzero((np.abs(shown - 1) < _NEARLY) & (shown != 1))
    shown[near] = [float(f"{number:.6g}") for number in shown[near].tolist()]


_NEARLY: Final = 1e-5

_ONE: Final = split_numbers(np.ones(1), 0)[0]
"""The pieces of 1."""


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
    def find(cls, changes: Floats, now: Floats | None, effects: Places) -> _Pairs:
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


def find_strongest(contributions: npt.NDArray[np.float32], count: int) -> npt.NDArray[np.intp]:
    """Find the features of the largest contributions, intp [rows, count], largest first; equals in their order."""
    if count > _FEW:
        return np.argsort(-np.abs(contributions), axis=1, kind="stable")[:, :count]
    features = contributions.shape[1]
    order = np.empty((count, len(contributions)), dtype=np.intp)
    ranks = np.arange(features, 0, -1, dtype=np.min_scalar_type(features))[:, np.newaxis]
    for start in range(0, len(contributions), _ROWS):
        block = slice(start, start + _ROWS)
        # the bits of float32 numbers have the order of their sizes
        sizes = np.abs(contributions[block].T, order="C").view(np.int32)
        rows = np.arange(sizes.shape[1])
        for of_rank in order[:, block]:
            first = ((sizes == sizes.max(axis=0)) * ranks).max(axis=0)
            np.subtract(features, first, out=of_rank)
            sizes[of_rank, rows] = -1
    return order.T


_FEW: Final = 8
"""So many passes over the contributions take less time than sorting them."""

_ROWS: Final = 1 << 13
"""Customers looked at at once: few enough for a processor's cache."""


def _find_used(
    places: npt.NDArray[np.integer], effects: Places, levels: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Find the pairs of value and effect that occur, as `value * 3 + effect`, and which of them each reason is."""
    keys = places * 3 + effects
    occurs = np.zeros(3 * levels, dtype=bool)
    occurs[keys] = True
    return np.flatnonzero(occurs), (np.cumsum(occurs) - 1)[keys]
