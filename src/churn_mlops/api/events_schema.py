"""The request of /predict/events, made from what the model's log had: validated straight from the bytes."""

from __future__ import annotations

from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, NotRequired

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError, WithJsonSchema
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from churn_mlops.api.request_schema import (
    CUSTOMER_ID,
    CUSTOMER_VALUE,
    FEATURE_VALUE,
    KIND_WORDS,
    LONGEST_BYTES,
    SHOWN,
    build_object,
    write_plainly,
)
from churn_mlops.api.responses import shorten
from churn_mlops.errors import EventsRefused, MalformedRequest, find_closest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from churn_mlops.inference.encoding import Value
    from churn_mlops.inference.events.program import EventProgram
    from churn_mlops.models.signature import Signature

_EVENT_BYTES: Final = 1000
"""That a request may have for each event, beside `LONGEST_BYTES`."""

_FAULTS: Final = 1000
_FAULTS_PER_EVENT: Final = 4
"""More than that, or a thousand, are counted and not described: each takes a kilobyte for a moment."""

_LONGEST_TEXT: Final = 200
_TIME = "a time such as '2024-01-31T12:00:00Z'"


def _require_text(value: object) -> object:
    """Let through a text that begins with a day: the parser would take numbers for seconds since 1970."""
    if isinstance(value, str) and value[4:5] == "-":
        return value
    raise PydanticCustomError("no_time", "no time")


_Time = Annotated[
    datetime,
    BeforeValidator(_require_text),
    Field(strict=False),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "description": "ISO 8601; a time without a zone is in that of the log (data.events.time_zone), a day is "
            "its midnight.",
        }
    ),
]
_Date = Annotated[
    date,
    BeforeValidator(_require_text),
    Field(strict=False),
    WithJsonSchema({"type": "string", "format": "date"}),
]
_Text = Annotated[str, Field(max_length=_LONGEST_TEXT)]
_Amount = Annotated[float | None, Field(allow_inf_nan=False)]
_Scalar = str | int | bool | _Amount
_KIND_VALUE: Final[dict[str, Any]] = {
    "text": str | None,
    "integer": int | None,
    "number": _Amount,
    "boolean": bool | None,
}
_KIND_WORDS: Final = {"text": "a text", "integer": "a whole number", "number": "a number", "boolean": "true or false"}
_EXPECTED: Final = {
    "as_of": "a day such as '2024-01-31', or nothing for today in UTC,",
    "time": _TIME,
    "known_time": f"{_TIME} or null",
    "type": f"a text of at most {_LONGEST_TEXT} characters",
    "amount": "a finite number or null",
    "event_id": f"a text of at most {_LONGEST_TEXT} characters, a whole number or null",
    "customer_id": f"a text of at most {_LONGEST_TEXT} characters, a whole number or null",
    "customer_value": "a finite number above 0 or null",
    "events": "a list of events",
    "cancellations": "a list of objects with 'time'",
    "events[]": "an object with 'time'",
    "cancellations[]": "an object with 'time'",
    "attributes": "an object of the event's attributes",
    "customer": "an object of the customer's attributes",
}


class EventsRequest(TypedDict):
    """A customer to score by its events, as `EventsSchema.read` gives it.

    Attributes:
        customer_id: as the client sent it.
        as_of: the day whose midnight in UTC features look back from.
        events: what happened, in any order.
        customer: attributes of the customer.
        cancellations: when the customer cancelled.
        customer_value: what the client says that the customer is worth.
    """

    customer_id: NotRequired[str | int | None]
    as_of: NotRequired[date | None]
    events: list[dict[str, Any]]
    customer: NotRequired[dict[str, Value] | None]
    cancellations: NotRequired[list[dict[str, Any]] | None]
    customer_value: NotRequired[float | None]


