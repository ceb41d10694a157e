"""What is counted of requests, scores and the quality of input, as Prometheus reads it."""

from __future__ import annotations

import os
import re
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from churn_mlops.api.metrics import METRICS, Metrics
from churn_mlops.config.settings import ArtifactsSettings, ServingSettings, Settings
from churn_mlops.registry.writing import promote

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import FastAPI
    from tests.api.conftest import Challenged

    from churn_mlops.training.job import TrainedVersion

    Wait = Callable[[Callable[[], object]], float]
    Ask = Callable[..., httpx.Response]
    StartService = Callable[..., tuple[subprocess.Popen[bytes], str, Path]]

REPOSITORY = Path(__file__).resolve().parents[2]
Samples = dict[tuple[str, ...], float]
"""Values by the name of the sample, without `churn_mlops_`, and the labels' values in the order of their names."""


def scrape(ask: Ask, **headers: str) -> Samples:
    """Read /metrics."""
    answer = ask("GET", "/metrics", headers=headers)
    assert answer.status_code == 200
    return read(answer.text)


def read(text: str) -> Samples:
    """Read an exposition, which has each sample once."""
    samples = [sample for family in parse_text(text) for sample in family.samples]
    found = {
        (one.name.removeprefix("churn_mlops_"), *(one.labels[label] for label in sorted(one.labels))): one.value
        for one in samples
    }
    assert len(found) == len(samples)
    return found


def named(samples: Samples, name: str) -> Samples:
    """Pick the samples of one name, by their labels' values."""
    return {key[1:]: value for key, value in samples.items() if key[0] == name}


def test_requests_are_counted_by_route_method_and_status(ask: Ask, example: dict[str, Any]) -> None:
    """Answered or refused, by the short way or by the framework's: each request counts once."""
    before = scrape(ask)
    for _ in range(3):
        ask("POST", "/predict?reasons=1", json=example)
    ask("POST", "/predict", content=b"{")
    ask("GET", "/health")
    ask("GET", "/predict")
    requests = {key: value for key, value in scrape(ask).items() if key[0] == "http_requests_total"}
    assert {key[1:]: value - before.get(key, 0) for key, value in requests.items() if value != before.get(key)} == {
        ("GET", "/health", "200"): 1,
        ("GET", "/predict", "405"): 1,
        ("GET", "/metrics", "200"): 1,
        ("POST", "/predict", "200"): 3,
        ("POST", "/predict", "400"): 1,
    }


def test_no_client_can_make_labels(ask: Ask) -> None:
    """Paths, queries and methods that nobody knows share one place, however many there are."""
    before = scrape(ask)
    for number in range(50):
        ask("GET", f"/nope/{number}?{number}")
        ask(f"METHOD{number}", "/health")
        ask("POST", "/predict", json={"features": {f"feature-{number}": 1}})
    added = {key: value for key, value in scrape(ask).items() if key not in before and "_bucket" not in key[0]}
    seconds = "http_request_duration_seconds"
    assert {key: value for key, value in added.items() if key[0] != f"{seconds}_sum"} == {
        ("http_requests_total", "GET", "/metrics", "200"): 1,
        (f"{seconds}_count", "GET", "/metrics"): 1,
        ("http_requests_total", "GET", "none", "404"): 50,
        (f"{seconds}_count", "GET", "none"): 50,
        ("http_requests_total", "other", "/health", "405"): 50,
        (f"{seconds}_count", "other", "/health"): 50,
        ("http_requests_total", "POST", "/predict", "422"): 50,
        (f"{seconds}_count", "POST", "/predict"): 50,
    }


def test_latencies_fall_into_buckets(ask: Ask) -> None:
    """Buckets go from 100 microseconds to 10 seconds, add up, and hold as many as were answered."""
    for _ in range(20):
        ask("GET", "/health")
    samples = scrape(ask)
    found = named(samples, "http_request_duration_seconds_bucket")
    buckets = {float(end): value for (end, *labels), value in found.items() if labels == ["GET", "/health"]}
    assert (min(buckets), sorted(buckets)[-2], max(buckets)) == (0.0001, 10, float("inf"))
    counts = [buckets[end] for end in sorted(buckets)]
    assert counts == sorted(counts)
    assert counts[-1] == 20
    assert 20 * 1e-6 < samples["http_request_duration_seconds_sum", "GET", "/health"] < 20


