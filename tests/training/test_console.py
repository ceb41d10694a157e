"""What a person sees of a training: a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import dataclasses
from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console
from rich.progress import Task, TaskID

from churn_mlops.registry.manifest import Estimate, ProfitComparison, ProfitParameters, RuleProfit
from churn_mlops.training.console import TimeLeft, show_steps, show_version
from churn_mlops.training.steps import Step

if TYPE_CHECKING:
    from churn_mlops.training.job import TrainedVersion

ESCAPE = "\x1b"


def _estimate(value: float) -> Estimate:
    return Estimate(value=value, low=value - 0.5, high=value + 0.5)


ESTIMATE = _estimate(3.0)


def _console(terminal: bool, width: int = 80) -> Console:
    return Console(file=StringIO(), force_terminal=terminal, width=width, color_system="standard")


def _text(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def _shown(trained: TrainedVersion, terminal: bool, width: int = 80) -> str:
    console = _console(terminal, width)
    show_version(console, trained)
    return _text(console)


def _changed(trained: TrainedVersion, **data: Any) -> TrainedVersion:
    """The same version over other data."""
    changed = trained.manifest.data.model_copy(update=data)
    return dataclasses.replace(trained, manifest=trained.manifest.model_copy(update={"data": changed}))


def test_steps_are_plain_lines_where_no_one_looks() -> None:
    """In a log each step is one line, as it begins, without an escape code."""
    console = _console(terminal=False)
    with show_steps(console) as observe:
        observe(Step("reading [the] table", 1, 2))
        observe(Step("fitting", 2, 2))
    assert _text(console) == "[1/2] reading [the] table\n[2/2] fitting\n"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, ""),
        (2.9, ""),
        (12, ", about 10 s left"),
        (99, ", about 100 s left"),
        (610, ", about 10 min left"),
        (7900, ", about 2 h 10 min left"),
    ],
)
def test_a_step_in_a_log_says_what_time_is_left(seconds: float | None, said: str) -> None:
    """Where that is known, and more than a few seconds."""
    console = _console(terminal=False)
    with show_steps(console) as observe:
        observe(Step("fitting", 2, 3, seconds))
    assert _text(console) == f"[2/3] fitting{said}\n"


def test_a_terminal_counts_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time left goes on falling within a long step, and is silent once it is over."""
    console = _console(terminal=True)
    clock = [0.0]
    monkeypatch.setattr("churn_mlops.training.console.time.monotonic", lambda: clock[0])
    column = TimeLeft()
    with show_steps(console) as observe:
        observe(Step("fitting", 2, 3, 610))
    assert "about 10 min left" in _text(console)
    task = Task(TaskID(0), "", total=3, completed=1, _get_time=lambda: clock[0], fields={"ends_at": 610.0})
    shown = []
    for clock[0] in (0.0, 250.0, 570.0, 609.0, 700.0):
        shown.append(column.render(task).plain)
    assert shown == ["about 10 min left", "about 6 min left", "about 40 s left", "", ""]


def test_steps_are_a_bar_on_a_terminal() -> None:
    """The bar says what is being done and how many steps are behind it."""
    console = _console(terminal=True)
    with show_steps(console) as observe:
        observe(Step("reading", 1, 9))
        observe(Step("fitting", 8, 9))
    assert "fitting" in _text(console)
    assert "7/9" in _text(console)


def test_a_log_holds_no_escape_codes_and_no_box(sample_version: TrainedVersion) -> None:
    """Every metric is one line that grep finds, whatever the width."""
    shown = _shown(sample_version, terminal=False)
    value = sample_version.manifest.evaluation.metrics["roc_auc"].value
    assert ESCAPE not in shown
    assert "│" not in shown
    assert f"\nROC AUC | {value:.3f} [" in shown


@pytest.mark.parametrize("width", [80, 120])
def test_the_table_fits_a_terminal(width: int, sample_version: TrainedVersion) -> None:
    """Each of the six metrics is one row of the box, no wider than the terminal."""
    box = [line for line in _shown(sample_version, terminal=True, width=width).splitlines() if line[:1] in "│┏└"]
    first = box[: next(place for place, line in enumerate(box) if line.startswith("└"))]
    assert len([line for line in first if line.startswith("│")]) == 6
    assert max(map(len, box)) <= width


