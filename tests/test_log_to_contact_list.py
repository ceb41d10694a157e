"""The road of an event log: trained on, it is scored as of a day, and API, batch and estimator say the same of it."""

from __future__ import annotations

import asyncio
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from datetime import date
from typing import TYPE_CHECKING, Any

import duckdb
import httpx
import joblib
import numpy as np
import pandas as pd
import pyarrow.parquet as pa_parquet
import pytest
import yaml
from log_world import write_world

from churn_mlops.api.app import create_app
from churn_mlops.config import load_settings
from churn_mlops.data.events.engine import open_engine
from churn_mlops.errors import ChurnMlopsError, DataError, NoEventFeatures, OutputRefused
from churn_mlops.features.exporting import export_snapshot
from churn_mlops.features.log_snapshot import compute_snapshot
from churn_mlops.inference.batch_score import job
from churn_mlops.inference.batch_score.answers import Answerer
from churn_mlops.inference.batch_score.options import Options
from churn_mlops.inference.batch_score.run import run_score
from churn_mlops.inference.batch_score.snapshot_source import SnapshotSource
from churn_mlops.inference.event_settings import follow_version
from churn_mlops.onnx_session import open_session
from churn_mlops.registry.manifest import ESTIMATOR
from churn_mlops.registry.reading import Registry
from churn_mlops.training.job import train

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from churn_mlops.config.settings import Settings
    from churn_mlops.registry.manifest import Manifest

    Score = Callable[..., Path]

AS_OF = date(2024, 12, 1)


class World:
    """A log, a version trained on it, and the features of everyone on a day."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config.yaml"
        self.settings: Settings = write_world(folder)
        train(self.settings, "logistic")
        self.registry = Registry(self.settings.artifacts.path)
        self.manifest: Manifest = self.registry.read(self.registry.champion())
        self.followed = follow_version(self.settings, self.manifest)
        assert self.manifest.event_features
        self.types = self.manifest.event_features.types
        self.features_file = folder / "features.parquet"
        export_snapshot(self.followed, self.features_file, AS_OF, self.types)

    def features(self) -> list[dict[str, Any]]:
        """Give the features of everyone at risk that the version takes, and who it is."""
        names = ["customer_id", *self.manifest.signature.names]
        rows: list[dict[str, Any]] = pa_parquet.read_table(self.features_file, columns=names).to_pylist()
        return rows

    def estimate(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Give what the estimator says of everyone at risk."""
        estimator = joblib.load(io.BytesIO(self.registry.read_file(self.manifest, ESTIMATOR)))
        frame = pd.read_parquet(self.features_file)
        probability: np.ndarray[Any, np.dtype[np.float64]] = estimator.predict_proba(frame)[:, 1]
        return probability


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Made once."""
    return World(tmp_path_factory.mktemp("log"))


@pytest.fixture
def score(world: World, tmp_path: Path) -> Score:
    """Run the command, on the log unless told otherwise; give the output."""

    def run(name: str | None = "scores.parquet", **changes: Any) -> Path:
        told: dict[str, Any] = dict.fromkeys(Options.__dataclass_fields__)
        output = None if name is None else tmp_path / name
        told |= {"output": output, "version": "champion", "overwrite": False, "config": world.config, "as_of": AS_OF}
        run_score(Options(**(told | changes)))
        return output or tmp_path

    return run


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A few customers a batch, and what is done is saved after each."""
    monkeypatch.setattr(job, "_MOST_ROWS", 50)
    monkeypatch.setattr(job, "_FEWEST_ROWS", 50)
    monkeypatch.setattr(job, "_SECONDS_BETWEEN_SAVES", 0.0)


async def ask_service(world: World) -> list[dict[str, Any]]:
    """Send everyone's features to POST /predict."""
    app = create_app(world.settings)
    transport = httpx.ASGITransport(app)
    async with app.router.lifespan_context(app), httpx.AsyncClient(transport=transport, base_url="http://s") as client:
        answers = []
        for row in world.features():
            features = {name: value for name, value in row.items() if name != "customer_id"}
            body = json.dumps({"customer_id": row["customer_id"], "features": features})
            answers.append((await client.post("/predict?reasons=3", content=body)).json())
        return answers