def test_scores_are_counted(ask: Ask, example: dict[str, Any]) -> None:
    """A customer's probability falls into the bucket that it belongs in, and churners are counted."""
    answers = [
        ask("POST", "/predict", json={**example, "features": {**example["features"], "tenure": tenure}}).json()
        for tenure in (1, 20, 72)
    ]
    samples = scrape(ask)
    scores = [answer["churn_probability"] for answer in answers]
    for (end,), value in named(samples, "churn_probability_bucket").items():
        assert value == sum(score <= float(end) for score in scores)
    assert samples[("churn_probability_count",)] == 3
    assert samples[("churn_probability_sum",)] == pytest.approx(sum(scores))
    assert samples[("churn_predicted_total",)] == sum(answer["churn_predicted"] for answer in answers)


def test_what_is_the_matter_with_values_is_counted_by_feature(ask: Ask, example: dict[str, Any]) -> None:
    """Missing, never seen, out of range: as in the answer's input_quality."""
    spoiled = {**example["features"], "contract": "Never-seen", "tenure": 1e6, "monthly_charges": None}
    del spoiled["partner"]
    for _ in range(2):
        ask("POST", "/predict", json={"features": spoiled})
    problems = {key: value for key, value in named(scrape(ask), "input_problems_total").items() if value}
    assert problems == {
        ("contract", "unseen_category"): 2,
        ("tenure", "out_of_range"): 2,
        ("monthly_charges", "missing"): 2,
        ("partner", "missing"): 2,
    }


def test_a_batch_counts_each_of_its_customers(ask: Ask, example: dict[str, Any]) -> None:
    """As if they had been sent one by one; a batch that is refused counts none."""
    without = {name: value for name, value in example["features"].items() if name != "partner"}
    customers = [{"features": features} for features in (example["features"], without, without)]
    answers = ask("POST", "/predict/batch", json={"customers": customers}).json()["predictions"]
    ask("POST", "/predict/batch", json={"customers": [*customers, {"features": {}}]})
    samples = scrape(ask)
    assert samples[("churn_probability_count",)] == 3
    assert samples[("churn_probability_sum",)] == pytest.approx(sum(one["churn_probability"] for one in answers))
    assert samples["input_problems_total", "partner", "missing"] == 2
    assert samples["http_requests_total", "POST", "/predict/batch", "422"] == 1


def test_every_problem_that_a_feature_can_have_starts_at_zero(ask: Ask, sample_version: TrainedVersion) -> None:
    """Prometheus sees the first increase only of what was there before it."""
    kinds = {"numeric": ["missing", "out_of_range"], "categorical": ["missing", "unseen_category"]}
    features = sample_version.manifest.signature.features
    expected = {(one.name, problem) for one in features for problem in kinds.get(one.kind, ["missing"])}
    assert named(scrape(ask), "input_problems_total") == dict.fromkeys(expected, 0)


def test_the_model_is_told(ask: Ask, sample_version: TrainedVersion) -> None:
    """Version, family and whether it is the sample are labels of a 1; the load was counted."""
    samples = scrape(ask)
    assert named(samples, "model_info") == {("logistic", "true", sample_version.manifest.version): 1}
    assert (samples["model_loads_total", "champion"], samples["model_load_failures_total", "champion"]) == (1, 0)


def test_without_a_model_there_is_no_version(ask_without_model: Ask) -> None:
    """That there is none yet is no failure; what was scored is 0."""
    samples = scrape(ask_without_model)
    assert named(samples, "model_info") == {}
    assert (samples["model_loads_total", "champion"], samples["model_load_failures_total", "champion"]) == (0, 0)
    assert samples[("churn_probability_count",)] == 0


def test_a_version_that_fails_its_check_is_counted(
    copied_artifacts: Path, sample_version: TrainedVersion, serve_settings: Callable[[Settings], Ask]
) -> None:
    """A champion that cannot be loaded is a failure, and none is told."""
    (copied_artifacts / "models" / sample_version.manifest.version / "model.onnx").write_bytes(b"garbage")
    samples = scrape(serve_settings(Settings(artifacts=ArtifactsSettings(path=copied_artifacts))))
    assert samples["model_load_failures_total", "champion"] >= 1
    assert named(samples, "model_info") == {}


