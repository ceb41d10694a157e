"""One inference request: from its bytes to those of the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from churn_mlops.api.batch import Parts, answer, score
from churn_mlops.api.batch_intake import Part
from churn_mlops.api.open_inference.model import TensorModel, read_output
from churn_mlops.api.open_inference.request import REQUEST, read_request
from churn_mlops.api.open_inference.tensors import BYTES, DTYPES, cut_binary, refuse, split_body, write_values
from churn_mlops.api.responses import shorten
from churn_mlops.errors import FeatureSchemaMismatch, InvalidParameter, MalformedRequest

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping, Sequence

    from churn_mlops.api.open_inference.messages import InferRequest
    from churn_mlops.api.served_model import ServedModel
    from churn_mlops.api.turns import Turns
    from churn_mlops.config.settings import ServingSettings
    from churn_mlops.inference.columns import CustomerColumns
    from churn_mlops.inference.encoding import Value
    from churn_mlops.inference.scorer import Scores

HEADER_LENGTH: Final = "Inference-Header-Content-Length"

_PART_ROWS: Final = 256
"""So many rows are encoded, or answered, without letting another request in, and scored without a thread."""

_SPARE_LISTS: Final = 100
"""How many lists called "data" a request may have beside one for each input: in parameters, or by mistake."""


async def infer(
    served: ServedModel, settings: ServingSettings, turns: Turns, body: bytes, header_length: str | None
) -> Parts:
    """Answer a request by one call of the graph; other requests are let in between the parts of a long one.

    Raises:
        MalformedRequest: it is not of the protocol.
        FeatureSchemaMismatch: a tensor is not the model's, or a value is not what it should be.
        InvalidParameter: the number of reasons is none.
    """
    json, binary = split_body(body, header_length)
    most_lists = len(served.tensors.inputs) + _SPARE_LISTS
    request = await turns.take(read_request(json, settings.max_batch_rows, most_lists))
    parameters = request.get("parameters") or {}
    reasons = _count_reasons(parameters, settings.reasons)
    outputs = _select_outputs(served, request)
    parts = await turns.take(_read(served, request, binary, settings.max_batch_rows))
    scores = served.predictor.score(parts[0].matrix) if len(parts) == 1 else await score(served, parts)
    pieces = await turns.take(_write(served, parts, scores, reasons, outputs))
    head: dict[str, Any] = {"model_name": settings.model_name, "model_version": served.version}
    if request.get("id") is not None:
        head["id"] = request["id"]
    rows = len(scores.probability)
    described = {name: served.tensors.describe_output(name, rows, reasons) for name in outputs}
    return _compose(head, described, outputs, pieces, served.headers)


def _compose(
    head: dict[str, Any],
    described: Mapping[str, tuple[str, list[int]]],
    outputs: Mapping[str, bool],
    pieces: Mapping[str, list[bytes]],
    headers: dict[str, str],
) -> Parts:
    """Put the answer together: the JSON, with the tensors that are in it, and those in binary form behind it."""
    json, binary = [msgspec.json.encode(head)[:-1], b',"outputs":['], []
    for name, is_binary in outputs.items():
        datatype, shape = described[name]
        tensor: dict[str, Any] = {"name": name, "datatype": datatype, "shape": shape}
        if is_binary:
            tensor["parameters"] = {"binary_data_size": sum(map(len, pieces[name]))}
            binary += pieces[name]
            json += msgspec.json.encode(tensor), b","
        else:
            json += msgspec.json.encode(tensor)[:-1], b',"data":['
            json += (part for piece in pieces[name] for part in (piece, b","))
            json[-1:] = b"]}", b","
    json[-1:] = [b"]}"]
    if not any(outputs.values()):
        return Parts(json, "application/json", headers)
    length = {HEADER_LENGTH: str(sum(map(len, json)))}
    return Parts([*json, *binary], "application/octet-stream", headers | length)


def _read(
    served: ServedModel, request: InferRequest, binary: memoryview, most_rows: int
) -> Generator[None, None, list[Part]]:
    """Read the tensors and encode the rows, a moment at a time."""
    columns = {}
    rows = _count_rows(request, most_rows)
    served.tensors.check_inputs([tensor["name"] for tensor in request["inputs"]])
    in_binary = cut_binary(request["inputs"], binary)
    for tensor in request["inputs"]:
        columns[tensor["name"]] = served.tensors.read(tensor, in_binary.get(tensor["name"]))
        yield
    parts: list[Part] = []
    for customers in served.tensors.split(columns, rows, _PART_ROWS):
        encoded = served.predictor.encode_columns(customers.features)
        if encoded is None:
            raise _find_missing(served, customers, len(parts) * _PART_ROWS)
        parts.append(Part(customers, *encoded))
        yield
    return parts


def _count_rows(request: InferRequest, most: int) -> int:
    if not request["inputs"]:
        raise MalformedRequest("'inputs' is empty; a tensor for each feature was expected.")
    first, *others = request["inputs"]
    rows = (first["shape"] or [0])[0]
    if not 1 <= rows <= most:
        raise refuse(first["name"], f"has {rows} rows; 1 to {most} (serving.max_batch_rows) were expected")
    for tensor in others:
        if tensor["shape"][:1] != [rows]:
            problem = f"has the shape {shorten(tensor['shape'])}; {first['name']!r} has {rows} rows"
            raise refuse(tensor["name"], problem)
    return rows


def _find_missing(served: ServedModel, customers: CustomerColumns, first_row: int) -> FeatureSchemaMismatch:
    """Give the error of the first row of which too many features are missing."""
    names = served.scorer.manifest.signature.names
    for row, values in enumerate(zip(*customers.features, strict=True), first_row):
        try:
            served.predictor.encode(dict(zip(names, values, strict=True)))
        except FeatureSchemaMismatch as error:
            return FeatureSchemaMismatch(f"Row {row}: {error}", error.fields)
    msg = "no row has too many missing features"
    raise AssertionError(msg)


def _write(
    served: ServedModel, parts: Sequence[Part], scores: Scores, reasons: int, outputs: Mapping[str, bool]
) -> Generator[None, None, dict[str, list[bytes]]]:
    """Write the outputs, in binary form or not, a moment at a time."""
    pieces: dict[str, list[bytes]] = {name: [] for name in outputs}
    start = 0
    for some in answer(served, parts, scores, reasons if "reasons" in outputs else 1):
        yield
        contributions = scores.contributions[start : start + len(some)]
        for name, binary in outputs.items():
            datatype, _ = served.tensors.describe_output(name, len(some), reasons)
            pieces[name].append(write_values(datatype, read_output(name, some, contributions), binary=binary))
        start += len(some)
        yield
    return pieces


def _select_outputs(served: ServedModel, request: InferRequest) -> dict[str, bool]:
    """Give the outputs that are wanted, and whether each is in binary form."""
    asked = request.get("outputs") or []
    default = (request.get("parameters") or {}).get("binary_data_output")
    forms = {output["name"]: (output.get("parameters") or {}).get("binary_data", default) for output in asked}
    names = served.tensors.select_outputs([output["name"] for output in asked])
    return {name: forms.get(name, default) is True for name in names}


def describe_request(tensors: TensorModel | None) -> dict[str, Any]:
    """Give the JSON schema of a request to a model (None: not known yet), its parts under `#/components/schemas/`."""
    schema = REQUEST.json_schema(ref_template="#/components/schemas/{model}")
    schema["$defs"]["InferInput"]["properties"]["datatype"]["enum"] = [*DTYPES, BYTES]
    if tensors:
        for part, names in (("InferInput", tensors.inputs), ("RequestedOutput", tensors.outputs)):
            schema["$defs"][part]["properties"]["name"]["enum"] = names
    return schema


def build_example(features: Mapping[str, Value]) -> InferRequest:
    """Build a request that works, of one customer."""
    datatypes = {str: BYTES, bool: "BOOL", int: "FP64", float: "FP64"}
    return {
        "inputs": [
            {"name": name, "shape": [1], "datatype": datatypes[type(value)], "data": [value]}
            for name, value in features.items()
            if value is not None
        ]
    }


def _count_reasons(parameters: dict[str, Any], default: int) -> int:
    asked = parameters.get("reasons", default)
    if type(asked) is not int or asked < 0:
        raise InvalidParameter("reasons", shorten(asked), "a whole number from 0")
    return asked
