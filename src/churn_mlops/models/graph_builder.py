"""Builds ONNX graphs of the one contract that everything served keeps, node by node."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from churn_mlops.models.graph_contract import CONTRIBUTIONS, INPUT, PROBABILITY

if TYPE_CHECKING:
    import numpy.typing as npt

    from churn_mlops.models.calibration import Calibration

OPSET: Final = 17
"""ONNX operator set of the graphs: old enough for every runtime of the last years."""

TREE_DOMAIN: Final = "ai.onnx.ml"
TREE_OPSET: Final = 3
"""The first operator set whose trees may hold float64 thresholds and values."""


class GraphBuilder:
    """Adds nodes one by one, naming what lies between them.

    Everything inside is float64: rounding would else show in the fifth digit.
    """

    def __init__(self) -> None:
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []
        self.features = self.add("Cast", INPUT, to=TensorProto.DOUBLE)

    def constant(self, value: npt.ArrayLike) -> str:
        """Add a float64 constant and give its name."""
        return self._add_constant(np.asarray(value, dtype=np.float64))

    def indices(self, value: npt.ArrayLike) -> str:
        """Add an int64 constant, for places and axes, and give its name."""
        return self._add_constant(np.asarray(value, dtype=np.int64))

    def add(self, operator: str, *inputs: str, output: str = "", domain: str = "", **attributes: Any) -> str:
        """Add a node and give the name of its output."""
        name = output or f"{operator.lower()}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, list(inputs), [name], domain=domain, **attributes))
        return name

    def widen(self, name: str) -> str:
        """Turn float32 into float64."""
        return self.add("Cast", name, to=TensorProto.DOUBLE)

    def answer(self, log_odds: str, contributions: str, calibration: Calibration, intercept: float = 0.0) -> None:
        """Add the two outputs.

        Args:
            log_odds: float64 [rows], to which the intercept is still to be added.
            contributions: float64 [rows, features], or the output itself.
            calibration: of the log-odds.
            intercept: of them.
        """
        probability = self.add("Sigmoid", self._calibrate(log_odds, calibration, intercept))
        self.add("Cast", probability, output=PROBABILITY, to=TensorProto.FLOAT)
        if contributions != CONTRIBUTIONS:
            self.add("Cast", contributions, output=CONTRIBUTIONS, to=TensorProto.FLOAT)

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
        operators = [helper.make_opsetid("", OPSET), helper.make_opsetid(TREE_DOMAIN, TREE_OPSET)]
        model = helper.make_model(graph, opset_imports=operators, producer_name="churn-mlops")
        model.ir_version = 8
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString())

    def _add_constant(self, array: npt.NDArray[Any]) -> str:
        self._constants.append(numpy_helper.from_array(array, f"constant_{len(self._constants)}"))
        return self._constants[-1].name

    def _calibrate(self, log_odds: str, calibration: Calibration, intercept: float) -> str:
        if calibration.a == calibration.b:  # a line, and so is what the intercept is added by: one of both
            scaled = log_odds if calibration.a == 1 else self.add("Mul", log_odds, self.constant(calibration.a))
            return self.add("Add", scaled, self.constant(calibration.a * intercept + calibration.c))
        log_odds = self.add("Add", log_odds, self.constant(intercept))
        # ONNX Runtime has no softplus of float64; softplus(z) is max(z, 0) + log(1 + exp(-|z|))
        above = self.add("Mul", self.add("Max", log_odds, self.constant(0.0)), self.constant(calibration.b))
        below = self.add("Mul", self.add("Min", log_odds, self.constant(0.0)), self.constant(calibration.a))
        small = self.add("Exp", self.add("Neg", self.add("Abs", log_odds)))
        bend = self.add("Log", self.add("Add", small, self.constant(1.0)))
        bent = self.add("Mul", bend, self.constant(calibration.b - calibration.a))
        scaled = self.add("Add", self.add("Add", above, below), bent)
        return self.add("Add", scaled, self.constant(calibration.c))
