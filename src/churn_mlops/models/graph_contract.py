"""What every served graph is called by: the names that model writers and the scorer agree on."""

from __future__ import annotations

from typing import Final

INPUT: Final = "features"
"""float32 [rows, features], encoded as the signature says; missing is NaN."""

PROBABILITY: Final = "churn_probability"
"""float32 [rows], calibrated."""

CONTRIBUTIONS: Final = "contributions"
"""float32 [rows, features], in log-odds before calibration."""
