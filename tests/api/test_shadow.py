"""The challenger in the shadow of the champion: scored, logged, and without a say."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from churn_mlops.api.shadow import Shadow
from churn_mlops.config.settings import ArtifactsSettings, ServingSettings, Settings
from churn_mlops.models.signature import Signature
from churn_mlops.registry.reading import Aliases
from churn_mlops.registry.writing import promote, register

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from fastapi import FastAPI
    from tests.api.conftest import Challenged

    Ask = Callable[..., httpx.Response]
    Serve = Callable[[Settings], Ask]
    Wait = Callable[[Callable[[], object]], float]
    Capture = pytest.CaptureFixture[str]


def shadowed(challenged: Challenged) -> Settings:
    """Settings under which the challenger is scored too."""
    return Settings(
        artifacts=ArtifactsSettings(path=challenged.registry.root),
        serving=ServingSettings(shadow="challenger", reload_seconds=0.2),
    )


def predict(ask: Ask, count: int = 1) -> None:
    """Ask for the example's score."""
    content = ask("GET", "/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]["content"]
    for number in range(count):
        answer = ask(
            "POST", "/predict", json=content["application/json"]["example"], headers={"X-Request-ID": f"r{number}"}
        )
        assert answer.status_code == 200


class Log:
    """What the log says of the shadow, as it comes."""

    def __init__(self, capsys: Capture) -> None:
        self._capsys = capsys
        self.lines: list[dict[str, Any]] = []

    def has(self, count: int) -> bool:
        """Whether it has so many lines by now."""
        lines = [json.loads(line) for line in self._capsys.readouterr().out.splitlines()]
        self.lines += [line for line in lines if line["logger"] == "churn_mlops.shadow"]
        return len(self.lines) >= count


def test_the_challenger_is_scored_and_logged(
    serve_settings: Serve, challenged: Challenged, wait_until: Wait, capsys: Capture
) -> None:
    """A line for each answer has its request id and what both versions say, and nothing about the customer."""
    ask, log = serve_settings(shadowed(challenged)), Log(capsys)
    predict(ask, 3)
    wait_until(lambda: log.has(3))
    assert [line["request_id"] for line in log.lines] == ["r0", "r1", "r2"]
    for line in log.lines:
        assert (line["model_version"], line["shadow_version"]) == (challenged.champion, challenged.challenger)
        assert line["shadow_probability"] == line["churn_probability"]  # they differ in their threshold only
    assert set(log.lines[0]) == {
        *("time", "level", "logger", "message", "request_id"),
        *("model_version", "churn_probability", "shadow_version", "shadow_probability"),
    }


def test_without_a_challenger_nothing_is_scored(
    serve_settings: Serve, challenged: Challenged, wait_until: Wait, capsys: Capture
) -> None:
    """Once the challenger is promoted, there is none, until another is registered."""
    ask, log = serve_settings(shadowed(challenged)), Log(capsys)
    promote(challenged.registry, challenged.challenger)
    wait_until(lambda: ask("GET", "/health").json()["model_version"] == challenged.challenger)
    predict(ask)
    aliases = Aliases(champion=challenged.challenger, challenger=challenged.champion)
    challenged.registry.aliases_file.write_text(aliases.model_dump_json())

    def is_scored() -> bool:
        predict(ask)
        return log.has(1)

    wait_until(is_scored)
    assert log.lines[0]["shadow_version"] == challenged.champion


@pytest.mark.parametrize(("renamed", "scored"), [(1, True), (12, False)])
def test_a_challenger_with_other_features_is_given_those_that_both_have(
    serve_settings: Serve, challenged: Challenged, wait_until: Wait, capsys: Capture, renamed: int, scored: bool
) -> None:
    """The rest are missing to it, which is said once; if that is too many, it would refuse the customer."""
    registry = challenged.registry
    manifest = registry.read(challenged.challenger)
    features = [
        feature.model_copy(update={"name": f"new_{feature.name}"}) if place < renamed else feature
        for place, feature in enumerate(manifest.signature.features)
    ]
    other = manifest.model_copy(update={"signature": Signature(features=tuple(features))})
    register(registry, other, {name: registry.read_file(manifest, name) for name in manifest.files})
    ask, log = serve_settings(shadowed(challenged)), Log(capsys)
    predict(ask, 2)
    wait_until(lambda: log.has(3 if scored else 1))
    assert log.lines[0]["features"] == [feature.name for feature in features[:renamed]]
    assert [line["message"] for line in log.lines] == [
        "the challenger has features that requests to the champion lack",
        *(["shadow"] * 2 * scored),
    ]


def test_what_there_is_no_room_for_is_dropped_and_counted(ask: Ask, sample_app: FastAPI) -> None:
    """A challenger that is too slow costs memory for 1,024 customers, and no more."""
    follower, champion = sample_app.state.followers[0], sample_app.state.served
    shadow = Shadow(follower)
    for _ in range(1030):
        shadow.offer(champion, b"id", {}, 0.5)
    assert shadow.dropped == 6
    with shadow:  # the end of which waits for what waits
        pass
    assert (shadow.scored, shadow.unscorable) == (0, 1024)


def test_an_error_of_its_own_does_not_end_the_shadow(
    ask: Ask, sample_app: FastAPI, monkeypatch: pytest.MonkeyPatch, wait_until: Wait
) -> None:
    """It is counted, and what is offered afterwards is looked at all the same."""
    follower, champion = sample_app.state.followers[0], sample_app.state.served
    monkeypatch.setattr("churn_mlops.api.shadow._shared", lambda champion, challenger: 1 / 0)
    with Shadow(follower) as shadow:
        for count in (1, 2):
            shadow.offer(champion, b"id", {"tenure": 1.0}, 0.5)
            wait_until(partial(has_failed, shadow, count))


def has_failed(shadow: Shadow, count: int) -> bool:
    """Whether so many customers could not be scored."""
    return shadow.failed == count
