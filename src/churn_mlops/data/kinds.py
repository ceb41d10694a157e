"""Decides what each column is (numeric, boolean, categorical, or not a feature) and reads its values as that."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from churn_mlops.config.settings import Kind

NUMERIC_SHARE: Final = 0.95
"""A text column is numeric if at least this share of its values are numbers; the rest are rejected rows."""

_DATE_FORMATS: Final = ("ISO8601", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%m/%d/%Y %H:%M")
_TRUTHS: Final = {"true": True, "false": False}
_FORCED_TRUTHS: Final = _TRUTHS | {"yes": True, "no": False, "1": True, "0": False, "t": True, "f": False}
_FORCED_TRUTHS.update({"y": True, "n": False, "1.0": True, "0.0": False})
_ID_NAME: Final = re.compile(r"(^|[_\s-])(id|uuid|guid|key|rownames?|index|no|nr)$|[a-z]I[Dd]$", re.IGNORECASE)


@dataclass(frozen=True)
class ReadColumn:
    """A column read as what it was found to be.

    Attributes:
        values: float64 for numeric, pandas "boolean" for boolean, pandas "category" of text for categorical.
        kind: the kind, or None where the column can be no feature.
        problem: why it can be no feature.
        note: what was noticed and done, worth telling the operator.
        rejected: reason by position, for rows whose value does not fit the kind.
    """

    values: pd.Series
    kind: Kind | None
    problem: str = ""
    note: str = ""
    rejected: dict[int, str] = field(default_factory=dict)

    @property
    def missing(self) -> npt.NDArray[np.bool_]:
        """Bool [rows], whether the value is missing."""
        return self.values.isna().to_numpy()


def read_column(column: pa.ChunkedArray, name: str, forced: Kind | None, missing_values: Sequence[str]) -> ReadColumn:
    """Read one column, as the kind the configuration names or as the one its values show."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        return ReadColumn(_nothing(column), None, problem=f"it holds {column.type} values")
    if _is_text(column.type):
        text, is_missing = _trim(column, missing_values)
        return _read_forced(text, name, forced) if forced else _read_text(text, name, is_missing)
    if forced == "categorical" or (forced == "boolean" and not pa.types.is_boolean(column.type)):
        return _read_forced(_as_text(column), name, forced)
    if pa.types.is_temporal(column.type):
        return ReadColumn(column.to_pandas(), None, problem="it holds dates, which are no features of a customer table")
    if pa.types.is_boolean(column.type) and forced != "numeric":
        return ReadColumn(pd.Series(column.to_pandas(), dtype="boolean"), "boolean")
    if pa.types.is_null(column.type):
        return ReadColumn(_nothing(column), None, problem="every value is missing")
    return _numeric(pd.Series(column.cast(pa.float64(), safe=False).to_pandas(), dtype="float64"), name)


