"""From a batch of customers to a table of answers, and the rows that cannot be answered for, each with its reason."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from churn_mlops.data.kinds import read_column
from churn_mlops.data.rejects import Reject
from churn_mlops.data.times import read_times
from churn_mlops.errors import DataFileError, FeatureSchemaMismatch
from churn_mlops.inference.batch_score.reason_columns import ReasonWriter
from churn_mlops.inference.batch_score.table_encoder import Levels, TableEncoder, count_flags, list_names
from churn_mlops.models.coherence import make_coherent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from churn_mlops.inference.batch_score.quick_scorer import QuickScorer
    from churn_mlops.inference.batch_score.source import CustomerBatch, CustomerColumns
    from churn_mlops.inference.batch_score.table_encoder import EncodedTable

    Floats = npt.NDArray[np.float64]

_BANDS: Final = pa.array(["low", "medium", "high"], pa.string())
QUALITY: Final = ("missing", "unseen_category", "out_of_range")
"""The columns of features with which something was the matter, as lists of their names."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What is said of a batch of customers.

    Attributes:
        table: [rows], an answer for each who could be scored, in their order.
        rejects: the others.
        counts: of what is worth knowing about all.
    """

    table: pa.Table
    rejects: list[Reject]
    counts: Counter[str]


class Answerer:
    """Answers for batches of customers by one version; several threads may ask.

    Args:
        scorer: the version.
        columns: what those of the batches are.
        reasons: how many of each; 0 for all.
        max_missing_share: a customer with a larger share of missing features is rejected.
        missing_values: texts that mean a missing value.
        further: what scores the version's further horizons, by their days.
    """

    def __init__(
        self,
        scorer: QuickScorer,
        columns: CustomerColumns,
        reasons: int,
        max_missing_share: float,
        missing_values: Sequence[str],
        further: Mapping[int, QuickScorer] | None = None,
    ) -> None:
        manifest = scorer.manifest
        self._scorer, self._columns = scorer, columns
        self._further = further or {}
        self._churn = manifest.event_features.churn if manifest.event_features else None
        self._names = manifest.signature.names
        self._decision, self._version = manifest.decision, manifest.version
        self._max_missing_share, self._missing_values = max_missing_share, missing_values
        self._encoder = TableEncoder(manifest.signature, missing_values)
        self._reasons = ReasonWriter(manifest.signature, reasons)

    def answer(self, batch: CustomerBatch) -> Answers:
        """Answer for all who can be scored.

        Raises:
            DataFileError: a column holds what can be no value of its feature.
        """
        customers, encoded = batch.customers, self._encoder.encode(batch.customers, batch.file)
        ids, id_problems = self._read_ids(customers)
        times, time_problems = self._read_times(customers)
        worth, worth_problems = self._read_worth(customers, batch.file)
        problems = worth_problems | time_problems | self._find_incomplete(encoded) | encoded.unfit | id_problems
        rejects = [*batch.unreadable, *self._reject(batch, problems)]
        if not problems:
            return self._answer(encoded, ids, times, worth, rejects)
        fits = np.ones(len(customers), dtype=bool)
        fits[list(problems)] = False
        kept = pa.array(fits)
        return self._answer(
            encoded.keep(fits),
            ids.filter(kept),
            times.filter(kept),
            None if worth is None else worth[fits],
            sorted(rejects, key=lambda reject: reject.row),
        )

    def _answer(
        self, encoded: EncodedTable, ids: pa.Array, times: pa.Array, worth: Floats | None, rejects: list[Reject]
    ) -> Answers:
        scores = self._scorer.score(encoded.matrix, encoded.levels)
        columns: dict[str, pa.Array] = {"customer_id": ids, "churn_probability": pa.array(scores.probability)}
        columns |= self._score_further(encoded, scores.probability)
        chance = scores.probability.astype(np.float64)
        columns |= self._decide(encoded, chance, worth)
        decision = self._decision
        bands = (chance >= decision.medium_risk).astype(np.int32) + (chance >= decision.high_risk)
        columns["risk_band"] = pa.DictionaryArray.from_arrays(pa.array(bands.astype(np.int32)), _BANDS)
        for rank, reason in enumerate(self._reasons.explain(encoded.values, scores.contributions), start=1):
            columns[f"feature_{rank}"] = reason.features
            columns[f"contribution_{rank}"] = pa.array(reason.contributions)
            columns[f"reason_{rank}"] = reason.texts
        flags = dict(zip(QUALITY, (encoded.missing, encoded.unseen, encoded.out_of_range), strict=True))
        columns |= {name: list_names(flagged, self._names) for name, flagged in flags.items()}
        columns["model_version"] = _repeat(self._version, len(ids))
        columns["snapshot_date"] = times
        counts = Counter({name: int(flagged.any(axis=0).sum()) for name, flagged in flags.items()})
        counts.update(scored=len(ids), rejected=len(rejects), predicted=pc.sum(columns["churn_predicted"]).as_py() or 0)
        return Answers(pa.table(columns), rejects, counts)

    def _score_further(self, encoded: EncodedTable, main: npt.NDArray[np.float32]) -> dict[str, pa.Array]:
        if self._churn is None or not self._further:
            return {}
        found = {days: one.score(encoded.matrix, encoded.levels).probability for days, one in self._further.items()}
        coherent = make_coherent(main, self._churn.horizon_days[0], found, self._churn.definition)
        return {f"churn_probability_{days}d": pa.array(probability) for days, probability in coherent.items()}

    def _decide(self, encoded: EncodedTable, chance: Floats, said: Floats | None) -> dict[str, pa.Array]:
        decision = self._decision
        parameters = decision.parameters
        if parameters is None:
            return {
                "churn_predicted": pa.array(chance >= decision.threshold),
                "threshold": _repeat(
                    decision.threshold if decision.threshold <= 1 else None, len(chance), pa.float64()
                ),
            }
        worth = self._worth(encoded, len(chance)) if said is None else said
        worth = np.where(np.isnan(worth), parameters.customer_value, worth)
        thresholds = decision.thresholds(worth)
        return {
            "churn_predicted": pa.array(chance >= thresholds),
            "threshold": pa.array(thresholds, mask=thresholds > 1),
            "expected_profit": pa.array(parameters.campaign.profit(chance, worth)),
            "customer_value": pa.array(worth),
        }

    def _worth(self, encoded: EncodedTable, rows: int) -> Floats:
        """Give what the feature says that the customers are worth, NaN where it says nothing."""
        column = self._decision.parameters and self._decision.parameters.value_column
        if column not in self._names:
            return np.full(rows, np.nan)
        values = encoded.values[self._names.index(column)]
        return np.full(rows, np.nan) if isinstance(values, Levels) else values

    def _read_ids(self, customers: pa.RecordBatch) -> tuple[pa.Array, dict[int, str]]:
        name = self._columns.customer_id
        ids = customers[name]
        if not pa.types.is_integer(ids.type):
            ids = pc.utf8_trim_whitespace(ids.cast(pa.string()))
            ids = pc.if_else(pc.is_in(ids, pa.array(self._missing_values, pa.string())), None, ids)
        problem = f"the column {name!r} is missing; a customer's id was expected."
        return ids, dict.fromkeys(np.flatnonzero(ids.is_null().to_numpy(zero_copy_only=False)).tolist(), problem)

    def _read_times(self, customers: pa.RecordBatch) -> tuple[pa.Array, dict[int, str]]:
        name = self._columns.snapshot_date
        if name is None:
            return pa.nulls(len(customers), pa.date32()), {}
        column = customers[name]
        if pa.types.is_date(column.type):
            absent = np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False)).tolist()
            return column.cast(pa.date32()), dict.fromkeys(absent, f"the time {name!r} is missing.")
        times = read_times(pa.chunked_array([column]), name, self._missing_values)
        return pa.array(times.values, pa.timestamp("us", "UTC")), times.rejected

    def _read_worth(self, customers: pa.RecordBatch, file: str) -> tuple[Floats | None, dict[int, str]]:
        name = self._columns.customer_value
        if name is None:
            return None, {}
        column = customers[name]
        read = read_column(pa.chunked_array([column]), name, "numeric", self._missing_values)
        if read.kind is None and not pa.types.is_null(column.type):
            raise DataFileError(file, f"the column {name!r} holds {column.type} values; numbers were expected.")
        worth = read.values.to_numpy(dtype=np.float64)
        problem = "the column {!r} is {!r}; a customer value of at least 0 was expected."
        negative = {row: problem.format(name, worth[row].item()) for row in np.flatnonzero(worth < 0).tolist()}
        return worth, negative | read.rejected

    def _find_incomplete(self, encoded: EncodedTable) -> dict[int, str]:
        features = len(self._names)
        incomplete = count_flags(encoded.missing) > self._max_missing_share * features
        problems = {}
        for row in np.flatnonzero(incomplete).tolist():
            missing = [name for name, flag in zip(self._names, encoded.missing[:, row], strict=True) if flag]
            problems[row] = str(FeatureSchemaMismatch.of_missing(missing, features, self._max_missing_share))
        return problems

    def _reject(self, batch: CustomerBatch, problems: dict[int, str]) -> Iterator[Reject]:
        rows = sorted(problems)
        texts = batch.customers.take(pa.array(rows, pa.int64())).to_pylist() if rows else []
        for row, values in zip(rows, texts, strict=True):
            text = ",".join("" if value is None else str(value) for value in values.values())
            yield Reject(int(batch.row_numbers[row]), problems[row], text)


def _repeat(value: str | float | None, rows: int, kind: pa.DataType | None = None) -> pa.Array:
    """Give a column of one value."""
    column = pa.array([value], kind or pa.string())
    if kind is None:
        return pa.DictionaryArray.from_arrays(pa.array(np.zeros(rows, dtype=np.int32)), column)
    return column.take(pa.array(np.zeros(rows, dtype=np.int32)))
