"""The training job: table in, version out, and nothing half-done in between."""

from __future__ import annotations

import copy
import csv
import dataclasses
import io
from typing import TYPE_CHECKING, Any

import joblib
import numpy as np
import pandas as pd
import pytest
from family_matrices import held_out_by_bag
from learnable_tables import draw_customers, write_settings

from churn_mlops.config.settings import (
    ArtifactsSettings,
    DataSettings,
    DecisionSettings,
    EvaluationSettings,
    Settings,
    TrainingSettings,
)
from churn_mlops.data.table import load_customers
from churn_mlops.errors import DataError, ParityError, SuspectedLeak
from churn_mlops.inference.encoding import CustomerEncoder
from churn_mlops.inference.scorer import load_champion
from churn_mlops.models.export import ExportedModel, export_model
from churn_mlops.models.folds import deal_bags
from churn_mlops.models.parity import LIMIT
from churn_mlops.registry.manifest import ESTIMATOR, GRAPH
from churn_mlops.registry.reading import Registry
from churn_mlops.training import job
from churn_mlops.training.job import TrainedVersion, train, train_baseline

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from churn_mlops.models.churn_model import ChurnModel
    from churn_mlops.registry.manifest import Manifest
    from churn_mlops.training.steps import Step

REAL_TABLES: dict[str, dict[str, Any]] = {
    "telco.csv": {"customer_id": "customerID", "target": "Churn", "positive_label": "Yes"},
    "iranian.csv": {"target": "Churn", "positive_label": 1},
}


@pytest.fixture(scope="module")
def trained_on(
    real_data: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], TrainedVersion]:
    """Train on a real table with configuration alone, once for all tests."""
    trained: dict[str, TrainedVersion] = {}

    def train(name: str) -> TrainedVersion:
        if name not in trained:
            named = {"source": "table", "path": real_data(name)} | REAL_TABLES[name]
            settings = Settings(
                data=DataSettings.model_validate(named),
                training=TrainingSettings(bootstrap_resamples=100),
                artifacts=ArtifactsSettings(path=tmp_path_factory.mktemp("artifacts")),
            )
            trained[name] = train_baseline(settings)
        return trained[name]

    return train


@pytest.mark.parametrize(("name", "at_least"), [("telco.csv", 0.843), ("iranian.csv", 0.925)])
def test_real_tables_reach_their_figure(
    name: str, at_least: float, trained_on: Callable[[str], TrainedVersion]
) -> None:
    """Out of fold, the baseline ranks as well as it is known to, and not so well that something must have leaked."""
    assert at_least <= trained_on(name).manifest.evaluation.metrics["roc_auc"].value < at_least + 0.012


@pytest.mark.parametrize(("name", "repeated"), [("telco.csv", 22), ("iranian.csv", 300)])
def test_repeated_rows_are_counted(name: str, repeated: int, trained_on: Callable[[str], TrainedVersion]) -> None:
    """Rows that equal an earlier one but for the id are part of the record."""
    data = trained_on(name).manifest.data
    assert (data.rows_repeated, data.rows_rejected, data.rows_used) == (repeated, 0, data.rows_read)


def test_blanks_in_a_column_of_numbers_are_noted(trained_on: Callable[[str], TrainedVersion]) -> None:
    """The 11 blanks of TotalCharges are missing values, and the manifest says so."""
    manifest = trained_on("telco.csv").manifest
    charges = next(feature for feature in manifest.signature.features if feature.name == "TotalCharges")
    assert manifest.data.notes == {"TotalCharges": "text read as numbers; 11 blanks are missing values"}
    assert (charges.kind, charges.missing_share) == ("numeric", 11 / 7043)


def test_the_sample_is_marked_as_one(sample_version: TrainedVersion) -> None:
    """Nobody takes the sample's version for one of their own customers."""
    assert sample_version.manifest.sample is True
    assert sample_version.manifest.data.name.startswith("IBM Telco customer churn")


@pytest.mark.parametrize("metric", ["roc_auc", "average_precision", "lift_at_10"])
def test_the_model_beats_the_best_rule_and_no_skill(metric: str, sample_version: TrainedVersion) -> None:
    """On the sample the whole interval of the model lies above the rule's, and the rule above no skill."""
    evaluation = sample_version.manifest.evaluation
    assert evaluation.metrics[metric].low > evaluation.best_rule.metrics[metric].high
    assert evaluation.best_rule.metrics[metric].value > evaluation.no_skill[metric]