def test_the_log_is_answered_for_as_the_api_and_the_estimator_do(world: World, score: Score) -> None:
    """Customer by customer: probability to 1e-6, decision, band, input quality, and reasons to the letter."""
    scored = pd.read_parquet(score(reasons=3))
    answers = asyncio.run(ask_service(world))
    assert len(scored) == len(answers) > 300
    assert scored["customer_id"].tolist() == [answer["customer_id"] for answer in answers]
    assert scored["customer_id"].is_monotonic_increasing
    probability = scored["churn_probability"]
    np.testing.assert_allclose(probability, [answer["churn_probability"] for answer in answers], rtol=0, atol=1e-6)
    np.testing.assert_allclose(probability, world.estimate(), rtol=0, atol=1e-6)
    for name in ("churn_predicted", "risk_band", "model_version"):
        assert scored[name].tolist() == [answer[name] for answer in answers]
    for name in ("missing", "unseen_category", "out_of_range"):
        assert [list(listed) for listed in scored[name]] == [answer["input_quality"][name] for answer in answers]
    for rank in range(3):
        said = [answer["reasons"][rank] for answer in answers]
        assert scored[f"reason_{rank + 1}"].tolist() == [reason["text"] for reason in said]
        assert scored[f"feature_{rank + 1}"].tolist() == [reason["feature"] for reason in said]
    assert set(scored["snapshot_date"]) == {AS_OF}


def test_reasons_read_as_sentences(world: World, score: Score) -> None:
    """Of all features of everyone: a trend says from where to where, and nothing is called by its column's name."""
    scored = pd.read_parquet(score(reasons=0))
    texts: dict[str, set[str]] = {name: set() for name in world.manifest.signature.names}
    for rank in range(1, len(texts) + 1):
        for feature, text in zip(scored[f"feature_{rank}"], scored[f"reason_{rank}"], strict=True):
            texts[feature].add(text)
    directions = ("fell from", "rose from", "stayed at")
    for text in texts["login_trend_30d"]:
        assert text.startswith(tuple(f"login events {direction} " for direction in directions))
        assert " in 30 days (" in text
    assert all(any(direction in text for text in texts["login_trend_30d"]) for direction in directions[:2])
    own = {"plan", "country", "logins_a_day"} & set(texts)
    for feature, said in texts.items():
        assert {text.startswith(f"{feature} is ") for text in said} == {feature in own}
        assert feature in own or "_" not in feature or not any(feature in text for text in said)


def test_every_horizon_has_a_probability_that_fits_the_others(world: World, score: Score) -> None:
    """That of its own graph, bounded by the main one: silence of 10 days is no likelier than of 5."""
    scored = pd.read_parquet(score())
    (horizon,) = world.manifest.horizons
    assert horizon.days == 10
    assert (scored["churn_probability_10d"] <= scored["churn_probability"]).all()
    assert (scored["churn_probability_10d"] < scored["churn_probability"]).mean() > 0.5
    session = open_session(world.registry.read_file(world.manifest, horizon.graph))
    estimator = joblib.load(io.BytesIO(world.registry.read_file(world.manifest, ESTIMATOR)))
    matrix = estimator.encoder_.transform(pd.read_parquet(world.features_file)).astype(np.float32)
    (alone,) = session.run(["churn_probability"], {"features": matrix})
    expected = np.minimum(alone, scored["churn_probability"])
    np.testing.assert_allclose(scored["churn_probability_10d"], expected, rtol=0, atol=1e-6)
    assert horizon.metrics["roc_auc"].value > 0.6
    assert max(horizon.parity.rows, horizon.parity.edge_rows) < 1e-5


def test_a_further_horizon_leaves_the_main_one_as_it_is(world: World) -> None:
    """Trained without it, the graph that is served is the same to the byte."""
    churn = world.settings.churn.model_copy(update={"horizon_days": (5,)})
    artifacts = world.settings.artifacts.model_copy(update={"path": world.folder / "alone"})
    alone = train(world.settings.model_copy(update={"churn": churn, "artifacts": artifacts}), "logistic").manifest
    assert alone.horizons == ()
    assert alone.files["model.onnx"] == world.manifest.files["model.onnx"]


def test_exported_features_are_scored_as_the_log_is(world: World, score: Score) -> None:
    """Byte by byte."""
    of_log = score("log.csv").read_bytes()
    of_features = score("features.csv", features=str(world.features_file), as_of=None).read_bytes()
    assert of_log == of_features


