"""What the service itself does wrong is answered without a word of how, and logged without a word of whom."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest

from churn_mlops.api.served_model import ServedModel
from churn_mlops.errors import DataError
from churn_mlops.inference.prediction import Predictor

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from fastapi import FastAPI

    Ask = Callable[..., httpx.Response]


class BrokenScorer:
    """A scorer that fails, quoting the customer as badly written code would."""

    version = "20991231T235959Z-0badc0de"

    def __init__(self, manifest: object, error: Callable[[str], Exception]) -> None:
        self.manifest = manifest
        self._error = error

    def score_row(self, row: object) -> object:
        """Fail."""
        raise self._error("SECRET-CUSTOMER has tenure 4711")


@pytest.fixture
def break_scorer(ask: Ask, sample_app: FastAPI) -> Callable[[Callable[[str], Exception]], None]:
    """Make the running service's scorer fail with an error."""

    def break_it(error: Callable[[str], Exception]) -> None:
        served = sample_app.state.served
        broken: Any = BrokenScorer(served.scorer.manifest, error)
        sample_app.state.served = ServedModel(broken, served.schema, Predictor(broken, 0.5))

    return break_it


@pytest.mark.parametrize("error", [RuntimeError, KeyError, ValueError, MemoryError, DataError])
def test_a_failure_is_a_500_that_tells_nothing(
    ask: Ask, example: dict[str, Any], break_scorer: Callable[..., None], error: Callable[[str], Exception]
) -> None:
    """An unexpected error, and one that is no client's doing, has the one error body and nothing of its own text."""
    break_scorer(error)
    answer = ask("POST", "/predict", json=example)
    assert (answer.status_code, answer.json()) == (
        500,
        {"error": "InternalError", "detail": "The service failed; its log has the details.", "fields": []},
    )


def test_a_failure_has_its_request_id(ask: Ask, example: dict[str, Any], break_scorer: Callable[..., None]) -> None:
    """The id under which the log has the details is in the answer, as in every other."""
    break_scorer(RuntimeError)
    answer = ask("POST", "/predict", json=example, headers={"X-Request-ID": "abc-1"})
    assert (answer.status_code, answer.headers["X-Request-ID"]) == (500, "abc-1")


def test_a_failure_is_logged_with_its_place_but_not_its_text(
    ask: Ask, example: dict[str, Any], break_scorer: Callable[..., None]
) -> None:
    """The log has class, place and request id of the error; what the error quotes of the customer is not in it."""
    break_scorer(RuntimeError)
    log = io.StringIO()
    for handler in logging.getLogger("churn_mlops").handlers:
        if type(handler) is logging.StreamHandler:  # the service's own, not one that pytest added
            handler.setStream(log)
    ask("POST", "/predict?reasons=5", json={**example, "customer_id": "SECRET-2"}, headers={"X-Request-ID": "abc-1"})
    failure, request = map(json.loads, log.getvalue().splitlines())
    assert (failure["level"], failure["error"], failure["request_id"]) == ("ERROR", "RuntimeError", "abc-1")
    assert failure["stack"][-1].endswith(" score_row")
    assert (request["status"], request["route"], request["request_id"]) == (500, "/predict", "abc-1")
    assert not [secret for secret in ("SECRET", "4711", "reasons=5") if secret in log.getvalue()]


def test_the_service_goes_on_after_a_failure(
    ask: Ask, example: dict[str, Any], break_scorer: Callable[..., None], sample_app: FastAPI
) -> None:
    """One failed request takes nothing with it."""
    served = sample_app.state.served
    break_scorer(RuntimeError)
    failed = ask("POST", "/predict", json=example).status_code
    sample_app.state.served = served
    assert (failed, ask("POST", "/predict", json=example).status_code) == (500, 200)
