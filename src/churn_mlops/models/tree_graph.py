"""Writes trees as one ONNX node that gives the score and every feature's contribution at once."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import numpy_helper

from churn_mlops.models.graph_builder import TREE_DOMAIN, GraphBuilder
from churn_mlops.models.trees import Tree, decide, features_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from churn_mlops.models.calibration import Calibration

    Floats = npt.NDArray[np.float64]


def write_additive_trees(
    trees: Iterable[tuple[int, Tree]], intercept: float, features: int, calibration: Calibration
) -> bytes:
    """Write trees of which each adds to the contribution of one feature; contributions are exact.

    Args:
        trees: with each, the feature whose contribution it is part of.
        intercept: log-odds that the contributions are added to.
        features: how many there are.
        calibration: of the log-odds.
    """
    ensemble = _Ensemble(targets=features)
    for feature, tree in trees:
        ensemble.add(tree, [(feature, 1.0)])
    graph = GraphBuilder()
    contributions = graph.widen(ensemble.write(graph))
    total = graph.add("ReduceSum", contributions, graph.indices([1]), keepdims=0)
    graph.answer(graph.add("Add", total, graph.constant(intercept)), contributions, calibration)
    return graph.build(features)


def write_reference_trees(
    trees: Iterable[Tree], intercept: float, reference: Floats, calibration: Calibration
) -> bytes:
    """Write trees that add up to the log-odds; a contribution is what leaves if that feature were the reference's.

    The contribution of a feature is the log-odds less the log-odds with that one feature set to the reference
    customer's value. Only the trees that look at the feature change, and with the feature known they are cut down to
    smaller ones. So the graph holds, beside each tree, what is left of it for each feature it looks at: no second call,
    and far fewer nodes than scoring `features + 1` rows.

    Args:
        trees: the model's.
        intercept: log-odds that the trees are added to.
        reference: float64 [features], the encoded reference customer.
        calibration: of the log-odds.
    """
    features = len(reference)
    ensemble = _Ensemble(targets=features + 1)
    for tree in trees:
        used = sorted(features_of(tree))
        ensemble.add(tree, [(features, 1.0), *((feature, 1.0) for feature in used)])
        for feature in used:
            ensemble.add(decide(tree, feature, float(reference[feature])), [(feature, -1.0)])
    graph = GraphBuilder()
    scores = graph.widen(ensemble.write(graph))
    contributions = graph.add("Gather", scores, graph.indices(np.arange(features)), axis=1)
    total = graph.add("Gather", scores, graph.indices(features), axis=1)
    graph.answer(graph.add("Add", total, graph.constant(intercept)), contributions, calibration)
    return graph.build(features)


class _Ensemble:
    """Collects trees for a TreeEnsembleRegressor."""

    def __init__(self, targets: int) -> None:
        self._base = np.zeros(targets)
        self._trees = 0
        self._nodes: dict[str, list[int]] = defaultdict(list)
        self._modes: list[str] = []
        self._thresholds: list[float] = []
        self._leaves: dict[str, list[int]] = defaultdict(list)
        self._weights: list[float] = []

    def add(self, tree: Tree, outputs: Sequence[tuple[int, float]]) -> None:
        """Add a tree whose value, times a factor, goes to each of some targets."""
        if isinstance(tree, float):
            for target, factor in outputs:
                self._base[target] += factor * tree
            return
        self._add_tree(tree, outputs, 0)
        self._trees += 1

    def write(self, graph: GraphBuilder) -> str:
        """Add the node to a graph and give the name of its output, float32 [rows, targets]."""
        # a tree of one leaf: the operator needs a tree, and ONNX Runtime forgets base_values of targets without a leaf
        self._add_leaf(1.0, list(enumerate(self._base.tolist())), 0)
        whole: dict[str, Any] = {f"nodes_{key}": values for key, values in self._nodes.items()}
        whole |= {f"target_{key}": values for key, values in self._leaves.items()}
        return graph.add(
            "TreeEnsembleRegressor",
            graph.features,
            domain=TREE_DOMAIN,
            n_targets=len(self._base),
            nodes_modes=self._modes,
            nodes_values_as_tensor=numpy_helper.from_array(np.array(self._thresholds), "nodes_values"),
            target_weights_as_tensor=numpy_helper.from_array(np.array(self._weights), "target_weights"),
            **whole,
        )

    def _add_tree(self, tree: Tree, outputs: Sequence[tuple[int, float]], number: int) -> int:
        """Add a node and all below it; give the next free number."""
        if isinstance(tree, float):
            return self._add_leaf(tree, outputs, number)
        place = len(self._modes)
        self._add_node("BRANCH_LEQ", number, tree.feature, tree.threshold, tree.missing_left)
        self._nodes["truenodeids"][place] = number + 1
        after_left = self._add_tree(tree.left, outputs, number + 1)
        self._nodes["falsenodeids"][place] = after_left
        return self._add_tree(tree.right, outputs, after_left)

    def _add_leaf(self, value: float, outputs: Sequence[tuple[int, float]], number: int) -> int:
        self._add_node("LEAF", number, 0, 0.0, False)
        for target, factor in outputs:
            self._leaves["treeids"].append(self._trees)
            self._leaves["nodeids"].append(number)
            self._leaves["ids"].append(target)
            self._weights.append(factor * value)
        return number + 1

    def _add_node(self, mode: str, number: int, feature: int, threshold: float, missing_left: bool) -> None:
        self._modes.append(mode)
        self._thresholds.append(threshold)
        self._nodes["treeids"].append(self._trees)
        self._nodes["nodeids"].append(number)
        self._nodes["featureids"].append(feature)
        self._nodes["missing_value_tracks_true"].append(int(missing_left))
        self._nodes["truenodeids"].append(0)
        self._nodes["falsenodeids"].append(0)
