"""Opens what customers are to be scored of, as the command was told: a table, exported features, or the event log."""

from __future__ import annotations

import glob
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from churn_mlops.atomic_files import explain_unwritable
from churn_mlops.errors import DataError, OutputRefused
from churn_mlops.inference.batch_score.answering import AnsweringHere, load_answerer
from churn_mlops.inference.batch_score.table_source import TableSource, find_files, read_names
from churn_mlops.inference.event_settings import follow_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from churn_mlops.config import Settings
    from churn_mlops.features.log_snapshot import LogSnapshot
    from churn_mlops.inference.batch_score.answering import Answering, AnswerOptions
    from churn_mlops.inference.batch_score.destination import Destination
    from churn_mlops.inference.batch_score.options import Options
    from churn_mlops.inference.batch_score.source import CustomerSource
    from churn_mlops.inference.batch_score.version_content import VersionContent
    from churn_mlops.registry.manifest import Manifest

ID: Final = "customer_id"
_VALUE: Final = "customer_value"
_SNAPSHOT_DATE: Final = "snapshot_date"


@dataclass(frozen=True)
class Opened:
    """Customers to score.

    Attributes:
        ask: has a version answer for them, where they are.
        told: what is worth saying about where they come from.
    """

    ask: Callable[[VersionContent, AnswerOptions], Answering]
    told: tuple[str, ...] = ()


def _answer_here(source: CustomerSource, version: VersionContent, options: AnswerOptions) -> Answering:
    return AnsweringHere(source, load_answerer(version, source, options))


@contextmanager
def open_source(
    options: Options, manifest: Manifest, settings: Settings, place: Destination, observe: Callable[[str], None]
) -> Iterator[Opened]:
    """Open what the command was told to score.

    Args:
        options: what it was told.
        manifest: of the version that is to score.
        settings: the configuration.
        place: where answers go, which must not lie within what is read.
        observe: told in words what is done before there are customers.

    Raises:
        DataError: it cannot be read, or lacks a column.
        OutputRefused: a file that is written lies within what is read.
    """
    path = _choose_table(options, settings)
    _keep_apart(place, path, settings)
    if path is None:
        with _open_log(options, manifest, settings, place, observe) as opened:
            yield opened
        return
    if settings.engine.name == "pyspark":
        with _open_on_spark(path, options, manifest, settings, observe) as opened:
            yield opened
        return
    files = find_files(path)
    names = read_names(files[0], settings.data.delimiter)
    columns = _name_columns(names, options, manifest, settings)
    source = TableSource(files, manifest.signature.names, *columns, settings.data.delimiter)
    yield Opened(partial(_answer_here, source))


def _choose_table(options: Options, settings: Settings) -> str | None:
    """Give the table to score; None for the event log."""
    given = {"INPUT": options.table, "--features": options.features, "--as-of": options.as_of}
    named = [name for name, value in given.items() if value is not None]
    if len(named) > 1:
        raise DataError(f"{' and '.join(named)} were given; one of them says what is scored.")
    if options.table is None and options.features is None and settings.data.source != "events":
        raise DataError(
            "There is nothing to score: name a table of customers, or set data.source to 'events' and data.events to "
            "the event log."
        )
    return options.table or options.features


def _name_columns(
    names: Sequence[str], options: Options, manifest: Manifest, settings: Settings
) -> tuple[str, str | None, str | None]:
    """Choose a table's columns that are no features: the id, the customer's worth and the snapshot date."""
    is_exported = options.features is not None
    configured = ID if is_exported else settings.data.customer_id
    time = settings.data.time if settings.data.time in names else None
    snapshot_date = options.snapshot_date or (_SNAPSHOT_DATE if is_exported else time)
    return options.id_column or configured or ID, _find_value(manifest, names), snapshot_date


@contextmanager
def _open_on_spark(
    path: str, options: Options, manifest: Manifest, settings: Settings, observe: Callable[[str], None]
) -> Iterator[Opened]:
    """Open a table by the engine: files that the workers can read as well."""
    # imported here: a table should not wait for engines that it does without
    from churn_mlops.config.settings import CustomersSettings
    from churn_mlops.data.events.engine import open_spark
    from churn_mlops.data.events.reading import open_table
    from churn_mlops.inference.batch_score.source import NamedColumns
    from churn_mlops.inference.batch_score.spark_answering import AnsweringOnSpark, SparkCustomers

    observe("starting Spark")
    with open_spark(settings.spark) as engine:
        table = open_table(engine, CustomersSettings(path=path), settings.data.delimiter, "INPUT")
        columns = NamedColumns(*_name_columns(table.columns, options, manifest, settings))
        observe("scoring in the executors")
        customers = SparkCustomers(engine, table, path, manifest.signature.names, columns)
        yield Opened(partial(AnsweringOnSpark, customers))


