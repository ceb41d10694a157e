"""Tables beside the log are read as it is; what cannot be used in them is told."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from event_logs import build, event, log_settings, write_log

from churn_mlops.errors import DataError
from churn_mlops.features.customers import read_cancellations, read_customers

if TYPE_CHECKING:
    from pathlib import Path

    from churn_mlops.config.settings import Settings
    from churn_mlops.data.events.engine import Engine


def cancelled(folder: Path, *lines: str, customer: object = "anna", known_time: str | None = None) -> Settings:
    """Give the settings of a log with a file of cancellations."""
    header = ",".join(filter(None, ["customer_id", "time", known_time]))
    (folder / "gone.csv").write_text("\n".join([header, *lines, ""]))
    log = write_log(folder / "log.parquet", [event(customer, -1), event(customer, 40)])
    file = {"path": str(folder / "gone.csv"), "known_time": known_time}
    return log_settings(log, data={"cancellations": file})


def test_cancellations_of_which_none_can_be_used_are_refused(duckdb_engine: Engine, tmp_path: Path) -> None:
    """With the columns, and a time as it stands there: nobody would have left otherwise."""
    settings = cancelled(tmp_path, "anna,31.05.2024", "ben,30.05.2024")
    sentence = (
        f"{tmp_path / 'gone.csv'} has no row that can be used among its 2: 'customer_id', 'time' should say "
        f"who and when, as in 2024-05-31; one of them says 'customer_id' ben, 'time' 30.05.2024."
    )
    with pytest.raises(DataError, match=f"^{re.escape(sentence)}$"):
        read_cancellations(duckdb_engine, settings.data)


def test_cancellations_that_cannot_be_used_are_told(duckdb_engine: Engine, tmp_path: Path) -> None:
    """How many there are, where others can be used; nothing where all can."""
    told: dict[str, str] = {}
    settings = cancelled(tmp_path, "anna,31.05.2024", "ben,2024-05-30", ",2024-05-30")
    table = read_cancellations(duckdb_engine, settings.data, told.__setitem__)
    assert table is not None
    assert duckdb_engine.count(table) == 1
    assert told.pop("data.cancellations").startswith("2 of 3 cannot be used: ")
    read_cancellations(duckdb_engine, cancelled(tmp_path, "ben,2024-05-30").data, told.__setitem__)
    read_cancellations(duckdb_engine, cancelled(tmp_path).data, told.__setitem__)
    assert not told


def test_a_cancellation_of_which_nobody_knows_since_when_it_was_known_is_told(
    duckdb_engine: Engine, tmp_path: Path
) -> None:
    """It does not count as known when it was made, for then features would tell what nobody knew."""
    told: dict[str, str] = {}
    known = ("2024-06-02", "02.06.2024", "", "2024-05-01")
    lines = [f"{name},2024-05-31,{when}" for name, when in zip(("anna", "ben", "carl", "dora"), known, strict=True)]
    settings = cancelled(tmp_path, *lines, known_time="noted")
    table = read_cancellations(duckdb_engine, settings.data, told.__setitem__)
    assert table is not None
    rows = {row["customer"]: row for row in duckdb_engine.batches(table).read_all().to_pylist()}
    assert set(rows) == {"anna", "dora"}
    assert rows["anna"]["known"] - rows["anna"]["at"] == 2 * 86_400_000_000
    assert rows["dora"]["known"] == rows["dora"]["at"]
    assert told["data.cancellations"] == (
        "2 of 4 cannot be used: 'customer_id', 'time', 'noted' should say who and when, as in 2024-05-31; one of them "
        "says 'customer_id' carl, 'time' 2024-05-31, 'noted' nothing"
    )


def test_attributes_of_which_nobody_knows_since_when_are_told(duckdb_engine: Engine, tmp_path: Path) -> None:
    """They are never seen, but there is such a customer; nobody is where the customer is missing."""
    told: dict[str, str] = {}
    lines = ("customer_id,since,plan", "anna,2024-05-01,basic", "ben,01.05.2024,plus", ",2024-05-01,plus")
    (tmp_path / "customers.csv").write_text("\n".join([*lines, ""]))
    chosen = {"path": str(tmp_path / "customers.csv"), "known_time": "since", "attributes": ["plan"]}
    log = write_log(tmp_path / "log.parquet", [event("anna", -1), event("ben", -1)])
    settings = log_settings(log, data={"customers": chosen})
    table = read_customers(duckdb_engine, settings.data, told.__setitem__)
    assert table is not None
    rows = duckdb_engine.batches(table).read_all().to_pylist()
    assert {row["customer"]: row["known"] is None for row in rows} == {"anna": False, "ben": True}
    assert told["data.customers"].startswith("2 of 3 cannot be used: 'customer_id', 'since' should say who and when")
    plans = build(duckdb_engine, settings, tmp_path / "rejects.csv").set_index("customer_id")["plan"]
    assert plans["anna"] == "basic"
    assert pd.isna(plans["ben"])


def test_cancellations_of_another_kind_of_customer_are_refused(duckdb_engine: Engine, tmp_path: Path) -> None:
    """A text that is no number can be no customer of a log whose ids are numbers; a number as text can."""
    rows = build(duckdb_engine, cancelled(tmp_path, " 7 ,2024-05-31T23:59:00", customer=7), tmp_path / "rejects.csv")
    assert len(rows) == 0
    settings = cancelled(tmp_path, "7,2024-05-31", "C2,2024-05-31", customer=7)
    with pytest.raises(DataError, match=r"data\.cancellations has the customer 'C2', and in the log customers are "):
        build(duckdb_engine, settings, tmp_path / "rejects.csv")