@pytest.mark.parametrize("metric", ["log_loss", "brier"])
def test_the_model_errs_less_than_the_best_rule_and_no_skill(metric: str, sample_version: TrainedVersion) -> None:
    """On the sample the whole interval of the model lies below the rule's, and the rule below no skill."""
    evaluation = sample_version.manifest.evaluation
    assert evaluation.metrics[metric].high < evaluation.best_rule.metrics[metric].low
    assert evaluation.best_rule.metrics[metric].value < evaluation.no_skill[metric]


def test_the_sample_is_calibrated(sample_version: TrainedVersion) -> None:
    """Out of fold, predicted and observed churn rates differ by less than two points."""
    assert sample_version.manifest.evaluation.metrics["calibration_error"].value < 0.02


def test_the_saved_estimator_says_what_the_graph_says(
    sample_version: TrainedVersion, sample_registry: Registry, sample_settings: Settings
) -> None:
    """The joblib file holds the estimator whose graph is served: both score customers alike."""
    table = load_customers(sample_settings.data)
    estimator = joblib.load(io.BytesIO(sample_registry.read_file(sample_version.manifest, ESTIMATOR)))
    rows = table.features.iloc[:50]
    scorer, signature = load_champion(sample_registry), sample_version.manifest.signature
    values = [
        {str(name): None if value != value else value for name, value in row.items()}
        for row in rows.astype(object).to_dict("records")
    ]
    encoded = [CustomerEncoder(signature).encode(customer)[0] for customer in values]
    served = scorer.score(np.array(encoded, dtype=np.float32)).probability
    np.testing.assert_allclose(served, estimator.predict_proba(rows)[:, 1], atol=1e-6)


def without_extras(settings: Settings) -> Settings:
    """Leave no time to tune, and take no look at leaks."""
    evaluation = EvaluationSettings(leak_report=False, learning_curve=False)
    training = settings.training.model_copy(update={"budget_seconds": 1e-6})
    return settings.model_copy(update={"evaluation": evaluation, "training": training})


@pytest.fixture(scope="module", params=["ebm", "boosted", "blend", "auto"])
def trained_as(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Manifest]:
    """A version of every kind of model, trained without a look at leaks and without time to tune."""
    settings = without_extras(write_settings(tmp_path_factory.mktemp(request.param), draw_customers(300)))
    manifest = train(settings, request.param).manifest
    if request.param != "auto":
        assert manifest.model == request.param
    return settings, manifest


def test_every_model_is_served_as_its_estimator_says(trained_as: tuple[Settings, Manifest]) -> None:
    """What the champion's graph says of each customer is what the estimator in the version says."""
    settings, manifest = trained_as
    registry, frame = Registry(settings.artifacts.path), load_customers(settings.data).features
    estimator = joblib.load(io.BytesIO(registry.read_file(manifest, ESTIMATOR)))
    scores = load_champion(registry).score(estimator.encoder_.transform(frame).astype(np.float32))
    np.testing.assert_allclose(scores.probability, estimator.predict_proba(frame)[:, 1], rtol=0, atol=1e-5)


def test_every_model_is_compared_and_proven_on_the_record(trained_as: tuple[Settings, Manifest]) -> None:
    """The manifest names the family, how its reasons are to be read, its calibration and how near the graph is."""
    _, manifest = trained_as
    chosen = next(score for score in manifest.evaluation.candidates if score.chosen)
    assert (chosen.family, chosen.settings["calibration"]) == (manifest.model, manifest.calibration.kind)
    assert (manifest.explanation.kind == "additive") == chosen.explainable
    assert max(manifest.parity.rows, manifest.parity.edge_rows) <= LIMIT


def test_equal_seeds_make_equal_models(tmp_path: Path) -> None:
    """The same table and seed give the same graph and figures to the last bit; only how long it took differs."""
    settings = write_settings(tmp_path, draw_customers())
    one, other = (train_baseline(settings).manifest for _ in range(2))
    timeless = {"candidates": {"__all__": {"fit_seconds"}}}
    assert one.files[GRAPH] == other.files[GRAPH]
    assert one.evaluation.model_dump(exclude=timeless) == other.evaluation.model_dump(exclude=timeless)
    assert one.data == other.data


def test_another_seed_makes_other_folds(tmp_path: Path) -> None:
    """The seed reaches the folds: other rows are held out together, and the log loss is another one."""
    settings = write_settings(tmp_path, draw_customers())
    reseeded = settings.model_copy(update={"training": settings.training.model_copy(update={"seed": 1})})
    one, other = (train_baseline(chosen).manifest for chosen in (settings, reseeded))
    assert one.evaluation.metrics["log_loss"].value != other.evaluation.metrics["log_loss"].value


