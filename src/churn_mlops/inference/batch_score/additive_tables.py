"""Scores additive trees by looking up: their graph, read as a table for each feature and each pair of features.

ONNX Runtime walks through every tree for every customer, which is the quickest way for one of them. For millions it is
quicker to find each feature's bin once, and to look up in all tables by bins.
"""

from __future__ import annotations

import math
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
    from collections.abc import Iterable, Iterator, Mapping

    import numpy.typing as npt

    from churn_mlops.inference.batch_score.table_encoder import Levels
    from churn_mlops.registry.manifest import Manifest

    Floats = npt.NDArray[np.float64]
    Bins = npt.NDArray[np.intp]

_ROWS: Final = 1 << 14
"""Customers looked up at once: few enough for a processor's cache, enough for NumPy's calls to count for nothing."""

_MOST_FEATURES_OF_A_TREE: Final = 2


class NoTablesError(Exception):
    """A graph is something else than trees of one or two features that each add to the contributions of these."""


@dataclass(frozen=True, slots=True)
class _Tree:
    """A tree: customers go left up to a threshold, until they are at a leaf.

    Attributes:
        features: intp [nodes], what is compared; -1 at a leaf.
        thresholds: float64 [nodes].
        missing_left: bool [nodes], whether customers go left of whom it is missing.
        left: intp [nodes], the next node.
        right: intp [nodes].
        weights: float64 [nodes], what leaves add, by contribution.
    """

    features: Bins
    thresholds: Floats
    missing_left: npt.NDArray[np.bool_]
    left: Bins
    right: Bins
    weights: dict[int, Floats]

    @property
    def used(self) -> tuple[int, ...]:
        """The features that are compared, ascending."""
        return tuple(np.unique(self.features[self.features >= 0]).tolist())


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
        by_features: dict[tuple[int, ...], list[_Tree]] = defaultdict(list)
        for tree in _read_trees(graph):
            by_features[tree.used].append(tree)
        if max(map(len, by_features)) > _MOST_FEATURES_OF_A_TREE:
            raise NoTablesError
        trees = [tree for of_features in by_features.values() for tree in of_features]
        cuts = [_collect_cuts(trees, feature) for feature in range(len(manifest.signature.features))]
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

    def score(self, matrix: npt.NDArray[np.float32], levels: Mapping[int, Levels] | None = None) -> Scores:
        """Score customers as `Scorer` does.

        Args:
            matrix: float32 [rows, features], best column by column in memory.
            levels: of features of which few different values are in it, by their place: looked up once for each.
        """
        columns = matrix.T
        placed = {place: (self.binnings[place].find(of.codes), of.places) for place, of in (levels or {}).items()}
        contributions = np.empty(columns.shape, dtype=np.float32)
        log_odds = np.empty(len(matrix))
        for start in range(0, len(matrix), _ROWS):
            block = slice(start, start + _ROWS)
            contributions[:, block] = self._look_up(columns, placed, block)
            # rounded before they are added up, as the graph does
            log_odds[block] = contributions[:, block].sum(axis=0, dtype=np.float64)
        probability = 1 / (1 + np.exp(-self._calibration.apply(log_odds + self._intercept)))
        return Scores(probability.astype(np.float32), contributions.T)

    def _look_up(
        self, columns: npt.NDArray[np.float32], placed: Mapping[int, tuple[Bins, Bins]], block: slice
    ) -> Floats:
        """Give contributions of some rows, float64 [features, rows]."""
        bins: list[Bins] = []
        for place, binning in enumerate(self.binnings):
            if place in placed:
                of_levels, places = placed[place]
                bins.append(of_levels.take(places[block], mode="clip"))
            else:
                bins.append(binning.find(np.ascontiguousarray(columns[place, block])))
        contributions = np.empty((len(bins), len(bins[0])))
        for place, scores in enumerate(self._alone):
            np.take(scores, bins[place], out=contributions[place], mode="clip")
        for pair in self._pairs:
            cells = pair.rows.take(bins[pair.first], mode="clip")
            cells += pair.columns.take(bins[pair.second], mode="clip")
            for place, scores in pair.scores.items():
                contributions[place] += scores.take(cells, mode="clip")
        return contributions

    def _add_alone(self, features: tuple[int, ...], cuts: list[Floats], trees: Iterable[_Tree]) -> None:
        for tree in trees:
            for place, weights in _fill(tree, features, [cuts[feature] for feature in features]).items():
                if features and place != features[0]:
                    raise NoTablesError
                self._alone[place] += weights


class Binning:
    """Finds the bin of each number: the first cut that it is not above, or the last place where it is missing.

    A search for each number takes ten times as long. So the first bits of a number give a cell, that the bin of its
    lowest number, and comparing with the next few cuts the number's own.

    Attributes:
        cuts: float64 [cuts], ascending.
    """

    def __init__(self, cuts: Floats) -> None:
        self.cuts = cuts
        rounded = np.clip(cuts, -LARGEST_NUMBER, LARGEST_NUMBER).astype(np.float32)
        # a float32 is not above a cut exactly if it is not above the largest float32 that is not
        with np.errstate(over="ignore"):  # below the least float32 there is none, which -inf says as well
            rounded = np.where(rounded > cuts, np.nextafter(rounded, np.float32(-np.inf)), rounded)
        rounded += np.float32(0)  # no cut is -0, which is no number of its own
        cells = (rounded.view(np.uint32) >> _OTHER_BITS).astype(np.intp)
        # the cells of negative numbers come after the others, the largest of them first
        ranks = np.where(cells < _HALF, cells + _HALF, 2 * _HALF - 1 - cells)
        in_cells = np.bincount(ranks, minlength=2 * _HALF)
        self._steps = int(in_cells.max())
        before = np.cumsum(in_cells) - in_cells
        first = np.stack([before[_HALF:], before[:_HALF][::-1]])
        first[:, (_INFINITY >> _OTHER_BITS) + 1 :] = len(cuts) + 1
        self._first = first.ravel().astype(np.int16 if len(cuts) < _MOST_SHORT else np.int32)
        self._padded = np.append(rounded, np.full(2, np.inf, dtype=np.float32))

    def find(self, numbers: npt.NDArray[np.float32]) -> Bins:
        """Give the bins, intp [rows], of numbers, float32 [rows]."""
        cells = (numbers.view(np.uint32) >> _OTHER_BITS).astype(np.intp)
        bins = self._first.take(cells, mode="clip").astype(np.intp)
        for _ in range(self._steps):
            bins += numbers > self._padded.take(bins, mode="clip")
        return bins