def test_the_same_log_gives_the_same_bytes(score: Score) -> None:
    """Whenever it is scored."""
    assert score("one.parquet").read_bytes() == score("two.parquet").read_bytes()


def test_without_a_day_it_is_the_one_after_the_log(score: Score, capsys: pytest.CaptureFixture[str]) -> None:
    """Which is said, with how many are at risk, and what was rejected of the log."""
    scored = pd.read_parquet(score(as_of=None))
    assert set(scored["snapshot_date"]) == {date(2025, 1, 1)}
    said = capsys.readouterr().out
    assert f"{len(scored):,} customers are at risk as of 2025-01-01, the day after the log's last event" in said
    assert "because 'event_id' occurred before; they are in" in said
    assert "computing features as of 2025-01-01\n" in said


def test_what_is_doubtful_about_the_log_is_told(
    world: World, score: Score, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nobody knows what happened since it ended, nor who is meant by a cancellation of nobody."""
    gone = pd.read_parquet(world.folder / "log" / "cancellations.parquet")
    gone.loc[0, "customer_id"] = None
    gone.to_parquet(tmp_path / "cancellations.parquet")
    config = tmp_path / "config.yaml"
    changed = world.config.read_text().replace(str(world.folder / "log" / "cancellations"), f"{tmp_path}/cancellations")
    config.write_text(changed, encoding="utf-8")
    score(config=config, as_of=date(2025, 1, 11))
    said = capsys.readouterr().out
    assert "the log ends on 2024-12-31, 11 days before" in said
    assert f"data.cancellations: 1 of {len(gone):,} cannot be used" in said


def test_the_best_come_first(score: Score) -> None:
    """The contact list is the top of what is said of everyone."""
    everyone = pd.read_csv(score("all.csv"))
    best = pd.read_csv(score("best.csv", top=10))
    expected = everyone.sort_values("churn_probability", ascending=False, kind="stable").head(10)
    assert best["customer_id"].tolist() == expected["customer_id"].tolist()


def test_the_best_are_those_with_whom_an_offer_earns_most(score: Score, tmp_path: Path) -> None:
    """Where the version decides by profit: what a customer is worth stands beside the log, as of the day."""
    write_world(tmp_path)
    sections = yaml.safe_load((tmp_path / "config.yaml").read_text(encoding="utf-8"))
    sections["data"]["customers"]["attributes"] = ["plan", "price"]
    sections["churn"]["horizon_days"] = [5]
    sections["decision"] = {"mode": "profit", "customer_value": "price", "offer_cost": 5, "save_rate": 0.3}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(sections), encoding="utf-8")
    train(load_settings(tmp_path / "config.yaml"), "logistic")
    everyone, best = (pd.read_csv(score(f"{top}.csv", config=tmp_path / "config.yaml", top=top)) for top in (None, 10))
    earned = everyone["churn_probability"] * 0.3 * everyone["customer_value"] - 5
    np.testing.assert_allclose(everyone["expected_profit"], earned, rtol=1e-5)
    # one sum for all whom it can pay to contact: 5 / 0.3, or what out-of-fold profit made of it
    at_least = (everyone["threshold"] * everyone["customer_value"]).dropna()
    np.testing.assert_allclose(at_least, at_least.mean(), rtol=1e-5)
    assert everyone.loc[everyone["threshold"].isna(), "customer_value"].max() <= at_least.mean() * (1 + 1e-5)
    assert everyone["churn_predicted"].tolist() == (everyone["churn_probability"] >= everyone["threshold"]).tolist()
    assert set(everyone["churn_predicted"]) == {True, False}
    expected = everyone.sort_values("expected_profit", ascending=False, kind="stable").head(10)
    assert best["customer_id"].tolist() == expected["customer_id"].tolist()
    assert best["customer_id"].tolist() != everyone.nlargest(10, "churn_probability")["customer_id"].tolist()


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("top", [None, 40])
def test_a_run_that_stops_goes_on_where_it_was(
    score: Score, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, top: int | None
) -> None:
    """What was answered before is not asked again, and the bytes are those of a run that was left alone."""
    expected = score("whole.parquet", top=top).read_bytes()
    answered: list[int] = []
    answer, failures = Answerer.answer, itertools.count(1)

    def count(self: Answerer, batch: Any) -> Any:
        answered.append(batch.end[1])
        # the fifth batch, and not the fifth call: threads make several at once, in any order
        if batch.row_numbers[0] == 201 and next(failures) == 1:
            raise OSError("the disk is gone")
        return answer(self, batch)

    monkeypatch.setattr(Answerer, "answer", count)
    with pytest.raises(OSError, match="disk"):
        score("broken.parquet", top=top)
    assert not (tmp_path / "broken.parquet").exists()
    answered.clear()
    output = score("broken.parquet", top=top)
    assert output.read_bytes() == expected
    assert min(answered) == 250


def test_a_run_that_is_killed_leaves_the_last_output_and_is_finished_by_the_next(
    world: World, score: Score, tmp_path: Path
) -> None:
    """SIGKILL, while the log is computed or scored: the file is the last one or the new one, and never half of it."""
    expected = score("expected.parquet").read_bytes()
    (tmp_path / "out").mkdir()
    output = tmp_path / "out" / "scores.parquet"
    command = [sys.executable, "-m", "churn_mlops.inference.batch_score"]
    command += ["--output", str(output), "--as-of", str(AS_OF)]
    environment = os.environ | {"CHURN_MLOPS_CONFIG": str(world.config)}
    killed = 0
    for seconds in (0.0, 0.7):
        output.write_bytes(b"the last complete output")
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as run:
            assert run.stdout is not None
            assert any(line.startswith("computing features") for line in run.stdout)
            time.sleep(seconds)
            run.send_signal(signal.SIGKILL)
        killed += run.returncode == -signal.SIGKILL
        assert output.read_bytes() in (b"the last complete output", expected)
    assert killed
    assert score("out/scores.parquet").read_bytes() == expected
    left = sorted(entry.name for entry in output.parent.iterdir())
    assert left == ["scores.parquet", "scores.rejected_events.csv", "scores.rejects.csv"]


def test_a_table_of_a_database_is_replaced_by_a_later_result(world: World, score: Score, tmp_path: Path) -> None:
    """In the order of the answers; a table of somebody else is left alone unless told otherwise, a view always."""
    database = tmp_path / "warehouse.duckdb"
    with duckdb.connect(str(database)) as connection:
        connection.execute("CREATE TABLE taken AS SELECT 1 AS one; CREATE VIEW seen AS SELECT 2 AS two")
    config = tmp_path / "config.yaml"
    config.write_text(world.config.read_text().replace("engine:", f"engine:\n  database: {database}"), encoding="utf-8")
    for top in (5, 3):
        score(None, output_table="scores", top=top, config=config)
    score(None, output_table="taken", top=2, config=config, overwrite=True)
    with pytest.raises(OutputRefused, match="'seen' is a view"):
        score(None, output_table="seen", config=config, overwrite=True)
    with duckdb.connect(str(database)) as connection:
        connection.execute("CREATE OR REPLACE TABLE other AS SELECT 1 AS one")
    with pytest.raises(OutputRefused, match="'other' is a table that churn-mlops score did not write"):
        score(None, output_table="other", config=config)
    of_file = pd.read_parquet(score(top=3))
    with duckdb.connect(str(database), read_only=True) as connection:
        written = connection.execute("FROM scores").df()
        assert written["customer_id"].tolist() == of_file["customer_id"].tolist()
        assert connection.execute("SELECT count(*) FROM taken").fetchone() == (2,)
        assert connection.execute("FROM other").fetchall() == [(1,)]
    with pytest.raises(OutputRefused, match=r"warehouse\.duckdb lies within the input"):
        score("scores.csv", config=config, rejects=database)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"as_of": date(2024, 1, 1)}, DataError, "the log begins on 2024-07-05"),
        ({"as_of": date(2025, 9, 1)}, DataError, "No customer is at risk on 2025-09-01"),
        ({"table": "customers.csv"}, DataError, "INPUT and --as-of were given"),
        ({"output_table": "scores"}, OutputRefused, "either --output FILE or --output-table NAME"),
        ({"name": None}, OutputRefused, "either --output FILE or --output-table NAME"),
        ({"name": None, "output_table": "scores"}, OutputRefused, "needs engine.database"),
        ({"name": None, "output_table": "a;b"}, OutputRefused, "letters, digits and _ were expected"),
        ({"overwrite": True}, OutputRefused, "--overwrite is for tables"),
    ],
)
def test_what_cannot_be_scored_is_said_in_a_sentence(
    score: Score, tmp_path: Path, changes: dict[str, Any], error: type[ChurnMlopsError], said: str
) -> None:
    """Before answers are written, and nothing unfinished is left."""
    with pytest.raises(error, match=said):
        score(**changes)
    assert not list(tmp_path.glob("scores.parquet"))
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    ("option", "place"),
    [
        ("output", "log/events/scores.parquet"),
        ("output", "log/customers.parquet"),
        ("output", "log/cancellations.parquet"),
        ("rejects", "log/events/rejects.parquet"),
        ("rejects", "log/customers.parquet"),
    ],
)
@pytest.mark.parametrize("table", [None, "features.parquet"])
def test_what_is_read_is_not_written(world: World, score: Score, option: str, place: str, table: str | None) -> None:
    """No part of the log, nor among its files where they are named by a pattern; also where a table is scored."""
    path = world.folder / place
    before = path.read_bytes() if path.exists() else None
    told = {} if table is None else {"features": str(world.folder / table), "as_of": None}
    with pytest.raises(OutputRefused, match=rf"{path.name} lies within the input"):
        score(**{option: path}, **told)
    assert (path.read_bytes() if path.exists() else None) == before
    assert not list(path.parent.glob(".*"))


def test_a_scored_table_is_not_overwritten_by_its_rejects(world: World, score: Score) -> None:
    """Nor by the answers, nor by what a link in its folder leads to."""
    features = world.features_file
    before = features.read_bytes()
    for told in ({"output": features}, {"rejects": features}):
        with pytest.raises(OutputRefused, match=r"features\.parquet lies within the input"):
            score(**told, features=str(features), as_of=None)
    (world.folder / "linked").mkdir()
    (world.folder / "linked" / "part.parquet").symlink_to(features)
    with pytest.raises(OutputRefused, match=r"features\.parquet lies within the input"):
        score(output=features, features=str(world.folder / "linked"), as_of=None)
    assert features.read_bytes() == before


@pytest.mark.parametrize(
    ("rejects", "said"),
    [
        ("scores.parquet", "need a file each"),
        ("x/../scores.parquet", "need a file each"),
        ("scores.rejected_events.csv", "need a file each"),
        (".", "is a folder"),
    ],
)
def test_rejects_have_a_file_of_their_own(score: Score, tmp_path: Path, rejects: str, said: str) -> None:
    """Which is said before anybody is scored."""
    with pytest.raises(OutputRefused, match=said):
        score(rejects=tmp_path / rejects)
    assert not list(tmp_path.iterdir())


def test_a_version_of_a_table_scores_no_log(
    score: Score, world: World, tmp_path: Path, sample_registry: Registry
) -> None:
    """And it is said what it does score; without a log in the configuration, nothing says what is scored."""
    config = tmp_path / "config.yaml"
    changed = world.config.read_text().replace(str(world.settings.artifacts.path), str(sample_registry.root))
    config.write_text(changed, encoding="utf-8")
    with pytest.raises(NoEventFeatures, match="scores tables of its features"):
        score(config=config)
    (tmp_path / "short.yaml").write_text(f"artifacts: {{path: {world.settings.artifacts.path}}}", encoding="utf-8")
    with pytest.raises(DataError, match="There is nothing to score"):
        score(config=tmp_path / "short.yaml", as_of=None, version=world.manifest.version)


def test_customers_are_named_anew_by_other_features(world: World, tmp_path: Path) -> None:
    """A snapshot's fingerprint is that of its content: the same again, another of another day or other columns."""
    names = world.manifest.signature.names
    found = []
    for day, columns in ((AS_OF, names), (AS_OF, names), (date(2024, 12, 2), names), (AS_OF, names[1:])):
        with open_engine(world.settings.engine, world.settings.spark) as engine:
            snapshot = compute_snapshot(engine, world.followed, tmp_path / "rejects.csv", day, world.types)
            found.append(SnapshotSource(snapshot, columns).fingerprint)
    assert found[0] == found[1]
    assert len(set(found)) == 3