def test_steps_are_told_in_order(tmp_path: Path) -> None:
    """An observer hears of every step before it begins, numbered to the total that was promised."""
    heard: list[Step] = []
    train_baseline(write_settings(tmp_path, draw_customers()), heard.append)
    numbered = list(dict.fromkeys((step.number, step.total) for step in heard))
    assert numbered == [(number, 10) for number in range(1, 11)]
    begun = {step.number: step.name for step in reversed(heard)}  # of each number, the first
    assert [begun[number] for number, _ in numbered] == [
        "reading the customer table",
        "looking for leaks",
        "logistic: tuning",
        *("logistic: fold 1", "logistic: fold 2", "logistic: fold 3"),
        "holding customers out in other ways",
        "fitting on fewer customers",
        "fitting on all customers",
        "proving the graph, registering",
    ]


def test_the_second_version_waits(tmp_path: Path) -> None:
    """It is told which version is served meanwhile."""
    settings = write_settings(tmp_path, draw_customers())
    first, second = (
        train_baseline(settings.model_copy(update={"training": settings.training.model_copy(update={"seed": seed})}))
        for seed in (0, 1)
    )
    assert first.champion == second.champion == first.manifest.version
    aliases = Registry(settings.artifacts.path).aliases()
    assert aliases is not None
    assert aliases.challenger == second.manifest.version


