"""The clients, both of them: what is asked, what the answers are, and what is raised where there is none."""

from __future__ import annotations

import inspect
import json
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scripted_server import FEATURES, Reply

from churn_mlops.client import (
    AsyncChurnClient,
    ChurnClient,
    Health,
    Model,
    Prediction,
    Ready,
    Refused,
    Unavailable,
    UnexpectedAnswer,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from scripted_server import ScriptedServer

    from churn_mlops.training.job import TrainedVersion

    Ask = Callable[..., Any]
    Serve = Callable[..., ScriptedServer]
    StartService = Callable[..., tuple[Any, str, Path]]


def test_the_service_is_asked_for_all_it_knows(
    ask: Ask, start_service: StartService, sample_artifacts: Path, sample_version: TrainedVersion
) -> None:
    """A prediction with as many reasons as asked, what is served, and that it lives; a bad feature is refused."""
    _, url, _ = start_service(sample_artifacts)
    manifest = sample_version.manifest
    answer: Prediction = ask(url, "predict", FEATURES, "7590-VHVEG", None, 2)
    assert (answer.customer_id, answer.model_version, len(answer.reasons)) == ("7590-VHVEG", manifest.version, 2)
    assert 0.5 < answer.churn_probability < 1
    assert answer.decision.threshold == manifest.decision.threshold
    assert "payment_method" in answer.input_quality.missing
    model: Model = ask(url, "model")
    assert [feature.name for feature in model.signature.features] == list(manifest.signature.names)
    assert model.evaluation.metrics["roc_auc"].value == manifest.evaluation.metrics["roc_auc"].value
    assert model.model_extra is not None
    assert model.model_extra["files"] == manifest.files  # what has no type of its own is there all the same
    assert ask(url, "ready") == Ready(status="ready", model_version=manifest.version)
    assert ask(url, "health") == Health(status="ok", model_version=manifest.version)
    with pytest.raises(Refused) as refused:
        ask(url, "predict", {**FEATURES, "tenur": 2})
    assert (refused.value.status, refused.value.error) == (422, "FeatureSchemaMismatch")
    assert refused.value.fields == ("tenur",)
    assert "the closest is 'tenure'" in refused.value.detail
    assert refused.value.request_id


def test_a_service_without_a_model_says_so(ask: Ask, start_service: StartService, tmp_path: Path) -> None:
    """It is alive, and whoever asks whether it is ready is told why not."""
    _, url, _ = start_service(tmp_path / "nothing")
    assert ask(url, "health").model_version is None
    with pytest.raises(Unavailable, match="no model in models/ yet") as unavailable:
        ask(url, "ready")
    assert (unavailable.value.status, unavailable.value.error) == (503, "NoModel")


def test_what_is_sent_is_what_was_given(ask: Ask, serve: Serve) -> None:
    """Features, id, value and reasons arrive as they were given, with the key; the path before ours is kept."""
    server = serve(Reply())
    ask(f"{server.url}/churn/", "predict", FEATURES, 7, 80.5, 0, options={"api_key": "s3cret"})
    (request,) = server.requests
    assert (request.method, request.path) == ("POST", "/churn/predict?reasons=0")
    assert json.loads(request.body) == {"features": FEATURES, "customer_id": 7, "customer_value": 80.5}
    assert (request.headers["authorization"], request.headers["content-type"]) == ("Bearer s3cret", "application/json")


def test_what_is_not_given_is_not_sent(ask: Ask, serve: Serve) -> None:
    """Without a key no header, without a value no field (a model that does not decide by profit refuses it)."""
    server = serve(Reply())
    ask(server.url, "predict", FEATURES)
    (request,) = server.requests
    assert (request.path, request.headers["authorization"]) == ("/predict", None)
    assert json.loads(request.body) == {"features": FEATURES, "customer_id": None}


def test_numbers_of_numpy_are_numbers(ask: Ask, serve: Serve) -> None:
    """As rows of a data frame hold them."""
    server = serve(Reply())
    ask(server.url, "predict", {"tenure": np.int64(2), "charges": np.float32(0.5), "partner": np.bool_(True)})
    assert json.loads(server.requests[0].body)["features"] == {"tenure": 2, "charges": 0.5, "partner": True}


def test_what_json_has_no_word_for_is_an_error(ask: Ask, serve: Serve) -> None:
    """Nothing is sent in its place."""
    server = serve(Reply())
    with pytest.raises(TypeError, match="of type object cannot be sent; None stands for a missing value"):
        ask(server.url, "predict", {"tenure": object()})
    assert server.requests == []


def test_a_newer_service_can_be_asked(ask: Ask, serve: Serve) -> None:
    """Fields that this client does not know do no harm, and are there; nor do new words."""
    newer = {**Reply().content, "risk_band": "very high", "survival": {"days": 12}}
    answer: Prediction = ask(serve(Reply(content=newer)).url, "predict", FEATURES)
    assert answer.risk_band == "very high"
    assert answer.model_extra == {"survival": {"days": 12}}


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (Reply(content=b"<html>Log in first</html>"), "the body: Invalid JSON"),
        (Reply(content={"churn_probability": 0.5}), "Field required"),
        (Reply(status=302, headers={"location": "/login"}), "302 Found"),
    ],
)
def test_what_is_not_the_service_is_told_apart(reply: Reply, problem: str, ask: Ask, serve: Serve) -> None:
    """A success that is no prediction is an error that names the address, not a prediction without values."""
    server = serve(reply)
    with pytest.raises(UnexpectedAnswer, match=problem) as unexpected:
        ask(server.url, "predict", FEATURES)
    assert f"{server.url}/predict" in str(unexpected.value)
    assert len(server.requests) == 1


def test_both_clients_have_the_same_methods() -> None:
    """What one can be asked so can the other, with the same arguments."""

    def surface(client: type) -> dict[str, list[str]]:
        methods = inspect.getmembers(client, inspect.isfunction)
        return {name: list(inspect.signature(method).parameters) for name, method in methods if name[0] != "_"}

    assert surface(ChurnClient) == surface(AsyncChurnClient)
    assert set(surface(ChurnClient)) == {
        "predict",
        "predict_events",
        "predict_batch",
        "model",
        "ready",
        "health",
        "close",
    }


def test_the_example_in_the_readme_works(
    start_service: StartService,
    sample_artifacts: Path,
    capsys: pytest.CaptureFixture[str],
    request: pytest.FixtureRequest,
) -> None:
    """Word for word, but for the address."""
    _, url, _ = start_service(sample_artifacts)
    readme = (request.config.rootpath / "README.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"## From Python\n+```python\n(.*?)```", readme, re.DOTALL)
    assert "http://127.0.0.1:8000" in example
    customers = ({"customer_id": number, "features": FEATURES} for number in range(3))
    exec(  # noqa: S102 - our own text
        example.replace("http://127.0.0.1:8000", url), {"features": FEATURES, "customers": customers}
    )
    first, *others = capsys.readouterr().out.splitlines()
    assert re.fullmatch(r"\d+% \['.* the risk', '.* the risk'\]", first)
    assert others == ["0 high", "1 high", "2 high"]
