"""What browsers are told, and what the documentation shows only if it may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from churn_mlops.api.keys import KEYS_VARIABLE, create_key
from churn_mlops.config.settings import ArtifactsSettings, ServingSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

    Ask = Callable[..., httpx.Response]

PAGE = "https://crm.example.com"
PREFLIGHT = {"Origin": PAGE, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}


@pytest.fixture
def ask_protected(sample_artifacts: Path, serve_settings: Callable[[Settings], Ask]) -> Callable[..., Ask]:
    """Start the service of the sample version with settings of its own."""

    def start(**serving: Any) -> Ask:
        artifacts = ArtifactsSettings(path=sample_artifacts)
        return serve_settings(Settings(artifacts=artifacts, serving=ServingSettings(**serving)))

    return start


def test_other_origins_are_told_nothing_by_default(ask: Ask) -> None:
    """A page elsewhere may not ask from a browser."""
    answers = [ask("GET", "/health", headers={"Origin": PAGE}), ask("OPTIONS", "/predict", headers=PREFLIGHT)]
    assert [name for answer in answers for name in answer.headers if name.startswith("access-control")] == []


def test_the_origins_that_are_named_may_ask(ask_protected: Callable[..., Ask], monkeypatch: pytest.MonkeyPatch) -> None:
    """Before they ask they ask whether they may, which needs no key; others may not."""
    monkeypatch.setenv(KEYS_VARIABLE, create_key()[1])
    ask = ask_protected(cors_origins=(PAGE,))
    allowed, refused = ask("OPTIONS", "/predict", headers=PREFLIGHT), ask("GET", "/model", headers={"Origin": PAGE})
    assert (allowed.status_code, refused.status_code) == (200, 401)
    assert {answer.headers["access-control-allow-origin"] for answer in (allowed, refused)} == {PAGE}
    assert "X-API-Key" in allowed.headers["access-control-allow-headers"]
    other = ask("OPTIONS", "/predict", headers={**PREFLIGHT, "Origin": "https://example.org"})
    assert other.status_code == 400
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize("path", ["/health", "/nothing", "/docs", "/predict"])
def test_every_answer_tells_a_browser_what_not_to_do_with_it(ask: Ask, path: str) -> None:
    """Answers, pages and refusals alike; none says what answers."""
    headers = ask("GET", path).headers
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    assert headers["content-security-policy"].endswith("frame-ancestors 'none'")
    assert "server" not in headers


def test_the_documentation_can_be_turned_off(ask_protected: Callable[..., Ask]) -> None:
    """Neither page nor document nor the files of the page are there, and the routes still are."""
    gone = ("/docs", "/docs/oauth2-redirect", "/openapi.json", "/static-offline-docs/swagger-ui.css", "/redoc")
    ask = ask_protected(docs=False)
    assert [ask("GET", path).status_code for path in (*gone, "/health", "/ready")] == [404] * 5 + [200] * 2
    assert ask_protected()("GET", gone[3]).status_code == 200