def test_model_changes_and_the_shadow_are_counted(
    serve_settings: Callable[[Settings], Ask], challenged: Challenged, wait_until: Wait
) -> None:
    """Who is loaded as what, what the challenger was scored on, and the version that is served after a promotion."""
    serving = ServingSettings(shadow="challenger", reload_seconds=0.2)
    ask = serve_settings(Settings(artifacts=ArtifactsSettings(path=challenged.registry.root), serving=serving))
    content = ask("GET", "/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]["content"]
    for _ in range(2):
        ask("POST", "/predict", json=content["application/json"]["example"])
    wait_until(lambda: scrape(ask)["shadow_customers_total", "scored"] == 2)
    before = scrape(ask)
    assert named(before, "model_loads_total") == {("champion",): 1, ("challenger",): 1}
    assert [version for _, _, version in named(before, "model_info")] == [challenged.champion]
    assert before[("churn_probability_count",)] == 2  # of answers, not of the challenger's scores
    promote(challenged.registry, challenged.challenger)
    wait_until(lambda: [key[2] for key in named(scrape(ask), "model_info")] == [challenged.challenger])
    assert scrape(ask)["model_loads_total", "champion"] == 2


def test_what_was_refused_is_counted(start_service: StartService, sample_artifacts: Path) -> None:
    """A connection beyond serving.max_connections is shed, and the scrape tells."""
    _, address, _ = start_service(sample_artifacts, CHURN_MLOPS__SERVING__MAX_CONNECTIONS="1")
    with httpx.Client(base_url=address) as client:
        client.get("/health")
        assert httpx.get(f"{address}/health").status_code == 503
        assert read(client.get("/metrics").text)[("http_requests_shed_total",)] == 1


def test_a_failure_of_the_service_is_counted(ask: Ask, sample_app: FastAPI, example: dict[str, Any]) -> None:
    """It is a 500, and no longer in flight."""
    sample_app.state.served = object()
    ask("POST", "/predict", json=example)
    sample_app.state.served = None
    samples = scrape(ask)
    assert samples["http_requests_total", "POST", "/predict", "500"] == 1
    assert samples[("http_requests_in_flight",)] == 0


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        ("", "text/plain"),
        ("*/*", "text/plain"),
        ("text/html", "text/plain"),
        ("\xff;;q=,,", "text/plain"),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5", "application/openmetrics-text"),
    ],
)
def test_the_format_is_what_was_asked_for(ask: Ask, accept: str, kind: str) -> None:
    """OpenMetrics for whoever takes it, else Prometheus' own text; each is read by its parser."""
    answer = ask("GET", "/metrics", headers={"Accept": accept.encode("latin-1")})
    parse = parse_openmetrics if "openmetrics" in kind else parse_text
    assert answer.headers["Content-Type"].startswith(f"{kind}; version=")
    assert {metric.name for metric in METRICS} <= {family.name for family in parse(answer.text)}


def test_names_and_help_follow_the_conventions(ask: Ask) -> None:
    """A prefix, base units, `_total` for counters only, and a sentence about each."""
    for family in parse_text(ask("GET", "/metrics").text):
        assert family.name.startswith(("churn_mlops_", "process_"))
        assert family.documentation.endswith(".")
        assert all(sample.name.endswith("_total") == (family.type == "counter") for sample in family.samples)


def test_the_document_describes_it(ask: Ask) -> None:
    """Both formats are in OpenAPI, as text."""
    operation = ask("GET", "/openapi.json").json()["paths"]["/metrics"]["get"]
    assert operation["responses"]["200"]["content"] == {
        kind: {"schema": {"type": "string"}} for kind in ("text/plain", "application/openmetrics-text")
    }


def test_the_documentation_names_what_is_there() -> None:
    """Each name in the queries and alerts is one that a scrape has, and each metric is in the table."""
    text = (REPOSITORY / "docs" / "operations.md").read_text(encoding="utf-8")
    ends = {"counter": ["_total"], "gauge": [""], "info": [""], "histogram": ["", "_bucket", "_count"]}
    samples = {f"{metric.name}{end}" for metric in METRICS for end in ends[metric.kind]}
    named = set(re.findall(r"churn_mlops_[a-z_]+", text))
    assert named <= samples
    assert {metric.name for metric in METRICS} <= {name.removesuffix("_total") for name in named}


