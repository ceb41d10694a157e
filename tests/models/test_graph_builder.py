"""The graph's own part, after any family: calibration, and the contract of its inputs and outputs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from graph_running import run_graph
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto

from churn_mlops.models.calibration import Calibration
from churn_mlops.models.graph_builder import GraphBuilder
from churn_mlops.models.graph_contract import CONTRIBUTIONS, INPUT, PROBABILITY

if TYPE_CHECKING:
    import numpy.typing as npt

LOG_ODDS = np.linspace(-60, 60, 2401).astype(np.float32).astype(np.float64)


def _calibrated_graph(calibration: Calibration) -> bytes:
    """Write a graph whose one feature is the log-odds."""
    graph = GraphBuilder()
    log_odds = graph.add("ReduceSum", graph.features, graph.indices([1]), keepdims=0)
    graph.answer(log_odds, graph.features, calibration)
    return graph.build(1)


def _probability(calibration: Calibration) -> npt.NDArray[np.float64]:
    return 1 / (1 + np.exp(-calibration.apply(LOG_ODDS)))


SLOPES = st.floats(0.01, 10)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(SLOPES, SLOPES, st.floats(-10, 10))
def test_the_graph_calibrates_as_numpy_does(a: float, b: float, c: float) -> None:
    """From log-odds of -60 to 60, for any slopes and offset, probabilities differ by less than 1e-6."""
    calibration = Calibration("beta", a, b, c)
    found, _ = run_graph(_calibrated_graph(calibration), LOG_ODDS[:, np.newaxis])
    np.testing.assert_allclose(found, _probability(calibration), rtol=0, atol=1e-6)


@pytest.mark.parametrize("calibration", [Calibration(), Calibration("sigmoid", 0.7, 0.7, -0.3)])
def test_without_a_bend_the_graph_calibrates_by_a_line(calibration: Calibration) -> None:
    """None and sigmoid need no logarithm, and say the same as numpy."""
    graph = _calibrated_graph(calibration)
    found, _ = run_graph(graph, LOG_ODDS[:, np.newaxis])
    np.testing.assert_allclose(found, _probability(calibration), rtol=0, atol=1e-6)
    assert "Log" not in {node.op_type for node in onnx.load_from_string(graph).graph.node}


def test_log_odds_of_any_size_give_a_probability() -> None:
    """Nothing overflows: at the ends of float32 the probability is 0 or 1."""
    found, _ = run_graph(_calibrated_graph(Calibration("beta", 2.0, 0.5, 1.0)), [[-3.4e38], [3.4e38], [0.0]])
    assert found[:2].tolist() == [0, 1]
    assert found[2] == pytest.approx(1 / (1 + np.exp(1.5 * np.log(2) - 1)), abs=1e-6)


def test_every_graph_keeps_the_contract() -> None:
    """Names, types and shapes are those that the scorer and every model writer agree on."""
    graph = onnx.load_from_string(_calibrated_graph(Calibration())).graph
    (given_,), answered = graph.input, graph.output
    assert [given_.name, *(value.name for value in answered)] == [INPUT, PROBABILITY, CONTRIBUTIONS]
    assert {value.type.tensor_type.elem_type for value in (given_, *answered)} == {TensorProto.FLOAT}
    shapes = [[d.dim_param or d.dim_value for d in v.type.tensor_type.shape.dim] for v in (given_, *answered)]
    assert shapes == [["rows", 1], ["rows"], ["rows", 1]]


def test_constants_are_float64_and_indices_int64() -> None:
    """Whole numbers become what they are asked to be: a slope of 2 is a float64, and an axis is an int64."""
    graph = GraphBuilder()
    graph.constant([2])
    axis = graph.indices([1])
    graph.answer(graph.add("ReduceSum", graph.features, axis, keepdims=0), graph.features, Calibration())
    types = [constant.data_type for constant in onnx.load_from_string(graph.build(1)).graph.initializer[:2]]
    assert types == [TensorProto.DOUBLE, TensorProto.INT64]
