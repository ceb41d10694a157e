"""What a request may hold of one customer's events, what it may not, and how that is said."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from programs import make_program

from churn_mlops.api.events_schema import EventsSchema
from churn_mlops.errors import EventsRefused
from churn_mlops.models.signature import Feature, Signature

if TYPE_CHECKING:
    from churn_mlops.config.settings import Kind

EVENT = {"type": "login", "time": "2024-01-01"}


def make_schema(mode: str = "threshold", device: Kind = "categorical", **contract: Any) -> EventsSchema:
    """Make the schema of a log whose events have two attributes: one is a feature of a kind, and one is none."""
    program = make_program(attributes=("device", "place"), **contract)
    return EventsSchema(program, Signature(features=(Feature(name="device", kind=device),)), mode, max_events=10)


def read(schema: EventsSchema, **fields: Any) -> Any:
    """Read a request without events."""
    return schema.read(json.dumps({"events": [], **fields}).encode())


def read_attributes(schema: EventsSchema, **attributes: Any) -> Any:
    """Read one event with attributes."""
    return read(schema, events=[EVENT | {"attributes": attributes}])["events"][0]["attributes"]


def refuse(schema: EventsSchema, body: bytes) -> EventsRefused:
    """Read what has to be refused."""
    with pytest.raises(EventsRefused) as refused:
        schema.read(body)
    return refused.value


def test_an_attribute_that_is_misspelt_names_the_closest() -> None:
    """Among those of events, not among the fields beside them."""
    with pytest.raises(EventsRefused) as refused:
        read_attributes(make_schema(), devcie="x")
    assert refused.value.fields == ("events[0].attributes.devcie",)
    assert str(refused.value) == (
        "'events[0].attributes.devcie' is not a field of this model's events' attributes (the closest is 'device')."
    )


@pytest.mark.parametrize("body", [b"[]", b"null", b'"x"'])
def test_what_is_no_object_is_the_body(body: bytes) -> None:
    """And the sentence says which fields an object would have."""
    refused = refuse(make_schema(), body)
    assert refused.fields == ("body",)
    assert str(refused) == (
        f"'body' is {body.decode()}; an object with 'customer_id', 'as_of', 'events', 'customer', 'cancellations' was "
        "expected."
    )


def test_ten_faults_are_put_into_words() -> None:
    """All are named; of more than ten, the rest are counted."""
    refused = refuse(make_schema(), json.dumps({"events": [], **dict.fromkeys(map(str, range(12)))}).encode())
    assert refused.fields == tuple(map(str, range(12)))
    assert str(refused).count(" is not a field of this model's requests") == 10
    assert str(refused).endswith("; and 2 more.")


def test_a_customers_value_is_for_a_model_that_decides_by_profit() -> None:
    """Any other has no use for it."""
    assert read(make_schema("profit"), customer_value=12.5)["customer_value"] == 12.5
    with pytest.raises(EventsRefused, match=r"^'customer_value' is not a field"):
        read(make_schema("threshold"), customer_value=12.5)


@pytest.mark.parametrize("kind", ["numeric", "categorical"])
def test_whole_numbers_stay_whole(kind: Kind) -> None:
    """A log has them as texts: 5 of a column of whole numbers, 5.0 of one that has others."""
    schema = make_schema(device=kind)
    for value in (5, 5.0, 2**70):
        name = "device" if kind == "numeric" else "place"
        assert repr(read_attributes(schema, **{name: value})[name]) == repr(value)
    for plain in ("5", True, None):
        assert read_attributes(schema, place=plain)["place"] is plain


@pytest.mark.parametrize(
    ("kind", "attribute", "said"),
    [
        ("numeric", {"device": "x"}, 'device\' is "x"; a number or null was expected.'),
        ("numeric", {"device": float("inf")}, "device' is Infinity; a number or null was expected."),
        ("boolean", {"device": 1}, "device' is 1; true or false or null was expected."),
        ("boolean", {"place": [1]}, "place' is [1]; a text, a finite number, true, false or null was expected."),
        ("boolean", {"place": -float("inf")}, "place' is -Infinity; a text, a finite number, true, false or null was"),
        ("boolean", {"place": float("nan")}, "place' is NaN; a text, a finite number, true, false or null was"),
    ],
)
def test_an_attribute_is_of_its_features_kind(kind: Kind, attribute: dict[str, Any], said: str) -> None:
    """Or any plain value, where it is no feature; infinite is no value."""
    with pytest.raises(EventsRefused) as refused:
        read_attributes(make_schema(device=kind), **attribute)
    assert said in str(refused.value)


def test_a_body_is_no_longer_than_a_customers_events() -> None:
    """64 KiB and 1,000 bytes an event; one more is not even read."""
    schema = make_schema()
    longest = (1 << 16) + 10 * 1000
    body = b'{"events": []}'
    assert schema.read(body.ljust(longest)) == {"events": []}
    refused = refuse(schema, body.ljust(longest + 1))
    assert (str(refused), refused.fields) == (
        "The request has 75,537 bytes; at most 75,536 were expected for one customer.",
        ("body",),
    )


def test_faults_are_named_up_to_a_thousand() -> None:
    """Or four times as many as there may be events; more would take long."""
    bodies = [json.dumps({"events": [], **dict.fromkeys(map(str, range(count)))}).encode() for count in (1000, 1001)]
    named, counted = (refuse(make_schema(), body) for body in bodies)
    assert len(named.fields) == 1000
    assert (str(counted), counted.fields) == ("The request has 1,001 faults, too many to name.", ("body",))


@pytest.mark.parametrize(
    ("types", "said"),
    [
        ((), "Any; they count among all events."),
        (("a", "b"), "Those with features of their own: a, b; all others count among all events."),
    ],
)
def test_the_document_says_which_types_count(types: tuple[str, ...], said: str) -> None:
    """By themselves, or with all others."""
    described = make_schema(types=types).json_schema()["$defs"]["Event"]["properties"]["type"]
    assert described["description"] == said
