"""Scaling is standardisation within what training held, and the graph takes the same steps to the same bits."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

from churn_mlops.models.calibration import Calibration
from churn_mlops.models.graph_builder import GraphBuilder
from churn_mlops.models.graph_contract import CONTRIBUTIONS, INPUT
from churn_mlops.models.scaling import Scaling
from churn_mlops.models.signature import LARGEST_NUMBER

MATRIX = np.array([[0.0, 7.0, np.nan], [2.0, 7.0, np.nan], [np.nan, 7.0, np.nan], [10.0, 7.0, np.nan]])
SCALING = Scaling.learn(MATRIX)


def test_what_is_learnt_by_hand() -> None:
    """A missing value counts as the median, 2; equal values are spread by 1, and what never was present is 0."""
    assert SCALING.fill.tolist() == [2, 7, 0]
    assert (SCALING.low.tolist(), SCALING.high.tolist()) == ([0, 7, 0], [10, 7, 0])
    assert SCALING.mean.tolist() == [3.5, 7, 0]
    assert SCALING.deviation.tolist() == pytest.approx([float(np.std([0, 2, 2, 10])), 1, 1])


def test_scaled_training_rows_are_standardised() -> None:
    """Their mean is 0 and their deviation 1, where they differ at all."""
    scaled = SCALING.apply(MATRIX)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-12)
    np.testing.assert_allclose(scaled.std(axis=0), [1, 0, 0])


def test_values_outside_the_range_count_as_its_ends() -> None:
    """However far outside, and nothing that was never seen counts at all."""
    far = SCALING.apply(np.array([[-LARGEST_NUMBER, 1e9, -5.0], [LARGEST_NUMBER, -1e9, 5.0]]))
    np.testing.assert_array_equal(far, SCALING.apply(np.array([[0.0, 7.0, 0.0], [10.0, 7.0, 0.0]])))


@pytest.mark.parametrize("value", [-LARGEST_NUMBER, -1.0, 0.0, 2.0, 5.0, 10.0, 11.0, LARGEST_NUMBER, np.nan])
def test_the_graph_scales_as_numpy_does(value: float) -> None:
    """Below the range, at its ends, within, above and where nothing is known, each feature comes to the same."""
    graph, features = GraphBuilder(), len(SCALING.fill)
    scaled = SCALING.write(graph)
    graph.answer(graph.add("ReduceSum", scaled, graph.indices([1]), keepdims=0), scaled, Calibration())
    session = onnxruntime.InferenceSession(graph.build(features))
    rows = np.full((1, features), value, dtype=np.float32)
    (from_graph,) = session.run([CONTRIBUTIONS], {INPUT: rows})
    np.testing.assert_array_equal(from_graph, SCALING.apply(rows.astype(np.float64)).astype(np.float32))
