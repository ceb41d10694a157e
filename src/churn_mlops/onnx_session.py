"""Opens graphs with ONNX Runtime: the only place that imports it, because it must be kept from phoning home first."""

from __future__ import annotations

import os

# Since 1.29 the published wheels send session and model details to their maker unless this is set before the import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

import onnxruntime

from churn_mlops.cpu_quota import available_cpus


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
