"""Executors of Spark answer as this process does: a real session with two threads, each with its own ONNX Runtime."""

from __future__ import annotations

import shutil
import sys
from datetime import date
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from customer_answers import ask_api, check_same, strange_customers
from customer_frames import MIXED, make_frame
from event_logs import shop_settings
from log_roads import Road, fit_on, write_small_log

from churn_mlops.config.settings import CustomersSettings, SparkSettings
from churn_mlops.data.events.engine import open_spark
from churn_mlops.data.events.reading import open_table
from churn_mlops.errors import DataError, MissingColumn
from churn_mlops.inference.batch_score.job import Order, write_answers
from churn_mlops.inference.batch_score.source import NamedColumns
from churn_mlops.inference.batch_score.version_content import VersionContent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from churn_mlops.data.events.engine import Engine, Spark

pytest.importorskip("pyspark", reason="needs pyspark: pip install 'churn-mlops[spark]'")
if shutil.which("java") is None:
    pytest.skip("needs Java 17 on the path, which Spark runs on", allow_module_level=True)

# what Spark warns of is its own affair: pandas versions, sockets that it leaves open
pytestmark = pytest.mark.filterwarnings("ignore")

LOCAL = SparkSettings(
    master="local[2]",
    config={
        "spark.sql.shuffle.partitions": "3",
        "spark.ui.enabled": "false",
        # a hundred columns of a few rows: to compile their code takes longer than to go without
        "spark.sql.codegen.wholeStage": "false",
        "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    },
)
FEW_ROWS = 100
"""Rows of a batch inside an executor, so that a table of hundreds of customers has several."""


@pytest.fixture(scope="module")
def spark_engine() -> Iterator[Spark]:
    """A real Spark session with two threads."""
    with open_spark(LOCAL) as engine:
        yield engine


@pytest.fixture
def score_on_spark(
    spark_engine: Spark, versions: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Run the job on a file, by Spark; give answers, rejects and counts."""
    # imported here, since it needs pyspark
    from churn_mlops.inference.batch_score.spark_answering import AnsweringOnSpark, SparkCustomers

    monkeypatch.setattr("churn_mlops.inference.batch_score.job._FEWEST_ROWS", FEW_ROWS)
    monkeypatch.setattr("churn_mlops.inference.batch_score.job._MOST_ROWS", FEW_ROWS)

    def run(family: str, path: Path, top: int | None = None, **columns: Any) -> Any:
        registry, manifest = versions[family].registry, versions[family].scorer.manifest
        table = open_table(spark_engine, CustomersSettings(path=str(path)), ",", "INPUT")
        customers = SparkCustomers(spark_engine, table, path.name, list(MIXED), NamedColumns("customer_id", **columns))
        order = Order(
            tmp_path / "spark.parquet", tmp_path / "spark.csv", "parquet", 3, top, "probability", 0.5, ("", "NA")
        )
        answering = AnsweringOnSpark(customers, VersionContent.read(registry, manifest), order.options)
        counts = write_answers(manifest, answering, order)
        return pd.read_parquet(order.output), pd.read_csv(order.rejects), counts, order.output.read_bytes()

    return run


@pytest.mark.parametrize("family", ["ebm", "boosted", "profit"])
def test_one_truth(
    versions: dict[str, Any],
    score: Callable[..., Any],
    score_on_spark: Callable[..., Any],
    write: Callable[..., Path],
    family: str,
) -> None:
    """The API, a batch here, a batch on Spark and the estimator say the same of missing, unseen and extreme values."""
    version = versions[family]
    frame = strange_customers(version.scorer)
    frame["customer_id"] = [f"C{row:05}" for row in np.random.default_rng(0).permutation(len(frame))]
    path = write(frame.sample(frac=1, random_state=0))
    frame = frame.sort_values("customer_id", ignore_index=True)
    answers, rejects, counts, _ = score_on_spark(family, path)
    here = score(family, path)
    answered = ask_api(version.scorer, frame)
    kept = [row for row, answer in enumerate(answered) if answer is not None]
    assert 0 < len(kept) < len(frame)
    assert len(kept) > 3 * FEW_ROWS
    estimated = version.model.predict_proba(frame[list(MIXED)].iloc[kept])[:, 1]
    assert answers["customer_id"].tolist() == frame["customer_id"].iloc[kept].tolist()
    check_same(answers, [answer for answer in answered if answer is not None], estimated)
    same = here.answers.sort_values("customer_id", ignore_index=True)
    pd.testing.assert_frame_equal(answers, same, check_exact=False, rtol=0, atol=1e-6, check_dtype=False)
    assert counts == here.counts
    assert rejects["row"].tolist() == [row + 1 for row, answer in enumerate(answered) if answer is None]
    assert sorted(rejects["text"]) == sorted(here.rejects["text"])
    assert sorted(rejects["reason"]) == sorted(here.rejects["reason"])


def test_texts_are_read_as_here(
    score: Callable[..., Any], score_on_spark: Callable[..., Any], write: Callable[..., Path]
) -> None:
    """A CSV file: numbers as texts, quotes, and what is no number; dates, and whole numbers as ids."""
    frame = make_frame(MIXED, rows=150, seed=3)
    frame["city"] = ['the "big" city, east', "other"] * 75
    frame = frame.assign(customer_id=[f"{row:03}" for row in range(150)], day=date(2026, 3, 1)).astype(
        {"tenure": object}
    )
    frame.loc[7, "tenure"] = "many"
    path = write(frame, "customers.csv")
    answers, rejects, counts, _ = score_on_spark("ebm", path, snapshot_date="day")
    here = score("ebm", path, time="day")
    pd.testing.assert_frame_equal(answers, here.answers, check_exact=False, rtol=0, atol=1e-6, check_dtype=False)
    assert counts == here.counts
    assert rejects[["row", "reason"]].equals(here.rejects[["row", "reason"]])
    assert 8 in rejects["row"].tolist()


def test_a_table_gives_the_same_bytes_in_any_order(
    score_on_spark: Callable[..., Any], write: Callable[..., Path]
) -> None:
    """However its rows lie, and with ids that come twice; the contact list as well."""
    frame = make_frame(MIXED, rows=3 * FEW_ROWS, seed=1).assign(customer_id=np.arange(3 * FEW_ROWS) // 2)
    path = write(frame)
    once, best = score_on_spark("ebm", path), score_on_spark("ebm", path, top=10)
    path = write(frame.sample(frac=1, random_state=1), row_group_size=70)
    again = score_on_spark("ebm", path)
    assert once[3] == again[3]
    assert len(best[0]) == 10
    largest = once[0].sort_values("churn_probability", ascending=False, kind="stable").head(10)
    assert best[0]["customer_id"].tolist() == largest["customer_id"].tolist()


def test_what_cannot_be_scored_is_said(score_on_spark: Callable[..., Any], write: Callable[..., Path]) -> None:
    """A column that is not there, one of dates, and nobody who can be scored."""
    frame = make_frame(MIXED, rows=20)
    with pytest.raises(MissingColumn, match="'tenure'"):
        score_on_spark("ebm", write(frame.drop(columns="tenure"), "without.parquet"))
    with pytest.raises(DataError, match="'tenure' holds timestamp"):
        score_on_spark("ebm", write(frame.assign(tenure=pd.Timestamp("2026-01-01")), "dates.parquet"))
    with pytest.raises(DataError, match="None of the 20 rows could be scored"):
        score_on_spark("ebm", write(frame.assign(tenure="many"), "texts.parquet"))


def test_a_file_that_ends_too_early_is_said(
    score_on_spark: Callable[..., Any], write: Callable[..., Path], tmp_path: Path
) -> None:
    """Half of a part of a folder, which Spark finds out while it answers."""
    frame = make_frame(MIXED, rows=20)
    for name in ("in/a.parquet", "in/b.parquet"):
        path = write(frame, name)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(DataError, match="Spark cannot answer for in"):
        score_on_spark("ebm", tmp_path / "in")


def test_a_feature_may_be_called_as_the_order_is(spark_engine: Spark, write: Callable[..., Path]) -> None:
    """It keeps its values; customers of one id are told apart by what they lack, too."""
    # imported here, since it needs pyspark
    from churn_mlops.inference.batch_score.spark_answering import SparkCustomers

    names = ["_order", "_ORDER_", "other"]
    frame = pd.DataFrame({"_order": [1.0, None], "_ORDER_": [7.0, 7.0], "other": [None, 1.0], "customer_id": ["a"] * 2})
    found = []
    for rows in (frame, frame[::-1]):
        table = open_table(spark_engine, CustomersSettings(path=str(write(rows))), ",", "INPUT")
        customers = SparkCustomers(spark_engine, table, "customers", names, NamedColumns("customer_id"))
        found.append([row.asDict() for row in customers.order().collect()])
    assert found[0] == found[1]
    assert sorted((row["_order"] or 0, row["_ORDER_"], row["other"] or 0) for row in found[0]) == [(0, 7, 1), (1, 7, 0)]


def test_a_worker_without_the_packages_is_explained(
    spark_engine: Spark,
    score_on_spark: Callable[..., Any],
    write: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its Python finds Spark's own modules only: the sentence says what to install, and how to name another Python."""
    bare = tmp_path / "python"
    bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
    bare.chmod(0o755)
    monkeypatch.setattr(spark_engine.connection._session.sparkContext, "pythonExec", str(bare))
    with pytest.raises(DataError, match=r"no Python package '\w+': install .* spark\.pyspark\.python"):
        score_on_spark("ebm", write(make_frame(MIXED, rows=20)))


@pytest.mark.parametrize("log", ["generated", "online_retail_ii.parquet"])
def test_a_log_becomes_the_same_features_outcomes_and_scores(
    duckdb_engine: Engine,
    spark_engine: Spark,
    real_data: Callable[[str], Path],
    tmp_path: Path,
    log: str,
) -> None:
    """From a log of late events, and from the real one of a shop: by DuckDB and here, or by Spark and its executors."""
    if log == "generated":
        settings, training, today = write_small_log(tmp_path / "log"), (date(2024, 9, 1),), date(2024, 11, 1)
    else:
        settings, training, today = (
            shop_settings(
                real_data(log),
                "'purchase'",
                {"it is cancelled": "InvoiceNo LIKE 'C%'"},
                features={"windows_days": [90]},
            ),
            (date(2011, 6, 1),),
            date(2011, 9, 10),
        )
    learnt, scored = [], []
    registry = None
    for engine in (duckdb_engine, spark_engine):
        folder = tmp_path / type(engine).__name__
        folder.mkdir()
        road = Road(engine, settings, folder, training, today)
        builder = road.prepare()
        learnt.append(road.learn(builder))
        registry = registry or fit_on(learnt[0], tmp_path / "artifacts")
        scored.append(road.score(builder, registry))
    pd.testing.assert_frame_equal(learnt[0], learnt[1], check_exact=False, rtol=1e-9, atol=1e-9, check_dtype=False)
    pd.testing.assert_frame_equal(scored[0], scored[1], check_exact=False, rtol=0, atol=1e-6, check_dtype=False)
    assert len(scored[0]) > 50
    assert scored[0]["churn_probability"].nunique() > 20
