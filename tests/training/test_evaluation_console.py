"""What a person sees of the leak report, the segments and the learning curve."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from churn_mlops.registry.manifest import Estimate, LeakCheck, LearningPoint, SegmentMetrics
from churn_mlops.training.evaluation_console import show_evaluation

if TYPE_CHECKING:
    from churn_mlops.registry.manifest import Manifest
    from churn_mlops.training.job import TrainedVersion

LEAKS = (
    LeakCheck(scheme="random rows", roc_auc=0.9, log_loss=0.3, note="9 rows [repeat]"),
    LeakCheck(scheme="later period", roc_auc=None, log_loss=None, note="data.time names no column"),
)
SEGMENTS = tuple(
    SegmentMetrics(
        column="region",
        value=f"[{value}]",
        customers=1200,
        base_rate=Estimate(value=0.25, low=0.2, high=0.3),
        mean_probability=0.3,
        selection_rate=0.125,
        roc_auc=None if value == "south" else 0.75,
        calibration_gap=Estimate(value=0.05, low=low, high=0.11),
    )
    for value, low in (("north", 0.01), ("south", -0.01))
)
CURVE = (
    LearningPoint(customers=2800, roc_auc=0.8, log_loss=0.424),
    LearningPoint(customers=5600, roc_auc=0.8, log_loss=0.42, standard_error=0.001),
)


def shown(trained: TrainedVersion, terminal: bool = False, **evaluation: Any) -> str:
    """Show a version with another evaluation; what is not named was switched off."""
    off: dict[str, Any] = {"leak_report": (), "segments": (), "learning_curve": ()}
    changed = trained.manifest.evaluation.model_copy(update=off | evaluation)
    manifest: Manifest = trained.manifest.model_copy(update={"evaluation": changed})
    console = Console(file=StringIO(), force_terminal=terminal, width=80, color_system="standard")
    show_evaluation(console, manifest)
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_what_was_switched_off_is_not_mentioned(sample_version: TrainedVersion) -> None:
    """Without a report, segments and a curve there is no line."""
    assert shown(sample_version) == ""


def test_a_leak_check_is_a_line_with_its_differences(sample_version: TrainedVersion) -> None:
    """Figures stand beside what the honest evaluation is exceeded by, and every note in a line of its own."""
    metrics = sample_version.manifest.evaluation.metrics
    auc, loss = 0.9 - metrics["roc_auc"].value, 0.3 - metrics["log_loss"].value
    assert shown(sample_version, leak_report=LEAKS).splitlines() == [
        "held out | ROC AUC | difference | log loss | difference",
        f"random rows | 0.9000 | {auc:+.4f} | 0.3000 | {loss:+.4f}",
        "later period | - | - | - | -",
        "random rows: 9 rows [repeat]",
        "later period: data.time names no column",
    ]


def test_a_segment_is_a_line_that_marks_miscalibration(sample_version: TrainedVersion) -> None:
    """A star says that the interval of the gap leaves out 0."""
    assert shown(sample_version, segments=SEGMENTS).splitlines()[:3] == [
        "segment | customers | left | selected | AUC | gap [95 % interval]",
        "region: [north] | 1,200 | 0.250 | 0.125 | 0.750 | +0.050 [+0.010, +0.110]*",
        "region: [south] | 1,200 | 0.250 | 0.125 | - | +0.050 [-0.010, +0.110]",
    ]


def test_the_curve_is_one_sentence(sample_version: TrainedVersion) -> None:
    """It says whether more rows would help."""
    assert shown(sample_version, learning_curve=CURVE) == (
        "doubling the rows from 2,800 to 5,600 lowered log loss by 0.0040: more rows would help\n"
    )


@pytest.mark.parametrize(
    ("part", "cells"),
    [({"leak_report": LEAKS}, ["0.9000", "later period"]), ({"segments": SEGMENTS}, ["+0.050 [+0.010, +0.110]*"])],
)
def test_tables_fit_a_terminal(part: dict[str, Any], cells: list[str], sample_version: TrainedVersion) -> None:
    """On 80 columns the box is no wider, and no figure is broken over two lines."""
    box = [line for line in shown(sample_version, terminal=True, **part).splitlines() if line[:1] in "│┏└"]
    assert max(map(len, box)) <= 80
    assert all(any(cell in line for line in box) for cell in cells)


def test_brackets_in_a_segment_stay_on_a_terminal(sample_version: TrainedVersion) -> None:
    """A value that looks like markup is shown as it is."""
    assert "[north]" in shown(sample_version, terminal=True, segments=SEGMENTS)
