"""Scores additive trees by looking up: their graph, read as a table for each feature and each pair of features.

ONNX Runtime walks through every tree for every customer, which is the quickest way for one of them. For millions it is
quicker to find each feature's bin once, and to look up in all tables by bins.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx
from onnx import numpy_helper

from churn_mlops.inference.scorer import Scores
from churn_mlops.models.calibration import Calibration
from churn_mlops.models.signature import LARGEST_NUMBER

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt

    from churn_mlops.registry.manifest import Manifest

    Floats = npt.NDArray[np.float64]
    Bins = npt.NDArray[np.intp]

_ROWS: Final = 1 << 14
"""Customers looked up at once: few enough for a processor's cache, enough for NumPy's calls to count for nothing."""

_MOST_FEATURES_OF_A_TREE: Final = 2


class NoTablesError(Exception):
    """A graph is something else than trees of one or two features that each add to the contributions of these."""


@dataclass(frozen=True, slots=True)
class _Node:
    """A node of a tree: customers go left up to a threshold; a leaf has weights by contribution instead."""

    feature: int = 0
    threshold: float = 0.0
    missing_left: bool = False
    left: int = 0
    right: int = 0
    weights: dict[int, float] | None = None


@dataclass(frozen=True, slots=True)
class _Pair:
    """Trees of two features as tables, float64 [bins of the first * bins of the second], by contribution.

    The bins of a pair are wider than those of its features: `rows` and `columns` say which of them a feature's bin lies
    in, the former times the number of columns.
    """

    first: int
    second: int
    rows: Bins
    columns: Bins
    scores: dict[int, Floats]


class AdditiveTables:
    """A version's graph as tables.

    Args:
        manifest: of the version.
        graph: content of its model.onnx.

    Attributes:
        binnings: of each feature.

    Raises:
        NoTablesError: it cannot be read so.
    """

    def __init__(self, manifest: Manifest, graph: bytes) -> None:
        if manifest.explanation.kind != "additive":
            raise NoTablesError
        by_features: dict[tuple[int, ...], list[list[_Node]]] = defaultdict(list)
        for tree in _read_trees(graph):
            by_features[_features_of(tree)].append(tree)
        trees = [tree for of_features in by_features.values() for tree in of_features]
        cuts = [_cuts_of(trees, feature) for feature in range(len(manifest.signature.features))]
        self.binnings = [Binning(of_feature) for of_feature in cuts]
        self._alone = [np.zeros(len(of_feature) + 2) for of_feature in cuts]
        self._pairs: list[_Pair] = []
        for features, of_features in by_features.items():
            if len(features) < _MOST_FEATURES_OF_A_TREE:
                self._add_alone(features, cuts, of_features)
            else:
                self._pairs.append(_read_pair(features, cuts, of_features))
        self._intercept = manifest.explanation.intercept
        calibration = manifest.calibration
        self._calibration = Calibration(calibration.kind, calibration.a, calibration.b, calibration.c)

    @property
    def pairs(self) -> int:
        """How many pairs of features have a table."""
        return len(self._pairs)

    def score(self, matrix: npt.NDArray[np.float32]) -> Scores:
        """Score customers, float32 [rows, features], as `Scorer` does, but for the rounding."""
        contributions = np.empty(matrix.shape, dtype=np.float32)
        log_odds = np.empty(len(matrix))
        for start in range(0, len(matrix), _ROWS):
            block = slice(start, start + _ROWS)
            of_features = self._look_up(np.ascontiguousarray(matrix[block].T))
            log_odds[block] = of_features.sum(axis=0)
            contributions[block] = of_features.T
        probability = 1 / (1 + np.exp(-self._calibration.apply(log_odds + self._intercept)))
        return Scores(probability.astype(np.float32), contributions)

    def _look_up(self, columns: npt.NDArray[np.float32]) -> Floats:
        """Give contributions, float64 [features, rows]."""
        bins = [binning.find(values) for binning, values in zip(self.binnings, columns, strict=True)]
        contributions = np.empty(columns.shape)
        for place, scores in enumerate(self._alone):
            np.take(scores, bins[place], out=contributions[place], mode="clip")
        for pair in self._pairs:
            cells = pair.rows.take(bins[pair.first], mode="clip")
            cells += pair.columns.take(bins[pair.second], mode="clip")
            for place, scores in pair.scores.items():
                contributions[place] += scores.take(cells, mode="clip")
        return contributions

    def _add_alone(self, features: tuple[int, ...], cuts: list[Floats], trees: Iterable[list[_Node]]) -> None:
        for tree in trees:
            for place, weights in _fill(tree, features, [cuts[feature] for feature in features]).items():
                if features and place != features[0]:
                    raise NoTablesError
                self._alone[place] += weights


class Binning:
    """Finds the bin of each number: the first cut that it is not above, or the last place where it is missing.

    A search for each number takes ten times as long. So the upper half of a number's bits, in the order of the numbers,
    gives a cell, that the bin of its lowest number, and comparing with the next few cuts the number's own.

    Attributes:
        cuts: float64 [cuts], ascending.
    """

    def __init__(self, cuts: Floats) -> None:
        self.cuts = cuts
        rounded = np.clip(cuts, -LARGEST_NUMBER, LARGEST_NUMBER).astype(np.float32)
        # a float32 is not above a cut exactly if it is not above the largest float32 that is not
        with np.errstate(over="ignore"):  # below the least float32 there is none, which -inf says as well
            rounded = np.where(rounded > cuts, np.nextafter(rounded, np.float32(-np.inf)), rounded)
        cells = np.arange(-(1 << 15), 1 << 15, dtype=np.int32) << 16
        lowest, highest = (_order(end).view(np.float32) for end in (cells, cells | 0xFFFF))
        self._first, last = np.searchsorted(rounded, lowest), np.searchsorted(rounded, highest)
        self._steps = int((last - self._first)[np.isfinite(lowest) & np.isfinite(highest)].max())
        self._first[np.isnan(lowest) & np.isnan(highest)] = len(cuts) + 1
        self._padded = np.append(rounded, np.full(2, np.inf, dtype=np.float32))

    def find(self, numbers: npt.NDArray[np.float32]) -> Bins:
        """Give the bins, intp [rows], of numbers, float32 [rows]."""
        cells = _order(numbers.view(np.int32)) >> 16
        cells += 1 << 15
        bins = self._first.take(cells, mode="clip")
        for _ in range(self._steps):
            bins += numbers > self._padded.take(bins, mode="clip")
        return bins


def _order(bits: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    """Turn the bits of float32 numbers into integers of the same order, and back."""
    return bits ^ ((bits >> 31) & 0x7FFFFFFF)


def _read_trees(graph: bytes) -> Iterator[list[_Node]]:
    """Read the trees of a graph, each as its nodes by number.

    Raises:
        NoTablesError: there is not one ensemble of trees.
    """
    ensembles = [node for node in onnx.load_from_string(graph).graph.node if node.op_type == "TreeEnsembleRegressor"]
    if len(ensembles) != 1:
        raise NoTablesError
    given: dict[str, Any] = {a.name: onnx.helper.get_attribute_value(a) for a in ensembles[0].attribute}
    thresholds = numpy_helper.to_array(given["nodes_values_as_tensor"]).tolist()
    weights: dict[tuple[int, int], dict[int, float]] = defaultdict(dict)
    of_leaves = zip(
        given["target_treeids"],
        given["target_nodeids"],
        given["target_ids"],
        numpy_helper.to_array(given["target_weights_as_tensor"]).tolist(),
        strict=True,
    )
    for tree, node, target, weight in of_leaves:
        weights[tree, node][target] = weight
    nodes: dict[int, list[_Node]] = defaultdict(list)
    for place, (tree, node) in enumerate(zip(given["nodes_treeids"], given["nodes_nodeids"], strict=True)):
        mode = given["nodes_modes"][place]
        if mode not in (b"BRANCH_LEQ", b"LEAF") or node != len(nodes[tree]):
            raise NoTablesError
        nodes[tree].append(
            _Node(weights=weights[tree, node])
            if mode == b"LEAF"
            else _Node(
                given["nodes_featureids"][place],
                thresholds[place],
                bool(given["nodes_missing_value_tracks_true"][place]),
                given["nodes_truenodeids"][place],
                given["nodes_falsenodeids"][place],
            )
        )
    yield from nodes.values()


def _features_of(tree: list[_Node]) -> tuple[int, ...]:
    features = tuple(sorted({node.feature for node in tree if node.weights is None}))
    if len(features) > _MOST_FEATURES_OF_A_TREE:
        raise NoTablesError
    return features


def _cuts_of(trees: Iterable[list[_Node]], feature: int) -> Floats:
    """Collect the thresholds of a feature, ascending."""
    found = {node.threshold for tree in trees for node in tree if node.weights is None and node.feature == feature}
    return np.array(sorted(found), dtype=np.float64)


def _read_pair(features: tuple[int, ...], cuts: list[Floats], trees: list[list[_Node]]) -> _Pair:
    own = [_cuts_of(trees, feature) for feature in features]
    scores: dict[int, Floats] = {}
    for tree in trees:
        for place, weights in _fill(tree, features, own).items():
            if place not in features:
                raise NoTablesError
            scores[place] = scores.get(place, 0.0) + weights.ravel()
    # all bins of a feature up to one of the pair's cuts lie in that bin of the pair, and the missing one in the last
    first, second = (
        np.append(np.searchsorted(of_pair, np.append(cuts[feature], np.inf)), len(of_pair) + 1)
        for feature, of_pair in zip(features, own, strict=True)
    )
    return _Pair(features[0], features[1], first * (len(own[1]) + 2), second, scores)


@dataclass(frozen=True, slots=True)
class _Range:
    """Bins of a feature: from one to before another, and perhaps the last, which is the missing value's."""

    begin: int
    end: int
    missing: bool
    last: int

    def split(self, cut: int, missing_left: bool) -> tuple[_Range, _Range]:
        """Split it behind the bin that ends at a cut."""
        left = _Range(self.begin, min(self.end, cut + 1), self.missing and missing_left, self.last)
        return left, _Range(max(self.begin, cut + 1), self.end, self.missing and not missing_left, self.last)

    def slices(self) -> list[slice]:
        bins = [slice(self.begin, self.end)] if self.begin < self.end else []
        return [*bins, slice(self.last, self.last + 1)] if self.missing else bins


