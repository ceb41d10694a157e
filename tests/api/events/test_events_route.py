"""What /predict/events answers: the score that /predict gives for the engine's features, or a sentence."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from event_versions import DAY

from churn_mlops.config.settings import ArtifactsSettings, Settings
from churn_mlops.registry.manifest import EVENT_PROGRAM
from churn_mlops.registry.reading import Registry
from churn_mlops.registry.writing import register

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from event_versions import EventVersion

    from churn_mlops.registry.manifest import Manifest

    Ask = Callable[..., httpx.Response]
    StartService = Callable[..., tuple[subprocess.Popen[bytes], str, Path]]

SERVING_NEEDS_NONE_OF = ("ibis", "sqlglot", "duckdb", "pyarrow", "pandas", "sklearn", "scipy")


@pytest.fixture
def ask_events(event_version: EventVersion, serve_settings: Callable[[Settings], Ask]) -> Ask:
    """Ask the service of the version."""
    return serve_settings(event_version.settings(max_missing_share=1.0, max_events=5000))


def ask_for(ask: Ask, request: dict[str, Any], query: str = "") -> dict[str, Any]:
    """Ask with events; it has to be answered."""
    answer = ask("POST", f"/predict/events{query}", json=request)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-model-version"] == answer.json()["model_version"]
    return dict(answer.json())


def test_the_answer_is_that_of_predict_for_the_engines_features(ask_events: Ask, event_version: EventVersion) -> None:
    """For customers at risk: probability and all contributions to 1e-6, decision, band, texts and input quality."""
    asked = [*event_version.rows][::4]
    assert len(asked) > 15
    for customer in asked:
        row = {
            name: value for name, value in event_version.rows[customer].items() if not name.endswith(("_id", "_date"))
        }
        expected = ask_events("POST", "/predict?reasons=0", json={"customer_id": customer, "features": row}).json()
        found = ask_for(ask_events, event_version.request(customer), "?reasons=0")
        events, snapshot = found.pop("events"), found.pop("snapshot_date")
        strengths = [
            {reason["feature"]: reason.pop("contribution") for reason in answer["reasons"]}
            for answer in (found, expected)
        ]
        assert strengths[0] == pytest.approx(strengths[1], abs=1e-6)
        texts = [sorted(reason["text"] for reason in answer.pop("reasons")) for answer in (found, expected)]
        assert texts[0] == texts[1]
        assert found.pop("churn_probability") == pytest.approx(expected.pop("churn_probability"), abs=1e-6)
        assert found == expected
        assert snapshot == str(DAY)
        assert events["received"] == events["used"] + sum(events["dropped"].values())


def test_customers_who_are_not_at_risk_are_told_so(ask_events: Ask, event_version: EventVersion) -> None:
    """All of the log's customers whom the engine did not build: 422 with the rule, and no score."""
    others = [customer for customer in event_version.events if customer not in event_version.rows]
    assert len(others) > 3
    for customer in others:
        answer = ask_events("POST", "/predict/events", json=event_version.request(customer))
        assert (answer.status_code, answer.json()["error"]) == (422, "NotAtRisk")
        assert "in the 30 days before" in answer.json()["detail"]


def test_what_is_left_out_is_counted(ask_events: Ask) -> None:
    """Events that cannot be, that came twice and that were not known yet, each by its reason."""
    events: list[dict[str, Any]] = [
        {"type": "login", "time": "2024-09-30T23:59:59.999999Z"},
        {"type": "login", "time": "2024-10-01T00:00:00Z"},
        {"type": "login", "time": "2024-10-01T01:00:00+02:00", "known_time": "2024-10-02"},
        {"type": "login", "time": "2024-10-01T01:00:00+02:00", "event_id": "a"},
        {"type": "usage", "time": "2024-09-30T20:00:00Z", "event_id": "a"},
        {"type": "usage", "time": "2024-09-30T20:00:00Z", "event_id": 7},
        {"type": "login", "time": "1970-01-01"},
        {"type": "login", "time": (datetime.now(UTC) + timedelta(days=1)).isoformat()},
        {"type": " ", "time": "2024-09-01"},
        {"type": "payment", "time": "2024-09-01", "amount": 1e13},
        {"type": "never seen", "time": "2024-09-01"},
    ]
    found = ask_for(ask_events, {"as_of": "2024-10-01", "events": events})
    assert found["events"] == {
        "received": 11,
        "used": 4,
        "dropped": {
            "it was not known before 2024-10-01": 2,
            "'event_id' occurred before": 1,
            "'time' is before data.events.earliest": 1,
            "'time' is in the future": 1,
            "'type' is missing": 1,
            "'amount' is no number up to 1,000,000,000,000": 1,
        },
        "other_types": ["never seen"],
    }


def test_without_a_day_it_is_today(ask_events: Ask) -> None:
    """Midnight in UTC with which today began: an event of yesterday is seen, one of today is not."""
    today = datetime.now(UTC).date()
    events = [{"type": "login", "time": str(today - timedelta(days=1))}, {"type": "login", "time": f"{today}T00:00:00"}]
    found = ask_for(ask_events, {"events": events})
    assert found["snapshot_date"] in (str(today), str(today + timedelta(days=1)))  # midnight may have come
    assert found["events"]["used"] == 1 + (found["snapshot_date"] > str(today))
    tomorrow = ask_for(ask_events, {"events": events, "as_of": str(today + timedelta(days=1))})
    assert tomorrow["events"]["used"] == 2


