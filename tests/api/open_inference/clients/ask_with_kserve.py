"""Asks a service through KServe's inference client, as published, and prints what came back as JSON.

It runs in an environment of its own, and is told on standard input: the address, the model's name, the inputs of its
metadata, and the rows.
"""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

import httpx
import numpy as np
from kserve import InferenceRESTClient, InferInput, InferRequest, RESTConfig  # type: ignore[import-not-found]  # not in mypy's environment

TEXTS = np.vectorize(lambda text: text.decode() if isinstance(text, bytes) else text, otypes=[object])


async def main() -> None:
    """Ask all that the client can, with JSON and with binary tensors."""
    task = json.load(sys.stdin)
    client, address, name = InferenceRESTClient(RESTConfig(protocol="v2")), task["address"], task["model"]
    answer = {
        "live": await client.is_server_live(address),
        "ready": await client.is_server_ready(address),
        "model_ready": [await client.is_model_ready(address, name), await client.is_model_ready(address, "no")],
        "json": show(await client.infer(address, request(task, binary_data=False), model_name=name)),
        "binary": show(await client.infer(address, request(task, binary_data=True), model_name=name)),
        "binary_out": show(
            await client.infer(address, request(task, True, {"binary_data_output": True}), model_name=name)
        ),
    }
    try:
        await client.infer(address, request(task, binary_data=True), model_name="no")
    except httpx.HTTPStatusError as error:
        answer["unknown"] = [error.response.status_code, str(error)]
    await client.close()
    json.dump(answer, sys.stdout)


def request(task: dict[str, Any], binary_data: bool, parameters: dict[str, Any] | None = None) -> Any:
    """Make a tensor of each input: missing numbers are NaN, missing texts empty."""
    tensors = []
    for described in task["inputs"]:
        texts = described["datatype"] == "BYTES"
        missing = "" if texts else np.nan
        values = [missing if row.get(described["name"]) is None else row[described["name"]] for row in task["rows"]]
        array = np.array(values, dtype=np.object_ if texts else np.float64)
        tensors.append(InferInput(described["name"], list(array.shape), described["datatype"]))
        tensors[-1].set_data_from_numpy(array, binary_data=binary_data)
    return InferRequest(task["model"], tensors, request_id="7", parameters=parameters)


def show(response: Any) -> dict[str, Any]:
    """Give a response's fields, and its outputs as lists."""
    tensors = {output.name: output.as_numpy() for output in response.outputs}
    texts = {name: TEXTS(array) if array.dtype == object else array for name, array in tensors.items()}
    outputs = {name: array.tolist() for name, array in texts.items()}
    return {"id": response.id, "model_name": response.model_name, "outputs": outputs}


asyncio.run(main())
