"""The gate: whatever is wrong with a version is found and named, and a better one passes."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from contests import CUSTOMERS, Contest, open_contest
from learnable_tables import draw_customers, write_settings

from churn_mlops.config.settings import ArtifactsSettings
from churn_mlops.data.sample import read_sample
from churn_mlops.errors import PromotionRefused, RegistryError, VersionRefused
from churn_mlops.registry.history import read_history
from churn_mlops.registry.manifest import GRAPH
from churn_mlops.registry.reading import Aliases, Registry
from churn_mlops.registry.writing import promote, register, roll_back
from churn_mlops.training.gate import Verdict, judge, promote_if_fit
from churn_mlops.training.job import train_baseline
from churn_mlops.training.out_of_fold import read_out_of_fold

if TYPE_CHECKING:
    import numpy.typing as npt

    from churn_mlops.config.settings import Settings
    from churn_mlops.training.job import TrainedVersion

RANDOM = np.random.default_rng(0)
SHUFFLED = CUSTOMERS.assign(churned=RANDOM.permutation(CUSTOMERS["churned"]))
FEW = CUSTOMERS.sample(frac=0.05, random_state=0)
OVERSAMPLED = pd.concat([CUSTOMERS, *[CUSTOMERS[CUSTOMERS["churned"]]] * 3])
"""Churners four times over: the ranking is as good as ever, and the probabilities are ruined."""


def _agreeing(share: float) -> pd.Series:
    agrees = np.random.default_rng(2).random(len(CUSTOMERS)) < share
    return (CUSTOMERS["churned"] == agrees).astype(float) * 10 + np.arange(len(CUSTOMERS)) % 3


LEAKY = CUSTOMERS.assign(refund=_agreeing(0.96))
DECIDING = CUSTOMERS.assign(refund=_agreeing(0.997))


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Contest:
    """A champion trained on all customers; its champion is never changed."""
    return open_contest(tmp_path_factory.mktemp("contest"))


@pytest.fixture
def own_contest(contest: Contest, tmp_path: Path) -> Contest:
    """A copy, to promote in."""
    shutil.copytree(contest.settings.artifacts.path, tmp_path / "artifacts")
    artifacts = contest.settings.artifacts.model_copy(update={"path": tmp_path / "artifacts"})
    return Contest(tmp_path, contest.settings.model_copy(update={"artifacts": artifacts}))


def _failed(verdict: Verdict) -> dict[str, str]:
    return {check.name: check.figures for check in verdict.failed}


def _figures(verdict: Verdict, name: str) -> str:
    return next(check.figures for check in verdict.checks if check.name == name)


def test_shuffled_labels_are_refused(contest: Contest) -> None:
    """Judged by the true outcomes, it is worse than the champion and than one column, and its labels are at fault."""
    failed = _failed(judge(contest.settings, contest.train(SHUFFLED)))
    assert {"at least as good", "beats the best rule"} <= set(failed)
    assert "does not beat the best rule on one column, 'tenure'" in failed["beats the best rule"]
    wrong = int((SHUFFLED["churned"] != CUSTOMERS["churned"]).sum())
    assert f"In training it was told the other outcome of {wrong:,} of these rows." in failed["at least as good"]


def test_a_twentieth_of_the_rows_is_refused(
    sample_settings: Settings, sample_registry: Registry, tmp_path: Path
) -> None:
    """It is judged on the rows of the champion, most of which it never saw, and is provably worse; nothing else is."""
    artifacts = ArtifactsSettings(path=Path(shutil.copytree(sample_registry.root, tmp_path / "artifacts")))
    contest = Contest(tmp_path, sample_settings.model_copy(update={"artifacts": artifacts}))
    customers = read_sample().columns.to_pandas().sample(frac=0.05, random_state=0)
    version = contest.train(customers, target="churn", positive_label="Yes")
    verdict = judge(contest.settings, version)
    assert list(_failed(verdict)) == ["at least as good"]
    assert re.search(r"by it, \d\d\d out of fold and 6,\d\d\d that it was never", _figures(verdict, "unseen rows"))


def test_ruined_probabilities_are_refused(contest: Contest) -> None:
    """A model of oversampled churners is named for its calibration."""
    failed = _failed(judge(contest.settings, contest.train(OVERSAMPLED)))
    assert "above promotion.max_calibration_error (0.05)" in failed["calibrated"]
    assert "served as evaluated" not in failed


def test_a_calibration_error_that_may_be_chance_is_not_refused(contest: Contest) -> None:
    """What must be within the bound is the lower end of its interval."""
    version = contest.train(FEW)
    found = re.search(r"error is (\S+) \[(\S+),", _figures(judge(contest.settings, version), "calibrated"))
    assert found
    error, low = map(float, found.groups())
    for bound, refused in (((error + low) / 2, False), (low / 2, True)):
        failed = _failed(judge(contest.ask(max_calibration_error=bound).settings, version))
        assert ("calibrated" in failed) == refused


def test_a_leaking_column_is_refused(contest: Contest) -> None:
    """A column that the champion lacks, and that says more than the whole champion, is named; all else is passed."""
    failed = _failed(judge(contest.compare_on(LEAKY).settings, contest.train(LEAKY)))
    assert list(failed) == ["no leak"]
    assert "Its column 'refund', which the champion lacks, is better alone" in failed["no leak"]


def test_the_best_rule_is_held_out_by_customer(tmp_path: Path) -> None:
    """A column that tells who the customer is says as little on the gate's folds as it did in training."""
    random = np.random.default_rng(0)
    customer = np.repeat(np.arange(150), 8)
    churned = (random.random(150) < 0.4)[customer]
    customers = pd.DataFrame({"id": customer, "shop": customer % 75, "noise": random.normal(size=1200)})
    settings = write_settings(
        tmp_path, customers.assign(churned=churned), customer_id="id", kinds={"shop": "categorical"}
    )
    rule = train_baseline(settings).manifest.evaluation.best_rule
    verdict = judge(settings, train_baseline(settings).manifest.version)
    assert f"{rule.column!r} ({rule.metrics['log_loss'].value:.4f})" in _figures(verdict, "beats the best rule")


