"""The out-of-fold file: what training said of each row, exactly, and how to know the row again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from learnable_tables import draw_customers, make_table

from churn_mlops.data.table import load_customers
from churn_mlops.errors import NotComparable, VersionRefused
from churn_mlops.models.folds import DuplicateGroupedKFold
from churn_mlops.models.frame_encoder import FrameEncoder
from churn_mlops.models.metrics import ScoreCounts
from churn_mlops.registry.manifest import OUT_OF_FOLD
from churn_mlops.registry.reading import Registry
from churn_mlops.registry.writing import register
from churn_mlops.training.out_of_fold import OutOfFold, collect_out_of_fold, read_out_of_fold

if TYPE_CHECKING:
    from pathlib import Path

    from churn_mlops.config.settings import Settings
    from churn_mlops.training.job import TrainedVersion

CUSTOMERS = draw_customers(300)
TABLE = make_table(CUSTOMERS[["tenure", "plan", "charges"]], CUSTOMERS["churned"].to_numpy())
SIGNATURE = FrameEncoder(TABLE.kinds).fit(TABLE.features, TABLE.churned).signature_
FOLD = DuplicateGroupedKFold(3, 0).assign(TABLE.features, TABLE.churned)
COLLECTED = collect_out_of_fold(TABLE, SIGNATURE, np.arange(300), FOLD, np.random.default_rng(0).random(300))


@pytest.mark.parametrize("name", ["row_key", "fold", "churned", "probability"])
def test_what_was_written_is_read_back_to_the_last_bit(name: str) -> None:
    """Keys use all 64 bits and probabilities all their digits."""
    read = OutOfFold.from_csv(COLLECTED.to_csv())
    np.testing.assert_array_equal(getattr(read, name), getattr(COLLECTED, name))
    assert getattr(read, name).dtype == getattr(COLLECTED, name).dtype


def test_a_line_is_a_row_that_a_person_can_read() -> None:
    """Rows are numbered from 1 in the order of the table."""
    header, first, *others = COLLECTED.to_csv().decode().splitlines()
    assert header == "row,row_key,fold,churned,churn_probability"
    assert first == (
        f"1,{int(COLLECTED.row_key[0]):016x},{FOLD[0]},{int(TABLE.churned[0])},{float(COLLECTED.probability[0])!r}"
    )
    assert others[-1].startswith("300,")


def test_rows_that_were_not_evaluated_are_listed_without_probability() -> None:
    """The version has seen every row, and says so, whether or not it says how it did on it."""
    rows = np.array([3, 4, 299])
    sampled = collect_out_of_fold(TABLE, SIGNATURE, rows, FOLD[rows], COLLECTED.probability[rows])
    lines = sampled.to_csv().decode().splitlines()
    assert len(lines) == 301
    assert lines[1] == f"1,{int(COLLECTED.row_key[0]):016x},,{int(TABLE.churned[0])},"
    assert lines[4] == COLLECTED.to_csv().decode().splitlines()[4]
    read = OutOfFold.from_csv(sampled.to_csv())
    assert np.flatnonzero(read.held_out).tolist() == rows.tolist()
    np.testing.assert_array_equal(read.row_key, COLLECTED.row_key)
    np.testing.assert_array_equal(read.probability[rows], COLLECTED.probability[rows])
    assert np.isnan(np.delete(read.probability, rows)).all()


def test_a_row_is_known_again_in_another_table() -> None:
    """Its key depends on its own values only: not on its place, on further columns, or on how text is held."""
    features = TABLE.features.iloc[100:].reset_index(drop=True)
    other = make_table(features.assign(plan=features["plan"].astype("category"), extra=1.0), TABLE.churned[100:])
    again = collect_out_of_fold(other, SIGNATURE, np.arange(200), FOLD[100:], COLLECTED.probability[100:])
    np.testing.assert_array_equal(again.row_key, COLLECTED.row_key[100:])


def test_the_metrics_of_a_version_follow_from_its_file(
    sample_version: TrainedVersion, sample_registry: Registry
) -> None:
    """All six figures of the manifest can be had again, exactly."""
    known = read_out_of_fold(sample_registry, sample_version.manifest)
    figures = ScoreCounts.count(known.churned, known.probability).metrics()._asdict()
    assert figures == {name: figure.value for name, figure in sample_version.manifest.evaluation.metrics.items()}


def test_the_file_holds_the_rows_of_the_table(
    sample_version: TrainedVersion, sample_registry: Registry, sample_settings: Settings
) -> None:
    """Outcomes and folds stand in the order of the rows that were accepted."""
    known = read_out_of_fold(sample_registry, sample_version.manifest)
    table = load_customers(sample_settings.data)
    np.testing.assert_array_equal(known.churned, table.churned)
    folds = DuplicateGroupedKFold(sample_settings.training.folds, sample_settings.training.seed)
    np.testing.assert_array_equal(known.fold, folds.assign(table.features, table.churned))


def test_a_version_without_the_file_cannot_be_judged(sample_version: TrainedVersion, sample_registry: Registry) -> None:
    """Nobody can tell which rows it has seen, and the sentence says so."""
    older = sample_version.manifest.model_copy(update={"files": {}})
    with pytest.raises(NotComparable, match=r"it has no out_of_fold\.csv"):
        read_out_of_fold(sample_registry, older)


def test_a_file_of_something_else_is_refused(sample_version: TrainedVersion, tmp_path: Path) -> None:
    """It has its hash, but not the columns."""
    registry = Registry(tmp_path)
    manifest = register(registry, sample_version.manifest, {OUT_OF_FOLD: b"a,b\n1,2\n"})
    with pytest.raises(VersionRefused, match=r"out_of_fold\.csv cannot be read"):
        read_out_of_fold(registry, manifest)
