"""Messages of the protocol, written and read by hand: by none of the service's own code."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import httpx

    Tensor = dict[str, Any]

INFER = "/v2/models/churn/infer"
DTYPES = {"BOOL": "?", "INT8": "i1", "INT16": "<i2", "INT32": "<i4", "INT64": "<i8"}
DTYPES |= {"UINT8": "u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8"}
DTYPES |= {"FP16": "<f2", "FP32": "<f4", "FP64": "<f8"}


def make_tensors(rows: list[dict[str, Any]], kinds: dict[str, str], datatypes: dict[str, str]) -> list[Tensor]:
    """Make a tensor of every feature: missing numbers are null, missing texts empty."""
    return [
        {
            "name": name,
            "shape": [len(rows)],
            "datatype": datatypes.get(name, "BYTES" if kind == "categorical" else "FP64"),
            "data": ["" if kind == "categorical" and row.get(name) is None else row.get(name) for row in rows],
        }
        for name, kind in kinds.items()
    ]


def to_binary(request: dict[str, Any]) -> dict[str, Any]:
    """Give what `httpx.request` takes to send the request with its tensors in binary form; nulls become NaN."""
    binary = b""
    inputs = []
    for tensor in request["inputs"]:
        values = tensor["data"]
        if tensor["datatype"] == "BYTES":
            part = b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in values)
        else:
            part = np.array(values, dtype=np.float64).astype(DTYPES[tensor["datatype"]]).tobytes()
        described = {name: value for name, value in tensor.items() if name != "data"}
        inputs.append(described | {"parameters": {"binary_data_size": len(part)}})
        binary += part
    head = json.dumps(request | {"inputs": inputs}).encode()
    return {"content": head + binary, "headers": {"Inference-Header-Content-Length": str(len(head))}}


def read_outputs(answer: httpx.Response) -> dict[str, Any]:
    """Read an answer's outputs, JSON or binary, as nested lists."""
    assert answer.status_code == 200, answer.text
    length = int(answer.headers.get("Inference-Header-Content-Length", len(answer.content)))
    binary = answer.content[length:]
    outputs = {}
    for tensor in json.loads(answer.content[:length])["outputs"]:
        size = tensor.get("parameters", {}).get("binary_data_size")
        if size is None:
            values = tensor["data"]
        else:
            part, binary = binary[:size], binary[size:]
            is_text = tensor["datatype"] == "BYTES"
            values = read_texts(part) if is_text else np.frombuffer(part, DTYPES[tensor["datatype"]]).tolist()
        outputs[tensor["name"]] = np.array(values, dtype=object).reshape(tensor["shape"]).tolist()
    assert binary == b""
    return outputs


def read_texts(binary: bytes) -> list[str]:
    """Read texts, each behind its length."""
    texts = []
    while binary:
        (length,) = struct.unpack("<I", binary[:4])
        texts.append(binary[4 : 4 + length].decode())
        binary = binary[4 + length :]
    return texts