@contextmanager
def _open_log(
    options: Options, manifest: Manifest, settings: Settings, place: Destination, observe: Callable[[str], None]
) -> Iterator[Opened]:
    settings = follow_version(settings, manifest)
    assert manifest.event_features is not None  # noqa: S101 - it could not be followed without
    # imported here: a table should not wait the second that Ibis takes
    from churn_mlops.data.events.engine import open_engine
    from churn_mlops.features.log_snapshot import compute_snapshot

    rejects = place.rejected_events
    with open_engine(settings.engine, settings.spark) as engine:
        types = manifest.event_features.types
        with explain_unwritable(rejects.parent):
            snapshot = compute_snapshot(engine, settings, rejects, options.as_of, types, observe)
        value = _find_value(manifest, snapshot.rows.columns)
        told = tuple(_describe(snapshot, options.as_of is not None))
        if settings.engine.name == "pyspark":
            observe("scoring in the executors")
        yield Opened(_answer_snapshot(snapshot, manifest.signature.names, value), told)


def _answer_snapshot(
    snapshot: LogSnapshot, features: Sequence[str], value: str | None
) -> Callable[[VersionContent, AnswerOptions], Answering]:
    """Have the customers at risk answered for by this process, or by Spark where it has computed them."""
    from churn_mlops.data.events.engine import Spark
    from churn_mlops.features.building import CUSTOMER, SNAPSHOT
    from churn_mlops.inference.batch_score.snapshot_source import SnapshotSource

    if not isinstance(snapshot.engine, Spark):
        return partial(_answer_here, SnapshotSource(snapshot, features, value))
    from churn_mlops.inference.batch_score.source import NamedColumns
    from churn_mlops.inference.batch_score.spark_answering import AnsweringOnSpark, SparkCustomers

    columns = NamedColumns(CUSTOMER, value, SNAPSHOT)
    return partial(AnsweringOnSpark, SparkCustomers(snapshot.engine, snapshot.rows, snapshot.name, features, columns))


def _find_value(manifest: Manifest, names: Sequence[str]) -> str | None:
    """Find the column that says what each customer is worth, where that is no feature."""
    parameters = manifest.decision.parameters
    wanted = [_VALUE, parameters.value_column] if parameters else []
    return next((name for name in wanted if name in names and name not in manifest.signature.names), None)


def _keep_apart(place: Destination, table: str | None, settings: Settings) -> None:
    """Refuse to write over what is read, or among it.

    Raises:
        OutputRefused: a file lies within a table, a part of the log, or is the engine's database.
    """
    data, database = settings.data, settings.engine.database
    logs = (data.events, data.customers, data.cancellations)
    read = [table, *(log.path for log in logs if log), None if database is None else str(database)]
    for path in read:
        for file in place.files:
            if path is not None and "://" not in path and _lies_within(file, path):
                raise OutputRefused(f"{file} lies within the input, {path}: write it somewhere else.")


def _lies_within(file: Path, path: str) -> bool:
    """Say whether a file is the one that a path names, is or would be in its folder, or fits its pattern."""
    resolved, place = file.resolve(), Path(path)
    if place.is_dir():
        # what a link in the folder leads to is read as well
        links = (entry for entry in place.rglob("*") if entry.is_symlink()) if file.exists() else ()
        return place.resolve() in resolved.parents or resolved in map(Path.resolve, links)
    if place.exists() or not glob.has_magic(path):
        return place.resolve() == resolved
    matching = glob.iglob(path, recursive=True)  # noqa: PTH207 - takes absolute patterns
    return file.absolute().match(str(place.absolute())) or resolved in (Path(name).resolve() for name in matching)


def _describe(snapshot: LogSnapshot, was_given: bool) -> Iterator[str]:
    log, day, ended = snapshot.log, snapshot.day, snapshot.log_ended
    yield log.describe() + (f"; they are in {log.rejects}" if log.rejected else "")
    yield from snapshot.notes
    why = "" if was_given else ", the day after the log's last event"
    yield f"{snapshot.customers:,} customers are at risk as of {day}{why}"
    if (day - ended).days > 1:
        yield f"the log ends on {ended}, {(day - ended).days} days before: what happened since is not known"
