"""Customer tables: every row used or rejected, every column a feature or left out, and a name for the content."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pandas as pd
import pyarrow as pa
import pytest
from customer_tables import ROWS, has_left, make_arrow, make_csv, read, settings_for, write_table
from hypothesis import given, settings
from hypothesis import strategies as st

from churn_mlops.data.table import CustomerTable, check_learnable, load_customers
from churn_mlops.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

CELLS = st.sampled_from(
    ["1", "2.5", "-7", "", " ", "NA", "inf", "abc", "a b", 'say "x"', "a,b", "two\nlines", "TRUE", "2024-01-01"]
)
ROWS_OF_CELLS = st.lists(
    st.one_of(
        st.tuples(CELLS, CELLS, st.sampled_from(["Yes", "No", "", "Maybe"])),  # as the header
        st.lists(CELLS, min_size=1, max_size=5),  # of any length
    ),
    max_size=30,
)


@settings(deadline=None)
@given(rows=ROWS_OF_CELLS, blank_lines=st.booleans())
def test_every_row_is_used_or_rejected(
    rows: list[tuple[str, ...]], blank_lines: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever stands in a file, its rows are those used and those rejected, each rejected one once."""
    every = [("1", "a", "Yes"), ("2", "b", "No"), *(row for row in rows if any(row) or len(row) > 1)]
    path = tmp_path_factory.getbasetemp() / "any.csv"
    text = io.StringIO()
    text.write("x,y,churn\n")
    for row in every:
        csv.writer(text, lineterminator="\n\n" if blank_lines else "\n").writerow(row)
    table = read(path, text.getvalue(), negative_label="No", customer_id=None)
    assert len(table.features) + len(table.rejects) == table.rows_read == len(every)
    assert len({reject.row for reject in table.rejects}) == len(table.rejects)
    assert {reject.row for reject in table.rejects} <= set(range(1, len(every) + 1))


