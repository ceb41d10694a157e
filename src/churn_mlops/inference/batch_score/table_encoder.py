"""From record batches of customers to the rows that the graph takes: as training reads a table, as the API encodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn_mlops.data.kinds import ReadColumn, read_column
from churn_mlops.errors import DataFileError
from churn_mlops.inference.encoding import codes_of, range_of
from churn_mlops.models.signature import LARGEST_NUMBER

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from churn_mlops.config.settings import Kind
    from churn_mlops.inference.encoding import Value
    from churn_mlops.models.signature import Feature, Signature

    Floats = npt.NDArray[np.float64]
    Booleans = npt.NDArray[np.bool_]

_EXPECTED: Final[dict[Kind, str]] = {"numeric": "numbers", "boolean": "booleans", "categorical": "texts"}
_TRUTH_CODES: Final = np.array([0, 1, np.nan], dtype=np.float32)
_LARGEST_WHOLE: Final = 2**53  # beyond it, a float is no exact whole number


@dataclass(frozen=True, slots=True)
class Levels:
    """The values of a feature that has few different ones.

    Attributes:
        values: those there are; the last is None.
        codes: float32 [values], what the graph takes for them.
        places: intp [rows], which of them each customer has.
    """

    values: Sequence[Value]
    codes: npt.NDArray[np.float32]
    places: npt.NDArray[np.intp]

    def __getitem__(self, rows: Booleans) -> Levels:
        return Levels(self.values, self.codes, self.places[rows])


@dataclass(frozen=True, slots=True)
class EncodedTable:
    """Customers for the graph.

    Attributes:
        values: of each feature, by which reasons name them: levels, or float64 [rows] with NaN where it is missing.
        matrix: float32 [rows, features], column by column in memory.
        missing: bool [features, rows].
        unseen: bool [features, rows], where a category was never seen in training.
        out_of_range: bool [features, rows], where a number lies outside what was.
        unfit: by row, what is wrong with a value that is not of its feature's kind.
    """

    values: Sequence[Levels | Floats]
    matrix: npt.NDArray[np.float32]
    missing: Booleans
    unseen: Booleans
    out_of_range: Booleans
    unfit: dict[int, str]

    @property
    def levels(self) -> dict[int, Levels]:
        """Those of the features that have few different values, by their place."""
        return {place: values for place, values in enumerate(self.values) if isinstance(values, Levels)}

    def keep(self, rows: Booleans) -> EncodedTable:
        """Keep the customers who are flagged, bool [rows]; none of them is unfit."""
        values = [of_feature[rows] for of_feature in self.values]
        missing, unseen, out_of_range = self.missing[:, rows], self.unseen[:, rows], self.out_of_range[:, rows]
        return EncodedTable(values, self.matrix[rows], missing, unseen, out_of_range, {})


class TableEncoder:
    """Encodes record batches, column by column, exactly as `CustomerEncoder` encodes customers.

    Texts are trimmed and numbers and booleans read from text as training does. What a text is, is found out once for
    each that differs.

    Args:
        signature: the features.
        missing_values: texts that mean a missing value.
    """

    def __init__(self, signature: Signature, missing_values: Sequence[str]) -> None:
        self._features = tuple(_FeatureReader(feature, missing_values) for feature in signature.features)

    def encode(self, customers: pa.RecordBatch, file: str) -> EncodedTable:
        """Encode customers.

        Args:
            customers: [rows], with a column for each feature.
            file: where they stand, for people.

        Raises:
            DataFileError: a column holds what can be no value of its feature, such as dates.
        """
        # by feature and not by customer, which is how all is read, looked up and compared
        columns = np.empty((len(self._features), len(customers)), dtype=np.float32)
        missing, unseen, out_of_range = (np.zeros(columns.shape, dtype=bool) for _ in range(3))
        values: list[Levels | Floats] = []
        unfit: dict[int, str] = {}
        for place, reader in enumerate(self._features):
            read = reader.read(customers[reader.feature.name], file)
            np.isnan(read.numbers, out=missing[place])
            if read.levels is None:
                _fill(reader.feature, read.numbers, columns[place], out_of_range[place])
                values.append(read.numbers)
            else:
                columns[place] = read.numbers
                values.append(read.levels)
            if read.unseen is not None:
                unseen[place] = read.unseen
            unfit = read.unfit | unfit
        return EncodedTable(values, columns.T, missing, unseen, out_of_range, unfit)


def _fill(feature: Feature, numbers: Floats, column: npt.NDArray[np.float32], out_of_range: Booleans) -> None:
    """Give numbers to the graph, and flag those that are out of range; most columns have none."""
    lowest, highest = _extremes(numbers)
    if lowest < -LARGEST_NUMBER or highest > LARGEST_NUMBER:  # which float32 can hold
        column[:] = np.clip(numbers, -LARGEST_NUMBER, LARGEST_NUMBER)
    else:
        column[:] = numbers
    low, high = range_of(feature)
    if feature.minimum is not None and (lowest < low or highest > high):
        np.logical_or(numbers < low, numbers > high, out=out_of_range)


def _extremes(numbers: Floats) -> tuple[float, float]:
    """Give the lowest and the highest number, NaN where all are missing."""
    return float(np.fmin.reduce(numbers, initial=np.nan)), float(np.fmax.reduce(numbers, initial=np.nan))


@dataclass(frozen=True, slots=True)
class _Read:
    """A column that was read: float64 [rows], where it was never seen, its levels, and what does not fit by row.

    Where there are levels, the numbers are their codes, float32.
    """

    numbers: npt.NDArray[Any]
    unfit: dict[int, str]
    levels: Levels | None = None
    unseen: Booleans | None = None


@dataclass(frozen=True, slots=True)
class _ReadLevel:
    """One of the different values of a column, read: what a reason names, its code, and what is the matter with it."""

    value: Value
    number: float
    is_unseen: bool = False
    unfit: str | None = None


_MISSING: Final = _ReadLevel(None, np.nan)


@dataclass(frozen=True, slots=True)
class _ReadLevels:
    """The different values of a column; of all arrays the last place is the missing value's.

    Attributes:
        values: as a reason names them; none of numbers.
        numbers: float64 [levels], their codes.
        unseen: bool [levels].
        unfit: what is wrong with a level, by its place.
    """

    values: Sequence[Value]
    numbers: Floats
    unseen: Booleans
    unfit: dict[int, str]

    @classmethod
    def of(cls, levels: Sequence[_ReadLevel]) -> _ReadLevels:
        """Put levels together."""
        return cls(
            [level.value for level in levels],
            np.array([level.number for level in levels]),
            np.array([level.is_unseen for level in levels]),
            {place: level.unfit for place, level in enumerate(levels) if level.unfit is not None},
        )

    def list_each(self) -> list[_ReadLevel]:
        """Give all but the missing value's."""
        each = zip(self.values[:-1], self.numbers.tolist(), self.unseen.tolist(), strict=False)
        return [_ReadLevel(*level, self.unfit.get(place)) for place, level in enumerate(each)]


