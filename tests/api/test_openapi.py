"""The documentation is the model's: real names, kinds, categories, ranges, and an example that works."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from churn_mlops.api.app import create_app

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    import httpx

    from churn_mlops.models.signature import Feature
    from churn_mlops.training.job import TrainedVersion

    Ask = Callable[..., httpx.Response]
    StartService = Callable[..., tuple[subprocess.Popen[bytes], str, Path]]

OPERATIONS = [
    *(
        "health",
        "metrics",
        "model",
        "predict",
        "predict_batch",
        "predict_events",
        "ready",
        "v2_infer",
        "v2_live",
        "v2_model",
    ),
    *("v2_model_ready", "v2_ready", "v2_server", "v2_version", "v2_version_infer", "v2_version_ready"),
]
PROBES = {"/health", "/ready", "/metrics", "/v2/health/live", "/v2/health/ready"}
JSON_TYPES = {"numeric": "number", "boolean": "boolean", "categorical": "string"}


@pytest.fixture
def document(ask: Ask) -> dict[str, Any]:
    """The OpenAPI document of the sample version."""
    return dict(ask("GET", "/openapi.json").json())


def references(part: object) -> Iterator[str]:
    """Find every $ref in a part of a document."""
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"]
        for value in part.values():
            yield from references(value)
    elif isinstance(part, list):
        for value in part:
            yield from references(value)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    """Each $ref names a schema that is there, and each schema is named by some $ref."""
    found = set(references(document))
    assert found == {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}


def test_every_operation_is_described(document: dict[str, Any]) -> None:
    """An operation has a name of its own, a summary, a description, a tag, and a described answer for each status."""
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    assert sorted(operation["operationId"] for operation in operations) == OPERATIONS
    for operation in operations:
        assert all(operation[key] for key in ("summary", "description", "tags"))
        descriptions = [answer["description"] for answer in operation["responses"].values()]
        assert all(description and description != "Successful Response" for description in descriptions)


def test_every_error_answer_has_the_one_body(document: dict[str, Any]) -> None:
    """All documented 4xx and 5xx answers are ErrorAnswers, or what the Open Inference Protocol has instead."""
    schemas = {
        (name.startswith("/v2"), answer["content"]["application/json"]["schema"]["$ref"])
        for name, path in document["paths"].items()
        for operation in path.values()
        for status, answer in operation["responses"].items()
        if status >= "400"
    }
    assert schemas == {(False, "#/components/schemas/ErrorAnswer"), (True, "#/components/schemas/ProtocolError")}


def test_the_document_says_what_the_model_is_called(document: dict[str, Any], sample_version: TrainedVersion) -> None:
    """The addresses of the Open Inference Protocol hold its name and version, and requests name its features."""
    parameters = document["paths"]["/v2/models/{model_name}/versions/{model_version}"]["get"]["parameters"]
    name, version = (parameter["schema"] for parameter in parameters)
    assert name["enum"] == ["churn"]
    assert version["examples"] == [sample_version.manifest.version]
    tensor = document["components"]["schemas"]["InferInput"]["properties"]
    assert tensor["name"]["enum"] == list(sample_version.manifest.signature.names)
    assert {"BOOL", "FP64", "BYTES"} < set(tensor["datatype"]["enum"])


def test_what_any_connection_may_answer_is_documented(document: dict[str, Any]) -> None:
    """408 for a body that does not arrive, and 503 for too much to do; probes are never refused."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert ("408" in operation["responses"]) == (method == "post")
            refused = "too much to do" in operation["responses"].get("503", {"description": ""})["description"]
            assert refused == (path not in PROBES)


def test_the_request_takes_exactly_the_signatures_features(
    document: dict[str, Any], sample_version: TrainedVersion
) -> None:
    """The documented features are the signature's, to the letter and in order, and no others are allowed."""
    features = document["components"]["schemas"]["Features"]
    assert tuple(features["properties"]) == sample_version.manifest.signature.names
    assert features["additionalProperties"] is False