class EventsSchema:
    """What a client may send of one customer's events.

    Args:
        program: what the model's log had.
        signature: the model's features.
        mode: how the model decides; a customer's value is taken only where it decides by profit.
        max_events: how many events a customer may have.
    """

    def __init__(self, program: EventProgram, signature: Signature, mode: str, max_events: int) -> None:
        self._program = program
        self._typical = {feature.name: feature.typical for feature in signature.features}
        self._max_events = max_events
        self._longest = LONGEST_BYTES + _EVENT_BYTES * max_events
        self._most_faults = max(_FAULTS, _FAULTS_PER_EVENT * max_events)
        kinds = {feature.name: FEATURE_VALUE[feature.kind] for feature in signature.features}
        # as text, which the log's engine has them as, 5 is not 5.0
        whole = {feature.name: int | kinds[feature.name] for feature in signature.features if feature.kind == "numeric"}
        event = build_object("Event", _event_fields(program, kinds | whole))
        self._words = {column.name: _KIND_WORDS[column.kind] for column in program.customer or ()}
        self._words |= {feature.name: KIND_WORDS[feature.kind] for feature in signature.features}
        self._fields: dict[str, Any] = {
            "customer_id": NotRequired[CUSTOMER_ID],
            "as_of": NotRequired[
                Annotated[
                    _Date | None,
                    Field(
                        description="Features look back from the midnight, in UTC, with which this day begins; without "
                        "it, from the last one."
                    ),
                ]
            ],
            "events": Annotated[list[event], Field(max_length=max_events)],  # type: ignore[valid-type]  # made above
        }
        if program.customer:
            attributes = {
                column.name: NotRequired[kinds.get(column.name, _KIND_VALUE[column.kind])]
                for column in program.customer
            }
            self._fields["customer"] = NotRequired[build_object("CustomerAttributes", attributes) | None]
        if program.has_cancellations:
            times = {"time": _Time, "known_time": NotRequired[_Time | None]}
            one: Any = build_object("Cancellation", times)
            self._fields["cancellations"] = NotRequired[list[one] | None]
        if mode == "profit":
            self._fields["customer_value"] = NotRequired[CUSTOMER_VALUE]
        self._adapter: TypeAdapter[EventsRequest] = TypeAdapter(build_object("PredictEventsRequest", self._fields))

    def read(self, body: bytes) -> EventsRequest:
        """Read one customer's events from a request's body.

        Raises:
            MalformedRequest: the body is no JSON.
            EventsRefused: a field is unknown, missing or of the wrong type; every one is named unless they
                are too many. Or it is longer than any customer's events.
        """
        if len(body) > self._longest:
            detail = f"The request has {len(body):,} bytes; at most {self._longest:,} were expected for one customer."
            raise EventsRefused(detail, ("body",))
        try:
            return self._adapter.validate_json(body)
        except ValidationError as error:
            raise self._refusal(error) from None

    def json_schema(self) -> dict[str, Any]:
        """Give the JSON schema of the request, its parts under `#/components/schemas/`."""
        return self._adapter.json_schema(ref_template="#/components/schemas/{model}")

    def example(self) -> dict[str, Any]:
        """Give a request as it may look: two events on two days."""
        contract = self._program.contract
        event: dict[str, Any] = {"time": "2024-01-30T09:30:00Z"}
        if contract.has_type:
            shown = (*contract.active_types, *contract.types, "login")
            event = {"type": shown[0], **event}
        if contract.has_amount:
            event["amount"] = 12.5
        request: dict[str, Any] = {
            "customer_id": "7590-VHVEG",
            "as_of": "2024-02-01",
            "events": [event, event | {"time": "2024-01-31"}],
        }
        if not self._program.customer:
            return request
        return request | {
            "customer": {
                column.name: write_plainly(self._typical.get(column.name)) for column in self._program.customer
            }
        }

    def _refusal(self, invalid: ValidationError) -> MalformedRequest | EventsRefused:
        if (count := invalid.error_count()) > self._most_faults:
            return EventsRefused(f"The request has {count:,} faults, too many to name.", ("body",))
        errors = invalid.errors(include_url=False)
        if errors[0]["type"] == "json_invalid":
            return MalformedRequest(f"The body is not valid JSON: {errors[0]['ctx']['error']}.")
        first_of: dict[str, ErrorDetails] = {}
        for error in errors:
            first_of.setdefault(_name_place(error["loc"]), error)
        problems = [self._problem(name, error) for name, error in [*first_of.items()][:SHOWN]]
        more = f"; and {len(first_of) - SHOWN:,} more" if len(first_of) > SHOWN else ""
        return EventsRefused("; ".join(problems) + more + ".", first_of)

    def _problem(self, name: str, error: ErrorDetails) -> str:
        if error["type"] == "extra_forbidden":
            return f"{name!r} is not a field of this model's {self._describe_owner(error['loc'])}"
        if error["type"] == "missing":
            return f"{name!r} is missing"
        if error["type"] == "too_long" and error["loc"] == ("events",):
            return f"'events' are more than {self._max_events:,}, all that serving.max_events allows"
        expected = f"an object with {', '.join(map(repr, self._fields))}"
        if error["loc"]:
            name_of_field = str(error["loc"][: _depth(error["loc"])][-1])
            kind = self._words.get(name_of_field, "a text, a finite number, true, false")
            expected = _EXPECTED.get(_find_field(error["loc"]), f"{kind} or null")
        return f"{name!r} is {shorten(error['input'])}; {expected} was expected"

    def _describe_owner(self, location: tuple[int | str, ...]) -> str:
        """Say what has no such field, which ones it has, and which of them may be meant."""
        known, owner = [*self._fields], "requests"
        if location[0] == "events" and len(location) > 2:
            known, owner = [*_event_fields(self._program, {})], "events"
            if location[2] == "attributes" and len(location) > 3:
                known, owner = [*self._program.contract.attributes], "events' attributes"
        elif location[0] == "customer" and len(location) > 1:
            known, owner = [column.name for column in self._program.customer or ()], "customers"
        elif location[0] == "cancellations" and len(location) > 2:
            known, owner = ["time", "known_time"], "cancellations"
        closest = find_closest(str(location[-1]), known)
        return owner + (f" (the closest is {closest!r})" if closest else f"; {', '.join(map(repr, known))} are")


