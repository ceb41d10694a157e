"""Additive models as lookup terms: one contribution per feature, read off a fitted estimator and written as a graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from churn_mlops.models.graph_contract import CONTRIBUTIONS, INPUT, PROBABILITY
from churn_mlops.models.signature import LARGEST_NUMBER, OTHER_CATEGORY, Feature, Signature

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

OPSET = 17
"""ONNX operator set of the graphs: old enough for every runtime of the last years."""


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
    """A churn probability as a sum: `sigmoid(slope * (intercept + sum of contributions) + offset)`.

    Attributes:
        terms: one per feature, in the order of the signature; each averages 0 over the training rows.
        intercept: log-odds before calibration of a customer whose contributions are all 0.
        calibration_slope: of the sigmoid calibration; positive.
        calibration_offset: of the sigmoid calibration.
    """

    terms: tuple[LinearTerm | CategoryTerm, ...]
    intercept: float
    calibration_slope: float
    calibration_offset: float


def read_terms(
    log_odds: Callable[[Floats], Floats], signature: Signature, matrix: Floats
) -> tuple[tuple[LinearTerm | CategoryTerm, ...], float]:
    """Read the terms of an additive model off the model itself, without knowing how it is built.

    In an additive model, changing one feature of a fixed reference row changes the log-odds by exactly the change of
    that feature's contribution. So each feature is set in turn to every value at which its contribution can bend: the
    ends of its range, every category, another category, and missing. That the model is additive, and bends nowhere
    else, is what the parity check proves afterwards on every row.

    Args:
        log_odds: the model, from float64 [rows, features] to float64 [rows].
        signature: kinds, ranges and categories of the features.
        matrix: the encoded training rows, over which each term's contributions are centred.

    Returns:
        The terms, and the intercept.
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
    return tuple(terms), at_reference + sum(means)


def contributions_of(term: LinearTerm | CategoryTerm, values: Floats) -> Floats:
    """Compute one feature's contributions, float64 [rows], for its encoded values, float64 [rows]."""
    missing = np.isnan(values)
    if isinstance(term, LinearTerm):
        clipped = np.clip(np.where(missing, term.low, values), term.low, term.high)
        return np.where(missing, term.missing, term.at_low + term.slope * (clipped - term.low))
    table = np.array([term.other, *term.by_code])
    codes = np.where(missing, OTHER_CATEGORY, values).astype(int)
    return np.where(missing, term.missing, table[codes - OTHER_CATEGORY])


def write_graph(model: AdditiveModel) -> bytes:
    """Write the model as an ONNX graph.

    Input `features`: float32 [rows, features], encoded as the signature says (missing is NaN). Outputs
    `churn_probability`: float32 [rows], and `contributions`: float32 [rows, features], in log-odds before
    calibration. Inside, everything is float64: rounding would else show in the fifth digit.
    """
    numeric = [position for position, term in enumerate(model.terms) if isinstance(term, LinearTerm)]
    categorical = [position for position, term in enumerate(model.terms) if isinstance(term, CategoryTerm)]
    graph = _GraphBuilder()
    wide = graph.add("Cast", INPUT, to=TensorProto.DOUBLE)
    parts = []
    if numeric:
        parts.append(_write_linear_terms(graph, wide, numeric, model))
    if categorical:
        parts.append(_write_category_terms(graph, wide, categorical, model))
    together = graph.add("Concat", *parts, axis=1) if len(parts) > 1 else parts[0]
    order = np.argsort([*numeric, *categorical]).astype(np.int64)
    contributions = graph.add("Gather", together, graph.constant(order), axis=1)
    total = graph.add("ReduceSum", contributions, graph.constant(np.array([1], dtype=np.int64)), keepdims=0)
    slope, offset = model.calibration_slope, model.calibration_offset
    calibrated = graph.add(
        "Add", graph.add("Mul", total, graph.constant(slope)), graph.constant(slope * model.intercept + offset)
    )
    graph.add("Cast", graph.add("Sigmoid", calibrated), output=PROBABILITY, to=TensorProto.FLOAT)
    graph.add("Cast", contributions, output=CONTRIBUTIONS, to=TensorProto.FLOAT)
    return graph.build(len(model.terms))


def _levels(feature: Feature) -> list[float]:
    if feature.kind == "categorical":
        return [OTHER_CATEGORY, *range(len(feature.categories)), np.nan]
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


def _write_linear_terms(graph: _GraphBuilder, wide: str, positions: list[int], model: AdditiveModel) -> str:
    terms = [term for term in model.terms if isinstance(term, LinearTerm)]
    low = graph.constant([term.low for term in terms])
    numbers = graph.add("Gather", wide, graph.constant(np.array(positions, dtype=np.int64)), axis=1)
    missing = graph.add("IsNaN", numbers)
    present = graph.add("Where", missing, low, numbers)
    clipped = graph.add("Min", graph.add("Max", present, low), graph.constant([term.high for term in terms]))
    rise = graph.add("Mul", graph.add("Sub", clipped, low), graph.constant([term.slope for term in terms]))
    value = graph.add("Add", rise, graph.constant([term.at_low for term in terms]))
    return graph.add("Where", missing, graph.constant([term.missing for term in terms]), value)


def _write_category_terms(graph: _GraphBuilder, wide: str, positions: list[int], model: AdditiveModel) -> str:
    terms = [term for term in model.terms if isinstance(term, CategoryTerm)]
    # one table for all features: other, the categories by code, missing; then the next feature
    table = [value for term in terms for value in (term.other, *term.by_code, term.missing)]
    sizes = np.array([len(term.by_code) for term in terms])
    start = np.concatenate([[0], np.cumsum(sizes + 2)[:-1]]).astype(np.float64)
    codes = graph.add("Gather", wide, graph.constant(np.array(positions, dtype=np.int64)), axis=1)
    present = graph.add("Where", graph.add("IsNaN", codes), graph.constant(sizes.astype(np.float64)), codes)
    lowest = graph.constant(np.full(len(terms), float(OTHER_CATEGORY)))
    within = graph.add("Min", graph.add("Max", present, lowest), graph.constant(sizes.astype(np.float64)))
    place = graph.add("Add", within, graph.constant(start - OTHER_CATEGORY))
    return graph.add("Gather", graph.constant(table), graph.add("Cast", place, to=TensorProto.INT64), axis=0)


class _GraphBuilder:
    """Adds nodes one by one, naming what lies between them."""

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def constant(self, value: npt.ArrayLike) -> str:
        """Add a constant (float64 unless it is an integer array already) and give its name."""
        array = np.asarray(value)
        if array.dtype != np.int64:
            array = array.astype(np.float64)
        self._constants.append(numpy_helper.from_array(array, f"constant_{len(self._constants)}"))
        return self._constants[-1].name

    def add(self, operator: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        """Add a node and give the name of its output."""
        name = output or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def build(self, features: int) -> bytes:
        """Finish the graph, have it checked, and serialise it."""
        graph = helper.make_graph(
            self._nodes,
            "churn_mlops",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["rows", features])],
            [
                helper.make_tensor_value_info(PROBABILITY, TensorProto.FLOAT, ["rows"]),
                helper.make_tensor_value_info(CONTRIBUTIONS, TensorProto.FLOAT, ["rows", features]),
            ],
            self._constants,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="churn-mlops")
        model.ir_version = 8
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString())
