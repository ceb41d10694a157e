"""Goes from an event log to scores on either engine, for those who compare the two."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pa_parquet
from event_logs import NOW, log_settings
from fitted_versions import fit_version

from churn_mlops.data.event_sample.writing import SampleSize, write_sample
from churn_mlops.data.events.contract import check_events
from churn_mlops.data.events.engine import Engine, Spark
from churn_mlops.features.building import SnapshotBuilder
from churn_mlops.features.customers import read_cancellations, read_customers
from churn_mlops.inference.batch_score.answering import AnsweringHere, load_answerer
from churn_mlops.inference.batch_score.job import Order, write_answers
from churn_mlops.inference.batch_score.source import NamedColumns
from churn_mlops.inference.batch_score.table_source import TableSource
from churn_mlops.inference.batch_score.version_content import VersionContent

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date
    from pathlib import Path

    from churn_mlops.config.settings import Settings
    from churn_mlops.registry.reading import Registry

COLUMNS = NamedColumns("customer_id", None, "snapshot_date")


def write_small_log(folder: Path, customers: int = 120) -> Settings:
    """Write a sample log of half a year with late events, and give settings that make features of it."""
    write_sample(folder, SampleSize(240, customers), seed=4)
    return log_settings(
        folder / "events",
        events={"event_id": "event_id"},
        data={"customers": {"path": str(folder / "customers.parquet"), "known_time": "known_time"}},
        churn={"active_days": 60, "horizon_days": [30, 60]},
        features={"windows_days": [30], "event_types": 2},
    )


@dataclass(frozen=True)
class Road:
    """From a log to what is said of its customers.

    Attributes:
        engine: that goes it.
        settings: of the log.
        folder: to write to.
        training: the snapshots with outcomes.
        today: the one to score.
    """

    engine: Engine
    settings: Settings
    folder: Path
    training: tuple[date, ...]
    today: date

    def prepare(self) -> SnapshotBuilder:
        """Check the log and add it up."""
        beside = read_customers(self.engine, self.settings.data), read_cancellations(self.engine, self.settings.data)
        log = check_events(self.engine, self.settings.data, self.folder / "rejects.csv", beside[0], NOW)
        return SnapshotBuilder.prepare(self.engine, log, self.settings, (*self.training, self.today), *beside)

    def learn(self, builder: SnapshotBuilder) -> pd.DataFrame:
        """Give features and outcomes of the training snapshots, in a fixed order."""
        rows: pd.DataFrame = self.engine.batches(builder.build_all(self.training)).read_all().to_pandas()
        return rows.sort_values(["snapshot_date", "customer_id"], ignore_index=True)

    def score(
        self, builder: SnapshotBuilder, registry: Registry, answered: Callable[[], None] = lambda: None
    ) -> pd.DataFrame:
        """Score the customers of today; `answered` is called when there is a first batch of answers."""
        manifest = registry.read(registry.versions()[0])
        output = self.folder / "scores.parquet"
        order = Order(output, self.folder / "no.csv", "parquet", 3, None, "probability", 1.0, ("",))
        rows = builder.build(self.today, with_outcomes=False)
        if isinstance(self.engine, Spark):
            # imported here, since it needs pyspark
            from churn_mlops.inference.batch_score.spark_answering import AnsweringOnSpark, SparkCustomers

            customers = SparkCustomers(self.engine, rows, "the log", manifest.signature.names, COLUMNS)
            answering = AnsweringOnSpark(customers, VersionContent.read(registry, manifest), order.options)
            write_answers(manifest, answering, order, lambda _: answered())
        else:
            path = self.folder / "snapshot.parquet"
            table: pa.Table = self.engine.batches(rows).read_all()
            pa_parquet.write_table(table.sort_by("customer_id"), path)
            source = TableSource([path], manifest.signature.names, "customer_id", None, "snapshot_date")
            answerer = load_answerer(VersionContent.read(registry, manifest), source, order.options)
            write_answers(manifest, AnsweringHere(source, answerer), order)
        return pd.read_parquet(output)


def fit_on(rows: pd.DataFrame, root: Path) -> Registry:
    """Fit a logistic regression on the rows of a snapshot."""
    features = rows.drop(columns=["customer_id", "snapshot_date", *rows.filter(like="churned_").columns])
    kinds: dict[str, Any] = {
        str(name): "numeric" if pd.api.types.is_numeric_dtype(column) else "categorical"
        for name, column in features.items()
    }
    churned = rows.filter(like="churned_").iloc[:, 0].to_numpy(dtype=bool, na_value=False)
    return fit_version(root, "logistic", kinds, features, churned).registry