def why_left_out(column: ReadColumn, name: str, rare_category_rows: int) -> str:
    """Say why a column would be no use as a feature: constant, an identifier, or text that never repeats."""
    values = column.values
    distinct = values.nunique(dropna=False)
    if distinct <= 1:
        return "every value is missing" if column.missing.all() else f"every value is {values.iloc[0]!r}"
    if column.kind == "categorical":
        counts = values.value_counts()
        if counts.iloc[0] < min(rare_category_rows, max(2, len(values) // 20)):
            return (
                f"it looks like an identifier or free text: {len(counts):,} different texts, "
                f"none on more than {counts.iloc[0]} rows"
            )
    if column.kind == "numeric" and _is_numbering(values, name):
        return "it looks like an identifier: a different whole number on every row"
    return ""


def _is_numbering(values: pd.Series, name: str) -> bool:
    whole = values.notna().all() and (values % 1 == 0).all() and values.is_unique
    if not whole:
        return False
    consecutive = values.max() - values.min() == len(values) - 1
    return bool(consecutive or _ID_NAME.search(name))


def _read_text(text: pd.Series, name: str, is_missing: npt.NDArray[np.bool_]) -> ReadColumn:
    present = text[~is_missing]
    if present.empty:
        return ReadColumn(text, None, problem="every value is missing")
    levels = pd.Series(present.unique())
    if levels.str.lower().isin(_TRUTHS).all():
        return ReadColumn(text.str.lower().map(_TRUTHS).astype("boolean"), "boolean")
    numbers = pd.to_numeric(text, errors="coerce")
    share = float(numbers[~is_missing].notna().mean())
    if share >= NUMERIC_SHARE:
        note = "text read as numbers; " if is_missing.any() or share < 1 else ""
        blanks = f"{is_missing.sum():,} blanks are missing values" if is_missing.any() else ""
        column = _numeric(numbers, name, text=text, is_missing=is_missing)
        return ReadColumn(column.values, "numeric", note=(note + blanks).strip("; "), rejected=column.rejected)
    if _are_dates(levels):
        return ReadColumn(text, None, problem="it holds dates, which are no features of a customer table")
    note = ""
    if share > 0.5:
        example = text[~is_missing & numbers.isna().to_numpy()].iloc[0]
        note = f"read as categories, since {1 - share:.0%} of its values are no numbers (such as {example!r})"
    return ReadColumn(text.astype("category"), "categorical", note=note)


def _read_forced(text: pd.Series, name: str, forced: Kind) -> ReadColumn:
    is_missing = text.isna().to_numpy()
    if forced == "categorical":
        return ReadColumn(text.astype("category"), "categorical")
    if forced == "numeric":
        return _numeric(pd.to_numeric(text, errors="coerce"), name, text=text, is_missing=is_missing)
    truths = text.str.lower().map(_FORCED_TRUTHS).astype("boolean")
    return ReadColumn(
        truths, "boolean", rejected=_unfit(name, "a boolean", text, truths.isna().to_numpy() & ~is_missing)
    )


def _numeric(
    numbers: pd.Series,
    name: str,
    text: pd.Series | None = None,
    is_missing: npt.NDArray[np.bool_] | None = None,
) -> ReadColumn:
    numbers = numbers.astype("float64")
    rejected = _unfit(name, "a finite number", numbers, np.isinf(numbers.to_numpy()))
    if text is not None and is_missing is not None:
        rejected |= _unfit(name, "a number", text, numbers.isna().to_numpy() & ~is_missing)
    return ReadColumn(numbers, "numeric", rejected=rejected)


def _unfit(name: str, expected: str, values: pd.Series, unfit: npt.NDArray[np.bool_]) -> dict[int, str]:
    return {
        int(position): f"the column {name!r} is {values.iloc[position]!r}; {expected} was expected."
        for position in np.flatnonzero(unfit)
    }


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _trim(column: pa.ChunkedArray, missing_values: Sequence[str]) -> tuple[pd.Series, npt.NDArray[np.bool_]]:
    trimmed = pc.utf8_trim_whitespace(column.cast(pa.large_string()))
    absent = pc.or_kleene(pc.is_null(trimmed), pc.is_in(trimmed, pa.array(missing_values, pa.large_string())))
    text = pc.if_else(absent, pa.scalar(None, pa.large_string()), trimmed)
    return pd.Series(text.to_pandas(), dtype="str"), absent.to_numpy()


def _as_text(column: pa.ChunkedArray) -> pd.Series:
    values = column.to_pandas()
    if pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all():
        values = values.astype("Int64")
    return pd.Series(values.astype("str").where(values.notna(), None), dtype="str")


def _are_dates(levels: pd.Series) -> bool:
    if not levels.str.contains(r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}").mean() >= NUMERIC_SHARE:
        return False
    return any(pd.to_datetime(levels, errors="coerce", format=f).notna().mean() >= NUMERIC_SHARE for f in _DATE_FORMATS)


def _nothing(column: pa.ChunkedArray) -> pd.Series:
    return pd.Series(np.full(len(column), np.nan))
