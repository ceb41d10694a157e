"""Every row of a log that is no usable event is rejected with its reason, and written where it can be looked at."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING, Any

import pytest
from event_logs import NOW, check, event, log_settings, write_log

from churn_mlops.data.events import contract
from churn_mlops.errors import ChurnMlopsError, DataError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from churn_mlops.data.events.contract import EventLog
    from churn_mlops.data.events.engine import Engine

GOOD = event("anna", -1, "purchase", 5.0)


def checked(engine: Engine, folder: Path, rows: Sequence[dict[str, Any]], **sections: Any) -> EventLog:
    """Check some events."""
    path = write_log(folder / "log.parquet", rows)
    return check(engine, log_settings(path, **sections), folder / "rejects" / "events.csv")


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (event(None, -1), "'customer_id' is missing"),
        (event("  ", -1), "'customer_id' is missing"),
        (event("ben", -1, None), "'type' is missing"),
        (event("ben", -1, ""), "'type' is missing"),
        (event("ben", -20_000), "'time' is before data.events.earliest"),
        (event("ben", 400), "'time' is in the future"),
        (GOOD | {"time": None}, "'time' is no time"),
        (GOOD | {"known_time": None}, "'known_time' is no time"),
        (event("ben", -1, known=400), "'known_time' is in the future"),
        (event("ben", -1, "purchase", -5.0), "'amount' is negative"),
        (event("ben", -1, "purchase", float("inf")), "'amount' is no number up to 1,000,000,000,000"),
        (event("ben", -1, "test"), "it is a test"),
        (event("nobody", -1), "the customer is not in data.customers"),
    ],
)
def test_a_wrong_row_is_rejected_with_its_reason(
    duckdb_engine: Engine, tmp_path: Path, row: dict[str, Any], reason: str
) -> None:
    """It is counted and written, and the good ones are used."""
    (tmp_path / "customers.csv").write_text("customer_id,plan\nanna,plus\nben,basic\n")
    log = checked(
        duckdb_engine,
        tmp_path,
        [GOOD, row],
        events={"nonnegative": ["purchase"], "exclude": {"it is a test": "type = 'test'"}},
        data={"customers": {"path": str(tmp_path / "customers.csv"), "attributes": ["plan"]}},
    )
    assert (log.rows_read, log.rejected, log.type_counts) == (2, {reason: 1}, {"purchase": 1})
    with log.rejects.open() as file:
        (written,) = csv.DictReader(file)
    assert written["reason"] == reason
    assert written["customer_id"] == (row["customer_id"] or "")
    assert log.describe() == f"2 events read, 1 used; rejected: 1 because {reason}"


def test_a_negative_amount_may_be_meant(duckdb_engine: Engine, tmp_path: Path) -> None:
    """Only types that data.events.nonnegative names are asked."""
    log = checked(duckdb_engine, tmp_path, [event("ben", -1, "refund", -5.0)], events={"nonnegative": ["purchase"]})
    assert log.rejected == {}
    assert log.rejects.read_text() == ""


def test_exact_duplicates_are_one_event(duckdb_engine: Engine, tmp_path: Path) -> None:
    """All but one of equal rows are rejected; rows that differ in anything are not equal."""
    log = checked(duckdb_engine, tmp_path, [GOOD, GOOD, GOOD, GOOD | {"amount": 6.0}])
    assert log.rejected == {"the row was written twice": 2}
    assert duckdb_engine.count(log.events) == 2


def test_columns_may_be_left_out_of_the_comparison(duckdb_engine: Engine, tmp_path: Path) -> None:
    """A log that was put together of overlapping parts says which part a row is of."""
    rows = [GOOD | {"part": 1}, GOOD | {"part": 2}]
    assert checked(duckdb_engine, tmp_path, rows).rejected == {}
    log = checked(duckdb_engine, tmp_path, rows, events={"not_identifying": ["part"]})
    assert log.rejected == {"the row was written twice": 1}


def test_of_rows_with_one_event_id_the_first_known_counts(duckdb_engine: Engine, tmp_path: Path) -> None:
    """A correction that came later does not change what was known before."""
    rows = [
        event("ben", -3, "purchase", 7.0, known=-1) | {"id": 1},
        event("ben", -3, "purchase", 5.0, known=-2) | {"id": 1},
        event("ben", -3, "purchase", 5.0) | {"id": 2},
    ]
    log = checked(duckdb_engine, tmp_path, rows, events={"event_id": "id"})
    assert log.rejected == {"'id' occurred before": 1}
    assert duckdb_engine.batches(log.events).read_all()["amount"].to_pylist() == [5_000_000, 5_000_000]


@pytest.mark.parametrize("amounts", [(7.0, 6.0), (6.0, 7.0), (None, 6.0), (6.0, None)])
def test_which_of_two_equals_is_kept_is_no_matter_of_order(
    duckdb_engine: Engine, tmp_path: Path, amounts: tuple[float | None, float | None]
) -> None:
    """Of rows with one event id and the same times, the least amount counts, wherever it stands in the log."""
    rows = [GOOD | {"id": 1, "amount": amount} for amount in amounts]
    log = checked(duckdb_engine, tmp_path, rows, events={"event_id": "id"})
    kept = duckdb_engine.batches(log.events).read_all()["amount"].to_pylist()
    assert kept == [None if None in amounts else 6_000_000]


def test_a_row_without_an_event_id_is_not_another_ones_duplicate(duckdb_engine: Engine, tmp_path: Path) -> None:
    """It is rejected for what it is."""
    rows = [GOOD | {"id": name} for name in ("a", None, None, " ")]
    log = checked(duckdb_engine, tmp_path, rows, events={"event_id": "id"})
    assert log.rejected == {"'id' is missing": 3}


def test_every_row_counts_however_many_types_there_are(
    duckdb_engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the most frequent types are named, but rows, rejects and times are those of all."""
    monkeypatch.setattr(contract, "_MOST_TYPES", 2)
    rows = [event("a", -day, kind) for day, kind in enumerate("xxxyyz", start=1)] + [event(None, -9, k) for k in "pqr"]
    log = checked(duckdb_engine, tmp_path, rows)
    assert (log.rows_read, log.rejected) == (9, {"'customer_id' is missing": 3})
    assert log.type_counts == {"x": 3, "y": 2}
    assert (log.last - log.first) // contract.DAY_MICROSECONDS == 5


