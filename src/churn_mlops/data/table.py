"""The operator's customer table, checked and typed: accepted rows, rejected rows, and what was left out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from churn_mlops.data.kinds import ReadColumn, read_column, why_left_out
from churn_mlops.data.reading import RawTable, read_table
from churn_mlops.data.rejects import Reject
from churn_mlops.data.sample import SAMPLE_NAME, describe_sample, read_sample
from churn_mlops.data.target import read_target
from churn_mlops.data.times import read_times
from churn_mlops.data.value import read_value
from churn_mlops.errors import DataError, MissingColumn

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from churn_mlops.config.settings import DataSettings, Kind

FEWEST_CHURNERS: Final = 50
"""Below this many churners (or stayers) nothing that was learnt could be told from chance."""


@dataclass(frozen=True)
class CustomerTable:
    """Customers to learn from.

    Attributes:
        name: what the table is called in manifests: a file's name without its folder.
        is_sample: whether this is the sample that ships with the product.
        features: one row per customer; float64, pandas "boolean" or pandas "category" columns.
        kinds: the kind of each feature, in the order of the columns.
        churned: bool [rows], whether the customer left.
        customer_ids: text [rows], missing where a row names no customer; or None where the table has none.
        rejects: rows left out, each with its reason.
        left_out: why a column is no feature, by its name.
        left_out_missing: bool [rows] by name, for left-out columns that are missing in part: where they are.
        notes: what was noticed about a column and done, by its name.
        customer_value: float64 [rows], what each customer is worth; None where no column says so.
        time: datetime64 UTC [rows], as of when each row was true, or None where the table does not say.
        held_out: bool [rows], whether a row is of a later time that models are only tested on; None where every row is
            tested by models that were fitted on others.
        segments: [rows] by name, the columns to evaluate by, whether features or not, typed as features are.
    """

    name: str
    is_sample: bool
    features: pd.DataFrame
    kinds: dict[str, Kind]
    churned: npt.NDArray[np.bool_]
    customer_ids: pd.Series | None
    rejects: tuple[Reject, ...]
    left_out: dict[str, str]
    left_out_missing: dict[str, npt.NDArray[np.bool_]]
    notes: dict[str, str]
    customer_value: npt.NDArray[np.float64] | None = None
    time: pd.Series | None = None
    segments: dict[str, pd.Series] = field(default_factory=dict)
    held_out: npt.NDArray[np.bool_] | None = None

    @property
    def rows_read(self) -> int:
        """Rows in the file: used and rejected."""
        return len(self.features) + len(self.rejects)

    @property
    def repeated_rows(self) -> int:
        """Rows that equal an earlier one in everything but the customer id."""
        return len(self.churned) - len(np.unique(self._row_hashes() << np.uint64(1) | self.churned))

    @property
    def repeated_customers(self) -> int:
        """Customers who have more than one row; 0 where the table names no customers."""
        return 0 if self.customer_ids is None else int((self.customer_ids.value_counts() > 1).sum())

    def take(self, rows: npt.NDArray[np.intp]) -> CustomerTable:
        """Give the table of some of its rows, int positions."""
        return replace(
            self,
            features=self.features.iloc[rows].reset_index(drop=True),
            churned=self.churned[rows],
            customer_ids=_take_rows(self.customer_ids, rows),
            left_out_missing={column: missing[rows] for column, missing in self.left_out_missing.items()},
            customer_value=None if self.customer_value is None else self.customer_value[rows],
            time=_take_rows(self.time, rows),
            segments={column: values.iloc[rows].reset_index(drop=True) for column, values in self.segments.items()},
            held_out=None if self.held_out is None else self.held_out[rows],
        )

    def fingerprint(self) -> str:
        """Name the accepted content: sha256 over every feature and target value, in order."""
        digest = hashlib.sha256("\x00".join(self.features.columns).encode())
        digest.update(self._row_hashes().tobytes())
        digest.update(self.churned.tobytes())
        return digest.hexdigest()

    def _row_hashes(self) -> npt.NDArray[np.uint64]:
        return np.asarray(pd.util.hash_pandas_object(self.features, index=False), dtype=np.uint64)


def load_customers(
    settings: DataSettings, value_column: str | None = None, segments: Sequence[str] = ()
) -> CustomerTable:
    """Read the table that the configuration names.

    Args:
        settings: where the table is, and what its columns mean.
        value_column: the column that says what each customer is worth, whether or not it is a feature too.
        segments: columns to evaluate by (evaluation.segments); those that `settings.drop` keeps out may be among them.

    Returns:
        The table as it is, even where `check_learnable` will refuse it: its rejected rows are worth writing first.

    Raises:
        DataError: the file, a column or the target cannot be used at all; the sentence says what was expected.
    """
    if settings.source == "sample":
        if settings.path is not None:
            raise DataError(
                f"data.path is {str(settings.path)!r} but data.source is 'sample'; set data.source to 'table'."
            )
        return check_table(read_sample(), describe_sample(settings), SAMPLE_NAME, value_column, segments)
    assert settings.path is not None  # noqa: S101 - a table without a path is no valid configuration
    raw = read_table(settings.path, settings.delimiter)
    return check_table(raw, settings, settings.path.name, value_column, segments)


def check_learnable(table: CustomerTable) -> None:
    """Refuse a table that nothing could be learnt from.

    Raises:
        DataError: no usable rows or columns, one outcome only, or too few churners or stayers.
    """
    rows, churners = len(table.churned), int(table.churned.sum())
    usable = f"{rows:,} usable rows" + (f" ({len(table.rejects):,} rejected)" if table.rejects else "")
    fewest, word = min((churners, "churners"), (rows - churners, "customers who stayed"))
    if rows == 0:
        first = f"; in row {table.rejects[0].row}, {table.rejects[0].reason}" if table.rejects else "."
        raise DataError(f"{table.name} has no rows that can be used: {usable}{first}")
    if fewest == 0:
        raise DataError(f"The target has one value on all {usable}; both outcomes are needed.")
    if fewest < FEWEST_CHURNERS:
        raise DataError(f"{table.name} has {fewest} {word} among {usable}; at least {FEWEST_CHURNERS} are needed.")
    if table.features.empty:
        left_out = "; ".join(f"{column!r}: {reason}" for column, reason in table.left_out.items())
        raise DataError(f"{table.name} has no column that can be a feature ({left_out or 'there is no other'}).")


def check_table(
    raw: RawTable, settings: DataSettings, name: str, value_column: str | None, segments: Sequence[str]
) -> CustomerTable:
    """Check and type the columns of a table that was read; see `load_customers`."""
    _check_names(settings, segments, raw.columns.column_names)
    value = read_value(raw.columns, value_column, settings) if value_column is not None else None
    columns = _read_features(raw, settings)
    reasons, churned, time = _read_rows(raw, settings)
    for column in [value, *columns.values()] if value else columns.values():
        reasons = column.rejected | reasons
    accepted = np.ones(raw.columns.num_rows, dtype=bool)
    accepted[list(reasons)] = False
    kept = {name: _take(column, accepted) for name, column in columns.items()}
    left_out = {column: problem for column, read in kept.items() if (problem := _problem(column, read, settings))}
    features = {column: read for column, read in kept.items() if column not in left_out}
    return CustomerTable(
        name=name,
        is_sample=settings.source == "sample",
        features=pd.DataFrame({column: read.values for column, read in features.items()}, index=range(accepted.sum())),
        kinds={column: read.kind for column, read in features.items() if read.kind},
        churned=churned[accepted],
        customer_ids=_customer_ids(raw, settings, accepted),
        rejects=_rejects(raw, reasons),
        left_out=left_out,
        left_out_missing={column: kept[column].missing for column in left_out if 0 < kept[column].missing.mean() < 1},
        notes={column: read.note for column, read in features.items() if read.note},
        customer_value=value.values[accepted].to_numpy() if value else None,
        time=None if time is None else time[accepted].reset_index(drop=True),
        segments={
            column: (features.get(column) or _read_segment(raw, column, settings, accepted)).values
            for column in segments
        },
    )


def _take_rows(values: pd.Series | None, rows: npt.NDArray[np.intp]) -> pd.Series | None:
    return None if values is None else values.iloc[rows].reset_index(drop=True)


def _read_features(raw: RawTable, settings: DataSettings) -> dict[str, ReadColumn]:
    named = {settings.target, settings.customer_id, settings.time, *settings.drop}
    return {column: _read_feature(raw, column, settings) for column in raw.columns.column_names if column not in named}


def _read_rows(raw: RawTable, settings: DataSettings) -> tuple[dict[int, str], npt.NDArray[np.bool_], pd.Series | None]:
    """Read the outcome and the time of every row, and why some are rejected, by position."""
    target = read_target(raw.columns[settings.target], settings)
    if settings.time is None:
        return dict(target.rejected), target.churned, None
    times = read_times(raw.columns[settings.time], settings.time, settings.missing_values)
    return times.rejected | target.rejected, target.churned, times.values


def _check_names(settings: DataSettings, segments: Sequence[str], names: list[str]) -> None:
    wanted = {"data.target": [settings.target], "data.customer_id": [settings.customer_id]}
    wanted |= {"data.time": [settings.time], "data.drop": [*settings.drop], "data.kinds": [*settings.kinds]}
    wanted |= {"data.allow_leaky": [*settings.allow_leaky], "evaluation.segments": [*segments]}
    for key, columns in wanted.items():
        for column in columns:
            if column is not None and column not in names:
                raise MissingColumn(key, column, names)
    if settings.target in (settings.customer_id, *settings.drop):
        raise DataError(f"data.target ({settings.target!r}) is also named by data.customer_id or data.drop.")
    if settings.target in (settings.time, *segments):
        raise DataError(f"data.target ({settings.target!r}) is also named by data.time or evaluation.segments.")


def _read_feature(raw: RawTable, name: str, settings: DataSettings) -> ReadColumn:
    """Read a column; it rejects rows only if, those aside, it is a feature."""
    read = read_column(raw.columns[name], name, settings.kinds.get(name), settings.missing_values)
    if not read.rejected:
        return read
    fits = np.ones(len(read.values), dtype=bool)
    fits[list(read.rejected)] = False
    problem = _problem(name, _take(read, fits), settings)
    return replace(read, kind=None, problem=problem, rejected={}) if problem else read


def _read_segment(raw: RawTable, name: str, settings: DataSettings, accepted: npt.NDArray[np.bool_]) -> ReadColumn:
    """Read a column that is no feature; it rejects no rows, so a value that does not fit its kind is missing."""
    read = read_column(raw.columns[name], name, settings.kinds.get(name), settings.missing_values)
    if read.kind is None:
        read = read_column(_as_text(raw.columns[name], name), name, "categorical", settings.missing_values)
    unfit = np.isin(np.arange(len(read.values)), list(read.rejected))
    return _take(replace(read, values=read.values.mask(unfit)), accepted)


def _as_text(column: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    try:
        return column.cast(pa.string())
    except pa.ArrowException as error:
        raise DataError(
            f"evaluation.segments names the column {name!r}, which holds {column.type} values; "
            f"numbers, booleans, texts or dates were expected."
        ) from error


def _take(column: ReadColumn, accepted: npt.NDArray[np.bool_]) -> ReadColumn:
    values = column.values[accepted].reset_index(drop=True)
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.cat.remove_unused_categories()
    return ReadColumn(values, column.kind, column.problem, column.note)


def _problem(name: str, column: ReadColumn, settings: DataSettings) -> str:
    if column.kind is None:
        return column.problem
    if not name.strip():
        return "it has no name"
    if column.values.empty or name in settings.kinds:
        return ""
    reason = why_left_out(column, name, settings.rare_category_rows)
    return f"{reason}; {column.note}" if reason and column.note else reason


def _customer_ids(raw: RawTable, settings: DataSettings, accepted: npt.NDArray[np.bool_]) -> pd.Series | None:
    if settings.customer_id is None:
        return None
    ids = pd.Series(raw.columns[settings.customer_id].to_pandas()[accepted].astype("str")).reset_index(drop=True)
    return ids.mask(ids.str.strip().isin(settings.missing_values))


def _rejects(raw: RawTable, reasons: dict[int, str]) -> tuple[Reject, ...]:
    positions = sorted(reasons)
    rows = raw.columns.take(positions).to_pylist() if positions else []
    unfit = [
        Reject(
            int(raw.row_numbers[p]), reasons[p], raw.delimiter.join("" if v is None else str(v) for v in row.values())
        )
        for p, row in zip(positions, rows, strict=True)
    ]
    return tuple(sorted([*raw.rejects, *unfit], key=lambda reject: reject.row))
