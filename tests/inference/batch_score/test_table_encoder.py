"""What a value means does not depend on what was read before it, nor on what else is among them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from churn_mlops.inference.batch_score import table_encoder
from churn_mlops.inference.batch_score.table_encoder import Levels, TableEncoder
from churn_mlops.models.signature import Feature, Signature

if TYPE_CHECKING:
    from collections.abc import Sequence

SIGNATURE = Signature(
    features=(
        Feature(name="plan", kind="categorical", categories=("basic", "plus", "1"), other_code=3),
        Feature(name="paperless", kind="boolean"),
        Feature(name="age", kind="numeric", minimum=0, maximum=90, typical=40.5),
    )
)
MISSING = ("", "NA")

plans = st.sampled_from(["basic", " plus", "1", "gold", "", "NA", None])
truths = st.sampled_from(["yes", "no ", "true", "0", "maybe", None])
ages = st.sampled_from(["40", "4e1", " 91", "old", "inf", "", None])
batches = st.lists(st.lists(st.tuples(plans, truths, ages), min_size=1, max_size=8), min_size=1, max_size=5)


def encode(encoder: TableEncoder, rows: Sequence[tuple[Any, ...]], is_coded: bool = False) -> list[tuple[Any, ...]]:
    """Encode customers; give each of them all that is said of him."""
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)]
    if is_coded:
        columns = [column.dictionary_encode() for column in columns]
    table = encoder.encode(pa.RecordBatch.from_arrays(columns, names=SIGNATURE.names), "customers.csv")
    values = [
        [of.values[place] for place in of.places] if isinstance(of, Levels) else of.tolist() for of in table.values
    ]
    for place, of_feature in table.levels.items():
        np.testing.assert_array_equal(of_feature.codes[of_feature.places], table.matrix[:, place])
    said = [*values, *table.matrix.T.tolist(), *table.missing, *table.unseen, *table.out_of_range]
    return [(*(str(of_row[row]) for of_row in said), table.unfit.get(row)) for row in range(len(rows))]


@pytest.mark.parametrize("few", [1 << 10, 2, 0])
@given(batches, st.booleans())
@settings(deadline=None, database=None, max_examples=20)
def test_customers_are_read_in_batches_as_alone(
    few: int, given_batches: list[list[tuple[Any, ...]]], is_coded: bool
) -> None:
    """Whether levels are remembered one by one or read anew, and in whatever order batches list them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(table_encoder, "_FEW_LEVELS", few)
        encoder = TableEncoder(SIGNATURE, MISSING)
        for rows in given_batches:
            alone = [encode(TableEncoder(SIGNATURE, MISSING), [row])[0] for row in rows]
            assert encode(encoder, rows, is_coded) == alone


def test_a_category_is_the_same_one_as_a_number_and_as_a_text() -> None:
    """1, 1.0 and '1' are; 1.5 is one that was never seen, as is 2."""
    encoder = TableEncoder(Signature(features=SIGNATURE.features[:1]), MISSING)
    found = []
    for column in (pa.array([1, 2]), pa.array([1.0, 1.5]), pa.array(["1", "1.5"]), pa.array([1, 2])):
        table = encoder.encode(pa.RecordBatch.from_arrays([column], names=["plan"]), "customers.parquet")
        found.append(table.unseen[0].tolist())
    assert found == [[False, True]] * 4


def test_a_number_is_named_by_its_own_type() -> None:
    """Where training met 1.0 among 1.5 and the like, 1 is another category, also after 1.0 and the other way round."""
    learnt = Feature(name="plan", kind="categorical", categories=("1.0", "1.5"), other_code=2)
    columns = [pa.array([1.0, 1.5]), pa.array([1, 2])]
    for order in (columns, columns[::-1]):
        encoder = TableEncoder(Signature(features=(learnt,)), MISSING)
        for column in order:
            table = encoder.encode(pa.RecordBatch.from_arrays([column], names=["plan"]), "customers.parquet")
            assert table.unseen[0].tolist() == [pa.types.is_integer(column.type)] * 2


def test_what_is_remembered_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts that never repeat are forgotten."""
    monkeypatch.setattr(table_encoder, "_MOST_REMEMBERED", 10)
    encoder = TableEncoder(Signature(features=SIGNATURE.features[:1]), MISSING)
    for number in range(40):
        plans_of_batch = pa.array([f"plan {number}", "basic"])
        table = encoder.encode(pa.RecordBatch.from_arrays([plans_of_batch], names=["plan"]), "customers.parquet")
        assert table.unseen[0].tolist() == [True, False]
    (reader,) = encoder._features
    assert sum(map(len, reader._known.values())) <= 12
