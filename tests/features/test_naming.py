"""Columns of one's own cannot take the name of another: the sentence says which key and which column."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from event_logs import build, event, log_settings, write_log

from churn_mlops.errors import DataError

if TYPE_CHECKING:
    from pathlib import Path

    from churn_mlops.data.events.engine import Engine

COLUMNS = ("plan", "Events", "snapshot_date", "Customer", "known", "churned_30D", "place", "attribute_0")


def build_named(engine: Engine, folder: Path, **names: Any) -> dict[str, Any]:
    """Build the one row of a log with columns of one's own, which hold their names."""
    own = {name: f"event's {name}" for name in COLUMNS}
    log = [event("anna", -1) | own, event("emil", 40) | own]
    lines = [",".join(["customer_id", *COLUMNS]), ",".join(["anna", *COLUMNS]), ",".join(["emil", *COLUMNS]), ""]
    (folder / "customers.csv").write_text("\n".join(lines))
    customers = {"path": str(folder / "customers.csv"), "attributes": names.get("customers", [])}
    settings = log_settings(
        write_log(folder / "log.parquet", log),
        events={"attributes": names.get("events", [])},
        data={"customers": customers},
        features={"expressions": dict.fromkeys(names.get("expressions", []), "events_7d")},
    )
    (row,) = build(engine, settings, folder / "rejects.csv").to_dict("records")
    return {str(name): value for name, value in row.items()}


@pytest.mark.parametrize(
    ("names", "key", "column"),
    [
        ({"events": ["Events"]}, "data.events.attributes", "Events"),
        ({"events": ["snapshot_date"]}, "data.events.attributes", "snapshot_date"),
        ({"events": ["plan", "plan"]}, "data.events.attributes", "plan"),
        ({"customers": ["Customer"]}, "data.customers.attributes", "Customer"),
        ({"customers": ["known"]}, "data.customers.attributes", "known"),
        ({"customers": ["churned_30D"]}, "data.customers.attributes", "churned_30D"),
        ({"events": ["plan"], "customers": ["plan"]}, "data.customers.attributes", "plan"),
        ({"expressions": ["customer"]}, "features.expressions", "customer"),
        ({"expressions": ["customer_id"]}, "features.expressions", "customer_id"),
        ({"expressions": ["churned"]}, "features.expressions", "churned"),
        ({"expressions": ["Events_7d"]}, "features.expressions", "Events_7d"),
        ({"customers": ["plan"], "expressions": ["PLAN"]}, "features.expressions", "PLAN"),
    ],
)
def test_a_name_that_is_taken_is_refused(
    duckdb_engine: Engine, tmp_path: Path, names: dict[str, list[str]], key: str, column: str
) -> None:
    """By a feature, by what every row has, or by another column of one's own."""
    sentence = f"{key} names {column!r}, and there is a column of that name already; give it another one."
    with pytest.raises(DataError, match=f"^{re.escape(sentence)}$"):
        build_named(duckdb_engine, tmp_path, **names)


def test_all_other_names_may_be_had(duckdb_engine: Engine, tmp_path: Path) -> None:
    """Also those that are used within: attributes are what the tables say."""
    row = build_named(duckdb_engine, tmp_path, events=["plan"], customers=["place", "attribute_0"], expressions=["at"])
    assert (row["plan"], row["place"], row["attribute_0"], row["at"]) == ("event's plan", "place", "attribute_0", 1)