def test_a_deciding_column_is_refused_though_training_was_told_to_allow_it(contest: Contest) -> None:
    """What data.allow_leaky let through needs a reason on record before it is served."""
    version = contest.train(DECIDING, allow_leaky=["refund"])
    failed = _failed(judge(contest.compare_on(DECIDING, allow_leaky=["refund"]).settings, version))
    assert list(failed) == ["no leak"]
    assert failed["no leak"].count("Its column 'refund'") == 1
    assert "all but decides the target (ROC AUC 0.99" in failed["no leak"]


def test_a_graph_that_is_not_what_was_evaluated_is_refused(contest: Contest) -> None:
    """Its out-of-fold figures are the champion's, but it serves the probabilities of the oversampled model."""
    graph = contest.read_graph(contest.train(OVERSAMPLED))
    version = contest.replace_files(contest.registry.champion(), graph=graph)
    failed = _failed(judge(contest.settings, version))
    assert list(failed) == ["served as evaluated"]
    assert "the served graph is worse in log loss than what was evaluated" in failed["served as evaluated"]


def test_figures_too_good_to_be_true_are_refused(contest: Contest) -> None:
    """A model cannot do better on rows it never saw than on those it was fitted on."""
    champion = contest.registry.champion()
    version = contest.replace_files(champion, out_of_fold=contest.flatter(champion))
    assert "served as evaluated" in _failed(judge(contest.settings, version))


def test_a_slow_version_is_refused(contest: Contest) -> None:
    """The time of one customer is measured now, on this machine."""
    version = contest.replace_files(
        contest.registry.champion(), out_of_fold=contest.flatter(contest.registry.champion())
    )
    failed = _failed(judge(contest.ask(max_latency_microseconds=0.01).settings, version))
    assert "above promotion.max_latency_microseconds (0.01)" in failed["fast enough"]


@pytest.mark.parametrize(("wanted", "passes"), [(0.0, True), (-0.01, True), (0.05, False)])
def test_a_version_that_is_as_good_passes_unless_more_is_wanted(wanted: float, passes: bool, contest: Contest) -> None:
    """The same table in another order gives a model that is as good; promotion.min_improvement says if that will do."""
    version = contest.train(CUSTOMERS.sample(frac=1, random_state=1))
    verdict = judge(contest.ask(min_improvement=wanted).settings, version)
    assert (not verdict.failed) == passes
    assert f"promotion.min_improvement ({wanted:g})" in _figures(verdict, "at least as good")


def test_an_improvement_that_is_within_the_interval_will_do(contest: Contest) -> None:
    """What must reach promotion.min_improvement is the upper end."""
    version = contest.train(FEW)
    figures = _figures(judge(contest.settings, version), "at least as good")
    found = re.search(r"improvement of (\S+) \[\S+, (\S+)\]", figures)
    assert found
    value, high = map(float, found.groups())
    for wanted, refused in (((value + high) / 2, False), (high + 0.001, True)):
        failed = _failed(judge(contest.ask(min_improvement=wanted).settings, version))
        assert ("at least as good" in failed) == refused


