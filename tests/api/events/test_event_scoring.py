"""What is computed is read as the kind that its feature is of, or refused; so is a program that cannot be run here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from programs import make_program
from version_drafts import make_draft

from churn_mlops.api.event_scoring import EventScoring
from churn_mlops.errors import EventsRefused, VersionRefused
from churn_mlops.models.signature import Feature, Signature

if TYPE_CHECKING:
    from churn_mlops.config.settings import Kind
    from churn_mlops.inference.encoding import Value


def compute(kind: Kind, sql: str, body: bytes = b'{"events": []}', **contract: Any) -> Value:
    """Compute one feature that is what an expression of SQLite gives."""
    manifest = make_draft().model_copy(update={"signature": Signature(features=(Feature(name="found", kind=kind),))})
    program = make_program(f"SELECT {sql}", **contract)
    return EventScoring(program, manifest, 0.5, 10).compute(body).customer["features"]["found"]


@pytest.mark.parametrize(
    ("kind", "sql", "value"),
    [
        ("boolean", "1", True),
        ("boolean", "0", False),
        ("boolean", "' TRUE '", True),
        ("boolean", "'yes'", True),
        ("boolean", "'F'", False),
        ("numeric", "7", 7.0),
        ("numeric", "' +5e0 '", 5.0),
        ("numeric", "'  '", None),
        ("numeric", "' NA '", None),
        ("categorical", "' NA'", None),
        ("categorical", "' a b '", "a b"),
        ("categorical", "5", "5"),
    ],
)
def test_a_computed_value_is_read_as_its_features_kind(kind: Kind, sql: str, value: Value) -> None:
    """A text is trimmed; what training reads as a number or a truth is one here."""
    found = compute(kind, sql, missing_values=("", "NA"))
    assert (type(found), found) == (type(value), value)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("numeric", "many", "a number"),
        ("numeric", "1_000", "a number"),
        ("numeric", "nan", "a number"),
        ("numeric", "1e999", "a number"),
        ("boolean", "maybe", "true or false"),
    ],
)
def test_a_text_that_is_not_of_the_kind_is_refused(kind: Kind, text: str, expected: str) -> None:
    """Not taken for false, and no failure of the service."""
    with pytest.raises(EventsRefused) as refused:
        compute(kind, f"'{text}'")
    assert str(refused.value) == f"The feature 'found' computes to {text!r}; {expected} was expected."
    assert refused.value.fields == ("events",)


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_number_that_no_float_holds_is_refused(sign: str) -> None:
    """As a row of a table is: two amounts that are finite may add up to one that is not."""
    with pytest.raises(EventsRefused, match=f"^The feature 'found' computes to {sign}inf; a number was expected"):
        compute("numeric", f"{sign}(1e308 + 1e308)")


@pytest.mark.parametrize("zone", ["Mars/Olympus", "Europe", "../UTC", ""])
def test_a_time_zone_that_is_not_known_refuses_the_version(zone: str) -> None:
    """When it is loaded, not with each request."""
    with pytest.raises(VersionRefused, match=rf"names the time zone '{zone}', which is not known\.$"):
        compute("numeric", "1", time_zone=zone)


@pytest.mark.parametrize(("seats", "found"), [("1" + "0" * 400, None), ("9223372036854775808", 2.0**63)])
def test_an_attribute_of_any_size_is_taken(seats: str, found: float | None) -> None:
    """As a float where no whole number of the database holds it; missing where none does."""
    body = b'{"events": [], "customer": {"seats": %b}}' % seats.encode()
    assert compute("numeric", '(SELECT "seats" FROM "customers")', body) == found
