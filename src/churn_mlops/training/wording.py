"""How a training's figures are named and written, the same on the console and in the report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from churn_mlops.registry.manifest import Estimate

METRIC_TITLES: Final = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "log_loss": "log loss",
    "brier": "Brier score",
    "calibration_error": "calibration error",
    "lift_at_10": "lift at 10 %",
}
LOWER_IS_BETTER: Final = ("log_loss", "brier", "calibration_error")


def show_estimate(estimate: Estimate) -> str:
    """Write a figure with its interval."""
    return f"{estimate.value:.3f} {show_interval(estimate)}"


def show_duration(seconds: float) -> str:
    """Write a duration as far as it can be told beforehand: 40 s, 6 min, 2 h 10 min."""
    if seconds < 100:
        return f"{max(5, 5 * round(seconds / 5))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 100 else f"{minutes // 60} h {10 * (minutes % 60 // 10)} min"


def show_interval(estimate: Estimate) -> str:
    """Write the interval of a figure."""
    return f"[{estimate.low:.3f}, {estimate.high:.3f}]"