def test_rows_and_types_are_counted(duckdb_engine: Engine, tmp_path: Path) -> None:
    """The most frequent type comes first."""
    log = checked(duckdb_engine, tmp_path, [event("a", -1), event("a", -2), GOOD])
    assert log.type_counts == {"login": 2, "purchase": 1}
    assert log.has_amount
    assert log.first < log.last < NOW.timestamp() * 1e6


def test_blanks_around_customers_and_types_do_not_matter(duckdb_engine: Engine, tmp_path: Path) -> None:
    """With them and without they are the same, whether other rows are rejected or not."""
    rows = [event("ben ", -1), event(" ben", -2, "login "), event("ben", -3), event(" ", -4), event("ben", 400, " ")]
    log = checked(duckdb_engine, tmp_path, rows)
    assert log.type_counts == {"login": 3}
    assert log.rejected == {"'customer_id' is missing": 1, "'time' is in the future": 1}
    events = duckdb_engine.batches(log.events).read_all()
    assert set(events["customer"].to_pylist()) == {"ben"}
    assert set(events["type"].to_pylist()) == {"login"}


def test_the_reason_of_a_row_is_its_first(duckdb_engine: Engine, tmp_path: Path) -> None:
    """In the order of the contract, whether a fault lies in a text or in a number."""
    rows = [GOOD, event(None, 400, None), event("ben", 400, None), event("ben", -1, None, float("inf"))]
    log = checked(duckdb_engine, tmp_path, rows)
    reasons = {"'customer_id' is missing": 1, "'time' is in the future": 1, "'type' is missing": 1}
    assert log.rejected == reasons
    with log.rejects.open() as file:
        assert sorted(row["reason"] for row in csv.DictReader(file)) == sorted(reasons)


