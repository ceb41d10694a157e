"""From the bytes of one customer's events to its features, by what a version brings for that."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from churn_mlops.api.events_schema import EventsSchema
from churn_mlops.api.request_schema import KIND_WORDS
from churn_mlops.api.text_values import TRUTHS, read_number
from churn_mlops.errors import EventsRefused, NotAtRisk, VersionRefused
from churn_mlops.inference.events.engine import FeatureEngine
from churn_mlops.inference.events.taking import EventTaker

if TYPE_CHECKING:
    from churn_mlops.inference.encoding import Value
    from churn_mlops.inference.events.engine import Cell, Row
    from churn_mlops.inference.events.program import EventProgram
    from churn_mlops.inference.events.taking import TakenEvents
    from churn_mlops.inference.prediction import Customer
    from churn_mlops.models.signature import Feature
    from churn_mlops.registry.manifest import Manifest


@dataclass(frozen=True)
class ComputedCustomer:
    """A customer whose features were computed.

    Attributes:
        customer: to be scored.
        as_of: the day that the features look back from.
        taken: what became of the events.
    """

    customer: Customer
    as_of: date
    taken: TakenEvents


class EventScoring:
    """Computes the features that a version asks for from a request; threads may share it.

    Args:
        program: of the version.
        manifest: of the version.
        max_missing_share: of the attributes that are features; a customer of whom more was not sent is refused.
        max_events: how many events a customer may have.

    Raises:
        VersionRefused: the program cannot be run, or names a time zone that is not known here.
    """

    def __init__(self, program: EventProgram, manifest: Manifest, max_missing_share: float, max_events: int) -> None:
        self.schema = EventsSchema(program, manifest.signature, manifest.decision.mode, max_events)
        self._program = program
        self._taker = EventTaker(program)
        self._features = manifest.signature.features
        self._attributes = [column.name for column in program.customer or () if column.name in manifest.signature.names]
        self._max_missing_share = max_missing_share
        self._missing = frozenset(program.contract.missing_values)
        _check_zone(program, manifest.version)
        try:
            self._engine = FeatureEngine(program)
        except Exception as error:
            problem = f"SQLite cannot run its event program ({type(error).__name__})."
            raise VersionRefused(manifest.version, problem) from error

    def compute(self, body: bytes, now: datetime | None = None) -> ComputedCustomer:
        """Read a request and compute the customer's features.

        Args:
            body: of the request.
            now: the present time, unless said otherwise.

        Raises:
            MalformedRequest: the body is no JSON.
            EventsRefused: a field of it cannot be used.
            NotAtRisk: the customer is not one of those that the model was trained on.
        """
        request = self.schema.read(body)
        attributes = request.get("customer") or {}
        self._require(attributes)
        now = now or datetime.now(UTC)
        as_of = _check_day(request.get("as_of"), now)
        taken = self._taker.take(request["events"], as_of, now)
        computed = self._engine.compute(self._fill(taken, request, attributes, as_of))
        if computed is None:
            contract = self._program.contract
            raise NotAtRisk(as_of, contract.active_days, contract.active_types, self._program.has_cancellations)
        features = {
            feature.name: attributes[feature.name]
            if feature.name in attributes
            else self._read(feature, computed[feature.name])
            for feature in self._features
        }
        customer: Customer = {"customer_id": request.get("customer_id"), "features": features}
        customer["customer_value"] = request.get("customer_value")
        return ComputedCustomer(customer, as_of, taken)

    def _fill(
        self, taken: TakenEvents, request: Any, attributes: dict[str, Value], as_of: date
    ) -> dict[str, list[Row]]:
        tables = {"events": taken.rows}
        if self._program.customer is not None:
            tables["customers"] = self._taker.take_customer(attributes)
        if self._program.has_cancellations:
            tables["cancellations"] = self._taker.take_cancellations(request.get("cancellations") or (), as_of)
        return tables

    def _require(self, attributes: dict[str, Value]) -> None:
        """Refuse what is hardly about this customer; an attribute that is null was sent: nobody knows it."""
        absent = [name for name in self._attributes if name not in attributes]
        if len(absent) > self._max_missing_share * len(self._attributes):
            raise EventsRefused.of_absent(absent, len(self._attributes), self._max_missing_share)

    def _read(self, feature: Feature, value: Cell) -> Value:
        """Read a computed value as its feature's kind, as training read the column."""
        if isinstance(value, str):
            value = value.strip()
        if value is None or value == "" or value in self._missing:
            return None
        if feature.kind == "categorical":
            return str(value)
        read = _read_text(feature, value) if isinstance(value, str) else value
        if read is None or not math.isfinite(read):
            problem = f"The feature {feature.name!r} computes to {value!r}; {KIND_WORDS[feature.kind]} was expected."
            raise EventsRefused(problem, ("events",))
        return float(read) if feature.kind == "numeric" else bool(read)


def _read_text(feature: Feature, text: str) -> float | None:
    """Read a text of a feature that is no text, as training does where it is told the kind; None if it is not of it."""
    read = read_number(text) if feature.kind == "numeric" else TRUTHS.get(text.lower())
    return read if isinstance(read, float | bool) else None


def _check_zone(program: EventProgram, version: str) -> None:
    """Find the time zone of the log now, not when the first event is read."""
    zone = program.contract.time_zone
    try:
        ZoneInfo(zone)
    except (KeyError, ValueError, OSError) as error:
        raise VersionRefused(version, f"its event program names the time zone {zone!r}, which is not known.") from error


def _check_day(said: date | None, now: datetime) -> date:
    """Give the day to look back from: today in UTC, unless another was said that is not later than tomorrow."""
    today = now.astimezone(UTC).date()
    if said is not None and said > today + timedelta(days=1):
        raise EventsRefused(
            f"'as_of' is \"{said}\"; a day up to tomorrow ({today + timedelta(days=1)}) was expected, as nobody knows "
            f"what happens until then.",
            ("as_of",),
        )
    return said or today
