"""Makes small customer tables as CSV text, and the settings that read them."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pa_parquet

from churn_mlops.config.settings import DataSettings
from churn_mlops.data.table import CustomerTable, load_customers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    Cell = Callable[[int], object]

ROWS = 150
"""Of which two in five churned: enough to learn from, and a handful to reject."""

HEADER = "customer_id,tenure,plan,churn\n"


def has_left(row: int) -> str:
    """Say whether the customer of a row (from 0) left."""
    return "Yes" if row % 5 < 2 else "No"


def make_csv(
    rows: int = ROWS, extra: Mapping[str, Cell] | None = None, churn: Cell = has_left, delimiter: str = ","
) -> str:
    """Write a good table of a number, a category and further columns, the target last; cells are not quoted."""
    more = dict(extra or {})
    cells: dict[str, Cell] = {
        "customer_id": lambda row: f"C{row:04}",
        "tenure": lambda row: row * 7 % 37,
        "plan": lambda row: "abc"[row % 3],
        **more,
        "churn": churn,
    }
    lines = [delimiter.join(cells)]
    lines += [delimiter.join(str(cell(row)) for cell in cells.values()) for row in range(rows)]
    return "\n".join(lines) + "\n"


def make_arrow(extra: Mapping[str, pa.Array] | None = None, churn: pa.Array | None = None) -> pa.Table:
    """Make the good table of `make_csv` in Arrow's own types, with further columns."""
    return pa.table(
        {
            "customer_id": [f"C{row:04}" for row in range(ROWS)],
            "tenure": [row * 7 % 37 for row in range(ROWS)],
            "plan": ["abc"[row % 3] for row in range(ROWS)],
            **(extra or {}),
            "churn": churn if churn is not None else [has_left(row) for row in range(ROWS)],
        }
    )


def write_table(path: Path, content: str | bytes | pa.Table) -> Path:
    """Write a table by its content's type; text whose name ends in .gz is compressed."""
    if isinstance(content, pa.Table):
        pa_parquet.write_table(content, path)
        return path
    if isinstance(content, str):
        content = gzip.compress(content.encode()) if path.suffix == ".gz" else content.encode()
    path.write_bytes(content)
    return path


def settings_for(path: Path, **overrides: Any) -> DataSettings:
    """Give the settings that fit the tables made here."""
    fitting = {
        "source": "table",
        "path": path,
        "target": "churn",
        "positive_label": "Yes",
        "customer_id": "customer_id",
    }
    return DataSettings.model_validate({**fitting, **overrides})


def read(path: Path, content: str | bytes | pa.Table, **overrides: Any) -> CustomerTable:
    """Write a table and read it as customers."""
    return load_customers(settings_for(write_table(path, content), **overrides))
