"""A running service follows its registry: what is promoted is served, and what is damaged is not."""

from __future__ import annotations

import asyncio
import json
import shutil
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from churn_mlops.api.app import create_app
from churn_mlops.api.following import Follower, find_champion
from churn_mlops.api.served_model import ServedModel
from churn_mlops.config.settings import ArtifactsSettings, ServingSettings, Settings
from churn_mlops.registry.reading import Aliases, Registry
from churn_mlops.registry.writing import promote, register, roll_back

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx
    from tests.api.conftest import Challenged

    Ask = Callable[..., httpx.Response]
    Serve = Callable[[Settings], Ask]
    Wait = Callable[[Callable[[], object]], float]


def quick(artifacts: Path, **serving: Any) -> Settings:
    """Settings under which a change is served within a fifth of a second."""
    return Settings(artifacts=ArtifactsSettings(path=artifacts), serving=ServingSettings(reload_seconds=0.2, **serving))


def served(ask: Ask) -> str | None:
    """Ask which version is served."""
    version: str | None = ask("GET", "/health").json()["model_version"]
    return version


def refused(ask: Ask) -> dict[str, Any] | None:
    """Ask what was refused."""
    answer: dict[str, Any] | None = ask("GET", "/model").json()["refused"]
    return answer


def test_a_promotion_and_a_rollback_are_served(serve_settings: Serve, challenged: Challenged, wait_until: Wait) -> None:
    """Both within reload_seconds, and each answer says in body and header which version it is of."""
    ask = serve_settings(quick(challenged.registry.root))
    changes: list[Callable[[], Aliases]] = [
        lambda: promote(challenged.registry, challenged.challenger),
        lambda: roll_back(challenged.registry),
    ]
    for change in changes:
        version = str(change().champion)
        wait_until(partial(serves, ask, version))
        answer = ask("POST", "/predict", json=example_of(ask))
        assert (answer.json()["model_version"], answer.headers["X-Model-Version"]) == (version, version)
    assert version == challenged.champion


def serves(ask: Ask, version: str) -> bool:
    """Whether a version is served."""
    return served(ask) == version


def example_of(ask: Ask) -> dict[str, Any]:
    """Give the request that the documentation shows."""
    content = ask("GET", "/openapi.json").json()["paths"]["/predict"]["post"]["requestBody"]["content"]
    return dict(content["application/json"]["example"])


def test_a_first_version_is_served_once_it_is_there(
    serve_settings: Serve, sample_artifacts: Path, tmp_path: Path, wait_until: Wait
) -> None:
    """A service that started on an empty folder needs no restart."""
    artifacts = tmp_path / "empty"
    artifacts.mkdir()
    ask = serve_settings(quick(artifacts))
    assert ask("GET", "/ready").status_code == 503
    shutil.copytree(sample_artifacts, artifacts, dirs_exist_ok=True)
    wait_until(lambda: ask("GET", "/ready").status_code == 200)


def test_a_damaged_version_takes_nobodys_place(
    serve_settings: Serve, challenged: Challenged, capsys: pytest.CaptureFixture[str], wait_until: Wait
) -> None:
    """It is refused, with one line in the log however often it is tried; served once its file is whole again."""
    graph = challenged.graph_of(challenged.challenger)
    ask = serve_settings(quick(challenged.registry.root))
    whole = graph.read_bytes()
    graph.write_bytes(whole[:-1] + b"\0")
    promote_by_hand(challenged.registry, challenged.challenger)
    wait_until(lambda: refused(ask))
    asyncio.run(asyncio.sleep(0.5))  # some more tries
    seen = refused(ask)
    assert seen
    assert (seen["version"], seen["error"]) == (challenged.challenger, "VersionRefused")
    assert "the sha256 of model.onnx is not the one" in seen["detail"]
    assert (ask("GET", "/ready").status_code, served(ask)) == (200, challenged.champion)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    stays = [line for line in lines if line["message"] == "the model stays"]
    assert [(line["level"], line["refused_version"]) for line in stays] == [("ERROR", challenged.challenger)]
    graph.write_bytes(whole)
    wait_until(lambda: served(ask) == challenged.challenger)
    assert refused(ask) is None


def promote_by_hand(registry: Registry, version: str) -> None:
    """Write the aliases without any of the checks of `promote`."""
    registry.aliases_file.write_text(Aliases(champion=version).model_dump_json())


