"""Which events are taken: what the log's own check takes, moved to the day that the queries look back from."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from event_logs import check, log_settings, write_log
from hypothesis import given
from hypothesis import strategies as st
from programs import SNAPSHOT, make_program

from churn_mlops.data.events import meaning
from churn_mlops.inference.events import taking
from churn_mlops.inference.events.engine import FeatureEngine
from churn_mlops.inference.events.taking import EventTaker, TakenEvents, midnight

if TYPE_CHECKING:
    from pathlib import Path

    from churn_mlops.data.events.engine import Engine

DAY = date(2024, 3, 31)
NOW = datetime(2024, 6, 1, tzinfo=UTC)


def event(time: str, kind: str = "login", **fields: Any) -> dict[str, Any]:
    """Make an event; times as texts."""
    known = fields.pop("known_time", None)
    times = {"time": datetime.fromisoformat(time), "known_time": known and datetime.fromisoformat(known)}
    return {"type": kind, **times, **fields}


def take(*events: dict[str, Any], **contract: Any) -> TakenEvents:
    """Take events as of `DAY`."""
    return EventTaker(make_program(**contract)).take(events, DAY, NOW)


def test_times_are_moved_by_whole_days() -> None:
    """What was known a second before the day begins is so before the day that was compiled."""
    taken = take(event("2024-03-30T23:59:59Z", known_time="2024-03-30T23:59:59.5Z"), event("2024-03-31T00:00:00Z"))
    assert taken.rows == [(0, midnight(SNAPSHOT) - 1_000_000, midnight(SNAPSHOT) - 500_000, "login", None)]
    assert taken.dropped == {"it was not known before 2024-03-31": 1}


def test_nothing_is_known_before_it_happens() -> None:
    """A known time before the event's own is that one."""
    ((_, at, known, *_),) = take(event("2024-03-20T12:00:00Z", known_time="2024-03-01T00:00:00Z")).rows
    assert at == known


