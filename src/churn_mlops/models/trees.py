"""Decision trees as plain values: built from lookup tables, cut down to what is left once a feature is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

_ANY_NUMBER: Final = 1e300
"""Above every float32: of what is compared with it, only a missing value is not at most this."""


@dataclass(frozen=True, slots=True)
class Split:
    """A node that sends a customer left where `feature <= threshold`, or where it is missing and `missing_left`."""

    feature: int
    threshold: float
    missing_left: bool
    left: Tree
    right: Tree


@dataclass(frozen=True, slots=True)
class LinearLeaf:
    """A leaf whose value is `constant + sum(slope * feature)`, over pairs of a feature and its slope."""

    constant: float
    slopes: tuple[tuple[int, float], ...]


Tree = Split | LinearLeaf | float
"""A node, or a leaf: linear, or a value."""


@dataclass(frozen=True, slots=True)
class Axis:
    """How a lookup table is indexed by a feature.

    Attributes:
        feature: position of the feature.
        cuts: float64 [bins - 1], ascending; a value on a cut belongs to the bin above it.
    """

    feature: int
    cuts: Floats

    def index(self, values: Floats) -> npt.NDArray[np.intp]:
        """Find the place in the table of each value: 0 where it is missing, else 1 and up."""
        return np.where(np.isnan(values), 0, np.searchsorted(self.cuts, values, side="right") + 1)


def build_lookup(axis: Axis, entries: Sequence[Tree]) -> Tree:
    """Build the tree that looks up one of `entries`: first the one for a missing value, then one for each bin.

    The tree is balanced; a missing value goes right everywhere, to a last split that tells it from the highest bin.
    """
    missing, *bins = entries
    top: Tree = bins[-1]
    if missing != top:
        top = Split(axis.feature, _ANY_NUMBER, False, top, missing)
    bins[-1] = top

    def build(low: int, high: int) -> Tree:
        if low == high:
            return bins[low]
        middle = (low + high) // 2
        left, right = build(low, middle), build(middle + 1, high)
        # a value on a cut belongs above it, so left is what is at most the number before it
        before = float(np.nextafter(axis.cuts[middle], -np.inf))
        return left if left == right else Split(axis.feature, before, False, left, right)

    return build(0, len(bins) - 1)


def decide(tree: Tree, feature: int, value: float) -> Tree:
    """Cut a tree down to what is left of it for customers with this value of this feature."""
    if isinstance(tree, float):
        return tree
    if isinstance(tree, LinearLeaf):
        known = sum(slope * value for place, slope in tree.slopes if place == feature)
        return LinearLeaf(tree.constant + known, tuple(pair for pair in tree.slopes if pair[0] != feature))
    if tree.feature == feature:
        goes_left = tree.missing_left if np.isnan(value) else value <= tree.threshold
        return decide(tree.left if goes_left else tree.right, feature, value)
    left, right = decide(tree.left, feature, value), decide(tree.right, feature, value)
    if left is tree.left and right is tree.right:
        return tree
    return Split(tree.feature, tree.threshold, tree.missing_left, left, right)


def scale(tree: Tree, factor: float) -> Tree:
    """Give the same tree with the value of every leaf times a factor."""
    if isinstance(tree, float):
        return factor * tree
    if isinstance(tree, LinearLeaf):
        return LinearLeaf(factor * tree.constant, tuple((feature, factor * slope) for feature, slope in tree.slopes))
    left, right = scale(tree.left, factor), scale(tree.right, factor)
    return Split(tree.feature, tree.threshold, tree.missing_left, left, right)


def features_of(tree: Tree) -> frozenset[int]:
    """Name the features that a tree looks at, in its splits or its leaves."""
    if isinstance(tree, float):
        return frozenset()
    if isinstance(tree, LinearLeaf):
        return frozenset(feature for feature, _ in tree.slopes)
    return frozenset({tree.feature}) | features_of(tree.left) | features_of(tree.right)
