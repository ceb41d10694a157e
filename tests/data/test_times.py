"""Times: read as UTC from texts, dates and timestamps, and never guessed from anything else."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pandas as pd
import pyarrow as pa
import pytest

from churn_mlops.data.times import Times, read_times

NOON = pd.Timestamp("2024-01-31 12:00", tz="UTC")


def times_of(values: pa.Array) -> Times:
    """Read an Arrow array as the column `asof`."""
    return read_times(pa.chunked_array([values]), "asof", ["", "NA"])


@pytest.mark.parametrize(
    "values",
    [
        pa.array(["2024-01-31T12:00:00"]),
        pa.array([" 2024-01-31 12:00 "]),
        pa.array(["2024-01-31T14:00:00+02:00"]),
        pa.array(["2024-01-31T12:00:00Z"]).dictionary_encode(),
        pa.array([datetime(2024, 1, 31, 12)], pa.timestamp("us")),  # noqa: DTZ001 - a time without a zone
        pa.array([datetime(2024, 1, 31, 14, tzinfo=timezone(timedelta(hours=2)))], pa.timestamp("us", "Europe/Berlin")),
        pa.array([datetime(2024, 1, 31, 12, tzinfo=UTC)], pa.timestamp("ns", "UTC")),
    ],
)
def test_a_time_is_read_as_utc(values: pa.Array) -> None:
    """Whatever its zone and type, and where it names no zone it is UTC."""
    times = times_of(values)
    assert (times.values.tolist(), times.rejected) == ([NOON], {})


@pytest.mark.parametrize(
    "values", [pa.array(["2024-01-31", "2024-02-01"]), pa.array([date(2024, 1, 31), date(2024, 2, 1)])]
)
def test_a_date_is_its_midnight(values: pa.Array) -> None:
    """Dates as text and as dates are the same times."""
    assert times_of(values).values.tolist() == [
        pd.Timestamp("2024-01-31", tz="UTC"),
        pd.Timestamp("2024-02-01", tz="UTC"),
    ]


@pytest.mark.parametrize(
    "values", [pa.array(["2024-01-31", None, "NA", " "]), pa.array([date(2024, 1, 31), None, None, None])]
)
def test_a_missing_time_rejects_its_row(values: pa.Array) -> None:
    """No time, and no text that means none, can be placed before or after a cut."""
    assert times_of(values).rejected == dict.fromkeys((1, 2, 3), "the time 'asof' is missing.")


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (pa.array(["31.01.2024"]), "'31.01.2024'"),
        (pa.array(["soon"]), "'soon'"),
        (pa.array([20240131]), "20240131"),
        (pa.array([1.5]), "1.5"),
        (pa.array([True]), "True"),
    ],
)
def test_an_unreadable_time_rejects_its_row(values: pa.Array, shown: str) -> None:
    """The reason shows the value and a time that could be read."""
    assert times_of(values).rejected == {
        0: f"the time 'asof' is {shown}; a date or time such as '2024-01-31' or '2024-01-31T12:00:00Z' was expected."
    }