def _fill(tree: list[_Node], features: tuple[int, ...], cuts: list[Floats]) -> dict[int, Floats]:
    """Write a tree as tables by contribution, float64 [bins] or [bins, bins]; a single leaf as numbers."""
    tables: dict[int, Floats] = {}
    shape = [len(of_feature) + 2 for of_feature in cuts]
    places = [{cut: place for place, cut in enumerate(of_feature.tolist())} for of_feature in cuts]
    waiting = [(0, tuple(_Range(0, size - 1, True, size - 1) for size in shape))]
    while waiting:
        number, ranges = waiting.pop()
        node = tree[number]
        if node.weights is None:
            axis = features.index(node.feature)
            halves = ranges[axis].split(places[axis][node.threshold], node.missing_left)
            for child, half in zip((node.left, node.right), halves, strict=True):
                waiting.append((child, (*ranges[:axis], half, *ranges[axis + 1 :])))
            continue
        for place, weight in node.weights.items():
            table = tables.setdefault(place, np.zeros(shape))
            for region in _product(ranges):
                table[region] = weight
    return tables


def _product(ranges: tuple[_Range, ...]) -> Iterator[tuple[slice, ...]]:
    if not ranges:
        yield ()
        return
    for first in ranges[0].slices():
        for rest in _product(ranges[1:]):
            yield first, *rest
