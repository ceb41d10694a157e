"""Traces reach a collector as OpenTelemetry has it, and nothing of it is loaded where nobody asked."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from span_collector import collecting, read_attributes

from churn_mlops.api.tracing import is_asked_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from span_collector import Collector

    from churn_mlops.config.settings import Settings
    from churn_mlops.training.job import TrainedVersion

    StartService = Callable[..., tuple[subprocess.Popen[bytes], str, Path]]
    ReadLog = Callable[[Path], list[dict[str, Any]]]

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector that listens."""
    with collecting() as server:
        yield server


@pytest.fixture(autouse=True)
def without_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the variables of the shell it was started from."""
    for variable in [name for name in os.environ if name.startswith("OTEL_")]:
        monkeypatch.delenv(variable)


def stop(process: subprocess.Popen[bytes]) -> float:
    """End a service as a container engine does; give the seconds that took."""
    start = time.monotonic()
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=60)
    return time.monotonic() - start


def test_a_request_is_a_span_with_its_steps(
    start_service: StartService,
    sample_artifacts: Path,
    sample_version: TrainedVersion,
    collector: Collector,
    read_log: ReadLog,
) -> None:
    """It belongs to the client's trace, has its steps inside, tells no path or value, and is named in the log."""
    process, address, log = start_service(sample_artifacts, OTEL_EXPORTER_OTLP_ENDPOINT=collector.address)
    with httpx.Client(base_url=address) as client:
        content = client.get("/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]["content"]
        client.post(
            "/predict?reasons=1&token=SECRET",
            json=content["application/json"]["example"] | {"customer_id": "SECRET"},
            headers={"traceparent": f"00-{TRACE}-{PARENT}-01"},
        )
        client.get("/SECRET/4711", headers={"traceparent": "SECRET"})
        client.post("/predict", json={"features": {"SECRET": 1}})
    stop(process)
    assert {path for path, _ in collector.requests} == {"/v1/traces"}
    assert collector.resource()["service.name"] == "churn-mlops"
    mine = {span.name: span for span in collector.spans() if span.trace_id.hex() == TRACE}
    request = mine["POST /predict"]
    assert (request.parent_span_id.hex(), request.kind) == (PARENT, request.SPAN_KIND_SERVER)
    assert read_attributes(request) == {
        "http.request.method": "POST",
        "url.scheme": "http",
        "http.route": "/predict",
        "http.response.status_code": 200,
        "churn_mlops.model_version": sample_version.manifest.version,
    }
    assert {name: span.parent_span_id for name, span in mine.items() if name != "POST /predict"} == {
        "validate": request.span_id,
        "score": request.span_id,
    }
    assert "SECRET" not in str(collector.requests)
    names = [(span.name, read_attributes(span).get("http.response.status_code")) for span in collector.spans()]
    assert ("GET", 404) in names
    assert ("POST /predict", 422) in names
    lines = [line for line in read_log(log) if line["message"] == "request"]
    assert [len(line["trace_id"]) for line in lines] == [32] * 4
    assert lines[1]["trace_id"] == TRACE


def test_the_standard_variables_are_heeded(
    start_service: StartService, sample_artifacts: Path, collector: Collector
) -> None:
    """Endpoint of traces alone, name of the service, resource, and a sampler that follows the client."""
    process, address, _ = start_service(
        sample_artifacts,
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{collector.address}/mine",
        OTEL_SERVICE_NAME="churn of the north",
        OTEL_RESOURCE_ATTRIBUTES="deployment.environment.name=test",
        OTEL_TRACES_SAMPLER="parentbased_always_off",
    )
    with httpx.Client(base_url=address) as client:
        client.get("/health")
        client.get("/ready", headers={"traceparent": f"00-{TRACE}-{PARENT}-01"})
    stop(process)
    assert [(path, len(collector.spans())) for path, _ in collector.requests] == [("/mine", 1)]
    about = collector.resource()
    assert (about["service.name"], about["deployment.environment.name"]) == ("churn of the north", "test")


def test_a_collector_that_is_gone_holds_nothing_up(
    start_service: StartService, sample_artifacts: Path, collector: Collector, read_log: ReadLog
) -> None:
    """Requests are answered, the log stays JSON, and the end does not wait for the exporter's patience."""
    collector.server_close()
    process, address, log = start_service(
        sample_artifacts, OTEL_EXPORTER_OTLP_ENDPOINT=collector.address, OTEL_EXPORTER_OTLP_TIMEOUT="60"
    )
    assert httpx.get(f"{address}/ready").status_code == 200
    assert stop(process) < 20  # the SDK would take 30 seconds
    assert any(line["logger"].startswith("opentelemetry") for line in read_log(log))


@pytest.mark.parametrize(
    ("variables", "asked"),
    [
        ({}, False),
        ({"OTEL_SERVICE_NAME": "churn"}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, True),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector:4318/v1/traces"}, True),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, True),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, False),
        ({"OTEL_SDK_DISABLED": "TRUE", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector:4318"}, False),
    ],
)
def test_when_traces_are_asked_for(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], asked: bool) -> None:
    """The standard variables say where traces go, and whether."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert is_asked_for() is asked


def test_an_exporter_that_is_not_known_is_named_in_the_log(
    start_service: StartService, sample_artifacts: Path, read_log: ReadLog
) -> None:
    """The service runs without, and says so."""
    _, address, log = start_service(sample_artifacts, OTEL_TRACES_EXPORTER="zipkin")
    assert httpx.get(f"{address}/ready").status_code == 200
    line = next(line for line in read_log(log) if line["message"] == "no traces are sent")
    assert "'zipkin'" in line["detail"]


LOADED = """
import asyncio, json, sys
from pathlib import Path
from churn_mlops.api.app import create_app
from churn_mlops.config.settings import ArtifactsSettings, Settings

async def start():
    app = create_app(Settings(artifacts=ArtifactsSettings(path=Path(sys.argv[1]))))
    async with app.router.lifespan_context(app):
        own = [layer.cls.__name__ for layer in app.user_middleware]
        return own, [name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))]

print(json.dumps(asyncio.run(start())))
"""


@pytest.mark.parametrize(("variables", "traced"), [({}, False), ({"OTEL_TRACES_EXPORTER": "otlp"}, True)])
def test_without_the_variables_nothing_is_loaded(
    sample_settings: Settings, variables: dict[str, str], traced: bool
) -> None:
    """Neither SDK nor exporter is imported, and a request passes through no code of it; with them, both are."""
    command = [sys.executable, "-c", LOADED, str(sample_settings.artifacts.path)]
    done = subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True, check=True)
    layers, loaded = json.loads(done.stdout.splitlines()[-1])
    assert ("TraceRequests" in layers, bool(loaded)) == (traced, traced)
