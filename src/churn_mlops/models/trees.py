"""Decision trees as plain values: built from lookup tables, cut down to what is left once a feature is known."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

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


Tree = Split | float
"""A node, or the value of a leaf."""


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
    if tree.feature == feature:
        goes_left = tree.missing_left if np.isnan(value) else value <= tree.threshold
        return decide(tree.left if goes_left else tree.right, feature, value)
    left, right = decide(tree.left, feature, value), decide(tree.right, feature, value)
    if left is tree.left and right is tree.right:
        return tree
    return Split(tree.feature, tree.threshold, tree.missing_left, left, right)


def map_leaves(tree: Tree, change: Callable[[float], float]) -> Tree:
    """Give the same tree with every leaf's value changed."""
    if isinstance(tree, float):
        return change(tree)
    left, right = map_leaves(tree.left, change), map_leaves(tree.right, change)
    return Split(tree.feature, tree.threshold, tree.missing_left, left, right)


def features_of(tree: Tree) -> frozenset[int]:
    """Name the features that a tree looks at."""
    return frozenset(node.feature for node in _splits(tree))


def _splits(tree: Tree) -> Iterator[Split]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Split):
            yield node
            waiting += [node.left, node.right]