@pytest.mark.parametrize("terminal", [True, False])
def test_what_was_read_and_what_is_served_is_told(terminal: bool, sample_version: TrainedVersion) -> None:
    """Rows, repeated rows, features by kind, parity and the champion are named on either."""
    shown = _shown(sample_version, terminal)
    version = sample_version.manifest.version
    for told in (
        "7,043 rows read, 7,043 used, 0 rejected; 26.54% churned",
        "this is the sample that ships with the product",
        "22 rows repeat an earlier one",
        "19 features: 9 numeric, 10 categorical",
        "lower is better: log loss, Brier score, calibration error",
        "rows repeat an earlier one's features or customer (",
        "doubling the rows from ",
        "evaluated 5-fold out-of-fold",
        "graph and estimator agree within",
        f"version {version} is champion: it is what is served",
    ):
        assert told in shown


def test_what_was_noticed_is_told_column_by_column(sample_version: TrainedVersion) -> None:
    """Notes, columns left out and the file of rejected rows each have a line, and brackets in them stay."""
    version = _changed(sample_version, notes={"a": "11 [blanks]"}, left_out={"b": "every value is 1"}, rows_rejected=3)
    shown = _shown(version, terminal=False)
    assert "\nnote: 'a': 11 [blanks]\n" in shown
    assert "\nwarning: 'b' is left out: every value is 1\n" in shown
    assert f"\nrejected rows, with reasons: {version.rejects}\n" in shown


def test_repeated_customers_are_told(sample_version: TrainedVersion) -> None:
    """Who has several rows per customer learns that they were evaluated together."""
    shown = _shown(_changed(sample_version, customers_repeated=1200), terminal=False)
    assert "\n1,200 customers have more than one row; their rows share a fold\n" in shown


def test_nothing_noticed_is_nothing_said(sample_version: TrainedVersion) -> None:
    """Without rejected or repeated rows there is no line about them."""
    shown = _shown(_changed(sample_version, rows_repeated=0), terminal=False)
    assert "evaluated in one fold" not in shown
    assert "more than one row" not in shown
    assert "rejected rows" not in shown


def test_the_decision_is_told(sample_version: TrainedVersion) -> None:
    """What is selected is one line; where it is not by profit nothing is said of what it earns."""
    decision = sample_version.manifest.decision
    shown = _shown(sample_version, terminal=False)
    assert decision.selected_share is not None
    assert (
        f"\nchurn is predicted by threshold, from 0.500 on: {decision.selected_share:.1%} of the customers, " in shown
    )
    assert "earns" not in shown


def test_what_a_decision_earns_is_told(sample_version: TrainedVersion) -> None:
    """By profit, the gains over contacting nobody, everybody and the top decile each stand with their interval."""
    rules = [
        RuleProfit(contacted_share=0.5, per_customer=ESTIMATE, total=ESTIMATE, chosen_gain=_estimate(gain))
        for gain in (0.0, 3.0, 2.0, 1.0)
    ]
    chosen, nobody, everybody, top_decile = rules
    profit = ProfitComparison(chosen=chosen, nobody=nobody, everybody=everybody, top_decile=top_decile)
    parameters = ProfitParameters(customer_value=80, value_column="fee", offer_cost=5, save_rate=0.2, correction=1)
    changes = {"mode": "profit", "profit": profit, "parameters": parameters}
    decision = sample_version.manifest.decision.model_copy(update=changes)
    manifest = sample_version.manifest.model_copy(update={"decision": decision})
    shown = _shown(dataclasses.replace(sample_version, manifest=manifest), terminal=False)
    assert "predicted by profit, from 0.500 on for a customer of mean value: " in shown
    assert "earns 3.000 [2.500, 3.500] per customer more than contacting nobody" in shown
    assert "2.000 [1.500, 2.500] more than everybody, 1.000 [0.500, 1.500] more than the tenth most at risk" in shown


def test_a_challenger_is_told_how_to_become_champion(sample_version: TrainedVersion) -> None:
    """The command to serve it can be copied from the last line."""
    waiting = dataclasses.replace(sample_version, champion="20260101T000000Z-00000000")
    lines = _shown(waiting, terminal=False).splitlines()
    version = waiting.manifest.version
    assert lines[-2:] == [
        f"version {version} waits as challenger; 20260101T000000Z-00000000 is served",
        f"to serve it: churn-mlops models promote {version}",
    ]
