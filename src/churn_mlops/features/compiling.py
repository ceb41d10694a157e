"""Writes the definitions of a snapshot as SQL for SQLite, step by step, for where there is neither engine nor Ibis."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any, Final

import ibis
import ibis.expr.datatypes as dt
import ibis.expr.operations as ops
from ibis.common.exceptions import IbisError

from churn_mlops.data.events.engine import Engine
from churn_mlops.errors import NotCompilable
from churn_mlops.features.building import CUSTOMER, SNAPSHOT, SnapshotBuilder, find_features

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import ibis.expr.types as ir
    import pyarrow as pa

    from churn_mlops.config.settings import Settings
    from churn_mlops.data.events.contract import EventLog
    from churn_mlops.data.events.engine import CsvContent

COMPILED_SNAPSHOT: Final = date(2100, 1, 1)
"""The one snapshot that is compiled: times are moved by whole days so that a customer's own falls on it. All times are
then positive, as texts of them are ordered by their digits, and below 2**53, where floats are exact."""

EVENTS, CUSTOMERS, CANCELLATIONS = "events", "customers", "cancellations"

_MOST_FEATURES: Final = 1900
"""A table of SQLite, as it is commonly built, has 2,000 columns at most; attributes and expressions take some."""


@dataclass(frozen=True)
class CompiledStep:
    """A query whose result later ones read as a table.

    Attributes:
        table: its name.
        columns: of the result, in order.
        sql: in SQLite's dialect.
    """

    table: str
    columns: tuple[str, ...]
    sql: str


@dataclass(frozen=True)
class CompiledSnapshot:
    """The features of the customers at risk at `COMPILED_SNAPSHOT`, as queries.

    Attributes:
        inputs: the columns of the tables to be filled before; all customers are whole numbers.
        steps: in order; the last one gives the features.
    """

    inputs: Mapping[str, tuple[str, ...]]
    steps: tuple[CompiledStep, ...]


def compile_snapshot(
    settings: Settings,
    log: EventLog,
    types: tuple[str, ...],
    customers: ir.Table | None = None,
    cancellations: ir.Table | None = None,
) -> CompiledSnapshot:
    """Compile the very expressions that a snapshot of a log is built from.

    Args:
        settings: the configuration.
        log: the checked log, for what its events have.
        types: event types with features of their own.
        customers: as `read_customers` gives them, for the types of the attributes.
        cancellations: as `read_cancellations` gives them.

    Raises:
        NotCompilable: SQLite has no way to say one of them.
    """
    features = len(find_features(log, settings, types))
    if features > _MOST_FEATURES:
        raise NotCompilable(f"{features:,} features are more than the {_MOST_FEATURES:,} that SQLite has columns for")
    recorder = _Recorder()
    inputs = {EVENTS: _declare(log.events, EVENTS)}
    if customers is not None:
        inputs[CUSTOMERS] = _declare(customers, CUSTOMERS)
    if cancellations is not None:
        inputs[CANCELLATIONS] = _declare(cancellations, CANCELLATIONS)
    builder = SnapshotBuilder.prepare(
        recorder,
        replace(log, events=inputs[EVENTS]),
        settings,
        [COMPILED_SNAPSHOT],
        inputs.get(CUSTOMERS),
        inputs.get(CANCELLATIONS),
        types,
    )
    rows = builder.build(COMPILED_SNAPSHOT, with_outcomes=False)
    recorder.keep(rows.drop(CUSTOMER, SNAPSHOT))
    columns = {name: tuple(table.columns) for name, table in inputs.items()}
    return CompiledSnapshot(columns, tuple(recorder.steps))


def _declare(table: ir.Table, name: str) -> ir.Table:
    """Name a table that is filled later, of these columns; there is one customer in it, who is a number."""
    schema = {column: kind.copy(nullable=True) for column, kind in table.schema().items()}
    return ibis.table(schema | {"customer": dt.int64}, name=name)


class _Recorder(Engine):
    """An engine that computes nothing: what it is to keep becomes a step, and reads as a table from then on."""

    def __init__(self) -> None:
        super().__init__(connection=None)
        self.steps: list[CompiledStep] = []

    def keep(self, table: ir.Table) -> ir.Table:
        name = f"step_{len(self.steps)}"
        self.steps.append(CompiledStep(name, tuple(table.columns), _write_sql(table)))
        return ibis.table(table.schema(), name=name)

    def table_names(self) -> list[str]:
        raise NotImplementedError

    def read_parquet(self, path: str, is_folder: bool) -> ir.Table:
        raise NotImplementedError

    def read_csv(self, path: str, delimiter: str) -> CsvContent:
        raise NotImplementedError

    def read_json(self, path: str) -> ir.Table:
        raise NotImplementedError

    def batches(self, table: ir.Table) -> pa.RecordBatchReader:
        raise NotImplementedError

    def hash_rows(self, columns: Sequence[ir.Value]) -> ir.IntegerValue:
        raise NotImplementedError

    def _instant(self, time: ir.Value, zone: str | None) -> ir.IntegerValue:
        raise NotImplementedError


def _write_sql(table: ir.Table) -> str:
    try:
        return str(ibis.to_sql(table.op().replace(_name_try_cast).to_expr(), dialect="sqlite"))
    except IbisError as error:
        raise NotCompilable(" ".join(str(error).split())) from error


def _name_try_cast(node: ops.Node, changed: Mapping[str, Any] | None) -> ops.Node:
    """Call a function of ours where a cast gives a missing value for what it cannot read, which SQLite's does not."""
    node = node.__recreate__(changed) if changed else node
    if not isinstance(node, ops.TryCast):
        return node
    value = node.arg.to_expr()
    signature = ((value.type(),), node.to)
    function = ibis.udf.scalar.builtin(_try_cast, name=f"try_cast_{node.to}".lower(), signature=signature)
    return function(value).op()


def _try_cast(value: Any) -> Any:
    """Stand for a function that whoever runs the queries brings."""