def test_a_better_version_is_promoted(tmp_path: Path) -> None:
    """With the calls, which its champion lacks, it does better, and becomes champion with its figures on record."""
    contest = open_contest(tmp_path, CUSTOMERS.drop(columns="calls")).compare_on(CUSTOMERS)
    first, second = contest.registry.champion(), contest.train(CUSTOMERS)
    shown: list[Verdict] = []
    assert promote_if_fit(contest.settings, "challenger", show=shown.append) == contest.registry.aliases()
    assert contest.registry.aliases() == Aliases(champion=second, previous=first)
    (move,) = read_history(contest.registry)
    assert (move.to_version, move.forced, move.checks) == (second, False, shown[0].checks)
    improvement = judge(contest.settings, first).checks[1].figures
    assert "does not reach promotion.min_improvement" in improvement  # and back again it would be refused


def test_no_champion_is_nothing_to_compare_with(own_contest: Contest) -> None:
    """The other checks hold all the same."""
    champion = own_contest.registry.champion()
    own_contest.registry.aliases_file.unlink()
    verdict = judge(own_contest.settings, champion)
    assert [check.passed for check in verdict.checks] == [True, None, True, True, True, True, True]
    assert _figures(verdict, "at least as good") == "No champion is registered to compare it with."


def test_the_champion_of_the_sample_is_nothing_to_compare_with(
    sample_version: TrainedVersion, sample_registry: Registry, tmp_path: Path
) -> None:
    """Who tried the sample first can promote the first version of their own customers."""
    registry = Registry(tmp_path / "artifacts")
    register(registry, sample_version.manifest, {GRAPH: sample_registry.read_file(sample_version.manifest)})
    contest = open_contest(tmp_path)
    verdict = judge(contest.settings, "challenger")
    assert verdict.failed == ()
    assert "trained on the sample that ships with the product" in _figures(verdict, "at least as good")


def test_rows_of_another_month_are_scored_as_served(contest: Contest) -> None:
    """Where neither was trained on any row, what is served is judged, and nothing is compared with out-of-fold."""
    later = contest.compare_on(CUSTOMERS.assign(charges=lambda frame: frame["charges"] + 0.005))
    verdict = judge(later.settings, contest.train(SHUFFLED))
    assert "by it, all of them rows that it was never trained on; by the champion, all of them rows that" in _figures(
        verdict, "unseen rows"
    )
    assert "at least as good" in _failed(verdict)
    assert [check.passed for check in verdict.checks if check.name == "served as evaluated"] == [None]


def test_a_table_that_cannot_be_read_refuses_all(contest: Contest) -> None:
    """Nothing can be said of the version, and the sentence says what was wrong and what the way is."""
    version = contest.train(FEW)
    data = contest.settings.data.model_copy(update={"target": "gone"})
    with pytest.raises(PromotionRefused, match=r"data\.target names the column 'gone'.* give --force and --reason"):
        promote_if_fit(contest.settings.model_copy(update={"data": data}), version)


@pytest.mark.parametrize(
    ("customers", "problem"),
    [
        (CUSTOMERS.drop(columns="plan"), "it needs the column 'plan', which is no feature of customers.csv"),
        (CUSTOMERS.assign(plan="month"), "customers.csv: every value is 'month'"),
        (CUSTOMERS.assign(plan=1.5 * (CUSTOMERS["plan"] == "month")), "'plan' is categorical, and numeric in"),
    ],
    ids=["missing", "constant", "another kind"],
)
def test_a_column_that_the_table_lacks_is_named(customers: pd.DataFrame, problem: str, contest: Contest) -> None:
    """A version that cannot score the rows cannot be judged on them."""
    (sentence,) = _failed(judge(contest.compare_on(customers).settings, contest.train(FEW))).values()
    assert problem in sentence


def test_a_champion_that_cannot_score_the_rows_stands_in_the_way(contest: Contest) -> None:
    """Only that check fails: the others are shown, for who decides whether to force it."""
    fewer = CUSTOMERS.drop(columns="calls")
    failed = _failed(judge(contest.compare_on(fewer).settings, contest.train(fewer)))
    assert list(failed) == ["at least as good"]
    assert "It cannot be compared with the champion" in failed["at least as good"]
    assert "it needs the column 'calls'" in failed["at least as good"]


def test_a_version_that_does_not_say_what_it_saw_is_refused(contest: Contest) -> None:
    """It may have been trained on every row it would be judged on."""
    version = contest.replace_files(contest.registry.champion(), out_of_fold=None)
    assert "nobody can tell which rows it has seen" in _failed(judge(contest.settings, version))["unseen rows"]


def test_a_refused_version_changes_nothing(own_contest: Contest) -> None:
    """The champion stays, and there is nothing to record; the error has one sentence for each failed check."""
    version, before = own_contest.train(SHUFFLED), own_contest.registry.champion()
    with pytest.raises(PromotionRefused) as refused:
        promote_if_fit(own_contest.settings, version)
    assert all(check.figures in str(refused.value) for check in judge(own_contest.settings, version).failed)
    assert (own_contest.registry.champion(), read_history(own_contest.registry)) == (before, [])


