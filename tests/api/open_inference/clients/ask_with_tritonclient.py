"""Asks a service through tritonclient, as published, and prints what came back as JSON.

It runs in an environment of its own, and is told on standard input: the address, the model's name, and the rows.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
import tritonclient.http as triton  # type: ignore[import-not-found]  # not in mypy's environment
from tritonclient.utils import InferenceServerException, triton_to_np_dtype  # type: ignore[import-not-found]  # not in mypy's environment

TEXTS = np.vectorize(lambda text: text.decode() if isinstance(text, bytes) else text, otypes=[object])


def main() -> None:
    """Ask all that the client can, in every form of tensors."""
    task = json.load(sys.stdin)
    client = triton.InferenceServerClient(task["address"].removeprefix("http://"))
    name, rows = task["model"], task["rows"]
    metadata = client.get_model_metadata(name)
    version = metadata["versions"][0]
    both = ["churn_probability", "contributions"]
    answer = {
        "live": client.is_server_live(),
        "ready": client.is_server_ready(),
        "model_ready": [client.is_model_ready(name), client.is_model_ready(name, version), client.is_model_ready("no")],
        "server": client.get_server_metadata(),
        "metadata": metadata,
        "default": show(client.infer(name, inputs(metadata, rows), request_id="7")),
        "json": show(client.infer(name, inputs(metadata, rows, binary_data=False), outputs=outputs(both, False))),
        "json_in": show(client.infer(name, inputs(metadata, rows, binary_data=False), model_version=version)),
        "json_out": show(client.infer(name, inputs(metadata, rows), outputs=outputs(both, False))),
        "column": show(client.infer(name, inputs(metadata, rows, column=True), parameters={"reasons": 0})),
        "compressed": show(
            client.infer(
                name,
                inputs(metadata, rows),
                request_compression_algorithm="gzip",
                response_compression_algorithm="gzip",
            )
        ),
        "refused": refusal(lambda: client.infer(name, inputs(metadata, rows), outputs=outputs(["score"], True))),
        "unknown": refusal(lambda: client.infer("no", inputs(metadata, rows))),
    }
    json.dump(answer, sys.stdout)


def inputs(
    metadata: dict[str, Any], rows: list[dict[str, Any]], *, binary_data: bool = True, column: bool = False
) -> list[Any]:
    """Make a tensor of each input in the metadata: missing numbers are NaN, missing texts empty."""
    tensors = []
    for tensor in metadata["inputs"]:
        datatype = tensor["datatype"]
        missing = "" if datatype == "BYTES" else np.nan
        values = [missing if row.get(tensor["name"]) is None else row[tensor["name"]] for row in rows]
        array = np.array(values, dtype=triton_to_np_dtype(datatype)).reshape((-1, 1) if column else (-1,))
        tensors.append(triton.InferInput(tensor["name"], array.shape, datatype))
        tensors[-1].set_data_from_numpy(array, binary_data=binary_data)
    return tensors


def outputs(names: list[str], binary_data: bool) -> list[Any]:
    """Ask for these outputs only."""
    return [triton.InferRequestedOutput(name, binary_data=binary_data) for name in names]


def show(result: Any) -> dict[str, Any]:
    """Give a result's fields, and its outputs as lists."""
    response = dict(result.get_response())
    tensors = {output["name"]: result.as_numpy(output["name"]) for output in response.pop("outputs")}
    texts = {name: TEXTS(array) if array.dtype == object else array for name, array in tensors.items()}
    return response | {"outputs": {name: array.tolist() for name, array in texts.items()}}


def refusal(ask: Any) -> list[Any]:
    """Give the status and message of the error that a request ends in."""
    try:
        return ["answered", ask()]
    except InferenceServerException as error:
        return [error.status(), error.message()]


main()