def test_a_graph_that_differs_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the exported graph is not the estimator there is no version, no alias and no leftover."""

    def export_wrongly(model: ChurnModel, frame: pd.DataFrame) -> ExportedModel:
        wrong = dataclasses.replace(model.calibration, c=model.calibration.c + 0.01)
        return export_model(copy.copy(model).set_params(calibration=wrong), frame)

    monkeypatch.setattr(job, "export_model", export_wrongly)
    settings = write_settings(tmp_path, draw_customers())
    with pytest.raises(ParityError):
        train_baseline(settings)
    registry = Registry(settings.artifacts.path)
    assert (registry.aliases(), list(registry.models.iterdir())) == (None, [])


def test_a_table_that_fails_still_has_its_rejects_written(tmp_path: Path) -> None:
    """What was wrong with which row can be looked at, though nothing was learnt from the rest."""
    customers = draw_customers(60)
    outcome = customers["churned"].astype(object)
    outcome[:40] = "perhaps"
    settings = write_settings(tmp_path, customers.assign(churned=outcome), positive_label=True, negative_label=False)
    with pytest.raises(DataError, match="at least 50 are needed"):
        train_baseline(settings)
    with (settings.artifacts.path / "rejects" / "customers.csv").open(newline="") as file:
        rejects = list(csv.DictReader(file))
    assert [int(reject["row"]) for reject in rejects] == list(range(1, 41))
    assert Registry(settings.artifacts.path).versions() == []


@pytest.mark.parametrize("allowed", [(), ("closed",)])
def test_a_leak_stops_the_run_unless_it_is_allowed(allowed: tuple[str, ...], tmp_path: Path) -> None:
    """A column that decides the target registers nothing, until the configuration says that it is known before."""
    customers = draw_customers()
    settings = write_settings(
        tmp_path, customers.assign(closed=customers["churned"].map({True: "x", False: "y"})), allow_leaky=allowed
    )
    if not allowed:
        with pytest.raises(SuspectedLeak, match="'closed'"):
            train_baseline(settings)
    else:
        train_baseline(settings)
    assert len(Registry(settings.artifacts.path).versions()) == len(allowed)


def test_a_table_whose_rows_hardly_differ_is_refused_with_a_sentence(tmp_path: Path) -> None:
    """Two kinds of customers cannot be dealt out to three folds."""
    settings = write_settings(tmp_path, draw_customers()[["plan", "churned"]])
    with pytest.raises(DataError, match="Rows with equal features, or of one customer, share a fold"):
        train_baseline(settings)


def test_the_decision_is_stored_with_the_version(tmp_path: Path) -> None:
    """Threshold and bands are those of the configuration at the time of training, with the share they select."""
    settings = write_settings(tmp_path, draw_customers())
    decision = settings.decision.model_copy(update={"threshold": 0.35})
    manifest = train_baseline(settings.model_copy(update={"decision": decision})).manifest
    stored = manifest.decision
    assert (stored.mode, stored.threshold, stored.medium_risk, stored.high_risk) == ("threshold", 0.35, 0.3, 0.6)
    assert stored.selected_share is not None
    assert 0.2 < stored.selected_share < 0.8


def test_a_value_column_reaches_the_decision(tmp_path: Path) -> None:
    """Where the values are in the table, the version is decided by them, though they are no feature."""
    settings = write_settings(tmp_path, draw_customers(), drop=["charges"])
    by_profit = {"mode": "profit", "customer_value": "charges", "offer_cost": 10, "save_rate": 0.3}
    decision = DecisionSettings.model_validate(by_profit)
    manifest = train_baseline(settings.model_copy(update={"decision": decision})).manifest
    assert "charges" not in manifest.signature.names
    assert manifest.decision.parameters is not None
    assert manifest.decision.parameters.customer_value == pytest.approx(draw_customers()["charges"].mean())


def test_the_evaluation_looks_closer(tmp_path: Path) -> None:
    """Leaks, segments of a dropped column and the learning curve are part of the record."""
    customers = draw_customers(600).assign(gender=["f", "m"] * 300)
    settings = write_settings(tmp_path, customers, drop=["gender"])
    chosen = settings.model_copy(update={"evaluation": EvaluationSettings(segments=("gender",))})
    manifest = train_baseline(chosen).manifest
    assert [check.scheme.split()[0] for check in manifest.evaluation.leak_report] == [
        *("random", "grouped", "unseen", "later"),
    ]
    assert [segment.value for segment in manifest.evaluation.segments] == ["f", "m"]
    assert len(manifest.evaluation.learning_curve) >= 2
    assert "gender" not in [feature.name for feature in manifest.signature.features]


def test_what_is_switched_off_is_not_measured(tmp_path: Path) -> None:
    """Two keys save the time that the leak report and the learning curve take, and their steps are not promised."""
    heard: list[Step] = []
    off = EvaluationSettings(leak_report=False, learning_curve=False)
    settings = write_settings(tmp_path, draw_customers()).model_copy(update={"evaluation": off})
    evaluation = train_baseline(settings, heard.append).manifest.evaluation
    assert (evaluation.leak_report, evaluation.learning_curve, evaluation.segments) == ((), (), ())
    assert heard[-1].number == heard[-1].total
    assert not [step.name for step in heard if step.name.startswith(("holding customers out", "fitting on fewer"))]


def test_repeated_customers_share_a_fold_and_are_told(tmp_path: Path) -> None:
    """Every customer stands there twice, a little changed: their number and the way they were held out are recorded."""
    customers = draw_customers(300).assign(id=range(300))
    later = customers.assign(charges=customers["charges"] + 1)
    settings = write_settings(tmp_path, pd.concat([customers, later]), customer_id="id")
    manifest = train_baseline(settings).manifest
    assert manifest.data.customers_repeated == 300
    assert "rows with equal features and those of one customer in one fold" in manifest.evaluation.method


def test_repeated_customers_share_a_bag_of_what_is_served(tmp_path: Path) -> None:
    """Each bag of the boosted model in the version was stopped on customers of whom it had seen no row."""
    customers = draw_customers(300).assign(id=range(300))
    settings = write_settings(tmp_path, pd.concat([customers, customers.assign(charges=7)]), customer_id="id")
    manifest = train(without_extras(settings), "boosted").manifest
    table = load_customers(settings.data)
    estimator = joblib.load(io.BytesIO(Registry(settings.artifacts.path).read_file(manifest, ESTIMATOR)))
    matrix, family = estimator.encoder_.transform(table.features), estimator.family_
    bag = deal_bags(matrix, table.churned, family.bags, family.seed, table.customer_ids)
    np.testing.assert_allclose(family.held_out_log_odds_, held_out_by_bag(family, matrix, bag), atol=1e-12)


def test_the_time_of_a_table_gives_a_later_period(tmp_path: Path) -> None:
    """With `data.time` alone the model is also tested on the latest fifth, and learns nothing from the time."""
    asof = pd.date_range("2024-01-01", periods=600, freq="D").strftime("%Y-%m-%d")
    settings = write_settings(tmp_path, draw_customers(600).assign(asof=asof), time="asof")
    manifest = train_baseline(settings).manifest
    later = manifest.evaluation.leak_report[-1]
    assert later.roc_auc is not None
    assert later.note.startswith("fitted on 480 rows before 2025-04-25, tested on the 120 from then on")
    assert [feature.name for feature in manifest.signature.features] == ["tenure", "plan", "charges"]
