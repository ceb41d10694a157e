"""Writes trees as ONNX nodes that give the score and every feature's contribution at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import numpy_helper

from churn_mlops.models.graph_builder import TREE_DOMAIN, GraphBuilder
from churn_mlops.models.graph_contract import CONTRIBUTIONS
from churn_mlops.models.trees import LinearLeaf, Split, Tree, decide, features_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import numpy.typing as npt

    from churn_mlops.models.calibration import Calibration
    from churn_mlops.models.scaling import Scaling

    Floats = npt.NDArray[np.float64]

Shares = Sequence[tuple[int, float]]
"""Of whose contributions a tree is part, each with a factor."""


def write_additive_trees(
    trees: Iterable[tuple[Shares, Tree]], intercept: float, features: int, calibration: Calibration
) -> bytes:
    """Write trees of which each adds to the contribution of one feature, or shares of it to several; these are exact.

    Args:
        trees: with each, the features whose contributions it is part of, and with which factor.
        intercept: log-odds that the contributions are added to.
        features: how many there are.
        calibration: of the log-odds.
    """
    ensemble = _Ensemble(features)
    for shares, tree in trees:
        ensemble.add(tree, shares)
    graph = GraphBuilder()
    contributions = ensemble.write(graph, graph.features, output=CONTRIBUTIONS)
    total = graph.add("ReduceSum", graph.widen(contributions), graph.indices([1]), keepdims=0)
    graph.answer(total, contributions, calibration, intercept)
    return graph.build(features)


def write_reference_trees(
    trees: Iterable[Tree],
    scaled: Iterable[tuple[Scaling, Iterable[Tree]]],
    intercept: float,
    reference: Floats,
    calibration: Calibration,
) -> bytes:
    """Write trees that add up to the log-odds; a contribution is what leaves if that feature were the reference's.

    The contribution of a feature is the log-odds less the log-odds with that one feature set to the reference
    customer's value. Only the trees that look at the feature change, and with the feature known they are cut down to
    smaller ones. So the graph holds, beside each tree, what is left of it for each feature it looks at: no second call,
    and far fewer nodes than scoring `features + 1` rows.

    Args:
        trees: the model's that look at features as they are; their leaves are values.
        scaled: those that look at scaled features, with the scaling; their leaves may be linear.
        intercept: log-odds that the trees are added to.
        reference: float64 [features], the encoded reference customer.
        calibration: of the log-odds.
    """
    features = len(reference)
    graph = GraphBuilder()
    scores = graph.widen(_differences(trees, reference, width=1).write(graph, graph.features))
    for scaling, linear in scaled:
        scores = graph.add("Add", scores, _write_linear(graph, scaling, linear, reference))
    contributions = graph.add("Gather", scores, graph.indices(np.arange(features)), axis=1)
    total = graph.add("Gather", scores, graph.indices(features), axis=1)
    graph.answer(total, contributions, calibration, intercept)
    return graph.build(features)


def _write_linear(graph: GraphBuilder, scaling: Scaling, trees: Iterable[Tree], reference: Floats) -> str:
    """Add trees with linear leaves: they look up slopes and a constant for every output, float64 [rows, outputs]."""
    outputs = len(reference) + 1
    features = scaling.write(graph)
    ensemble = _differences(trees, scaling.apply(reference), width=outputs)
    flat = graph.widen(ensemble.write(graph, features))
    coefficients = graph.add("Reshape", flat, graph.indices([-1, outputs, outputs]))
    with_one = graph.add("Pad", features, graph.indices([0, 0, 0, 1]), graph.constant(1.0))
    last = graph.indices([2])
    return graph.add("Squeeze", graph.add("MatMul", coefficients, graph.add("Unsqueeze", with_one, last)), last)


def _differences(trees: Iterable[Tree], reference: Floats, width: int) -> _Ensemble:
    """Collect trees and what is left of each: outputs are the features' contributions, then the sum of the trees."""
    features = len(reference)
    ensemble = _Ensemble(features + 1, width)
    for tree in trees:
        used = sorted(features_of(tree))
        ensemble.add(tree, [(features, 1.0), *((feature, 1.0) for feature in used)])
        for feature in used:
            ensemble.add(decide(tree, feature, float(reference[feature])), [(feature, -1.0)])
    return ensemble


