"""From a fitted model of any family to the one graph that is served, and how its contributions are to be read."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from churn_mlops.models.additive import read_additive, write_additive
from churn_mlops.models.blend import Blend
from churn_mlops.models.boosted import BoostedTrees
from churn_mlops.models.ebm import AdditiveBoosting, LookupTable, add_up, share_out
from churn_mlops.models.tree_graph import write_additive_trees, write_reference_trees
from churn_mlops.models.trees import Tree, scale

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from churn_mlops.models.churn_model import ChurnModel
    from churn_mlops.models.scaling import Scaling
    from churn_mlops.models.tree_graph import Shares

    Floats = npt.NDArray[np.float64]

Contributions = Literal["additive", "reference"]

_METHOD: Final[dict[Contributions, str]] = {
    "additive": (
        "exact: contributions and the intercept add up to the log-odds before calibration; a term of two features is "
        "purified, and each of them gets half of what is left"
    ),
    "reference": (
        "reference differences: by how much the log-odds change from what they were if that one feature had the "
        "typical value; they do not add up"
    ),
}


@dataclass(frozen=True, slots=True)
class ExportedModel:
    """A graph and what its contributions mean.

    Attributes:
        graph: the serialised ONNX graph.
        contributions: additive (exact) or reference (differences from the reference customer).
        intercept: log-odds to which additive contributions are added.
    """

    graph: bytes
    contributions: Contributions
    intercept: float

    @property
    def method(self) -> str:
        """How contributions came about, in words."""
        return _METHOD[self.contributions]


def export_model(model: ChurnModel, frame: pd.DataFrame) -> ExportedModel:
    """Write a fitted model as a graph.

    Args:
        model: of any family.
        frame: the rows it was fitted on, over which additive contributions are centred.
    """
    family = model.family_
    if isinstance(family, Blend | BoostedTrees):
        trees, scaled, intercept = _read_trees(family)
        reference = model.signature.reference_row()
        graph = write_reference_trees(trees, scaled, intercept, reference, model.calibration)
        return ExportedModel(graph, "reference", intercept)
    matrix = model.encoder_.transform(frame)
    if isinstance(family, AdditiveBoosting):
        parts, intercept = _centre(family, matrix)
        terms = ((shares, table.to_tree()) for shares, table in parts)
        return ExportedModel(
            write_additive_trees(terms, intercept, matrix.shape[1], model.calibration), "additive", intercept
        )
    additive = read_additive(family.decision_function, model.signature, matrix)
    return ExportedModel(write_additive(additive, model.calibration), "additive", additive.intercept)


def _read_trees(
    family: Blend | BoostedTrees | AdditiveBoosting,
) -> tuple[list[Tree], list[tuple[Scaling, list[Tree]]], float]:
    """Give trees, trees of scaled features and an intercept that together add up to a family's log-odds."""
    if isinstance(family, BoostedTrees):
        return list(family.trees()), [(family.scaling_, list(family.linear_trees()))], 0.0
    if isinstance(family, AdditiveBoosting):
        return [table.to_tree() for table in family.tables()], [], family.intercept
    trees: list[Tree] = []
    scaled: list[tuple[Scaling, list[Tree]]] = []
    intercept = 0.0
    for name, member in family.members_.items():
        weight = family.weights[name]
        of_member, scaled_of_member, base = _read_trees(member)
        trees += [scale(tree, weight) for tree in of_member]
        scaled += [(scaling, [scale(tree, weight) for tree in some]) for scaling, some in scaled_of_member]
        intercept += weight * base
    return trees, scaled, intercept


def _centre(family: AdditiveBoosting, matrix: Floats) -> tuple[list[tuple[Shares, LookupTable]], float]:
    """Give tables such that each feature's contributions average 0 over the rows, and the intercept for that.

    With each table goes whose contributions it is part of: one feature's, or half of it each of two.
    """
    alone: dict[int, list[LookupTable]] = defaultdict(list)
    parts: list[tuple[Shares, LookupTable]] = []
    means: dict[int, float] = defaultdict(float)
    intercept = family.intercept
    for table in family.tables():
        if len(table.axes) == 1:
            alone[table.axes[0].feature].append(table)
            continue
        mean, interaction, of_features = share_out(table)
        intercept += mean
        shares = [(axis.feature, 0.5) for axis in interaction.axes]
        parts.append((shares, interaction))
        for (feature, share), own in zip(shares, of_features, strict=True):
            alone[feature].append(own)
            means[feature] += share * float(interaction.look_up(matrix).mean())
    for feature, tables in alone.items():
        together = add_up(tables)
        mean = means[feature] + float(together.look_up(matrix).mean())
        intercept += mean
        parts.append(([(feature, 1.0)], replace(together, scores=together.scores - mean)))
    return parts, intercept