def test_a_reason_promotes_whatever_the_checks_say(own_contest: Contest) -> None:
    """Who answers for it can look the figures up afterwards; going back needs none."""
    version, before = own_contest.train(SHUFFLED), own_contest.registry.champion()
    promote_if_fit(own_contest.settings, version, "The champion may no longer be used.")
    assert own_contest.registry.champion() == version
    roll_back(own_contest.registry)
    forced, rollback = read_history(own_contest.registry)
    assert (forced.forced, forced.reason) == (True, "The champion may no longer be used.")
    assert [check.name for check in forced.checks if check.passed is False][:1] == ["at least as good"]
    assert (rollback.action, rollback.to_version) == ("rollback", before)


def test_a_version_that_cannot_be_loaded_is_never_promoted(own_contest: Contest) -> None:
    """Not even with a reason: it could not be served."""
    version = own_contest.replace_files(own_contest.registry.champion(), graph=b"no graph")
    with pytest.raises(VersionRefused, match=r"cannot load model\.onnx"):
        promote_if_fit(own_contest.settings, version, "Because.")


def test_a_champion_of_meanwhile_is_noticed(own_contest: Contest) -> None:
    """What was measured against one champion is no ground to replace another."""
    version, other = own_contest.train(FEW), own_contest.train(SHUFFLED)

    def promote_the_other(_: Verdict) -> None:
        promote(own_contest.registry, other)

    with pytest.raises(RegistryError, match=f"{other} became champion while {version} was judged"):
        promote_if_fit(own_contest.settings, version, "Because.", promote_the_other)


def test_the_champion_is_not_judged_against_itself(contest: Contest) -> None:
    """There is nothing to promote."""
    with pytest.raises(RegistryError, match="is champion already"):
        judge(contest.settings, contest.registry.champion())


def test_no_challenger_is_an_error(tmp_path: Path) -> None:
    """The alias names nothing, and the sentence says where to look."""
    with pytest.raises(RegistryError, match="No version waits as challenger"):
        judge(open_contest(tmp_path, draw_customers()).settings, "challenger")


def _sample(contest: Contest, rows: int) -> Contest:
    """The same registry, from now on with versions that are evaluated on a sample."""
    evaluation = contest.settings.evaluation.model_copy(update={"max_rows": rows})
    return Contest(contest.folder, contest.settings.model_copy(update={"evaluation": evaluation}))


@pytest.fixture(scope="module")
def sampled_contest(tmp_path_factory: pytest.TempPathFactory) -> tuple[Contest, str]:
    """A champion that was evaluated on half of its rows, and such a challenger with a column less."""
    folder = tmp_path_factory.mktemp("sampled")
    contest = _sample(Contest(folder, write_settings(folder, CUSTOMERS)), 1500)
    train_baseline(contest.settings)
    customers = CUSTOMERS.drop(columns="charges")
    return contest, train_baseline(_sample(contest.compare_on(customers), 1500).settings).manifest.version


def _held_out(contest: Contest, version: str) -> npt.NDArray[np.bool_]:
    return read_out_of_fold(contest.registry, contest.registry.read(version)).held_out


def test_rows_seen_without_being_evaluated_are_left_out(sampled_contest: tuple[Contest, str]) -> None:
    """A version that was evaluated on a sample has seen the other rows as well, and is not judged on them."""
    contest, version = sampled_contest
    judged = _held_out(contest, version) & _held_out(contest, contest.registry.champion())
    verdict = judge(contest.settings, version)
    figures = _figures(verdict, "unseen rows")
    assert (
        f"Judged on the {judged.sum():,} rows of customers.csv: by it, all out of fold; by the champion, all" in figures
    )
    assert f"{(~judged).sum():,} others are left out" in figures
    assert f"On the {judged.sum():,} rows it was trained on" in _figures(verdict, "served as evaluated")


def test_versions_with_other_columns_were_evaluated_on_the_same_sample(sampled_contest: tuple[Contest, str]) -> None:
    """So that what either left out is not twice as much."""
    contest, version = sampled_contest
    held_out = _held_out(contest, version)
    assert held_out.sum() == pytest.approx(1500, abs=5)
    assert held_out.tolist() == _held_out(contest, contest.registry.champion()).tolist()


def test_a_table_that_was_seen_without_being_evaluated_compares_nothing(sampled_contest: tuple[Contest, str]) -> None:
    """The version is refused, and the sentence says how many rows it is about."""
    contest, version = sampled_contest
    seen = CUSTOMERS[~_held_out(contest, version)]
    failed = _failed(judge(contest.compare_on(seen).settings, version))
    assert list(failed) == ["unseen rows"]
    assert f"on {len(seen):,} rows one of the two was trained without being evaluated" in failed["unseen rows"]