@pytest.mark.parametrize(
    ("changed", "fields", "said"),
    [
        ({"as_of": "2099-01-01"}, ["as_of"], "a day up to tomorrow"),
        ({"as_of": "1315612800"}, ["as_of"], "a day such as '2024-01-31'"),
        ({"as_of": "2024-01-01T10:00:00"}, ["as_of"], "a day such as '2024-01-31'"),
        ({"events": {}}, ["events"], "a list of events was expected"),
        ({"events": [{"time": "2024-01-01"}]}, ["events[0].type"], "'events[0].type' is missing"),
        ({"events": [{"type": "login"}]}, ["events[0].time"], "'events[0].time' is missing"),
        ({"events": [{"type": "login", "time": "soon"}]}, ["events[0].time"], "a time such as"),
        ({"events": [{"type": "login", "time": 1700000000}]}, ["events[0].time"], "1700000000; a time such as"),
        ({"events": [{"type": "login", "time": "1700000000"}]}, ["events[0].time"], "a time such as"),
        ({"events": [3]}, ["events[0]"], "an object with 'time'"),
        (
            {"events": [{"type": "a", "time": "2024-01-01"}, {"type": 5, "time": "2024-01-01", "amuont": 1}]},
            ["events[1].type", "events[1].amuont"],
            "the closest is 'amount'",
        ),
        (
            {"events": [{"type": "a", "time": "2024-01-01", "amount": "3"}]},
            ["events[0].amount"],
            "a finite number or null",
        ),
        ({"customer": {"plan": 3}}, ["customer.plan"], "a text or null was expected"),
        ({"customer": {"plna": "basic"}}, ["customer.plna"], "the closest is 'plan'"),
        ({"cancellations": [{}]}, ["cancellations[0].time"], "is missing"),
        ({"costumer_id": 3}, ["costumer_id"], "the closest is 'customer_id'"),
        ({"customer_id": [1]}, ["customer_id"], "a text of at most 200 characters, a whole number or null"),
        ({"events": [{"type": "a", "time": "2024-01-01"}] * 5001}, ["events"], "more than 5,000"),
    ],
)
def test_what_cannot_be_read_is_named(ask_events: Ask, changed: dict[str, Any], fields: list[str], said: str) -> None:
    """422 with the place of the event and the field, and what was expected."""
    answer = ask_events("POST", "/predict/events", json={"events": [], **changed})
    assert (answer.status_code, answer.json()["error"]) == (422, "EventsRefused")
    assert answer.json()["fields"] == fields
    assert said in answer.json()["detail"]


def test_a_body_that_is_no_json_is_400(ask_events: Ask) -> None:
    """As on the other routes."""
    answer = ask_events("POST", "/predict/events", content=b'{"events": [')
    assert (answer.status_code, answer.json()["error"]) == (400, "MalformedRequest")


def test_a_version_of_a_table_says_what_to_ask_instead(ask: Ask) -> None:
    """409: it was not trained on events."""
    answer = ask("POST", "/predict/events", json={"events": []})
    assert (answer.status_code, answer.json()["error"]) == (409, "NotTrainedOnEvents")
    assert "ask /predict" in answer.json()["detail"]


@pytest.mark.parametrize("sent", [{}, {"customer": None}, {"customer": {}}])
def test_a_customer_whose_attributes_are_not_sent_is_refused(
    event_version: EventVersion, serve_settings: Callable[[Settings], Ask], sent: dict[str, Any]
) -> None:
    """As /predict refuses one of whom too much is missing; null is sent: nobody knows it, as of some in the log."""
    ask = serve_settings(event_version.settings())
    request = event_version.request(next(iter(event_version.rows)))
    del request["customer"]
    answer = ask("POST", "/predict/events", json=request | sent)
    assert (answer.status_code, answer.json()["error"], answer.json()["fields"]) == (
        422,
        "EventsRefused",
        ["customer.plan"],
    )
    assert answer.json()["detail"] == (
        "1 of 1 attributes of 'customer' are absent (100%); at most 50% may be: plan. One that nobody knows is sent as "
        "null."
    )
    answered = ask_for(ask, request | {"customer": {"plan": None}})
    assert "plan" in answered["input_quality"]["missing"]


