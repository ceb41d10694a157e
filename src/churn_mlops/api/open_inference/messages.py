"""The messages of the Open Inference Protocol, version 2, as its REST specification has them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema
from typing_extensions import TypedDict

Parameters = dict[str, Any]
"""What goes beyond the protocol, by name; what a server does not know, it ignores."""

Dimension = Annotated[int, Field(ge=0, lt=2**63)]
_ROWS = {"type": "integer", "minimum": 1}
_SHAPE = {"type": "array", "prefixItems": [_ROWS, {"const": 1}], "minItems": 1, "maxItems": 2}
"""[rows] or [rows, 1]: documented here, and checked later, where the refusal can name the tensor."""


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, protected_namespaces=())


class ServerMetadata(_Message):
    """What serves the models."""

    name: Literal["churn-mlops"] = "churn-mlops"
    version: str
    extensions: list[str] = ["binary_tensor_data"]


class ServerLive(_Message):
    """The process is alive."""

    live: Literal[True] = True


class ServerReady(_Message):
    """A model is loaded and answers."""

    ready: Literal[True] = True


class ModelReady(_Message):
    """This model is loaded and answers."""

    name: str
    ready: Literal[True] = True


class TensorMetadata(_Message):
    """A tensor that the model takes or gives; -1 in its shape is any number."""

    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(_Message):
    """What the model takes and gives; `contributions` are in the order of the inputs."""

    name: str
    versions: list[str]
    platform: Literal["onnxruntime_onnx"] = "onnxruntime_onnx"
    inputs: list[TensorMetadata]
    outputs: list[TensorMetadata]


class ProtocolError(_Message):
    """Why a request was refused, in a sentence."""

    error: str


class InferInput(TypedDict):
    """A feature of all rows: its values under `data`, or in the body after the JSON."""

    name: str
    shape: Annotated[list[Dimension], WithJsonSchema(_SHAPE)]
    datatype: str
    parameters: NotRequired[Parameters | None]
    data: NotRequired[list[Any] | None]


class RequestedOutput(TypedDict):
    """An output that is wanted."""

    name: str
    parameters: NotRequired[Parameters | None]


class InferRequest(TypedDict):
    """Rows to score, column by column."""

    id: NotRequired[str | None]
    parameters: NotRequired[Parameters | None]
    inputs: Annotated[list[InferInput], Field(json_schema_extra={"minItems": 1})]
    outputs: NotRequired[list[RequestedOutput] | None]


class InferOutput(TypedDict):
    """An output of all rows: its values under `data`, or in the body after the JSON."""

    name: str
    shape: list[int]
    datatype: str
    parameters: NotRequired[Parameters]
    data: NotRequired[list[Any]]


class InferResponse(TypedDict):
    """What the model says of the rows."""

    model_name: str
    model_version: str
    id: NotRequired[str]
    outputs: list[InferOutput]
