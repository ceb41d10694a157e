"""The file of a version that says how to get from one customer's events to its features, without the log's engine."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from churn_mlops.errors import VersionRefused
from churn_mlops.registry.manifest import EVENT_PROGRAM

if TYPE_CHECKING:
    from churn_mlops.registry.manifest import Manifest
    from churn_mlops.registry.reading import Registry


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class EventContract(_Part):
    """Which events can be used: what the log's own check asked.

    Attributes:
        has_type: whether events have types.
        types: those with features of their own; all others are one.
        has_amount: whether they have amounts.
        has_known_time: whether they may become known later than they happen.
        attributes: names of what else they have.
        time_zone: of times that name none.
        earliest: events before this day are dropped.
        nonnegative: types of events whose amount may not be negative; "*" are all.
        identifying: fields in which events without an id must differ, or they are one that was written twice; None
            where the log had other columns to tell them apart.
        missing_values: texts that mean that an attribute has no value.
        active_types: types of events that show activity; none are all.
        active_days: a customer without such an event in as many days before the snapshot is not at risk.
    """

    has_type: bool
    types: tuple[str, ...]
    has_amount: bool
    has_known_time: bool
    attributes: tuple[str, ...]
    time_zone: str
    earliest: date
    nonnegative: tuple[str, ...]
    identifying: tuple[str, ...] | None
    missing_values: tuple[str, ...]
    active_types: tuple[str, ...]
    active_days: int


class CustomerColumn(_Part):
    """An attribute of customers: its name, and how the engine had it."""

    name: str
    kind: Literal["text", "integer", "number", "boolean"]


class Step(_Part):
    """A query whose result later ones read as a table of this name."""

    table: str
    columns: tuple[str, ...]
    sql: str


class EventProgram(_Part):
    """How the features of one customer are computed.

    Attributes:
        format_version: raised with any change that an older reader would misread.
        snapshot: the day that the queries look back from; times are moved by whole days, so that it is any day.
        contract: which events can be used.
        customer: attributes of customers; None where the model was trained without any.
        has_cancellations: whether customers who cancelled are not at risk.
        inputs: the columns of the tables that are filled before the first step.
        steps: in order, in SQLite's dialect; the last one gives the features by name, in one row, or none where the
            customer is not at risk.
    """

    format_version: Literal[1] = 1
    snapshot: date
    contract: EventContract
    customer: tuple[CustomerColumn, ...] | None
    has_cancellations: bool
    inputs: dict[str, tuple[str, ...]]
    steps: Annotated[tuple[Step, ...], Field(min_length=1)]


def read_program(registry: Registry, manifest: Manifest) -> EventProgram | None:
    """Read a version's program; None where it has none.

    Raises:
        VersionRefused: it is not the one that was written, of a format that is not known, or does not fit the version.
    """
    if EVENT_PROGRAM not in manifest.files:
        return None
    try:
        program = EventProgram.model_validate_json(registry.read_file(manifest, EVENT_PROGRAM))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise VersionRefused(manifest.version, f"{EVENT_PROGRAM} cannot be read ({where}: {first['msg']}).") from error
    absent = [name for name in manifest.signature.names if name not in program.steps[-1].columns]
    if absent:
        raise VersionRefused(manifest.version, f"{EVENT_PROGRAM} does not compute the feature {absent[0]!r}.")
    return program
