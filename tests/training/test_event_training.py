"""From an event log to a version: what is reported of it was measured on later snapshots, which it had not seen."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from event_logs import log_settings
from hand_made_candidates import hand_made_candidate

from churn_mlops.errors import DataError
from churn_mlops.features.wording import Trend, Wording
from churn_mlops.models.churn_model import ChurnModel
from churn_mlops.models.logistic import build_logistic
from churn_mlops.models.metrics import ScoreCounts
from churn_mlops.registry.manifest import ChurnDefinition
from churn_mlops.registry.reading import Registry
from churn_mlops.training.event_table import list_features
from churn_mlops.training.job import train
from churn_mlops.training.loading import load_table
from churn_mlops.training.one_column import find_best_rule
from churn_mlops.training.out_of_fold import read_out_of_fold
from churn_mlops.training.snapshot_table import SnapshotTable
from churn_mlops.training.trial import hold_trial, learnt_rows

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from churn_mlops.config.settings import Settings
    from churn_mlops.data.table import CustomerTable

DAYS = 300
BEGINS = date(2024, 1, 1)


def write_habits(path: Path, customers: int = 400, seed: int = 0) -> Path:
    """Write a log of customers with habits, of whom some stop one day, seen before in fewer events."""
    random = np.random.default_rng(seed)
    rate = random.uniform(0.05, 0.6, customers)
    ends = np.where(random.random(customers) < 0.6, random.uniform(30, DAYS, customers), DAYS)
    counts = random.poisson(rate * ends)
    customer = np.repeat(np.arange(customers), counts)
    days = random.uniform(0, 1, counts.sum()) ** 1.2 * np.repeat(ends, counts)
    frame = pd.DataFrame(
        {
            "customer_id": customer,
            "time": pd.Timestamp(BEGINS, tz="UTC") + pd.to_timedelta((days * 86_400).astype(int), unit="s"),
            "type": random.choice(["login", "purchase"], len(days)),
            "amount": random.exponential(20, len(days)).round(2),
        }
    )
    frame.to_parquet(path, index=False)
    return path


def settings_for(folder: Path, **sections: object) -> Settings:
    """Give settings that train on that log quickly."""
    path = write_habits(folder / "log.parquet")
    return log_settings(
        path,
        events={"known_time": None},
        training={"folds": 3, "bootstrap_resamples": 100},
        artifacts={"path": str(folder / "artifacts")},
        evaluation={"learning_curve": False},
        churn={"active_days": 60, "training_snapshots": 3},
        **sections,
    )


@pytest.fixture
def table(tmp_path: Path) -> CustomerTable:
    """The snapshots of the log."""
    return load_table(settings_for(tmp_path))


def test_snapshots_become_rows_of_customers(table: CustomerTable) -> None:
    """Four snapshots, the last of them held out, and at least the horizon later than the others."""
    assert table.time is not None
    assert table.held_out is not None
    assert table.customer_ids is not None
    days = sorted(set(table.time.dt.date))
    assert len(days) == 4
    assert set(table.time[table.held_out].dt.date) == {days[-1]}
    assert days[-1] - days[-2] >= timedelta(days=30)
    assert not pd.DataFrame({"customer": table.customer_ids, "day": table.time}).duplicated().any()
    assert {"customer_id", "snapshot_date", "churned"}.isdisjoint(table.features.columns)


def test_a_trained_version_reports_the_later_snapshot(tmp_path: Path) -> None:
    """Its figures can be had again from the probabilities kept with it, and random rows claim something else."""
    settings = settings_for(tmp_path)
    manifest = train(settings, "logistic").manifest
    kept = read_out_of_fold(Registry(settings.artifacts.path), manifest)
    later = kept.fold == settings.training.folds
    table = load_table(settings)
    assert table.held_out is not None
    assert np.array_equal(later, table.held_out)
    figures = ScoreCounts.count(kept.churned[later], kept.probability[later]).metrics()
    evaluation = manifest.evaluation
    assert evaluation.metrics["roc_auc"].value == pytest.approx(figures.roc_auc)
    assert figures.roc_auc > 0.6
    assert f"on the {later.sum()} customers at risk on 2024-09-2" in evaluation.method
    found = {check.scheme: check.roc_auc for check in evaluation.leak_report}
    assert list(found) == ["random rows", "grouped duplicates", "unseen customers", "later period"]
    assert found["later period"] == evaluation.metrics["roc_auc"].value
    assert found["random rows"] not in (None, found["later period"])
    assert "events read" in manifest.data.notes["data.events"]


def test_a_version_remembers_what_its_features_are(tmp_path: Path) -> None:
    """Types, windows, expressions and what leaving meant in the manifest; units and words in the signature."""
    settings = settings_for(tmp_path, features={"windows_days": [7, 30], "expressions": {"half": "events_30d / 2"}})
    manifest = Registry(settings.artifacts.path).read(train(settings, "logistic").manifest.version)
    remembered = manifest.event_features
    assert remembered is not None
    assert sorted(remembered.types) == ["login", "purchase"]
    assert remembered.windows_days == (7, 30)
    assert remembered.has_amount
    assert remembered.expressions == {"half": "events_30d / 2"}
    assert remembered.churn == ChurnDefinition(
        definition="inactivity", event_types=(), active_days=60, lead_days=0, horizon_days=(30,)
    )
    wordings = {feature.name: feature.wording for feature in manifest.signature.features}
    assert wordings["login_trend_30d"] == Wording(
        unit="events",
        words="login events in the last 30 days less those of the 30 days before",
        trend=Trend(of="login_events_30d", subject="login events", days=30),
    )
    assert wordings["half"] is None
    assert [name for name, wording in wordings.items() if not wording] == ["half"]


def test_an_attribute_that_no_request_has_leaves_only_requests_out(tmp_path: Path) -> None:
    """A date of customers is a feature like others; the note says why events cannot be asked about."""
    rows = pd.DataFrame({"customer_id": range(400), "signup": [BEGINS + timedelta(days=n % 30) for n in range(400)]})
    rows.to_parquet(tmp_path / "customers.parquet", index=False)
    customers = {"path": str(tmp_path / "customers.parquet"), "attributes": ["signup"]}
    table = load_table(settings_for(tmp_path, data={"customers": customers}))
    assert isinstance(table, SnapshotTable)
    assert table.event_program is None
    assert "data.customers.attributes names 'signup', which holds date" in table.notes["/predict/events"]


def test_cancellations_that_cannot_be_used_are_noted(tmp_path: Path) -> None:
    """With the version, beside what is said of events."""
    (tmp_path / "gone.csv").write_text("customer_id,time\n1,2024-10-20\n2,20.10.2024\n")
    table = load_table(settings_for(tmp_path, data={"cancellations": {"path": str(tmp_path / "gone.csv")}}))
    assert table.notes["data.cancellations"].startswith("1 of 2 cannot be used: ")


def test_the_order_of_a_log_changes_nothing(tmp_path: Path) -> None:
    """Not the last digit: rows that a version has seen are found again by the hash of their values."""
    settings = settings_for(tmp_path)
    before = load_table(settings).fingerprint()
    log = pd.read_parquet(tmp_path / "log.parquet")
    log.sample(frac=1, random_state=0).to_parquet(tmp_path / "log.parquet", index=False)
    assert load_table(settings).fingerprint() == before


def test_shuffled_outcomes_are_not_predicted(table: CustomerTable) -> None:
    """A model of outcomes that were dealt out at random ranks the later snapshot no better than chance."""
    random = np.random.default_rng(1)
    found = []
    for _ in range(5):
        shuffled = replace(table, churned=random.permutation(table.churned))
        tested, probability = try_out(shuffled)
        found.append(ScoreCounts.count(tested.churned, probability).metrics().roc_auc)
    assert np.mean(found) == pytest.approx(0.5, abs=0.06)


def test_the_later_outcomes_are_not_fitted_on(table: CustomerTable) -> None:
    """Turned round, they change no probability that is tested on them."""
    assert table.held_out is not None
    turned = replace(table, churned=table.churned ^ table.held_out)
    assert np.array_equal(try_out(table)[1], try_out(turned)[1])


def test_the_best_rule_is_of_the_later_snapshot_too(table: CustomerTable) -> None:
    """Its bins were learnt on the training snapshots, and its figures are those of the tested rows alone."""
    assert table.held_out is not None
    rule = find_best_rule(table, np.where(table.held_out, 0, -1))
    assert np.array_equal(np.isnan(rule.probability), ~table.held_out)
    expected = ScoreCounts.count(table.churned[table.held_out], rule.probability[table.held_out]).metrics()
    assert rule.counts.metrics() == expected


def test_a_later_snapshot_with_one_outcome_is_refused(table: CustomerTable) -> None:
    """Nothing could be said of a model there."""
    assert table.held_out is not None
    with pytest.raises(DataError, match=r"Of the .* customers of the test snapshots 0 left"):
        try_out(replace(table, churned=table.churned & ~table.held_out))


def test_features_are_listed_with_their_words(tmp_path: Path) -> None:
    """Those that are built, and those of one's own."""
    settings = settings_for(tmp_path, features={"expressions": {"per_day": "events_30d / tenure_days"}})
    listed = {feature.name: feature for feature in list_features(settings)}
    assert (listed["events_7d"].unit, listed["events_7d"].words) == ("events", "events in the last 7 days")
    assert listed["per_day"].words == "events_30d / tenure_days"
    assert set(load_table(settings).features.columns) <= set(listed)


def try_out(table: CustomerTable) -> tuple[CustomerTable, npt.NDArray[np.float64]]:
    """Hold the trial of a logistic regression, and give what it says of the later snapshot."""
    rows = len(learnt_rows(table))
    fold = np.arange(rows) % 2
    model = ChurnModel(table.kinds, 20, build_logistic(table.kinds))
    return hold_trial(table, hand_made_candidate("logistic", np.zeros(rows)), model, fold).tested()