def test_each_feature_is_documented_with_what_it_may_hold(
    document: dict[str, Any], sample_version: TrainedVersion
) -> None:
    """Type, kind, categories, range and missing share are shown as the signature has them."""

    def expected(feature: Feature) -> dict[str, Any]:
        common = {"x-kind": feature.kind, "type": [JSON_TYPES[feature.kind], "null"], "title": feature.name}
        if feature.kind == "categorical":
            return {**common, "x-categories": list(feature.categories)}
        return {**common, "x-range": [feature.minimum, feature.maximum]} if feature.kind == "numeric" else common

    properties = document["components"]["schemas"]["Features"]["properties"]
    for feature in sample_version.manifest.signature.features:
        documented = properties[feature.name]
        assert expected(feature).items() <= documented.items()
        assert documented["x-missing-share"] == pytest.approx(feature.missing_share, abs=1e-4)
        assert all(category in documented["description"] for category in feature.categories)


def test_the_example_is_answered(ask: Ask, document: dict[str, Any]) -> None:
    """The documented request works as it stands, with nothing missing or strange about it."""
    example = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]
    answer = ask("POST", "/predict", json=example)
    assert answer.status_code == 200
    assert not any(answer.json()["input_quality"].values())


def test_a_value_is_documented_where_it_is_taken(document: dict[str, Any], ask_by_profit: Callable[..., Ask]) -> None:
    """The request has a customer value only where the decision is by profit, and the example needs none."""
    by_profit = ask_by_profit()("GET", "/openapi.json").json()
    assert "customer_value" not in document["components"]["schemas"]["PredictRequest"]["properties"]
    assert (
        "decides churn_predicted"
        in (by_profit["components"]["schemas"]["PredictRequest"]["properties"]["customer_value"]["description"])
    )
    posts = [known["paths"]["/predict"]["post"]["requestBody"]["content"] for known in (document, by_profit)]
    assert posts[0]["application/json"]["example"] == posts[1]["application/json"]["example"]


def test_the_answers_fields_are_explained(document: dict[str, Any]) -> None:
    """What a reason's fields mean is said at the fields, not in a block of text above them."""
    reason = document["components"]["schemas"]["Reason"]
    assert "log-odds" in reason["properties"]["contribution"]["description"]
    assert "Attributes:" not in json.dumps(document)


def test_without_a_model_the_document_says_so(ask_without_model: Ask) -> None:
    """The document is there before a model is, complete, and says why it shows no features."""
    document = ask_without_model("GET", "/openapi.json").json()
    assert set(references(document)) == {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert "No model is loaded" in document["components"]["schemas"]["PredictRequest"]["description"]


def test_the_document_can_be_written_before_the_start() -> None:
    """A client can be generated from an application that never ran."""
    assert "/predict" in create_app().openapi()["paths"]


class Links(HTMLParser):
    """Collects what a page loads."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the addresses of one tag."""
        self.found += [value for name, value in attrs if name in ("src", "href") and value]


def test_the_page_loads_nothing_from_elsewhere(ask: Ask) -> None:
    """Every script, style and picture of /docs comes from the service itself, and is there."""
    page = ask("GET", "/docs")
    links = Links()
    links.feed(page.text)
    assert len(links.found) >= 3
    assert "//" not in "".join(links.found)
    assert "http" not in "".join(re.findall(r"<script>.*?</script>", page.text, re.DOTALL))
    assert [ask("GET", link).status_code for link in links.found] == [200] * len(links.found)


def test_a_browser_shows_the_real_fields(
    start_service: StartService, sample_artifacts: Path, sample_version: TrainedVersion, tmp_path: Path
) -> None:
    """A real browser, opening /docs at /predict, renders every feature's name and an example value."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("needs a browser on PATH to look at /docs with: chromium or google-chrome")
    _, address, _ = start_service(sample_artifacts)
    options = "--headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run --disable-sync"
    quiet = "--disable-background-networking --disable-component-update"
    own = [f"--user-data-dir={tmp_path / 'browser'}", "--virtual-time-budget=8000", "--dump-dom"]
    page = subprocess.run(
        [browser, *options.split(), *quiet.split(), *own, f"{address}/docs#/scoring/predict"],
        capture_output=True,
        timeout=120,
        check=True,
        env={**os.environ, "HOME": str(tmp_path)},
    ).stdout.decode()
    text = re.sub(r"<[^>]+>", "", re.sub(r"<(script|style).*?</\1>", "", page, flags=re.DOTALL))
    absent = [
        name for name in sample_version.manifest.signature.names if f'"{name}"' not in text.replace("&quot;", '"')
    ]
    assert absent == []
    assert "Month-to-month" in text