@pytest.mark.parametrize(
    ("sections", "sentence"),
    [
        ({"events": {"customer": "customer"}}, "data.events.customer names the column 'customer', which"),
        ({"events": {"customer": "customer"}}, "The closest is 'customer_id'"),
        ({"events": {"amount": "price"}}, "data.events.amount names the column 'price'"),
        ({"events": {"derive": {"x": "amount +"}}}, "data.events.derive.x is 'amount +', which is no SQL expression"),
        ({"events": {"exclude": {"old": "yeer > 3"}}}, "data.events.exclude.old names the column 'yeer'"),
        ({"events": {"exclude": {"all": "1 = 1"}}}, "has no event that can be used (1 because all)"),
        (
            {"events": {"exclude": {"it": "amount"}}},
            "data.events.exclude.it is 'amount', which is neither true nor false",
        ),
        ({"events": {"amount": "time"}}, "data.events.amount names the column 'time', which holds timestamp"),
        ({"events": {"event_id": "x", "derive": {"x": "type"}}}, "it should be a column of the log itself"),
        ({"events": {"path": "nowhere.parquet"}}, "Cannot read nowhere.parquet: there is no such file"),
        ({"events": {"path": "nowhere/*.csv"}}, "no file fits this pattern"),
        ({"events": {"path": "README.md"}}, "its ending is none of .parquet, .csv"),
        ({"events": {"path": None, "table": "log"}}, "data.events.table is 'log', which the engine does not have"),
    ],
)
def test_a_log_that_cannot_be_used_is_refused_in_a_sentence(
    duckdb_engine: Engine, tmp_path: Path, sections: dict[str, Any], sentence: str
) -> None:
    """It names the key and what was expected."""
    with pytest.raises(ChurnMlopsError) as refused:
        checked(duckdb_engine, tmp_path, [GOOD], **sections)
    assert sentence in str(refused.value)


def test_rows_of_a_log_without_events_can_be_looked_at(duckdb_engine: Engine, tmp_path: Path) -> None:
    """They are written with their reasons before it is refused, and the sentence says where."""
    with pytest.raises(DataError) as refused:
        checked(duckdb_engine, tmp_path, [event(None, -1), event("ben", 400)])
    rejects = tmp_path / "rejects" / "events.csv"
    assert str(refused.value).endswith(f"1 because 'time' is in the future). They are in {rejects}.")
    with rejects.open() as file:
        reasons = sorted(row["reason"] for row in csv.DictReader(file))
    assert reasons == ["'customer_id' is missing", "'time' is in the future"]


def test_a_log_without_rows_leaves_no_rejects(duckdb_engine: Engine, tmp_path: Path) -> None:
    """There is nothing to look at."""
    (tmp_path / "log.csv").write_text("customer_id,time,type,amount,known_time\n")
    with pytest.raises(DataError, match=r"\(it has no rows\)\.$"):
        check(duckdb_engine, log_settings(tmp_path / "log.csv"), tmp_path / "rejects.csv")
    assert not (tmp_path / "rejects.csv").exists()


def test_columns_of_the_log_may_be_called_as_ours(duckdb_engine: Engine, tmp_path: Path) -> None:
    """Its own `reason` stands beside the reason of the rejects, and its `_key` stays what it is."""
    own = {"Reason": "a whim", "_key": 7}
    log = checked(duckdb_engine, tmp_path, [GOOD | own, GOOD | own, event(None, -1) | own])
    assert log.rejected == {"'customer_id' is missing": 1, "the row was written twice": 1}
    assert log.rows_used == duckdb_engine.count(log.events) == 1
    with log.rejects.open() as file:
        written = list(csv.DictReader(file))
    assert sorted(row["_reason"] for row in written) == sorted(log.rejected)
    assert {(row["Reason"], row["_key"]) for row in written} == {("a whim", "7")}


def test_a_row_may_be_left_out_by_any_name(duckdb_engine: Engine, tmp_path: Path) -> None:
    """Also by what would be said of customers who are not in a table, where there is none."""
    exclude = {"the customer is not in data.customers": "type = 'test'"}
    log = checked(duckdb_engine, tmp_path, [GOOD, event("ben", -1, "test")], events={"exclude": exclude})
    assert log.rejected == dict.fromkeys(exclude, 1)


def test_customers_that_are_no_whole_numbers_are_rejected_among_them(duckdb_engine: Engine, tmp_path: Path) -> None:
    """Of ids that are kept as floats; none of them ends the check."""
    rows = [event(customer, -1) for customer in (1.0, 1.5, float("nan"), float("inf"), 1e300)]
    log = checked(duckdb_engine, tmp_path, rows)
    assert log.rejected == {"'customer_id' is missing": 4}
    assert duckdb_engine.batches(log.events).read_all()["customer"].to_pylist() == [1]


def test_customers_of_another_kind_are_refused_in_a_sentence(duckdb_engine: Engine, tmp_path: Path) -> None:
    """A text that is no number can be no customer of a log whose ids are numbers; a number as text can."""
    table, data = tmp_path / "customers.csv", {"customers": {"path": str(tmp_path / "customers.csv")}}
    table.write_text("customer_id\n1\n 2 \n")
    assert checked(duckdb_engine, tmp_path, [event(2, -1)], data=data).rejected == {}
    table.write_text("customer_id\n1\nC2\n")
    with pytest.raises(DataError, match=r"data\.customers has the customer 'C2', and in the log customers are whole"):
        checked(duckdb_engine, tmp_path, [event(2, -1)], data=data)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "folder", "pattern", "partitions"])
