"""Opens what customers are to be scored of, as the command was told: a table, exported features, or the event log."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from churn_mlops.atomic_files import explain_unwritable
from churn_mlops.errors import DataError, OutputRefused
from churn_mlops.inference.batch_score.table_source import TableSource, find_files, read_names
from churn_mlops.inference.event_settings import follow_version

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from churn_mlops.config import Settings
    from churn_mlops.features.log_snapshot import LogSnapshot
    from churn_mlops.inference.batch_score.destination import Destination
    from churn_mlops.inference.batch_score.options import Options
    from churn_mlops.inference.batch_score.source import CustomerSource
    from churn_mlops.registry.manifest import Manifest

ID: Final = "customer_id"
_VALUE: Final = "customer_value"
_SNAPSHOT_DATE: Final = "snapshot_date"


@dataclass(frozen=True)
class Opened:
    """Customers to score, and what is worth saying about where they come from."""

    source: CustomerSource
    told: tuple[str, ...] = ()


@contextmanager
def open_source(
    options: Options, manifest: Manifest, settings: Settings, place: Destination, observe: Callable[[str], None]
) -> Iterator[Opened]:
    """Open what the command was told to score.

    Args:
        options: what it was told.
        manifest: of the version that is to score.
        settings: the configuration.
        place: where answers go: a file, which must not lie within the input.
        observe: told in words what is done before there are customers.

    Raises:
        DataError: it cannot be read, or lacks a column.
        OutputRefused: the output lies within it.
    """
    path = _choose_table(options, settings)
    if path is None:
        with _open_log(options, manifest, settings, place, observe) as opened:
            yield opened
        return
    files = find_files(path)
    _keep_apart(place.file, path, files)
    yield Opened(_open_table(path, files, options, manifest, settings))


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


def _open_table(
    path: str, files: Sequence[Path], options: Options, manifest: Manifest, settings: Settings
) -> TableSource:
    names = read_names(files[0], settings.data.delimiter)
    is_exported = options.features is not None
    configured = ID if is_exported else settings.data.customer_id
    time = settings.data.time if settings.data.time in names else None
    return TableSource(
        files,
        manifest.signature.names,
        options.id_column or configured or ID,
        _find_value(manifest, names),
        options.snapshot_date or (_SNAPSHOT_DATE if is_exported else time),
        settings.data.delimiter,
    )


@contextmanager
def _open_log(
    options: Options, manifest: Manifest, settings: Settings, place: Destination, observe: Callable[[str], None]
) -> Iterator[Opened]:
    settings = follow_version(settings, manifest)
    assert manifest.event_features is not None  # noqa: S101 - it could not be followed without
    path = settings.data.events.path
    if path is not None and "://" not in path:
        _keep_apart(place.file, path, find_log_files(path))
    # imported here: a table should not wait the second that Ibis takes
    from churn_mlops.data.events.engine import open_engine
    from churn_mlops.features.log_snapshot import compute_snapshot
    from churn_mlops.inference.batch_score.snapshot_source import SnapshotSource

    rejects = place.rejects.with_name(f"{place.rejects.name.partition('.')[0]}.rejected_events.csv")
    with open_engine(settings.engine, settings.spark) as engine:
        types = manifest.event_features.types
        with explain_unwritable(rejects.parent):
            snapshot = compute_snapshot(engine, settings, rejects, options.as_of, types, observe)
        if not snapshot.log.rejected:
            rejects.unlink()
        value = _find_value(manifest, snapshot.rows.columns)
        source = SnapshotSource(snapshot, manifest.signature.names, value)
        yield Opened(source, tuple(_describe(snapshot, options.as_of is not None)))


def find_log_files(path: str) -> list[Path]:
    """List the files of an event log: one, those of a folder, or those that a pattern matches."""
    place = Path(path)
    if place.is_dir() or place.exists():
        return [place]
    return find_files(path)


def _find_value(manifest: Manifest, names: Sequence[str]) -> str | None:
    """Find the column that says what each customer is worth, where that is no feature."""
    parameters = manifest.decision.parameters
    wanted = [_VALUE, parameters.value_column] if parameters else []
    return next((name for name in wanted if name in names and name not in manifest.signature.names), None)


def _keep_apart(output: Path, path: str, files: Sequence[Path]) -> None:
    resolved = output.resolve()
    if resolved in map(Path.resolve, files) or Path(path).resolve() in resolved.parents:
        raise OutputRefused(f"{output} lies within the input, {path}: write it somewhere else.")


def _describe(snapshot: LogSnapshot, was_given: bool) -> Iterator[str]:
    log, day, ended = snapshot.log, snapshot.day, snapshot.log_ended
    yield log.describe() + (f"; they are in {log.rejects}" if log.rejected else "")
    why = "" if was_given else ", the day after the log's last event"
    yield f"{snapshot.customers:,} customers are at risk as of {day}{why}"
    if (day - ended).days > 1:
        yield f"the log ends on {ended}, {(day - ended).days} days before: what happened since is not known"