@pytest.mark.parametrize(
    ("written", "broken", "said"),
    [
        (b"GROUP BY", b"GROUP OF", "SQLite cannot run its event program (OperationalError)."),
        (b'"steps":[', b'"stops":[', f"{EVENT_PROGRAM} cannot be read ("),
        (
            b'"time_zone":"UTC"',
            b'"time_zone":"Mars"',
            "its event program names the time zone 'Mars', which is not known.",
        ),
    ],
)
def test_a_program_that_cannot_be_run_is_refused(
    event_version: EventVersion,
    serve_settings: Callable[[Settings], Ask],
    tmp_path: Path,
    written: bytes,
    broken: bytes,
    said: str,
) -> None:
    """When the version is loaded, by reading it and running it once."""
    files = read_files(event_version)
    assert written in files[EVENT_PROGRAM]
    broken_files = {**files, EVENT_PROGRAM: files[EVENT_PROGRAM].replace(written, broken)}
    register(Registry(tmp_path), read_manifest(event_version), broken_files)
    answer = serve_settings(Settings(artifacts=ArtifactsSettings(path=tmp_path)))("GET", "/ready")
    assert (answer.status_code, answer.json()["error"]) == (503, "VersionRefused")
    assert said in answer.json()["detail"]


def test_a_program_that_was_changed_is_refused(
    event_version: EventVersion, serve_settings: Callable[[Settings], Ask], tmp_path: Path
) -> None:
    """By its hash, though it could be run."""
    registry = Registry(tmp_path)
    version = register(registry, read_manifest(event_version), read_files(event_version)).version
    with (registry.models / version / EVENT_PROGRAM).open("ab") as file:
        file.write(b"\n")
    answer = serve_settings(Settings(artifacts=ArtifactsSettings(path=tmp_path)))("GET", "/ready")
    assert (answer.status_code, answer.json()["error"]) == (503, "VersionRefused")
    assert f"the sha256 of {EVENT_PROGRAM} is not the one" in answer.json()["detail"]


def read_manifest(event_version: EventVersion) -> Manifest:
    """Read the manifest of the version."""
    return Registry(event_version.artifacts).read(event_version.version)


def read_files(event_version: EventVersion) -> dict[str, bytes]:
    """Read the files of the version."""
    manifest = read_manifest(event_version)
    return {name: Registry(event_version.artifacts).read_file(manifest, name) for name in manifest.files}


def test_the_document_describes_the_log(ask_events: Ask, event_version: EventVersion) -> None:
    """Fields that events of this log have, an example that is taken, and the route's answers."""
    document = ask_events("GET", "/openapi.json").json()
    schemas = document["components"]["schemas"]
    assert [*schemas["Event"]["properties"]] == ["type", "time", "amount", "known_time", "event_id"]
    assert schemas["PredictEventsRequest"]["properties"]["events"]["maxItems"] == 5000
    operation = document["paths"]["/predict/events"]["post"]
    assert {"200", "400", "409", "413", "422", "503"} <= set(operation["responses"])
    example = operation["requestBody"]["content"]["application/json"]["example"]
    assert ask_for(ask_events, example)["events"] == {"received": 2, "used": 2, "dropped": {}, "other_types": []}


def test_a_real_process_answers_and_counts(start_service: StartService, event_version: EventVersion) -> None:
    """Many at a time, with few events and many, beside /predict; each by its own template in the metrics."""
    _, url, _ = start_service(event_version.artifacts)
    few = {"as_of": str(DAY), "events": [{"type": "login", "time": "2024-09-30"}], "customer": {"plan": "basic"}}
    customer = max(event_version.rows, key=lambda customer: len(event_version.events[customer]))
    many = event_version.request(customer)
    assert len(json.dumps(many)) > 20_000
    with httpx.Client(base_url=url) as client, ThreadPoolExecutor(8) as together:

        def ask(body: dict[str, Any]) -> dict[str, Any]:
            return dict(client.post("/predict/events", json=body).json())

        alone = [ask(few), ask(many)]
        again = [*together.map(ask, [few, many] * 20)]
        counted = [line for line in client.get("/metrics").text.splitlines() if "/predict/events" in line]
    for answer, expected in zip(again, alone * 20, strict=True):
        assert answer["churn_probability"] == pytest.approx(expected["churn_probability"], abs=1e-6)
        assert answer["events"] == expected["events"]
    assert [line for line in counted if "requests_total" in line and line.endswith(" 42.0")], counted


LOADED = """
import asyncio, json, sys
from pathlib import Path
from churn_mlops.api.app import create_app
from churn_mlops.config.settings import ArtifactsSettings, Settings

app = create_app(Settings(artifacts=ArtifactsSettings(path=Path(sys.argv[1]))))

async def compute():
    async with app.router.lifespan_context(app):
        events = [{"type": "login", "time": "2024-09-30"}]
        body = json.dumps({"as_of": "2024-10-01", "events": events, "customer": {"plan": "basic"}}).encode()
        return len(app.state.served.event_scoring.compute(body).customer["features"])

print(json.dumps([asyncio.run(compute()), sorted(set(json.loads(sys.argv[2])) & set(sys.modules))]))
"""


def test_nothing_of_the_engine_is_loaded(event_version: EventVersion) -> None:
    """Features are computed without Ibis, sqlglot, DuckDB, Arrow and pandas, none of which the image has."""
    arguments = [str(event_version.artifacts), json.dumps(SERVING_NEEDS_NONE_OF)]
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments], capture_output=True, text=True, timeout=60, check=True
    )
    features, loaded = json.loads(done.stdout.splitlines()[-1])
    assert (features > 20, loaded) == (True, [])
