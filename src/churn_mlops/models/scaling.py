"""Scaling: features filled in, kept within the range seen in training, and standardised, alike in numpy and graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from churn_mlops.models.graph_builder import GraphBuilder

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Scaling:
    """What each feature goes through: `(clip(x, low, high) - mean) / deviation`, with `fill` for a missing x.

    Numpy and the graph take the same steps in float64 and come to the same bits, so that no customer is on one side of
    a threshold here and on the other there.

    Attributes:
        fill: float64 [features], the median; 0 where a feature never was present.
        low: float64 [features], smallest value seen.
        high: float64 [features], largest value seen.
        mean: float64 [features], with missing values filled in.
        deviation: float64 [features], likewise; 1 where all values are equal.
    """

    fill: Floats
    low: Floats
    high: Floats
    mean: Floats
    deviation: Floats

    @classmethod
    def learn(cls, matrix: Floats) -> Scaling:
        """Learn it from encoded customers, float64 [rows, features]."""
        present = ~np.isnan(matrix)
        never = ~present.any(axis=0)
        fill = np.nanmedian(np.where(never, 0.0, matrix), axis=0)
        filled = np.where(present, matrix, fill)
        deviation = filled.std(axis=0)
        deviation[deviation == 0] = 1.0
        return cls(fill, filled.min(axis=0), filled.max(axis=0), filled.mean(axis=0), deviation)

    def apply(self, matrix: Floats) -> Floats:
        """Scale encoded customers, float64 [..., features]."""
        filled = np.where(np.isnan(matrix), self.fill, matrix)
        scaled: Floats = (np.clip(filled, self.low, self.high) - self.mean) / self.deviation
        return scaled

    def write(self, graph: GraphBuilder) -> str:
        """Add it to a graph and give the name of its output, float64 [rows, features]."""
        filled = graph.add("Where", graph.add("IsNaN", graph.features), graph.constant(self.fill), graph.features)
        clipped = graph.add("Min", graph.add("Max", filled, graph.constant(self.low)), graph.constant(self.high))
        centred = graph.add("Sub", clipped, graph.constant(self.mean))
        return graph.add("Div", centred, graph.constant(self.deviation))