@settings(deadline=None)
@given(texts=st.lists(st.text(st.characters(codec="utf-8"), max_size=30), min_size=1, max_size=6))
def test_any_text_is_refused_in_one_line_or_read(texts: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    """No text file, however odd, ends in anything but a table or a sentence of one line."""
    path = write_table(tmp_path_factory.getbasetemp() / "odd.csv", "churn,x\n" + "\n".join(texts))
    assert len(sentence_about(path).splitlines()) <= 1


@settings(deadline=None)
@given(content=st.binary(max_size=200), ending=st.sampled_from([".csv", ".csv.gz", ".parquet"]))
def test_any_bytes_are_refused_in_one_line(
    content: bytes, ending: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A file of another kind under one of the three endings is refused by a sentence of one line."""
    path = write_table(tmp_path_factory.getbasetemp() / f"noise{ending}", content)
    with pytest.raises(DataError) as caught:
        load_customers(settings_for(path, target="no such column"))
    assert len(str(caught.value).splitlines()) == 1


def sentence_about(path: Path) -> str:
    """Read a table without an id; give the sentence it is refused with, or nothing."""
    try:
        load_customers(settings_for(path, customer_id=None))
    except DataError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", ["t.csv.gz", "t.parquet"])
def test_the_same_content_in_another_file_is_the_same_table(tmp_path: Path, name: str) -> None:
    """Compressed text and Parquet, be its columns text or typed, give what plain CSV gives."""
    plain = read(tmp_path / "t.csv", make_csv())
    other = read(tmp_path / name, make_arrow() if name == "t.parquet" else make_csv())
    pd.testing.assert_frame_equal(other.features, plain.features)
    assert (other.kinds, other.fingerprint()) == (plain.kinds, plain.fingerprint())


def test_text_columns_of_parquet_are_read_as_those_of_csv(tmp_path: Path) -> None:
    """An export that stores every column as text in Parquet loses nothing by it."""
    as_text = make_arrow().cast(pa.schema([(name, pa.string()) for name in make_arrow().column_names]))
    plain = read(tmp_path / "t.csv", make_csv())
    assert read(tmp_path / "t.parquet", as_text).fingerprint() == plain.fingerprint()


def test_pandas_types_in_parquet_are_read_as_what_they_are(tmp_path: Path) -> None:
    """Nullable integers and booleans, categories and strings keep kind, values and gaps."""
    frame = pd.DataFrame(
        {
            "tenure": pd.array([None if row % 9 == 0 else row % 37 for row in range(ROWS)], dtype="Int64"),
            "paperless": pd.array([None if row % 9 == 0 else row % 2 == 0 for row in range(ROWS)], dtype="boolean"),
            "plan": pd.Categorical([None if row % 9 == 0 else "abc"[row % 3] for row in range(ROWS)]),
            "churn": pd.Categorical([has_left(row) for row in range(ROWS)]),
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    table = load_customers(settings_for(tmp_path / "t.parquet", customer_id=None))
    assert table.kinds == {"tenure": "numeric", "paperless": "boolean", "plan": "categorical"}
    assert table.features.isna().sum().tolist() == [17, 17, 17]


def test_a_kind_can_be_named_for_every_column(tmp_path: Path) -> None:
    """`data.kinds` turns numbers into categories or booleans, yes and no into booleans, and keeps what is named."""
    extra = {
        "postcode": lambda row: f"{row % 3:04}",
        "paperless": lambda row: "yes" if row % 3 else "no",
        "senior": lambda row: row % 2,
        "constant": lambda row: 1,
    }
    kinds = {"postcode": "categorical", "paperless": "boolean", "senior": "boolean", "constant": "numeric"}
    table = read(tmp_path / "t.csv", make_csv(extra=extra), kinds=kinds)
    assert {name: table.kinds[name] for name in kinds} == kinds
    assert table.features[["postcode", "paperless", "senior"]].iloc[0].tolist() == ["0000", False, False]


@pytest.mark.parametrize("outcome", ["Yes", "No"])
def test_fifty_of_each_outcome_are_enough(tmp_path: Path, outcome: str) -> None:
    """The 50th churner, or the 50th customer who stayed, is the one that makes a table learnable."""
    other = "No" if outcome == "Yes" else "Yes"
    content = make_csv(churn=lambda row: outcome if row < 50 else other)
    check_learnable(read(tmp_path / "t.csv", content))


def test_named_columns_are_no_features(tmp_path: Path) -> None:
    """The target, the customer id and what `data.drop` lists are neither features nor left out with a warning."""
    table = read(tmp_path / "t.csv", make_csv(), drop=["tenure"])
    assert (list(table.features), table.left_out) == (["plan"], {})


def test_customer_ids_stay_beside_their_rows(tmp_path: Path) -> None:
    """Where rows are rejected, the others keep their own customer."""
    table = read(tmp_path / "t.csv", make_csv(churn=lambda row: "" if row < 2 else has_left(row)))
    assert table.customer_ids is not None
    assert table.customer_ids.tolist() == [f"C{row:04}" for row in range(2, ROWS)]
    assert table.features["tenure"].iloc[0] == 2 * 7


def test_a_row_with_two_faults_is_rejected_once(tmp_path: Path) -> None:
    """A missing target is the reason that is given, whatever else is wrong."""
    content = make_csv(
        extra={"spend": lambda row: "inf" if row == 3 else row % 11},
        churn=lambda row: "" if row == 3 else has_left(row),
    )
    table = read(tmp_path / "t.csv", content)
    assert [(reject.row, reject.reason) for reject in table.rejects] == [(4, "the target 'churn' is missing.")]


def test_rejects_of_both_sorts_stand_in_the_order_of_the_file(tmp_path: Path) -> None:
    """Ragged rows and unusable ones are told together, each with its row as it stood."""
    content = "x,churn\n1,Yes\n2\n3,\n4,No,more\n5,No\n"
    table = read(tmp_path / "t.csv", content, customer_id=None)
    assert [(reject.row, reject.text) for reject in table.rejects] == [(2, "2"), (3, "3,"), (4, "4,No,more")]


def test_a_rejected_row_is_shown_with_the_delimiter_of_its_file(tmp_path: Path) -> None:
    """The text of a reject looks like the line it came from."""
    content = make_csv(delimiter=";", churn=lambda row: "" if row == 0 else has_left(row))
    table = read(tmp_path / "t.csv", content, delimiter=";")
    assert [reject.text for reject in table.rejects] == ["C0000;0;a;"]


def test_categories_that_only_rejected_rows_had_are_gone(tmp_path: Path) -> None:
    """What is learnt from are the accepted rows alone."""
    table = read(tmp_path / "t.csv", make_csv() + "C8,1,gone,\n")
    assert table.features["plan"].cat.categories.tolist() == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("C0003,21,a,No", "C0003,22,a,No"),
        ("C0003,21,a,No", "C0003,21,b,No"),
        ("C0003,21,a,No", "C0003,21,a,Yes"),
        ("C0003,21,a,No", "C0003,,a,No"),
        ("tenure", "months"),
    ],
)
def test_the_fingerprint_changes_with_the_content(tmp_path: Path, old: str, new: str) -> None:
    """Another number, category, gap, outcome or name is another content."""
    before = read(tmp_path / "t.csv", make_csv())
    after = read(tmp_path / "t.csv", make_csv().replace(old, new))
    assert before.fingerprint() != after.fingerprint()


def test_the_fingerprint_does_not_know_the_customers(tmp_path: Path) -> None:
    """Other customer ids, or a file of another name, are the same content."""
    before = read(tmp_path / "t.csv", make_csv())
    after = read(tmp_path / "u.csv", make_csv().replace("C0", "D7"))
    assert before.fingerprint() == after.fingerprint()


def test_repeated_rows_are_counted_by_features_and_outcome(tmp_path: Path) -> None:
    """A row that equals an earlier one but for its customer is counted; one with another outcome is not."""
    extra = {"spend": lambda row: row * row}
    more = "C7,14,c,4,No\nC8,14,c,4,Yes\nC9,14,c,4,No\n"  # row 3, of a customer who stayed
    table = read(tmp_path / "t.csv", make_csv(extra=extra) + more)
    assert table.repeated_rows == 2


def test_column_names_are_kept_to_the_letter(tmp_path: Path) -> None:
    """Blanks inside, before and after a name, and letters of any script, are part of it."""
    names = ["Call  Failure", " lead", "trail ", "größe", "a,b"]
    header = "customer_id,tenure,plan," + ",".join(f'"{name}"' for name in names) + ",churn"
    content = make_csv(extra=dict.fromkeys("vwxyz", lambda row: row % 11))
    table = read(tmp_path / "t.csv", content.replace("customer_id,tenure,plan,v,w,x,y,z,churn", header))
    assert list(table.features) == ["tenure", "plan", *names]


def test_a_row_without_an_id_is_no_repeated_customer(tmp_path: Path) -> None:
    """Customers with more than one row are counted; blanks in the id are not one customer."""
    content = make_csv() + "C0001,1,a,No\nC0001,2,a,No\nC0002,3,b,Yes\n,4,b,Yes\nNA,5,b,Yes\n ,6,b,Yes\n"
    table = read(tmp_path / "t.csv", content)
    assert table.repeated_customers == 2
    assert table.customer_ids is not None
    assert table.customer_ids.isna().tolist() == [False] * (ROWS + 3) + [True] * 3


def test_without_an_id_no_customer_repeats(tmp_path: Path) -> None:
    """What is not known is not counted."""
    assert read(tmp_path / "t.csv", make_csv(), customer_id=None).repeated_customers == 0


def test_times_stay_beside_their_rows(tmp_path: Path) -> None:
    """The time is no feature, rows without a readable one are rejected, and the others keep theirs."""
    extra = {"asof": lambda row: {3: "", 5: "soon"}.get(row, f"2024-01-{row % 28 + 1:02}")}
    table = read(tmp_path / "t.csv", make_csv(extra=extra), time="asof")
    assert table.time is not None
    assert (len(table.time), table.time[3]) == (ROWS - 2, pd.Timestamp("2024-01-05", tz="UTC"))
    assert (list(table.features), table.left_out) == (["tenure", "plan"], {})
    assert [(reject.row, reject.reason.partition(";")[0]) for reject in table.rejects] == [
        (4, "the time 'asof' is missing."),
        (6, "the time 'asof' is 'soon'"),
    ]


def test_segments_may_be_dropped_columns(tmp_path: Path) -> None:
    """A column kept out of the features can still be evaluated by, aligned with the rows that are used."""
    extra = {"gender": lambda row: "fm"[row % 2], "age": lambda row: "old" if row == 9 else row}
    content = make_csv(extra=extra, churn=lambda row: "" if row == 0 else has_left(row))
    settings = settings_for(write_table(tmp_path / "t.csv", content), drop=["gender", "age"])
    table = load_customers(settings, segments=["gender", "age", "plan"])
    assert list(table.features) == ["tenure", "plan"]
    assert list(table.segments) == ["gender", "age", "plan"]
    assert table.segments["gender"].tolist()[:3] == ["m", "f", "m"]
    assert table.segments["age"].iloc[[0, 7]].tolist() == [1, 8]
    assert table.segments["age"].isna().sum() == 1
    assert len(table.segments["plan"]) == ROWS - 1


@pytest.mark.parametrize(
    ("extra", "value"),
    [
        (pa.array(["2024-01-01"] * ROWS), "2024-01-01"),
        (pa.array([20] * ROWS, pa.date32()), "1970-01-21"),
        (pa.array([1.0] * ROWS), 1.0),
    ],
)
def test_segments_may_be_columns_that_can_be_no_features(tmp_path: Path, extra: pa.Array, value: object) -> None:
    """Dates are evaluated by as texts, and a constant is one segment."""
    settings = settings_for(write_table(tmp_path / "t.parquet", make_arrow({"wave": extra})))
    assert set(load_customers(settings, segments=["wave"]).segments["wave"]) == {value}


@pytest.mark.parametrize(
    ("segment", "said"),
    [
        (
            "regoin",
            "evaluation.segments names the column 'regoin', which the table does not have. The closest is 'region'",
        ),
        ("churn", "data.target ('churn') is also named by data.time or evaluation.segments"),
        ("region", "evaluation.segments names the column 'region', which holds list<"),
    ],
)
def test_a_column_that_is_no_segment_is_refused(tmp_path: Path, segment: str, said: str) -> None:
    """The sentence names the key and what was expected."""
    path = write_table(tmp_path / "t.parquet", make_arrow({"region": pa.array([[1]] * ROWS)}))
    with pytest.raises(DataError) as caught:
        load_customers(settings_for(path), segments=[segment])
    assert str(caught.value).startswith(said)


@pytest.fixture(scope="module")
def telco(real_data: Callable[[str], Path]) -> CustomerTable:
    """The Telco table as it is published."""
    path = real_data("telco.csv")
    return load_customers(settings_for(path, target="Churn", customer_id="customerID"))


def test_telco_is_read_whole(telco: CustomerTable) -> None:
    """All 7,043 customers are used, a .2654 share of them churners, and 22 repeat another but for the id."""
    assert (telco.rows_read, len(telco.features), len(telco.rejects)) == (7043, 7043, 0)
    assert (round(telco.churned.mean(), 4), telco.repeated_rows) == (0.2654, 22)


def test_telco_blanks_are_missing_charges(telco: CustomerTable) -> None:
    """The 11 blanks in TotalCharges make it no text: they are missing values, and told."""
    assert telco.notes == {"TotalCharges": "text read as numbers; 11 blanks are missing values"}
    assert (telco.kinds["TotalCharges"], int(telco.features["TotalCharges"].isna().sum())) == ("numeric", 11)


def test_telco_without_a_named_id_leaves_it_out(real_data: Callable[[str], Path]) -> None:
    """An operator who forgets the customer id is warned, and nothing is learnt from it."""
    table = load_customers(settings_for(real_data("telco.csv"), target="Churn", customer_id=None))
    assert list(table.left_out) == ["customerID"]


def test_iranian_is_read_whole(real_data: Callable[[str], Path]) -> None:
    """3,150 rows of numbers, 300 of them repeated, under names with double blanks."""
    table = load_customers(settings_for(real_data("iranian.csv"), target="Churn", positive_label=1, customer_id=None))
    assert (len(table.features), len(table.rejects), table.repeated_rows) == (3150, 0, 300)
    assert list(table.features)[:4] == ["Call  Failure", "Complains", "Subscription  Length", "Charge  Amount"]
    assert (set(table.kinds.values()), table.left_out) == ({"numeric"}, {})


def test_saas_is_read_whole(real_data: Callable[[str], Path]) -> None:
    """2,000 rows of numbers and categories with a target of 1.0 and 0.0, its duration dropped."""
    table = load_customers(
        settings_for(
            real_data("saas.csv"), target="churned", positive_label=1, customer_id=None, drop=["months_active"]
        )
    )
    assert (len(table.features), len(table.rejects), int(table.churned.sum())) == (2000, 0, 932)
    assert set(table.kinds.values()) == {"numeric", "categorical"}