def _event_fields(program: EventProgram, kinds: dict[str, Any]) -> dict[str, Any]:
    contract = program.contract
    fields: dict[str, Any] = {}
    if contract.has_type:
        fields["type"] = Annotated[_Text, Field(description=_describe_types(contract.types))]
    fields["time"] = _Time
    if contract.has_amount:
        fields["amount"] = NotRequired[_Amount]
    if contract.has_known_time:
        known = Field(description="When it became known, if that was later: features see it only from then on.")
        fields["known_time"] = NotRequired[Annotated[_Time | None, known]]
    same = Field(description="Of events with the same one, the first that was known counts.")
    fields["event_id"] = NotRequired[Annotated[_Text | int | None, same]]
    if contract.attributes:
        values = {name: NotRequired[kinds.get(name, _Scalar)] for name in contract.attributes}
        fields["attributes"] = NotRequired[build_object("EventAttributes", values) | None]
    return fields


def _describe_types(types: tuple[str, ...]) -> str:
    if not types:
        return "Any; they count among all events."
    return f"Those with features of their own: {', '.join(types)}; all others count among all events."


def _name_place(location: tuple[int | str, ...]) -> str:
    """Name a place in the request: events[3].amount."""
    name = ""
    for part in location[: _depth(location)]:
        name += f"[{part}]" if isinstance(part, int) else f".{part}" if name else part
    return name or "body"


def _depth(location: tuple[int | str, ...]) -> int:
    """Count the parts of a location that are fields; what follows are the types that were tried."""
    if not location:
        return 0
    if location[0] in ("events", "cancellations"):
        return 4 if location[2:3] == ("attributes",) else 3
    return 2 if location[0] == "customer" else 1


def _find_field(location: tuple[int | str, ...]) -> str:
    """Name the field whose value is wrong; nothing of an attribute."""
    of_customer = location[0] == "customer" and len(location) > 1
    if of_customer or (location[2:3] == ("attributes",) and len(location) > 3):
        return ""
    if location[0] in ("events", "cancellations") and len(location) == 2:
        return f"{location[0]}[]"
    return str(location[: _depth(location)][-1])
