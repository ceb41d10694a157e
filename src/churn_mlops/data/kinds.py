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

_DATE: Final = r"^\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}"
_DATE_FORMATS: Final = ("%Y/%m/%d", "%d/%m/%Y", "%m/%d/%Y", "%d/%m/%y", "%m/%d/%y")
_DECORATED_NUMBER: Final = r"^[$€£]? ?-?(?:\d+|\d{1,3}(?:[ ,.']\d{3})+)(?:[.,]\d+)? ?[%$€£]?$"
_LARGEST_WHOLE: Final = 2**53  # beyond it, a float is no exact whole number
_TRUTHS: Final = {"true": True, "false": False}
_FORCED_TRUTHS: Final = _TRUTHS | {"yes": True, "no": False, "1": True, "0": False, "t": True, "f": False}
_FORCED_TRUTHS.update({"y": True, "n": False, "1.0": True, "0.0": False})
_ID_NAME: Final = re.compile(
    r"(^|[_\s-])(id|uuid|guid|key|rownames?|index|no|nr)$|(?-i:[a-z]I[Dd])$"
    r"|^__index_level_\d+__$|^unnamed: \d+$",  # how pandas names a row number that was written with the table
    re.IGNORECASE,
)


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
    if not _is_readable(column.type):
        return ReadColumn(_presence(column), None, problem=f"it holds {column.type} values")
    if _is_text(column.type):
        text, is_missing = _trim(column, missing_values)
        return _read_forced(text, name, forced) if forced else _read_text(text, name, is_missing)
    if forced == "categorical" or (forced == "boolean" and not pa.types.is_boolean(column.type)):
        return _read_forced(_as_text(column), name, forced)
    if pa.types.is_temporal(column.type):
        return ReadColumn(_presence(column), None, problem="it holds dates, which are no features of a customer table")
    if pa.types.is_boolean(column.type) and forced != "numeric":
        return ReadColumn(pd.Series(column.to_pandas(), dtype="boolean"), "boolean")
    if pa.types.is_null(column.type):
        return ReadColumn(_presence(column), None, problem="every value is missing")
    return _numeric(pd.Series(column.cast(pa.float64(), safe=False).to_pandas(), dtype="float64"), name)


def why_left_out(column: ReadColumn, name: str, rare_category_rows: int) -> str:
    """Say why a column would be no use as a feature: constant, an identifier, or text that never repeats."""
    values = column.values
    distinct = values.nunique(dropna=False)
    if distinct <= 1:
        return "every value is missing" if column.missing.all() else f"every value is {_show(values.iloc[0])}"
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
    # what a value is, is found out once for each that differs: reading the texts of a million rows takes seconds
    code, distinct = pd.factorize(text)
    levels = pd.Series(distinct)
    if levels.empty:
        return ReadColumn(text, None, problem="every value is missing")
    if levels.str.lower().isin(_TRUTHS).all():
        return ReadColumn(_spread(levels.str.lower().map(_TRUTHS).astype("boolean"), code), "boolean")
    numbers = _spread(pd.to_numeric(levels, errors="coerce"), code)
    share = float(numbers[~is_missing].notna().mean())
    if share >= NUMERIC_SHARE:
        note = "text read as numbers; " if is_missing.any() or share < 1 else ""
        blanks = f"{is_missing.sum():,} blanks are missing values" if is_missing.any() else ""
        column = _numeric(numbers, name, text=text, is_missing=is_missing)
        return ReadColumn(column.values, "numeric", note=(note + blanks).strip("; "), rejected=column.rejected)
    if _are_dates(levels):
        return ReadColumn(text, None, problem="it holds dates, which are no features of a customer table")
    note = _note_numbers(levels, example=text[~is_missing & numbers.isna().to_numpy()].iloc[0], share=share)
    return ReadColumn(_spread(levels.astype("category"), code), "categorical", note=note)


def _spread(levels: pd.Series, code: npt.NDArray[np.intp]) -> pd.Series:
    """Give each row the value of its level; -1 is the code of a missing one."""
    return pd.Series(levels.array.take(code, allow_fill=True))


def _note_numbers(levels: pd.Series, example: str, share: float) -> str:
    """Say of a column of categories that it seems to have been meant as numbers."""
    if share > 0.5:
        return f"read as categories, since {1 - share:.0%} of its values are no numbers (such as {example!r})"
    if levels.str.contains(_DECORATED_NUMBER).mean() >= NUMERIC_SHARE:
        return f"its numbers have separators or signs (such as {example!r}); write 1234.5"
    return ""


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
    shown = numbers if text is None else text
    rejected = _unfit(name, "a finite number", shown, np.isinf(numbers.to_numpy()))
    if text is not None and is_missing is not None:
        rejected |= _unfit(name, "a number", text, numbers.isna().to_numpy() & ~is_missing)
    return ReadColumn(numbers, "numeric", rejected=rejected)


def _unfit(name: str, expected: str, values: pd.Series, unfit: npt.NDArray[np.bool_]) -> dict[int, str]:
    return {
        int(position): f"the column {name!r} is {_show(values.iloc[position])}; {expected} was expected."
        for position in np.flatnonzero(unfit)
    }


def _show(value: object) -> str:
    return repr(value.item() if isinstance(value, np.generic) else value)


def _is_readable(kind: pa.DataType) -> bool:
    numbers = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    others = pa.types.is_boolean(kind) or pa.types.is_temporal(kind) or pa.types.is_null(kind)
    return bool(numbers or others or _is_text(kind))


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _trim(column: pa.ChunkedArray, missing_values: Sequence[str]) -> tuple[pd.Series, npt.NDArray[np.bool_]]:
    trimmed = pc.utf8_trim_whitespace(column.cast(pa.large_string()))
    absent = pc.or_kleene(pc.is_null(trimmed), pc.is_in(trimmed, pa.array(missing_values, pa.large_string())))
    text = pc.if_else(absent, pa.scalar(None, pa.large_string()), trimmed)
    return pd.Series(text.to_pandas(), dtype="str"), absent.to_numpy()


def _as_text(column: pa.ChunkedArray) -> pd.Series:
    values = column.to_pandas()
    whole = pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all()
    if whole and values.abs().max() < _LARGEST_WHOLE:
        values = values.astype("Int64")
    return pd.Series(values.astype("str").where(values.notna(), None), dtype="str")


def _are_dates(levels: pd.Series) -> bool:
    if not levels.str.contains(_DATE).mean() >= NUMERIC_SHARE:
        return False
    days = levels.str.replace(r"[T ].*", "", regex=True).str.replace(r"[-.]", "/", regex=True)
    return any(pd.to_datetime(days, errors="coerce", format=f).notna().mean() >= NUMERIC_SHARE for f in _DATE_FORMATS)


def _presence(column: pa.ChunkedArray) -> pd.Series:
    """Keep of a column only where it is missing."""
    return pd.Series(np.where(column.is_null().to_numpy(), np.nan, 0.0))
