"""What the protocol's routes say of the server and its model, with one and without."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import churn_mlops
from churn_mlops.config.settings import ArtifactsSettings, ServingSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

    from churn_mlops.training.job import TrainedVersion

    Ask = Callable[..., httpx.Response]

READY = ["/v2/health/ready", "/v2/models/churn/ready", "/v2/models/churn/versions/{version}/ready"]


def test_the_server_says_what_it_is(ask: Ask) -> None:
    """Name, version, and the one extension that it knows."""
    assert ask("GET", "/v2").json() == {
        "name": "churn-mlops",
        "version": churn_mlops.__version__,
        "extensions": ["binary_tensor_data"],
    }


def test_the_server_is_live_without_a_model(ask_without_model: Ask) -> None:
    """Liveness does not depend on a model."""
    answer = ask_without_model("GET", "/v2/health/live")
    assert (answer.status_code, answer.json()) == (200, {"live": True})


@pytest.mark.parametrize("path", READY)
def test_readiness_is_that_of_ready(ask: Ask, sample_version: TrainedVersion, path: str) -> None:
    """With a model, the server and its model are ready."""
    answer = ask("GET", path.format(version=sample_version.manifest.version))
    assert (answer.status_code, answer.json()["ready"]) == (200, True)
    assert answer.json().get("name", "churn") == "churn"


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v2/models/churn"), ("POST", "/v2/models/churn/infer"), *(("GET", p) for p in READY)]
)
def test_what_needs_a_model_is_503_without_one(ask_without_model: Ask, method: str, path: str) -> None:
    """The protocol's error body says that there is no model, and how to make one."""
    answer = ask_without_model(method, path)
    assert (answer.status_code, set(answer.json())) == (503, {"error"})
    assert "churn-mlops train" in answer.json()["error"]


def test_the_metadata_are_the_signature(ask: Ask, sample_version: TrainedVersion) -> None:
    """An input for each feature, in order, in the datatype of its kind; and the outputs with their shapes."""
    manifest = sample_version.manifest
    answer = ask("GET", "/v2/models/churn").json()
    datatypes = {"numeric": "FP64", "boolean": "BOOL", "categorical": "BYTES"}
    assert (answer["name"], answer["versions"], answer["platform"]) == ("churn", [manifest.version], "onnxruntime_onnx")
    assert answer["inputs"] == [
        {"name": feature.name, "datatype": datatypes[feature.kind], "shape": [-1]}
        for feature in manifest.signature.features
    ]
    outputs = {tensor["name"]: (tensor["datatype"], tensor["shape"]) for tensor in answer["outputs"]}
    assert outputs == {
        "churn_probability": ("FP32", [-1]),
        "churn_predicted": ("BOOL", [-1]),
        "risk_band": ("BYTES", [-1]),
        "contributions": ("FP32", [-1, 19]),
        "reasons": ("BYTES", [-1, -1]),
    }
    assert ask("GET", f"/v2/models/churn/versions/{manifest.version}").json() == answer


@pytest.mark.parametrize(
    ("method", "path", "part"),
    [
        ("GET", "/v2/models/other", "no model \"other\"; the model is called 'churn'"),
        ("GET", "/v2/models/other/ready", 'no model "other"'),
        ("POST", "/v2/models/other/infer", 'no model "other"'),
        ("GET", "/v2/models/churn/versions/1", 'Version "1" is not served'),
        ("GET", "/v2/models/churn/versions/1/ready", 'Version "1" is not served'),
        ("POST", "/v2/models/churn/versions/1/infer", 'Version "1" is not served'),
    ],
)
def test_another_model_or_version_is_a_404(ask: Ask, method: str, path: str, part: str) -> None:
    """The protocol's error body says which one is served."""
    answer = ask(method, path)
    assert (answer.status_code, set(answer.json()), part in answer.json()["error"]) == (404, {"error"}, True)


def test_the_configuration_names_the_model(sample_artifacts: Path, serve_settings: Callable[..., Ask]) -> None:
    """serving.model_name is the name, and no other one is."""
    serving = ServingSettings(model_name="leavers-2")
    ask = serve_settings(Settings(artifacts=ArtifactsSettings(path=sample_artifacts), serving=serving))
    assert ask("GET", "/v2/models/leavers-2").json()["name"] == "leavers-2"
    assert ask("GET", "/v2/models/churn").status_code == 404


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v2/nope"), ("DELETE", "/v2"), ("GET", "/v2/models/churn/infer")]
)
def test_other_refusals_can_be_read_by_clients_too(ask: Ask, method: str, path: str) -> None:
    """The service's own error body has a text under `error`, as the protocol's has."""
    answer = ask(method, path)
    assert answer.status_code in (404, 405)
    assert isinstance(answer.json()["error"], str)


def test_the_example_is_answered(ask: Ask) -> None:
    """The documented request works as it stands, and brings every feature."""
    document: dict[str, Any] = ask("GET", "/openapi.json").json()
    path = document["paths"]["/v2/models/{model_name}/infer"]
    example = path["post"]["requestBody"]["content"]["application/json"]["example"]
    assert ask("POST", "/v2/models/churn/infer", json=example).status_code == 200
    inputs = {tensor["name"] for tensor in example["inputs"]}
    assert inputs == {tensor["name"] for tensor in ask("GET", "/v2/models/churn").json()["inputs"]}