_FEW_LEVELS: Final = 1 << 10
"""So many of a batch are remembered one by one: files may list the same ones in another order in every row group."""
_MOST_REMEMBERED: Final = 1 << 16


class _FeatureReader:
    """Reads the columns of one feature; several threads may ask."""

    def __init__(self, feature: Feature, missing_values: Sequence[str]) -> None:
        self.feature = feature
        self._codes = codes_of(feature)
        self._missing_values = missing_values
        self._known: dict[pa.DataType, dict[object, _ReadLevel]] = {}

    def read(self, column: pa.Array, file: str) -> _Read:
        if pa.types.is_null(column.type):
            column = column.cast(pa.string())
        has_levels = pa.types.is_dictionary(column.type) or _is_text(column.type)
        if has_levels or (self._codes is not None and not pa.types.is_boolean(column.type)):
            return self._read_by_levels(column, file)
        if self._codes is None:
            return _Read(*self._read_numbers(column, file))
        places = column.cast(pa.uint8()).fill_null(2).to_numpy().astype(np.intp)
        return _Read(_TRUTH_CODES.take(places), {}, Levels([False, True, None], _TRUTH_CODES, places))

    def _read_numbers(self, column: pa.Array, file: str) -> tuple[Floats, dict[int, str]]:
        """Read numbers or truths; where there is something to be said of them, as training does."""
        kind = pa.uint8() if pa.types.is_boolean(column.type) else column.type
        if pa.types.is_integer(kind) or pa.types.is_floating(kind):
            numbers = pc.fill_null(column.cast(kind).cast(pa.float64(), safe=False), np.nan).to_numpy()
            if not np.isinf(_extremes(numbers)).any():
                return numbers, {}
        read = self._read_values(column, file)
        return read.values.to_numpy(dtype=np.float64, na_value=np.nan), read.rejected

    def _read_by_levels(self, column: pa.Array, file: str) -> _Read:
        coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        levels = self._read_levels(coded.dictionary, file)
        indices = coded.indices.fill_null(len(levels.numbers) - 1) if coded.indices.null_count else coded.indices
        places = indices.to_numpy().astype(np.intp)
        unfit = (
            {int(row): levels.unfit[int(places[row])] for row in np.flatnonzero(np.isin(places, list(levels.unfit)))}
            if levels.unfit
            else {}
        )
        if self._codes is None:
            return _Read(levels.numbers.take(places), unfit)
        unseen = levels.unseen[places] if levels.unseen.any() else None
        codes = levels.numbers.astype(np.float32)
        return _Read(codes.take(places), unfit, Levels(levels.values, codes, places), unseen)

    def _read_levels(self, levels: pa.Array, file: str) -> _ReadLevels:
        """Read different values, of which several may turn out to be the same one, or to be missing."""
        kind = levels.type
        # dates are named by what else there is among them
        if len(levels) > _FEW_LEVELS or not (_is_text(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind)):
            return self._read_anew(levels, file)
        known = self._known.get(kind, {})
        found = [known.get(level) for level in levels.to_pylist()]
        if new := [place for place, level in enumerate(found) if level is None]:
            asked = levels.take(pa.array(new))
            read = self._read_anew(asked, file).list_each()
            for place, level in zip(new, read, strict=True):
                found[place] = level
            remembered = known if len(known) < _MOST_REMEMBERED else {}
            self._known[kind] = remembered | dict(zip(asked.to_pylist(), read, strict=True))
        return _ReadLevels.of([*filter(None, found), _MISSING])

    def _read_anew(self, levels: pa.Array, file: str) -> _ReadLevels:
        read = self._read_values(self._name_levels(levels), file)
        if self._codes is None:
            numbers = np.append(read.values.to_numpy(dtype=np.float64), np.nan)
            return _ReadLevels([None] * len(numbers), numbers, np.zeros(len(numbers), dtype=bool), read.rejected)
        native = bool if self.feature.kind == "boolean" else str
        named = zip(read.values, read.missing, strict=True)
        values: list[Value] = [*(None if gone else native(value) for value, gone in named), None]
        codes = [np.nan if value is None else self._codes.get(value) for value in values]
        unseen = np.array([code is None for code in codes])
        numbers = np.array([self.feature.other_code if code is None else code for code in codes])
        return _ReadLevels(values, numbers, unseen, read.rejected)

    def _name_levels(self, levels: pa.Array) -> pa.Array:
        """Give numbers that are categories their names: 1.0 is '1', unless training met it among 1.5 and the like."""
        if self.feature.kind != "categorical" or not pa.types.is_floating(levels.type):
            return levels
        return pa.array([None if level is None else self._name(level) for level in levels.to_pylist()], pa.string())

    def _name(self, level: float) -> str | None:
        if level != level:
            return None
        named = str(level)
        is_whole = level.is_integer() and abs(level) < _LARGEST_WHOLE
        return str(int(level)) if is_whole and self.feature.is_unseen(named) else named

    def _read_values(self, column: pa.Array, file: str) -> ReadColumn:
        feature = self.feature
        read = read_column(pa.chunked_array([column]), feature.name, feature.kind, self._missing_values)
        if read.kind is None:
            problem = (
                f"the column {feature.name!r} holds {column.type} values; {_EXPECTED[feature.kind]} were expected."
            )
            raise DataFileError(file, problem)
        return read


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def count_flags(flags: Booleans) -> npt.NDArray[np.unsignedinteger]:
    """Count for each row the features that are flagged, bool [features, rows]; in bytes, where they can hold it."""
    counts: npt.NDArray[np.unsignedinteger] = flags.view(np.uint8).sum(axis=0, dtype=np.min_scalar_type(len(flags)))
    return counts


def list_names(flags: Booleans, names: Sequence[str]) -> pa.Array:
    """List for each row the names of the features that are flagged, bool [features, rows]: dictionary-encoded text."""
    offsets = np.zeros(flags.shape[1] + 1, dtype=np.int32)
    np.cumsum(count_flags(flags), out=offsets[1:])
    places = np.empty(offsets[-1], dtype=np.int32)
    free = offsets[:-1].copy()  # where the next name of each row goes
    for place in np.flatnonzero(flags.any(axis=1)).tolist():
        rows = np.flatnonzero(flags[place])
        places[free[rows]] = place
        free[rows] += 1
    named = pa.DictionaryArray.from_arrays(pa.array(places), pa.array(names, pa.string()))
    return pa.ListArray.from_arrays(pa.array(offsets), named)
