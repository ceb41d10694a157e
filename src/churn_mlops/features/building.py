"""From an event log to a table of features and outcomes: a row for each customer at risk at each snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import ibis
import ibis.expr.datatypes as dt

from churn_mlops.data.events.expressions import read_expression
from churn_mlops.data.events.meaning import match_customers
from churn_mlops.features.cells import add_up, choose_types, unstamp
from churn_mlops.features.customers import attributes_at
from churn_mlops.features.definitions import define_features
from churn_mlops.features.history import History
from churn_mlops.features.labels import find_at_risk, label_churn
from churn_mlops.features.naming import CUSTOMER, SNAPSHOT, check_names

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import date

    import ibis.expr.types as ir

    from churn_mlops.config.settings import Settings
    from churn_mlops.data.events.contract import EventLog
    from churn_mlops.data.events.engine import Engine
    from churn_mlops.features.cells import Cells
    from churn_mlops.features.definitions import Feature

__all__ = ["CUSTOMER", "SNAPSHOT", "SnapshotBuilder", "find_features"]


@dataclass(frozen=True)
class SnapshotBuilder:
    """Everything that is the same for all snapshots of a log.

    Attributes:
        engine: that computes. It keeps what a snapshot is made of step by step: as one expression of thousands of
            columns, that would be planned for longer than it takes.
        settings: the configuration.
        features: what is computed.
        cells: the log, added up.
        customers: attributes by customer and known time, or None.
        cancellations: customer, at and known, or None.
        log_ends: time of the last event, microseconds.
    """

    engine: Engine
    settings: Settings
    features: tuple[Feature, ...]
    cells: Cells
    customers: ir.Table | None
    cancellations: ir.Table | None
    log_ends: int

    @classmethod
    def prepare(
        cls,
        engine: Engine,
        log: EventLog,
        settings: Settings,
        snapshots: Sequence[date],
        customers: ir.Table | None = None,
        cancellations: ir.Table | None = None,
        types: tuple[str, ...] | None = None,
    ) -> SnapshotBuilder:
        """Go through the log once.

        Args:
            engine: that does it.
            log: the checked log.
            settings: the configuration.
            snapshots: the days to look at customers on.
            customers: as `read_customers` gives them.
            cancellations: as `read_cancellations` gives them.
            types: event types with features of their own, where a model has learnt them; found in the log without.

        Raises:
            DataError: two columns would have one name, or customers of another table cannot be those of the log.
        """
        types = types or choose_types(log.type_counts, settings.churn, settings.features.event_types)
        features = find_features(log, settings, types)
        check_names(settings, features)
        kind = log.events.customer.type()
        customers, cancellations = (
            None
            if table is None
            else engine.keep(table.mutate(customer=match_customers(engine, table.customer, kind, key)))
            for key, table in {"data.customers": customers, "data.cancellations": cancellations}.items()
        )
        cells = add_up(engine, log, types, snapshots, settings.features.windows_days, settings.churn)
        return cls(engine, settings, features, cells, customers, cancellations, log.last)

    def build(self, snapshot: date, with_outcomes: bool = True) -> ir.Table:
        """Build the rows of one snapshot.

        Returns:
            customer_id, snapshot_date (date), the features (float64; attributes as they are) and, with outcomes,
            churned_30d (bool, may be missing) and so on.
        """
        churn = self.settings.churn
        at_risk = self.engine.keep(find_at_risk(self.cells, snapshot, churn, self.cancellations))
        history = History(self.cells, snapshot, self.settings.features.windows_days, at_risk, self.engine.keep)
        built: dict[str, Any] = {feature.name: feature.build(history).cast(dt.float64) for feature in self.features}
        for place, name in enumerate(self.settings.data.events.attributes):
            built[name] = unstamp(history.attribute(place))
        rows = self.engine.keep(history.customers.select("customer", **built))
        rows = self._add_attributes(rows, snapshot)
        rows = self._add_expressions(rows)
        if with_outcomes:
            labels = label_churn(at_risk, self.cells, snapshot, churn, self.cancellations, self.log_ends)
            labels = labels.rename(labelled="customer")
            rows = rows.inner_join(labels, rows.customer == labels.labelled).drop("labelled")
        named = rows.rename({CUSTOMER: "customer"})
        return named.mutate(**{SNAPSHOT: ibis.literal(snapshot.isoformat()).cast(dt.date)}).relocate(CUSTOMER, SNAPSHOT)

    def build_all(self, snapshots: Sequence[date]) -> ir.Table:
        """Build the rows of several snapshots, with outcomes."""
        built = [self.build(snapshot) for snapshot in snapshots]
        return ibis.union(*built) if len(built) > 1 else built[0]

    def _add_attributes(self, rows: ir.Table, snapshot: date) -> ir.Table:
        chosen = self.settings.data.customers
        if self.customers is None or chosen is None or not chosen.attributes:
            return rows
        attributes = attributes_at(self.customers, snapshot, chosen.known_time is not None)
        return rows.left_join(attributes, rows.customer == attributes.attributes_of).drop("attributes_of")

    def _add_expressions(self, rows: ir.Table) -> ir.Table:
        for name, text in self.settings.features.expressions.items():
            columns = {column: rows[column] for column in rows.columns if column != "customer"}
            value = read_expression(text, columns, f"features.expressions.{name}")
            rows = rows.mutate(**{name: value.cast(dt.float64) if value.type().is_numeric() else value})
        return rows


def find_features(log: EventLog, settings: Settings, types: tuple[str, ...] | None = None) -> tuple[Feature, ...]:
    """Define the features of a log's event types: those given, or the ones found in it."""
    types = types or choose_types(log.type_counts, settings.churn, settings.features.event_types)
    return define_features(settings.features, types, log.has_amount)