def test_a_time_without_a_zone_is_in_that_of_the_log() -> None:
    """On both sides of the night in which clocks change; one with a zone is as it says."""
    events = [event("2024-03-30T12:00:00"), event("2024-01-30T12:00:00"), event("2024-01-30T12:00:00+00:00")]
    rows = take(*events, time_zone="Europe/Berlin").rows
    noon = [datetime(2024, 3, 30, 12, tzinfo=ZoneInfo("Europe/Berlin")), datetime(2024, 1, 30, 11, tzinfo=UTC)]
    begin = datetime(2024, 3, 31, tzinfo=UTC)
    expected = [(time - begin) // timedelta(microseconds=1) for time in (*noon, noon[1] + timedelta(hours=1))]
    assert [row[1] - midnight(SNAPSHOT) for row in rows] == expected  # type: ignore[operator]  # times are whole numbers


def test_negative_amounts_are_dropped_where_none_may_be() -> None:
    """Of the types that were named, or of all."""
    events = [event("2024-03-01", kind, amount=-1.0) for kind in ("login", "payment")]
    assert take(*events).dropped == {}
    assert take(*events, nonnegative=("payment",)).dropped == {"'amount' is negative": 1}
    assert take(*events, nonnegative=("*",)).dropped == {"'amount' is negative": 2}


def test_of_events_with_the_same_id_the_first_known_counts() -> None:
    """Whatever else differs, and in whatever order they come."""
    late, early = (
        event("2024-03-01", amount=2.0, known_time="2024-03-09", event_id="a"),
        event("2024-03-05", amount=3.0, event_id="a"),
    )
    for events in ((late, early), (early, late)):
        taken = take(*events, identifying=("time",))
        assert [row[4] for row in taken.rows] == [3_000_000]
        assert taken.dropped == {"'event_id' occurred before": 1}


def test_events_written_twice_are_one_where_the_log_could_tell() -> None:
    """By the fields that it had; without such, two alike are two."""
    events = [event("2024-03-01", amount=1.0), event("2024-03-01", amount=1.0, known_time="2024-03-02")]
    assert len(take(*events).rows) == 2
    assert len(take(*events, identifying=("time", "type", "amount", "known_time")).rows) == 2
    taken = take(*events, identifying=("time", "type", "amount"))
    assert (len(taken.rows), taken.dropped) == (1, {"the event was written twice": 1})


def test_attributes_are_texts_as_in_a_log() -> None:
    """In the order of the program; what is empty or absent is missing."""
    given = {"device": " ios ", "beta": True, "seats": 5, "other": ""}
    rows = take(event("2024-03-01", attributes=given), attributes=("beta", "device", "seats", "other", "none")).rows
    assert rows[0][5:] == ("true", "ios", "5", None, None)


def test_a_log_without_types_has_one() -> None:
    """All events are of it."""
    bare = {name: value for name, value in event("2024-03-01").items() if name != "type"}
    assert take(bare, has_type=False, types=("event",)).rows[0][3] == "event"


@pytest.mark.parametrize(
    ("amount", "millionths"),
    [(0.1, 100_000), (1e-6 / 2, 1), (-1e-6 / 2, -1), (4e-7, 0), (12, 12_000_000), (1e12, 10**18), (None, None)],
)
def test_amounts_are_whole_millionths(amount: float | None, millionths: int | None) -> None:
    """Halves away from zero, as the engines round."""
    assert take(event("2024-03-01", amount=amount)).rows[0][4] == millionths


def test_customers_and_cancellations_become_rows() -> None:
    """Attributes as the engine had them, known before the day; a cancellation is never known before it happened."""
    taker = EventTaker(make_program())
    assert taker.take_customer({"seats": 5.0, "plan": "basic"}) == [(0, midnight(SNAPSHOT) - 1, "basic", 5)]
    assert taker.take_customer({}) == [(0, midnight(SNAPSHOT) - 1, None, None)]
    one = event("2024-03-30", known_time="2024-03-01")
    before = midnight(SNAPSHOT) - 86_400_000_000
    assert taker.take_cancellations([one, event("2024-03-30")], DAY) == [(0, before, before)] * 2


@pytest.mark.parametrize(
    ("seats", "taken"),
    [
        (5, 5),
        (5.0, 5),
        ("5", 5),
        ("5.0", 5),
        (2**53 + 1, 2**53 + 1),
        (str(2**53 + 1), 2**53 + 1),
        (-(2**63), -(2**63)),
        (2**63, 2.0**63),
        (1e19, 1e19),
        (1e300, 1e300),
        pytest.param(10**400, None, id="immense"),
        (5.5, 5.5),
        ("five", None),
        (True, 1),
    ],
)
def test_a_whole_number_stays_itself(seats: Any, taken: Any) -> None:
    """Up to the largest that the engine can hold; a larger one is a float, or missing where it is none."""
    program = make_program('SELECT "seats" FROM "customers"')
    rows = EventTaker(program).take_customer({"seats": seats})
    assert (rows[0][3], type(rows[0][3])) == (taken, type(taken))
    assert FeatureEngine(program).compute({"customers": rows}) == {"found": taken}


ALIKE: tuple[dict[str, Any], ...] = (
    {"amount": None, "attributes": {}},
    {"amount": -1.0, "attributes": {}},
    {"amount": 0.0, "attributes": {}},
    {"amount": 0.0, "attributes": {"device": "android"}},
    {"amount": 0.0, "attributes": {"device": "ios"}},
    {"amount": 0.0, "attributes": {"device": "ios", "beta": "no"}},
)


@pytest.mark.parametrize("first", range(len(ALIKE)))
def test_of_equals_the_one_counts_that_the_logs_check_keeps(duckdb_engine: Engine, tmp_path: Path, first: int) -> None:
    """Known, happened and typed alike: without an amount first, then the smaller one, then attributes by name."""
    rest = ALIKE[first:]
    same = [event("2024-03-01", event_id="a", **fields) for fields in rest]
    taken = [take(*events, attributes=("device", "beta")).rows for events in (same, same[::-1])]
    of_log = [one | {"beta": None, "device": None} | one["attributes"] | {"customer_id": "c"} for one in same]
    settings = log_settings(
        write_log(tmp_path / "log.parquet", [one | {"attributes": None} for one in of_log]),
        events={"event_id": "event_id", "known_time": None, "attributes": ["device", "beta"]},
    )
    (kept,) = duckdb_engine.batches(check(duckdb_engine, settings, tmp_path / "r.csv").events).read_all().to_pylist()
    for ((_, _, _, kind, *values),) in taken:
        assert (kind, *values) == (kept["type"], kept["amount"], kept["attribute_0"], kept["attribute_1"])
        assert values[0] == (None if rest[0]["amount"] is None else rest[0]["amount"] * 1_000_000)


def test_what_is_written_twice_is_the_same() -> None:
    """The figures that the API does without Ibis for are those of the log's check."""
    assert (taking.ONLY_TYPE, taking._MILLIONTHS) == (meaning.ONLY_TYPE, meaning.MILLIONTHS)
    assert taking._LARGEST_AMOUNT == meaning.LARGEST_AMOUNT


moments = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.sampled_from([None, UTC]))  # noqa: DTZ001 - st gives the zones


@given(
    times=st.lists(st.tuples(moments, moments | st.none()), max_size=20),
    day=st.dates(date(1, 1, 1), date(2024, 6, 2)),
    zone=st.sampled_from(["UTC", "Asia/Kathmandu", "America/New_York"]),
)
def test_any_events_are_taken_or_counted(times: list[Any], day: date, zone: str) -> None:
    """Property: each is either a row from before the day or counted with a reason, and none from after now is used."""
    events = [{"type": "login", "time": time, "known_time": known} for time, known in times]
    taken = EventTaker(make_program(time_zone=zone)).take(events, day, NOW)
    assert len(taken.rows) + sum(taken.dropped.values()) == taken.received == len(events)
    assert all(row[1] <= row[2] < midnight(SNAPSHOT) for row in taken.rows)  # type: ignore[operator]  # whole numbers