def test_what_is_in_flight_is_seen(start_service: StartService, sample_artifacts: Path) -> None:
    """A request that is still being read counts as in flight, the scrape that sees it does not; the process is told."""
    started_at = time.time()
    process, address, _ = start_service(sample_artifacts)
    target = urllib.parse.urlsplit(address)
    with socket.create_connection((str(target.hostname), int(target.port or 0))) as slow, httpx.Client() as client:
        client.get(f"{address}/health")
        before = read(client.get(f"{address}/metrics").text)
        slow.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 16\r\n\r\n{")
        client.get(f"{address}/health")  # once this is answered, the request before it is being read
        during = read(client.get(f"{address}/metrics").text)
        slow.sendall(b'"features": {}}')
        assert slow.recv(65536)
        after = read(client.get(f"{address}/metrics").text)
    assert [samples[("http_requests_in_flight",)] for samples in (before, during, after)] == [0, 1, 0]
    resident = int(Path(f"/proc/{process.pid}/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    assert after[("process_resident_memory_bytes",)] == pytest.approx(resident, rel=0.1)
    assert after[("process_cpu_seconds_total",)] > 0
    assert after[("process_open_fds",)] > 3
    assert abs(after[("process_start_time_seconds",)] - started_at) < 5


DIE_BUSY = """
import os, sys
from pathlib import Path
from churn_mlops.api.metrics import Metrics
metrics = Metrics()
metrics.share(Path(sys.argv[1]))
metrics.begin()
metrics.scored(0.5, True, {"missing": ["tenure"], "unseen_category": [], "out_of_range": []})
os._exit(1)
"""


def test_a_successor_is_not_busy_with_what_the_dead_one_did(tmp_path: Path) -> None:
    """What was in flight in a worker that died is not any more; what it had counted is."""
    subprocess.run([sys.executable, "-c", DIE_BUSY, str(tmp_path)], check=False)
    successor = Metrics()
    successor.share(tmp_path)
    (worker,) = successor.of_all_workers()
    names = ("http_requests_in_flight", "churn_predicted")
    assert [worker.values[worker.places[f"churn_mlops_{name}",]] for name in names] == [0, 1]


def test_of_a_dead_worker_only_counters_count(
    monkeypatch: pytest.MonkeyPatch,
    serve_settings: Callable[[Settings], Ask],
    sample_artifacts: Path,
    tmp_path: Path,
) -> None:
    """Nor is its process described; another worker's scrape sees that at once."""
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path))
    ask = serve_settings(Settings(artifacts=ArtifactsSettings(path=sample_artifacts)))
    subprocess.run([sys.executable, "-c", DIE_BUSY, str(tmp_path)], check=False)
    samples = scrape(ask)
    assert (samples[("http_requests_in_flight",)], samples[("churn_predicted_total",)]) == (0, 1)
    assert samples["input_problems_total", "tenure", "missing"] == 1
    assert list(named(samples, "process_open_fds")) == [("0",)]


WORKERS = 2


def wait_for_workers(address: str) -> Samples:
    """Wait until as many workers as there should be have a model; give what is counted then."""
    give_up = time.monotonic() + 60
    while time.monotonic() < give_up:
        with suppress(httpx.TransportError):
            samples = read(httpx.get(f"{address}/metrics").text)
            if len(named(samples, "process_start_time_seconds")) == WORKERS and named(samples, "model_info"):
                return samples
        time.sleep(0.1)
    pytest.fail("the workers are not all there")


def test_metrics_add_up_though_a_worker_is_killed(
    start_service: StartService, sample_artifacts: Path, sample_version: TrainedVersion
) -> None:
    """Killed under load, it takes no count with it and leaves no gauge; its successor carries on in its place."""
    process, address, _ = start_service(sample_artifacts, WEB_CONCURRENCY=str(WORKERS))
    wait_for_workers(address)
    content = httpx.get(f"{address}/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]["content"]
    example = content["application/json"]["example"]
    answered, failed, ended = [], [], threading.Event()

    def load() -> None:
        while not ended.is_set():
            try:
                with httpx.Client(base_url=address) as client:
                    while not ended.is_set():
                        answered.append(client.post("/predict", json=example).status_code)
            except httpx.TransportError as error:
                failed.append(error)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(1)
    workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text(encoding="ascii").split()
    os.kill(int(workers[0]), signal.SIGKILL)
    wait_for_workers(address)
    time.sleep(0.5)
    ended.set()
    for thread in threads:
        thread.join()
    samples = wait_for_workers(address)
    counts = (
        samples["http_requests_total", "POST", "/predict", "200"],
        samples["http_request_duration_seconds_count", "POST", "/predict"],
        samples[("churn_probability_count",)],
    )
    assert set(answered) == {200}
    # what the worker was doing when it was killed may be answered and not yet counted, or the other way round
    least, most = len(answered) - len(threads), len(answered) + len(failed)
    assert [count for count in counts if not least <= count <= most] == []
    assert samples[("http_requests_in_flight",)] == 0
    assert named(samples, "model_loads_total") == {("champion",): WORKERS + 1}
    assert named(samples, "model_info") == {("logistic", "true", sample_version.manifest.version): 1}
    assert sorted(named(samples, "process_resident_memory_bytes")) == [("0",), ("1",)]