_CELL_BITS: Final = 18
_HALF: Final = 1 << (_CELL_BITS - 1)
_OTHER_BITS: Final = 32 - _CELL_BITS
_INFINITY: Final = 0x7F800000
"""The bits of a float32 that is infinite: those of NaN are higher."""

_MOST_SHORT: Final = (1 << 15) - 2


def _read_trees(graph: bytes) -> Iterator[_Tree]:
    """Read the trees of a graph.

    Raises:
        NoTablesError: there is not one ensemble of trees, or it compares in other ways.
    """
    ensembles = [node for node in onnx.load_from_string(graph).graph.node if node.op_type == "TreeEnsembleRegressor"]
    if len(ensembles) != 1:
        raise NoTablesError
    given: dict[str, Any] = {a.name: onnx.helper.get_attribute_value(a) for a in ensembles[0].attribute}
    modes = np.array(given["nodes_modes"])
    if not np.isin(modes, [b"BRANCH_LEQ", b"LEAF"]).all():
        raise NoTablesError
    features = np.where(modes == b"LEAF", -1, given["nodes_featureids"])
    thresholds = numpy_helper.to_array(given["nodes_values_as_tensor"])
    missing_left = np.array(given["nodes_missing_value_tracks_true"], dtype=bool)
    left, right = np.array(given["nodes_truenodeids"]), np.array(given["nodes_falsenodeids"])
    targets, leaves = np.array(given["target_ids"]), np.array(given["target_nodeids"])
    weights = numpy_helper.to_array(given["target_weights_as_tensor"])
    numbers, tree_of_leaf = np.array(given["nodes_treeids"]), np.array(given["target_treeids"])
    within = np.array(given["nodes_nodeids"])
    for number in np.unique(numbers):
        (nodes,), (of_tree,) = np.nonzero(numbers == number), np.nonzero(tree_of_leaf == number)
        if not np.array_equal(within[nodes], np.arange(len(nodes))):
            raise NoTablesError
        by_target: dict[int, Floats] = {}
        for target in np.unique(targets[of_tree]).tolist():
            of_target = of_tree[targets[of_tree] == target]
            by_target[target] = np.zeros(len(nodes))
            by_target[target][leaves[of_target]] = weights[of_target]
        yield _Tree(features[nodes], thresholds[nodes], missing_left[nodes], left[nodes], right[nodes], by_target)


def _collect_cuts(trees: Iterable[_Tree], feature: int) -> Floats:
    """Collect the thresholds of a feature, ascending."""
    found = [tree.thresholds[tree.features == feature] for tree in trees]
    return np.unique(np.concatenate(found)) if found else np.empty(0)


def _read_pair(features: tuple[int, ...], cuts: list[Floats], trees: list[_Tree]) -> _Pair:
    own = [_collect_cuts(trees, feature) for feature in features]
    scores: dict[int, Floats] = {}
    for tree in trees:
        for place, table in _fill(tree, features, own).items():
            if place not in features:
                raise NoTablesError
            scores[place] = scores.get(place, 0.0) + table
    # all bins of a feature up to one of the pair's cuts lie in that bin of the pair, and the missing one in the last
    first, second = (
        np.append(np.searchsorted(of_pair, np.append(cuts[feature], np.inf)), len(of_pair) + 1)
        for feature, of_pair in zip(features, own, strict=True)
    )
    return _Pair(features[0], features[1], first * (len(own[1]) + 2), second, scores)


def _fill(tree: _Tree, features: tuple[int, ...], cuts: list[Floats]) -> dict[int, Floats]:
    """Send a customer of each bin, or pair of bins, through a tree: tables by contribution, float64 [bins * bins]."""
    shape = [len(of_feature) + 2 for of_feature in cuts]
    bins = np.indices(shape).reshape(len(features), math.prod(shape))
    nodes = np.zeros(bins.shape[1], dtype=np.intp)
    for _ in range(len(tree.features)):
        waiting = np.flatnonzero(tree.features[nodes] >= 0)
        if not waiting.size:
            break
        for axis, feature in enumerate(features):
            here = waiting[tree.features[nodes[waiting]] == feature]
            at, in_bin = nodes[here], bins[axis, here]
            goes_left = np.where(
                in_bin == shape[axis] - 1,
                tree.missing_left[at],
                in_bin <= np.searchsorted(cuts[axis], tree.thresholds[at]),
            )
            nodes[here] = np.where(goes_left, tree.left[at], tree.right[at])
    return {place: weights[nodes] for place, weights in tree.weights.items()}