class _Ensemble:
    """Collects trees for a TreeEnsembleRegressor.

    Args:
        outputs: how many sums there are.
        width: targets of an output: the slope of each feature and the constant, or the constant alone.
    """

    def __init__(self, outputs: int, width: int = 1) -> None:
        self._width = width
        self._base = np.zeros(outputs * width)
        self._trees = 0
        self._nodes: dict[str, list[int]] = defaultdict(list)
        self._modes: list[str] = []
        self._thresholds: list[float] = []
        self._leaves: dict[str, list[int]] = defaultdict(list)
        self._weights: list[float] = []

    def add(self, tree: Tree, outputs: Shares) -> None:
        """Add a tree whose value, times a factor, goes to each of some outputs."""
        if not isinstance(tree, Split):
            for target, weight in self._weigh(tree, outputs):
                self._base[target] += weight
            return
        self._add_tree(tree, outputs, 0)
        self._trees += 1

    def write(self, graph: GraphBuilder, features: str, output: str = "") -> str:
        """Add the node to a graph and give the name of its output, float32 [rows, outputs * width]."""
        # a tree of one leaf: the operator needs a tree, and ONNX Runtime forgets base_values of targets without a leaf
        self._add_leaf(enumerate(self._base.tolist()), 0)
        whole: dict[str, Any] = {f"nodes_{key}": values for key, values in self._nodes.items()}
        whole |= {f"target_{key}": values for key, values in self._leaves.items()}
        return graph.add(
            "TreeEnsembleRegressor",
            features,
            output=output,
            domain=TREE_DOMAIN,
            n_targets=len(self._base),
            nodes_modes=self._modes,
            nodes_values_as_tensor=numpy_helper.from_array(np.array(self._thresholds), "nodes_values"),
            target_weights_as_tensor=numpy_helper.from_array(np.array(self._weights), "target_weights"),
            **whole,
        )

    def _add_tree(self, tree: Tree, outputs: Shares, number: int) -> int:
        """Add a node and all below it; give the next free number."""
        if not isinstance(tree, Split):
            return self._add_leaf(self._weigh(tree, outputs), number)
        place = len(self._modes)
        self._add_node("BRANCH_LEQ", number, tree.feature, tree.threshold, tree.missing_left)
        self._nodes["truenodeids"][place] = number + 1
        after_left = self._add_tree(tree.left, outputs, number + 1)
        self._nodes["falsenodeids"][place] = after_left
        return self._add_tree(tree.right, outputs, after_left)

    def _add_leaf(self, weights: Iterable[tuple[int, float]], number: int) -> int:
        self._add_node("LEAF", number, 0, 0.0, False)
        for target, weight in weights:
            self._leaves["treeids"].append(self._trees)
            self._leaves["nodeids"].append(number)
            self._leaves["ids"].append(target)
            self._weights.append(weight)
        return number + 1

    def _weigh(self, leaf: LinearLeaf | float, outputs: Shares) -> list[tuple[int, float]]:
        """Give what a leaf adds to each target: the slopes' are an output's first, the constant's its last."""
        constant, slopes = (leaf, ()) if isinstance(leaf, float) else (leaf.constant, leaf.slopes)
        terms = [*slopes, (self._width - 1, constant)]
        return [(output * self._width + place, factor * term) for output, factor in outputs for place, term in terms]

    def _add_node(self, mode: str, number: int, feature: int, threshold: float, missing_left: bool) -> None:
        self._modes.append(mode)
        self._thresholds.append(threshold)
        self._nodes["treeids"].append(self._trees)
        self._nodes["nodeids"].append(number)
        self._nodes["featureids"].append(feature)
        self._nodes["missing_value_tracks_true"].append(int(missing_left))
        self._nodes["truenodeids"].append(0)
        self._nodes["falsenodeids"].append(0)