def test_all_kinds_of_files_give_the_same_events(duckdb_engine: Engine, tmp_path: Path, kind: str) -> None:
    """Texts in a CSV file, JSON lines, folders, partitioned folders and patterns."""
    (tmp_path / "a.csv").write_text(
        "customer_id,time,type,amount,known_time\n7,2024-05-30 01:02:03.5,login,,2024-05-30T02:00:00Z\n"
        " 7 ,2024-05-30T23:00:00-02:00,purchase, 5.5 ,2024-05-31T01:00:00Z\n"
    )
    copy, source = duckdb_engine.connection.raw_sql, f"'{tmp_path / 'a.csv'}', all_varchar = true"
    paths = {"csv": tmp_path / "a.csv", "jsonl": tmp_path / "a.jsonl"}
    paths |= {"folder": tmp_path / "log", "pattern": tmp_path / "log" / "*.parquet", "partitions": tmp_path / "parts"}
    (tmp_path / "log").mkdir()
    copy(f"COPY (FROM read_csv({source})) TO '{tmp_path / 'a.jsonl'}' (FORMAT json)")
    copy(f"COPY (FROM read_csv({source}) LIMIT 1) TO '{tmp_path / 'log' / '1.parquet'}'")
    copy(f"COPY (FROM read_csv({source}) OFFSET 1) TO '{tmp_path / 'log' / '2.parquet'}'")
    copy(f"COPY (FROM read_csv({source})) TO '{tmp_path / 'parts'}' (FORMAT parquet, PARTITION_BY (type))")

    log = check(duckdb_engine, log_settings(paths[kind]), tmp_path / "rejects.csv")
    events = duckdb_engine.batches(log.events).read_all().to_pandas().sort_values("at")
    assert events["customer"].tolist() == ["7", "7"]
    assert events["type"].tolist() == ["login", "purchase"]
    assert events["at"].tolist() == [1717030923500000, 1717117200000000]
    assert events["amount"].tolist()[1] == 5_500_000


def test_lines_that_are_no_rows_are_rejected(duckdb_engine: Engine, tmp_path: Path) -> None:
    """Too few fields and too many: they are counted, written as they stand in the file, and the others are used."""
    lines = [
        "customer_id,time,type,amount,known_time",
        "anna,2024-05-30,login,,2024-05-30",
        "ben,2024-05-30,login",
        'cleo,2024-05-30,login,1,2024-05-30,"more, of it"',
        ",2024-05-30,login,,2024-05-30",
        '"dora\nde",2024-05-30,login,,2024-05-30',
    ]
    (tmp_path / "log.csv").write_text("\n".join([*lines, ""]))
    log = check(duckdb_engine, log_settings(tmp_path / "log.csv"), tmp_path / "rejects.csv")
    assert log.rejected == {"the line is no row of the table": 2, "'customer_id' is missing": 1}
    assert (log.rows_read, log.rows_used, duckdb_engine.count(log.events)) == (5, 2, 2)
    with log.rejects.open() as file:
        written = [row["customer_id"] for row in csv.DictReader(file) if row["reason"].startswith("the line")]
    assert sorted(written) == lines[2:4]


def test_a_log_of_lines_that_are_no_rows_is_refused(duckdb_engine: Engine, tmp_path: Path) -> None:
    """With their number, and where they are."""
    (tmp_path / "log.csv").write_text("customer_id,time,type,amount,known_time\nanna\nben\n")
    with pytest.raises(DataError, match=r"\(2 because the line is no row of the table\)\. They are in "):
        check(duckdb_engine, log_settings(tmp_path / "log.csv"), tmp_path / "rejects.csv")
    assert (tmp_path / "rejects.csv").read_text().count("the line is no row of the table") == 2


def test_a_line_of_a_table_beside_the_log_must_be_a_row(duckdb_engine: Engine, tmp_path: Path) -> None:
    """Nobody would look for its customer among the rejected events."""
    (tmp_path / "customers.csv").write_text("customer_id,plan\nanna,plus\nben\n")
    data = {"customers": {"path": str(tmp_path / "customers.csv")}}
    with pytest.raises(DataError, match=r"customers\.csv: line 3 is no row of the table, .*: 'ben'$"):
        checked(duckdb_engine, tmp_path, [GOOD], data=data)
