"""Opens the tables that an event log is made of: files, folders and patterns, or tables of the engine."""

from __future__ import annotations

import glob
from pathlib import Path
from typing import TYPE_CHECKING, Final

from churn_mlops.errors import DataError, DataFileError, find_closest

if TYPE_CHECKING:
    import ibis.expr.types as ir

    from churn_mlops.config.settings import CancellationsSettings, CustomersSettings, EventsSettings
    from churn_mlops.data.events.engine import Engine

_ENDINGS: Final = (".parquet", ".csv", ".csv.gz", ".jsonl", ".ndjson", ".jsonl.gz")


def open_table(
    engine: Engine, source: EventsSettings | CustomersSettings | CancellationsSettings, delimiter: str, key: str
) -> ir.Table:
    """Open a table without reading its rows.

    Args:
        engine: that will read it.
        source: where it is.
        delimiter: of CSV files.
        key: the key of the configuration that names it, for messages.

    Raises:
        DataError: there is no such file or table, it cannot be read, or a line of a CSV file is no row.
    """
    table, malformed = open_log(engine, source, delimiter, key)
    if malformed is not None:
        (first,) = engine.batches(malformed.order_by("number").limit(1)).read_all().to_pylist()
        where = "a line" if first["number"] is None else f"line {first['number']:,}"
        problem = f"{where} is no row of the table, as its fields are not those of the header: {first['line']!r}"
        raise DataFileError(source.name, problem)
    return table


def open_log(
    engine: Engine, source: EventsSettings | CustomersSettings | CancellationsSettings, delimiter: str, key: str
) -> tuple[ir.Table, ir.Table | None]:
    """Open a table of which some lines may be none of its rows.

    Returns:
        The table, and the lines of CSV files that are no rows, as `CsvContent` has them; None where there are none.

    Raises:
        DataError: there is no such file or table, or it cannot be read.
    """
    if source.table is not None:
        names = engine.table_names()
        if source.table not in names:
            closest = find_closest(source.table, names)
            hint = f" The closest is {closest!r}." if closest else ""
            raise DataError(f"{key}.table is {source.table!r}, which the engine does not have.{hint}")
        return engine.connection.table(source.table), None
    assert source.path is not None  # noqa: S101 - settings without either are not valid
    ending, is_folder = _find_ending(source.path)
    try:
        if ending == ".parquet":
            return engine.read_parquet(source.path, is_folder), None
        if ending.startswith(".csv"):
            content = engine.read_csv(source.path, delimiter)
            return content.rows, content.malformed if engine.count(content.malformed) else None
        return engine.keep(engine.read_json(source.path)), None  # text is parsed once, not at every look
    except Exception as error:
        raise DataFileError(source.path, f"{' '.join(str(error).split())[:300]}") from error


def _find_ending(path: str) -> tuple[str, bool]:
    """Say what kind of files a path names, and whether it is a folder."""
    if "://" in path:  # a store that only the engine can look into
        return next((ending for ending in _ENDINGS if path.endswith(ending)), ".parquet"), not path.endswith(_ENDINGS)
    if Path(path).is_dir():
        if next(Path(path).rglob("*.parquet"), None) is None:
            raise DataFileError(Path(path), "it is a folder without .parquet files; for others, give a pattern.")
        return ".parquet", True
    files = sorted(glob.glob(path, recursive=True))  # noqa: PTH207 - a pattern may be absolute
    if not files:
        what = "no file fits this pattern" if glob.has_magic(path) else "there is no such file"
        raise DataFileError(Path(path), f"{what} (paths are relative to the working directory).")
    ending = next((ending for ending in _ENDINGS if files[0].endswith(ending)), None)
    if ending is None:
        raise DataFileError(Path(files[0]), f"its ending is none of {', '.join(_ENDINGS)}.")
    return ending, False
