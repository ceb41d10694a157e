"""Opens graphs with ONNX Runtime: the only place that imports it, because it must be kept from phoning home first."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

# Since 1.29 the published wheels send session and model details to their maker unless this is set before the import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import numpy as np
import onnxruntime

from churn_mlops.cpu_quota import available_cpus

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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
    options.enable_cpu_mem_arena = False  # it would keep what the largest batch took, and is no faster
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


class BoundCall:
    """A call of a graph that always reads and writes the same arrays, for one thread at a time.

    It takes half the time of one that checks what it is given and makes arrays for what it gives.

    Args:
        session: of the graph.
        shapes: of the graph's one input and of the outputs that are wanted, by name; all float32.

    Attributes:
        arrays: float32, by name; to be kept for as long as it is called.
        run: reads the input and writes the outputs.
    """

    def __init__(self, session: onnxruntime.InferenceSession, shapes: Mapping[str, tuple[int, ...]]) -> None:
        self.arrays: dict[str, npt.NDArray[np.float32]] = {
            name: np.zeros(shape, dtype=np.float32) for name, shape in shapes.items()
        }
        binding = session.io_binding()
        inputs = {value.name for value in session.get_inputs()}
        for name, array in self.arrays.items():
            bind = binding.bind_ortvalue_input if name in inputs else binding.bind_ortvalue_output
            bind(name, onnxruntime.OrtValue.ortvalue_from_numpy(array))  # shares the array's memory
        # what is inside session.run_with_iobinding: it makes options and looks for a WebGPU, a fifth of the time
        self.run: Callable[[], None] = partial(
            session._sess.run_with_iobinding, binding._iobinding, onnxruntime.RunOptions()
        )
