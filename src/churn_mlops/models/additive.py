"""Additive models as lookup terms: one contribution per feature, read off a fitted estimator and written as a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from onnx import TensorProto

from churn_mlops.models.graph_builder import GraphBuilder
from churn_mlops.models.signature import LARGEST_NUMBER, Feature, Signature

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from churn_mlops.models.calibration import Calibration

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class LinearTerm:
    """The contribution of a number: `at_low + slope * (clip(x, low, high) - low)`, or `missing`. In log-odds."""

    low: float
    high: float
    at_low: float
    slope: float
    missing: float

    def shifted(self, by: float) -> LinearTerm:
        """Add a constant to every contribution."""
        return LinearTerm(self.low, self.high, self.at_low + by, self.slope, self.missing + by)


@dataclass(frozen=True)
class CategoryTerm:
    """The contribution of a category by its code, of any other category, or `missing`. In log-odds."""

    by_code: tuple[float, ...]
    other: float
    missing: float

    def shifted(self, by: float) -> CategoryTerm:
        """Add a constant to every contribution."""
        return CategoryTerm(tuple(value + by for value in self.by_code), self.other + by, self.missing + by)


@dataclass(frozen=True)
class AdditiveModel:
    """Log-odds before calibration as a sum: `intercept + sum of contributions`.

    Attributes:
        terms: one per feature, in the order of the signature; each averages 0 over the training rows.
        intercept: log-odds of a customer whose contributions are all 0.
    """

    terms: tuple[LinearTerm | CategoryTerm, ...]
    intercept: float


def read_additive(log_odds: Callable[[Floats], Floats], signature: Signature, matrix: Floats) -> AdditiveModel:
    """Read an additive model off the model itself, without knowing how it is built.

    In an additive model, changing one feature of a fixed reference row changes the log-odds by exactly the change of
    that feature's contribution. So each feature is set in turn to every value at which its contribution can bend: the
    ends of its range, every category, another category, and missing. That the model is additive, and bends nowhere
    else, is what the parity check proves afterwards on every row.

    Args:
        log_odds: the model, from float64 [rows, features] to float64 [rows].
        signature: kinds, ranges and categories of the features.
        matrix: the encoded training rows, over which each term's contributions are centred.
    """
    reference = matrix[0]
    levels = [_levels(feature) for feature in signature.features]
    probes = np.repeat(reference[np.newaxis], sum(map(len, levels)), axis=0)
    row = 0
    for position, values in enumerate(levels):
        probes[row : row + len(values), position] = values
        row += len(values)
    at_reference = float(log_odds(reference[np.newaxis])[0])
    changes = np.split(log_odds(probes) - at_reference, np.cumsum([len(values) for values in levels])[:-1])
    terms, means = [], []
    for position, (feature, change) in enumerate(zip(signature.features, changes, strict=True)):
        term = _term(feature, change)
        means.append(float(contributions_of(term, matrix[:, position]).mean()))
        terms.append(term.shifted(-means[-1]))
    return AdditiveModel(tuple(terms), at_reference + sum(means))


def contributions_of(term: LinearTerm | CategoryTerm, values: Floats) -> Floats:
    """Compute one feature's contributions, float64 [rows], for its encoded values, float64 [rows]."""
    missing = np.isnan(values)
    if isinstance(term, LinearTerm):
        clipped = np.clip(np.where(missing, term.low, values), term.low, term.high)
        return np.where(missing, term.missing, term.at_low + term.slope * (clipped - term.low))
    table = np.array([*term.by_code, term.other])
    is_code = ~missing & (values % 1 == 0) & (values >= 0)
    codes = np.where(is_code, values, -1).astype(int)  # a half is the code of every other category
    return np.where(missing, term.missing, table[codes])


def write_additive(model: AdditiveModel, calibration: Calibration) -> bytes:
    """Write the model as an ONNX graph; contributions are exact, in log-odds before calibration."""
    numeric = [position for position, term in enumerate(model.terms) if isinstance(term, LinearTerm)]
    categorical = [position for position, term in enumerate(model.terms) if isinstance(term, CategoryTerm)]
    graph = GraphBuilder()
    parts = []
    if numeric:
        parts.append(_write_linear_terms(graph, numeric, model))
    if categorical:
        parts.append(_write_category_terms(graph, categorical, model))
    together = graph.add("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
    order = np.argsort([*numeric, *categorical])
    contributions = graph.add("Gather", together, graph.indices(order), axis=1)
    total = graph.add("ReduceSum", contributions, graph.indices([1]), keepdims=0)
    graph.answer(total, contributions, calibration, model.intercept)
    return graph.build(len(model.terms))


def _levels(feature: Feature) -> list[float]:
    if feature.kind == "categorical":
        return [feature.other_code, *range(len(feature.categories)), np.nan]
    low, high = _range(feature)
    return [low, high, np.nan]


def _term(feature: Feature, change: Floats) -> LinearTerm | CategoryTerm:
    if feature.kind == "categorical":
        other, *by_code, missing = change.tolist()
        return CategoryTerm(tuple(by_code), other, missing)
    low, high = _range(feature)
    slope = (change[1] - change[0]) / (high - low) if high > low else 0.0
    return LinearTerm(low, high, float(change[0]), float(slope), float(change[2]))


def _range(feature: Feature) -> tuple[float, float]:
    if feature.kind == "boolean":
        return 0.0, 1.0
    low, high = feature.minimum, feature.maximum
    if low is None or high is None:  # missing on every row
        return 0.0, 0.0
    low, high = np.clip([low, high], -LARGEST_NUMBER, LARGEST_NUMBER).astype(np.float32)
    return float(low), float(high)


def _write_linear_terms(graph: GraphBuilder, positions: list[int], model: AdditiveModel) -> str:
    terms = [term for term in model.terms if isinstance(term, LinearTerm)]
    low = graph.constant([term.low for term in terms])
    numbers = graph.add("Gather", graph.features, graph.indices(positions), axis=1)
    missing = graph.add("IsNaN", numbers)
    present = graph.add("Where", missing, low, numbers)
    clipped = graph.add("Min", graph.add("Max", present, low), graph.constant([term.high for term in terms]))
    rise = graph.add("Mul", graph.add("Sub", clipped, low), graph.constant([term.slope for term in terms]))
    value = graph.add("Add", rise, graph.constant([term.at_low for term in terms]))
    return graph.add("Where", missing, graph.constant([term.missing for term in terms]), value)


def _write_category_terms(graph: GraphBuilder, positions: list[int], model: AdditiveModel) -> str:
    terms = [term for term in model.terms if isinstance(term, CategoryTerm)]
    # one table for all features, two places a category: halves are the code of other ones, and the last is missing
    rows = [[term.other, *(v for value in term.by_code for v in (value, term.other)), term.missing] for term in terms]
    last = np.array([len(row) - 1 for row in rows], dtype=np.float64)
    start = np.concatenate([[0], np.cumsum(last + 1)[:-1]])
    codes = graph.add("Gather", graph.features, graph.indices(positions), axis=1)
    doubled = graph.add("Add", graph.add("Mul", codes, graph.constant(2.0)), graph.constant(1.0))
    present = graph.add("Where", graph.add("IsNaN", codes), graph.constant(last), doubled)
    within = graph.add("Min", graph.add("Max", present, graph.constant(0.0)), graph.constant(last))
    place = graph.add("Cast", graph.add("Add", within, graph.constant(start)), to=TensorProto.INT64)
    return graph.add("Gather", graph.constant([value for row in rows for value in row]), place, axis=0)
