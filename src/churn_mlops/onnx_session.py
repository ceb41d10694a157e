"""Opens graphs with ONNX Runtime: the only place that imports it, because it must be kept from phoning home first."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

# Since 1.29 the published wheels send session and model details to their maker unless this is set before the import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnxruntime

from churn_mlops.cpu_quota import available_cpus

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt


def open_session(graph: bytes, threads: int | None = None) -> onnxruntime.InferenceSession:
    """Open a serialised graph, without a line on stderr.

    Args:
        graph: the content of a model.onnx.
        threads: how many may run it; without, as many as there are processors that this process may use.

    Raises:
        Exception: ONNX Runtime cannot load the graph; its exceptions share no other base class.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or available_cpus()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


class BoundCall:
    """A call of a graph that always reads and writes the same arrays, for one thread at a time.

    It takes two thirds of the time of a call that checks what it is given and makes new arrays for its outputs.

    Args:
        session: of the graph.
        shapes: of the graph's one input and of the outputs that are wanted, by name; all float32.

    Attributes:
        arrays: float32, by name: write the input, call, read the outputs.
    """

    def __init__(self, session: onnxruntime.InferenceSession, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.arrays: dict[str, npt.NDArray[np.float32]] = {
            name: np.zeros(shape, dtype=np.float32) for name, shape in shapes.items()
        }
        self._session = session
        self._binding = session.io_binding()
        inputs = {value.name for value in session.get_inputs()}
        for name, array in self.arrays.items():
            value = onnxruntime.OrtValue.ortvalue_from_numpy(array)  # shares the memory of the array
            bind = self._binding.bind_ortvalue_input if name in inputs else self._binding.bind_ortvalue_output
            bind(name, value)

    def __call__(self) -> None:
        """Run the graph."""
        self._session.run_with_iobinding(self._binding)
