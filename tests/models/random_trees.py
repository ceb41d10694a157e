"""Draws trees and customers that lie on their thresholds, and walks a tree by hand."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from churn_mlops.models.signature import LARGEST_NUMBER
from churn_mlops.models.trees import LinearLeaf, Split, Tree

FEATURES = 3

THRESHOLDS = [float(np.float32(value)) for value in (-1e9, -1.5, 0.0, 1e-45, 0.1, 1.0, 16777216.0)]
"""All are float32; the smallest positive number and the last whole one are among them."""

_NEIGHBOURS = [np.nextafter(np.float32(value), np.float32(side)) for value in THRESHOLDS for side in (-np.inf, np.inf)]
VALUES = [*THRESHOLDS, *map(float, _NEIGHBOURS), -LARGEST_NUMBER, LARGEST_NUMBER, 0.5, float("nan")]
"""Every threshold, the float32 on either side of it, both ends, and missing."""


LEAVES: st.SearchStrategy[Tree] = st.floats(-5, 5, width=32)
"""Leaves that are values."""


def walk(tree: Tree, row: list[float]) -> float:
    """Find a customer's leaf, step by step, and its value."""
    while isinstance(tree, Split):
        value = row[tree.feature]
        left = tree.missing_left if np.isnan(value) else value <= tree.threshold
        tree = tree.left if left else tree.right
    if isinstance(tree, LinearLeaf):
        return tree.constant + sum(slope * row[feature] for feature, slope in tree.slopes)
    return tree


def draw_linear_leaf() -> st.SearchStrategy[Tree]:
    """Draw a leaf with slopes of some features."""
    slopes = st.dictionaries(st.integers(0, FEATURES - 1), st.floats(-5, 5, width=32))
    return st.builds(LinearLeaf, st.floats(-5, 5, width=32), slopes.map(lambda drawn: tuple(sorted(drawn.items()))))


def draw_tree(leaves: int = 12, leaf: st.SearchStrategy[Tree] = LEAVES) -> st.SearchStrategy[Tree]:
    """Draw a tree of any shape over `FEATURES` features; a constant is one too."""
    return st.recursive(
        leaf,
        lambda below: st.builds(
            Split, st.integers(0, FEATURES - 1), st.sampled_from(THRESHOLDS), st.booleans(), below, below
        ),
        max_leaves=leaves,
    )


def draw_row() -> st.SearchStrategy[list[float]]:
    """Draw an encoded customer."""
    return st.lists(st.sampled_from(VALUES), min_size=FEATURES, max_size=FEATURES)