@pytest.mark.parametrize(
    ("content", "detail"),
    [
        (b"{", "aliases.json cannot be used"),
        (b'{"champion": "../../etc"}', "aliases.json cannot be used"),
        (b'{"champion": "20000101T000000Z-00000000"}', "There is no version '20000101T000000Z-00000000'"),
        (b"{}", "No version is champion"),
        (None, ""),
    ],
)
def test_where_the_registry_names_nothing_the_model_stays(
    serve_settings: Serve, challenged: Challenged, wait_until: Wait, content: bytes | None, detail: str
) -> None:
    """Aliases that cannot be read, name nothing or are gone are told by /model, and change nothing else."""
    ask = serve_settings(quick(challenged.registry.root))
    if content is None:
        shutil.rmtree(challenged.registry.root)
    else:
        challenged.registry.aliases_file.write_bytes(content)
    wait_until(lambda: refused(ask))
    assert detail in str((refused(ask) or {})["detail"])
    assert (ask("GET", "/ready").status_code, served(ask)) == (200, challenged.champion)


def test_a_request_is_answered_by_the_version_that_it_began_with(challenged: Challenged) -> None:
    """A promotion while a request is being read is for the next one."""
    app = create_app(quick(challenged.registry.root))
    answers: list[Any] = []

    async def ask_slowly() -> None:
        async with app.router.lifespan_context(app):
            body = json.dumps(app.state.served.schema.example()).encode()
            arrives = asyncio.Event()

            async def receive() -> dict[str, Any]:
                await arrives.wait()
                return {"type": "http.request", "body": body, "more_body": False}

            async def send(message: Any) -> None:
                answers.append(message)

            scope = {"type": "http", "method": "POST", "path": "/predict", "query_string": b"", "headers": []}
            request = asyncio.create_task(app(scope, receive, send))
            await asyncio.sleep(0)
            promote(challenged.registry, challenged.challenger)
            while app.state.served.version != challenged.challenger:
                await asyncio.sleep(0.01)
            arrives.set()
            await request

    asyncio.run(ask_slowly())
    assert dict(answers[0]["headers"])[b"x-model-version"] == challenged.champion.encode()
    assert json.loads(answers[1]["body"])["model_version"] == challenged.champion


def test_what_cannot_score_its_own_example_is_refused(challenged: Challenged, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check goes the whole way of a request, not only through the graph."""
    broken = lambda self, customers, encoded, reasons: 1 / 0  # noqa: E731 - a method, in place
    monkeypatch.setattr("churn_mlops.inference.prediction.Predictor.predict", broken)
    follower = follow(challenged.registry)
    follower.look()
    assert follower.refusal
    assert "cannot score its own example (ZeroDivisionError)" in str(follower.refusal.error)


def follow(registry: Registry, retry_seconds: float = 1000) -> Follower:
    """Follow a champion, without a thread."""
    follower = Follower(
        registry,
        "champion",
        find=lambda: find_champion(registry, follower.served),
        load=lambda version: ServedModel.load(registry, version, 0.5, 1),
        retry_seconds=retry_seconds,
    )
    return follower


def test_the_sample_takes_no_real_models_place(challenged: Challenged) -> None:
    """Where the aliases are gone, a fresh start would serve the sample; who serves a real model keeps it."""
    registry = challenged.registry
    manifest = registry.read(challenged.champion)
    files = {name: registry.read_file(manifest, name) for name in manifest.files}
    real = register(registry, manifest.model_copy(update={"sample": False}), files).version
    promote(registry, real)
    follower = follow(registry)
    follower.look()
    registry.aliases_file.unlink()
    follower.look()
    assert registry.champion() != real
    assert (follower.served and follower.served.version, str(follower.refusal and follower.refusal.error)) == (
        real,
        "registry/aliases.json is gone.",
    )


def test_looks_load_only_what_changed(challenged: Challenged) -> None:
    """A hundred looks at one champion load it once; a rollback that is undone between two looks loads nothing."""
    follower = follow(challenged.registry)
    for _ in range(100):
        follower.look()
    promote(challenged.registry, challenged.challenger)
    roll_back(challenged.registry)
    follower.look()
    assert (follower.loads, follower.failures) == (1, 0)


def test_a_refused_version_is_not_tried_at_every_look(challenged: Challenged) -> None:
    """Unchanged, it is left alone until the time for another try has come, and counted for each try."""
    challenged.graph_of(challenged.champion).write_bytes(b"damaged")
    patient, impatient = follow(challenged.registry), follow(challenged.registry, retry_seconds=0)
    for _ in range(20):
        patient.look()
        impatient.look()
    assert patient.failures == 2  # the second look may have found what the first was too early for
    assert impatient.failures == 20
    assert (patient.loads, patient.served) == (0, None)


def test_an_error_of_its_own_does_not_end_the_watch(challenged: Challenged, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a look runs into is a refusal, whose text does not quote it."""
    follower = follow(challenged.registry)
    monkeypatch.setattr(Registry, "champion", lambda self: int("a secret"))
    follower.look()
    assert follower.refusal
    assert str(follower.refusal.error) == "Version None cannot be loaded (ValueError)."
