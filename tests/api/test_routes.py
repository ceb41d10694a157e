"""What each route answers, with a model and without one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from churn_mlops.config.settings import ArtifactsSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

    from churn_mlops.training.job import TrainedVersion

    Ask = Callable[..., httpx.Response]


def test_health_names_the_version(ask: Ask, sample_version: TrainedVersion) -> None:
    """A live service answers /health with the version it serves."""
    answer = ask("GET", "/health")
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "ok", "model_version": sample_version.manifest.version},
    )


def test_health_is_200_without_a_model(ask_without_model: Ask) -> None:
    """Liveness does not depend on a model."""
    answer = ask_without_model("GET", "/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok", "model_version": None})


def test_ready_names_the_version(ask: Ask, sample_version: TrainedVersion) -> None:
    """A service with a model is ready."""
    answer = ask("GET", "/ready")
    assert (answer.status_code, answer.json()) == (
        200,
        {"status": "ready", "model_version": sample_version.manifest.version},
    )


@pytest.mark.parametrize(
    ("method", "path", "content"),
    [("GET", "/ready", {}), ("GET", "/model", {}), ("POST", "/predict", {"json": {"features": {}}})],
)
def test_what_needs_a_model_is_503_without_one(
    ask_without_model: Ask, method: str, path: str, content: dict[str, Any]
) -> None:
    """Without a model, the one error body says that there is none and how to make one."""
    answer = ask_without_model(method, path, **content)
    body = answer.json()
    assert (answer.status_code, body["error"], body["fields"]) == (503, "NoModel", [])
    assert "churn-mlops train" in body["detail"]


@pytest.mark.parametrize(
    ("spoilt", "content", "error"),
    [
        ("models/{version}/model.onnx", b"garbage", "VersionRefused"),
        ("models/{version}/model.onnx", None, "VersionRefused"),
        ("models/{version}/manifest.json", b"{}", "VersionRefused"),
        ("models/{version}/manifest.json", None, "VersionRefused"),
        ("registry/aliases.json", b"garbage", "RegistryError"),
        ("registry/aliases.json", b'{"champion": "20990101T000000Z-00000000"}', "VersionNotFound"),
        ("registry/aliases.json", b'{"champion": null}', "NoModel"),
    ],
)
def test_ready_says_why_a_champion_is_refused(
    copied_artifacts: Path,
    sample_version: TrainedVersion,
    serve_settings: Callable[[Settings], Ask],
    spoilt: str,
    content: bytes | None,
    error: str,
) -> None:
    """A corrupt champion is never served: alive but not ready, with a reason that shows no path of this machine."""
    file = copied_artifacts / spoilt.format(version=sample_version.manifest.version)
    file.unlink()
    if content is not None:
        file.write_bytes(content)
    ask = serve_settings(Settings(artifacts=ArtifactsSettings(path=copied_artifacts)))
    health, ready = ask("GET", "/health"), ask("GET", "/ready")
    assert (health.status_code, ready.status_code, ready.json()["error"]) == (200, 503, error)
    assert str(copied_artifacts) not in ready.text


def test_model_is_the_manifest(ask: Ask, sample_version: TrainedVersion) -> None:
    """/model answers the manifest to the letter, marked as the sample, and that nothing was refused."""
    answer = ask("GET", "/model").json()
    assert answer.pop("refused") is None
    assert answer == sample_version.manifest.model_dump(mode="json")
    assert answer["sample"] is True


def test_model_has_no_paths(ask: Ask, sample_artifacts: Path) -> None:
    """No text in the manifest is a path of this machine."""

    def texts(value: object) -> list[str]:
        if isinstance(value, dict):
            return [text for key, part in value.items() for text in (key, *texts(part))]
        if isinstance(value, list):
            return [text for part in value for text in texts(part)]
        return [value] if isinstance(value, str) else []

    found = texts(ask("GET", "/model").json())
    assert not [text for text in found if text.startswith("/") or str(sample_artifacts) in text]


def test_a_prediction_has_this_shape(ask: Ask, example: dict[str, Any], sample_version: TrainedVersion) -> None:
    """The answer holds exactly these fields, of these types, for the customer who was asked about."""
    answer = ask("POST", "/predict", json=example)
    body = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    shape = {name: type(value) for name, value in body.items()}
    assert shape == {
        "customer_id": str,
        "churn_probability": float,
        "churn_predicted": bool,
        "decision": dict,
        "risk_band": str,
        "reasons_are": str,
        "reasons": list,
        "input_quality": dict,
        "model_version": str,
    }
    assert (body["customer_id"], body["model_version"]) == ("7590-VHVEG", sample_version.manifest.version)
    assert body["input_quality"] == {"missing": [], "unseen_category": [], "out_of_range": []}
    assert [list(reason) for reason in body["reasons"]] == [["feature", "value", "contribution", "text"]] * 3


@pytest.mark.parametrize(
    ("query", "given"),
    [("", 3), ("?reasons=0", 19), ("?reasons=1", 1), ("?reasons=3", 3), ("?reasons=19", 19), ("?reasons=1000", 19)],
)
def test_as_many_reasons_as_asked_for(ask: Ask, example: dict[str, Any], query: str, given: int) -> None:
    """?reasons=N gives N, 0 all, and without it the configured number."""
    assert len(ask("POST", f"/predict{query}", json=example).json()["reasons"]) == given


def test_the_configuration_sets_how_many_reasons(ask_strict: Ask, example: dict[str, Any]) -> None:
    """serving.reasons counts where the request says nothing."""
    assert len(ask_strict("POST", "/predict", json=example).json()["reasons"]) == 2


def test_reasons_come_strongest_first(ask: Ask, example: dict[str, Any]) -> None:
    """All reasons of an answer are ordered by the size of their contribution."""
    sizes = [
        abs(reason["contribution"]) for reason in ask("POST", "/predict?reasons=0", json=example).json()["reasons"]
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) > 10


@pytest.mark.parametrize("reasons", ["-1", "x", "", "1.5", "NaN", "1e3", "9" * 5000, "%ff", "null", "true"])
def test_a_bad_number_of_reasons_is_422(ask: Ask, example: dict[str, Any], reasons: str) -> None:
    """Anything but a whole number from 0 is refused in the one error body, which names the parameter."""
    answer = ask("POST", f"/predict?reasons={reasons}", json=example)
    body = answer.json()
    assert (answer.status_code, body["error"], body["fields"]) == (422, "InvalidParameter", ["reasons"])
    assert len(body["detail"]) < 300


@pytest.mark.parametrize(
    ("months", "band", "predicted"), [(1, "high", True), (29, "medium", False), (72, "low", False)]
)
def test_band_and_decision_follow_from_the_probability(
    ask: Ask, example: dict[str, Any], sample_version: TrainedVersion, months: int, band: str, predicted: bool
) -> None:
    """A new customer is at high risk, a typical one at medium, an old one at low; and the thresholds agree."""
    body = ask("POST", "/predict", json={"features": {**example["features"], "tenure": months}}).json()
    decision = sample_version.manifest.decision
    assert (body["risk_band"], body["churn_predicted"]) == (band, predicted)
    assert body["churn_predicted"] == (body["churn_probability"] >= decision.threshold)
    assert body["risk_band"] == decision.band(body["churn_probability"])


def test_the_answer_says_by_what_it_was_decided(ask: Ask, example: dict[str, Any]) -> None:
    """Where the decision is not by profit there is no profit or value, but the mode and the threshold."""
    assert ask("POST", "/predict", json=example).json()["decision"] == {
        "mode": "threshold",
        "threshold": 0.5,
        "expected_profit": None,
        "customer_value": None,
    }


@pytest.mark.parametrize(
    ("value", "break_even"),
    [(10.0, None), (19.9, None), (20.0, 1.0), (40, 0.5), (400.0, 0.05), (1e300, 2e-299)],
)
def test_a_value_in_the_request_decides(
    ask_by_profit: Callable[..., Ask], example: dict[str, Any], value: float, break_even: float | None
) -> None:
    """An offer of 5 that saves one in four: contacting pays from 20 / value on, worth 0.25 p value - 5."""
    body = ask_by_profit()("POST", "/predict", json={**example, "customer_value": value}).json()
    probability, decision = body["churn_probability"], body["decision"]
    assert (decision["mode"], decision["customer_value"]) == ("profit", value)
    assert decision["threshold"] == pytest.approx(break_even)
    assert decision["expected_profit"] == pytest.approx(0.25 * probability * value - 5)
    assert body["churn_predicted"] == (decision["expected_profit"] >= 0)


@pytest.mark.parametrize("absent", [{}, {"customer_value": None}])
def test_without_a_value_the_mean_of_training_decides(
    ask_by_profit: Callable[..., Ask], example: dict[str, Any], absent: dict[str, None]
) -> None:
    """A request that leaves the value out, or says null, is decided as for a customer of the mean value."""
    body = ask_by_profit()("POST", "/predict", json={**example, **absent}).json()
    assert (body["decision"]["customer_value"], body["decision"]["threshold"]) == (80.0, 0.25)


@pytest.mark.parametrize(
    ("charges", "override", "used"), [(40, None, 40.0), (40, 90, 90.0), (0, None, 0.0), (-3, None, -3.0)]
)
def test_the_value_columns_feature_decides_unless_overridden(
    ask_by_profit: Callable[..., Ask], example: dict[str, Any], charges: float, override: float | None, used: float
) -> None:
    """Where the model was told that a feature holds the value it is read there; who is worth nothing is let go."""
    changed = {**example["features"], "monthly_charges": charges}
    request = {"features": changed, "customer_value": override}
    body = ask_by_profit("monthly_charges")("POST", "/predict", json=request).json()
    assert body["decision"]["customer_value"] == used
    assert body["decision"]["threshold"] == (20 / used if used > 0 else None)
    assert body["churn_predicted"] == (used > 0 and body["churn_probability"] >= 20 / used)


@pytest.mark.parametrize("column", ["monthly_charges", "not_a_feature"])
def test_a_value_the_request_does_not_hold_is_the_mean_of_training(
    ask_by_profit: Callable[..., Ask], example: dict[str, Any], column: str
) -> None:
    """The column was left out of the features, or its feature is missing: the mean stands in."""
    request = {"features": {**example["features"], "monthly_charges": None}}
    body = ask_by_profit(column)("POST", "/predict", json=request).json()
    assert body["decision"]["customer_value"] == 80.0


@pytest.mark.parametrize("customer_id", ["7590-VHVEG", "", "x" * 200, "ü\u202e\x00", 0, -5, 10**400, None])
def test_the_customer_id_is_echoed(ask: Ask, example: dict[str, Any], customer_id: str | int | None) -> None:
    """A text or whole number comes back as it was sent."""
    answer = ask("POST", "/predict", json={**example, "customer_id": customer_id})
    assert answer.json()["customer_id"] == customer_id


def test_the_customer_id_may_be_left_out(ask: Ask, example: dict[str, Any]) -> None:
    """Who asks for one customer may not need an id; the answer then has a null."""
    assert ask("POST", "/predict", json={"features": example["features"]}).json()["customer_id"] is None


@pytest.mark.parametrize("absent", [True, False])
def test_null_and_absent_are_the_same_missing(ask: Ask, example: dict[str, Any], absent: bool) -> None:
    """A feature that is null or left out is listed as missing, and its reason says so."""
    features = {**example["features"], "tenure": None}
    if absent:
        del features["tenure"]
    body = ask("POST", "/predict?reasons=0", json={"features": features}).json()
    assert body["input_quality"]["missing"] == ["tenure"]
    assert "tenure is missing" in [reason["text"].split(":")[0] for reason in body["reasons"]]


def test_unseen_and_out_of_range_are_listed(ask: Ask, example: dict[str, Any]) -> None:
    """Strange values are scored, and named in the signature's order."""
    strange = {"contract": "Ten years", "internet_service": "", "tenure": 1000, "monthly_charges": -1}
    answer = ask("POST", "/predict", json={"features": {**example["features"], **strange}})
    assert (answer.status_code, answer.json()["input_quality"]) == (
        200,
        {
            "missing": [],
            "unseen_category": ["internet_service", "contract"],
            "out_of_range": ["tenure", "monthly_charges"],
        },
    )


