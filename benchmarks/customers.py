"""Real customers to ask about: those of the sample table, as the bodies of requests."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

from churn_mlops.data.sample import read_sample

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from churn_mlops.inference.encoding import Value

ASKED = 500
LABEL = "churn"

Features = dict[str, "Value"]


def draw_customers() -> list[Features]:
    """Draw different customers of whom everything is known, for not every protocol can say that something is not."""
    rows: list[Features] = read_sample().columns.to_pylist()
    known = [{name: value for name, value in row.items() if name != LABEL} for row in rows if None not in row.values()]
    return random.Random(0).sample(known, ASKED)  # noqa: S311 - no secret


def as_request(number: int, features: Features) -> dict[str, Any]:
    """Give what /predict takes."""
    return {"customer_id": f"customer-{number}", "features": features}


def write_bodies(path: Path, bodies: Iterable[object]) -> Path:
    """Write a body in JSON a line."""
    path.write_text("".join(json.dumps(body) + "\n" for body in bodies))
    return path


def write_table(path: Path) -> Path:
    """Write the whole table as CSV, for peers to fit on."""
    read_sample().columns.to_pandas().to_csv(path, index=False)
    return path