@pytest.mark.parametrize("number", [1e300, -1e300, 10**30, 3.5e38, 1e-320, -0.0])
def test_a_number_beyond_the_range_counts_as_its_end(ask: Ask, example: dict[str, Any], number: float) -> None:
    """However far outside, a finite number gives the probability of the nearest end of the range."""

    def probability(tenure: float) -> float:
        features = {**example["features"], "tenure": tenure}
        return float(ask("POST", "/predict", json={"features": features}).json()["churn_probability"])

    assert probability(number) == pytest.approx(probability(72 if number > 1 else 0), abs=1e-7)


@pytest.mark.parametrize(("missing", "status"), [(9, 200), (10, 422), (19, 422)])
def test_too_many_missing_features_are_refused(ask: Ask, example: dict[str, Any], missing: int, status: int) -> None:
    """Half of 19 features may be missing (9); with one more, the customer is refused and all missing are named."""
    names = list(example["features"])[:missing]
    answer = ask("POST", "/predict", json={"features": {**example["features"], **dict.fromkeys(names)}})
    assert answer.status_code == status
    named = answer.json()["fields"] if status == 422 else answer.json()["input_quality"]["missing"]
    assert named == names


def test_the_configuration_sets_how_many_may_be_missing(ask_strict: Ask, example: dict[str, Any]) -> None:
    """With serving.max_missing_share at 0, a single missing feature is refused."""
    answer = ask_strict("POST", "/predict", json={"features": {**example["features"], "contract": None}})
    assert (answer.status_code, answer.json()["fields"]) == (422, ["contract"])


def test_repeated_keys_count_once(ask: Ask, example: dict[str, Any]) -> None:
    """Of a key that stands twice, the last one counts, as in JSON parsers at large."""
    twice = json.dumps({"features": {**example["features"], "tenure": 72}})[:-2] + ', "tenure": 1}}'
    once = json.dumps({"features": {**example["features"], "tenure": 1}})
    answers = [ask("POST", "/predict", content=body.encode()).json() for body in (twice, once)]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/nope", 404, "NotFound"),
        ("GET", "/", 404, "NotFound"),
        ("GET", "/predict", 405, "MethodNotAllowed"),
        ("DELETE", "/health", 405, "MethodNotAllowed"),
        ("NONSENSE", "/model", 405, "MethodNotAllowed"),
        ("GET", "/%ff%00", 404, "NotFound"),
        ("GET", "/static-offline-docs/nope.js", 404, "NotFound"),
        ("GET", "/static-offline-docs/..%2f..%2fcore.py", 404, "NotFound"),
    ],
)
def test_what_is_not_there_has_the_one_error_body(ask: Ask, method: str, path: str, status: int, error: str) -> None:
    """The framework's own refusals look like the service's."""
    answer = ask(method, path)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert set(answer.json()) == {"error", "detail", "fields"}
