"""The job: what is written, what is rejected and why, and a run that goes on where another one was stopped."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from customer_frames import MIXED, make_frame

from churn_mlops.errors import DataError, DataFileError, OutputInUse
from churn_mlops.inference.batch_score import job
from churn_mlops.inference.batch_score.answers import Answerer
from churn_mlops.inference.batch_score.formats import ParquetFormat
from churn_mlops.inference.batch_score.unfinished import open_unfinished

if TYPE_CHECKING:
    from collections.abc import Callable

    Score = Callable[..., Any]
    Write = Callable[..., Path]


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred customers a batch, and what is done is saved after each."""
    monkeypatch.setattr(job, "_MOST_ROWS", 100)
    monkeypatch.setattr(job, "_FEWEST_ROWS", 100)
    monkeypatch.setattr(job, "_SECONDS_BETWEEN_SAVES", 0.0)


@pytest.mark.usefixtures("small_batches")
def test_batches_make_one_table_in_the_order_of_the_source(score: Score, write: Write) -> None:
    """As one batch would."""
    frame = make_frame(MIXED, rows=950, missing_share=0)
    in_batches = score("ebm", write(frame)).answers
    assert in_batches["customer_id"].tolist() == [f"C{row}" for row in range(950)]
    job._MOST_ROWS = 1000  # type: ignore[misc]  # undone by the fixture
    pd.testing.assert_frame_equal(score("ebm", write(frame)).answers, in_batches)


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("form", ["parquet", "csv"])
@pytest.mark.parametrize("top", [None, 40])
@pytest.mark.parametrize("after", [1, 4, 9])
def test_a_run_goes_on_where_another_was_stopped(
    score: Score, write: Write, monkeypatch: pytest.MonkeyPatch, form: str, top: int | None, after: int
) -> None:
    """With the same bytes, and without scoring again who was scored."""
    frame = make_frame(MIXED, rows=950, missing_share=0)
    frame.loc[7::100, "tenure"] = np.inf
    path = write(frame)
    expected = score("ebm", path, form, top=top)
    whole = expected.output.read_bytes(), expected.counts
    expected.output.write_text("the last output")
    answered: list[int] = []
    answer = Answerer.answer

    def stop_or_answer(self: Any, batch: Any) -> Any:
        answered.append(batch.end[1])
        if len(answered) > after:
            raise KeyboardInterrupt
        return answer(self, batch)

    monkeypatch.setattr(job, "available_cpus", lambda: 1)
    with monkeypatch.context() as patch:
        patch.setattr(Answerer, "answer", stop_or_answer)
        with pytest.raises(KeyboardInterrupt):
            score("ebm", path, form, top=top)
    assert expected.output.read_text() == "the last output"
    stopped, answered[:] = answered[:after], []

    def note_and_answer(self: Any, batch: Any) -> Any:
        answered.append(batch.end[1])
        return answer(self, batch)

    monkeypatch.setattr(Answerer, "answer", note_and_answer)
    again = score("ebm", path, form, top=top)
    assert (again.output.read_bytes(), again.counts) == whole
    assert len(again.rejects) == 10
    assert len(answered) <= 10 - after + 1
    assert answered[-1] == 950
    assert stopped[0] == 100


@pytest.mark.usefixtures("small_batches")
def test_a_run_of_other_settings_begins_anew(score: Score, write: Write, tmp_path: Path) -> None:
    """What another one left behind is removed."""
    path = write(make_frame(MIXED, rows=300))
    folder = tmp_path / ".scores.parquet.unfinished" / "0123456789abcdef"
    folder.mkdir(parents=True)
    (folder / "state.json").write_text("{")
    score("ebm", path)
    assert not folder.parent.exists()


def test_a_state_that_is_further_than_its_files_is_not_believed(tmp_path: Path) -> None:
    """After a power cut: the run begins at the start."""
    output = tmp_path / "scores.parquet"
    part = ParquetFormat().write(pa.table({"customer_id": ["C0"]}))
    with open_unfinished(output, "f") as unfinished:
        unfinished.add(ParquetFormat(), part)
        unfinished.save((0, 1))
    with open_unfinished(output, "f") as unfinished:
        assert unfinished.position == (0, 1)
    data = tmp_path / ".scores.parquet.unfinished" / "f" / "data"
    data.write_bytes(data.read_bytes()[:-1])
    with open_unfinished(output, "f") as unfinished:
        assert unfinished.position is None


@pytest.mark.parametrize(("name", "said"), [(None, r"writes \S+/s\.csv;"), ("table s", "writes table s;")])
def test_two_runs_do_not_write_one_output(tmp_path: Path, name: str | None, said: str) -> None:
    """The second is told at once, by the name that the output has for people."""
    with (
        open_unfinished(tmp_path / "s.csv", "a"),
        pytest.raises(OutputInUse, match=said),
        open_unfinished(tmp_path / "s.csv", "b", name),
    ):
        pass


def test_rejects_go_wherever_they_are_to(
    score: Score, write: Write, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Into a folder that is not there yet, and onto another file system, to which no file can be renamed."""
    rename = Path.replace

    def refuse_far(self: Path, target: Path) -> Path:
        if self.parent != target.parent:
            raise OSError(errno.EXDEV, "Invalid cross-device link")
        return rename(self, target)

    monkeypatch.setattr(Path, "replace", refuse_far)
    frame = make_frame(MIXED, rows=3).assign(customer_id=["C0", "", "C2"])
    rejects = tmp_path / "far" / "away" / "rejects.csv"
    scored = score("ebm", write(frame, "c.csv"), rejects=rejects)
    assert scored.rejects["row"].tolist() == [2]
    assert scored.answers["customer_id"].tolist() == ["C0", "C2"]
    assert rejects.stat().st_mode & 0o777 == 0o644
    assert [entry.name for entry in rejects.parent.iterdir()] == ["rejects.csv"]
    assert not list(tmp_path.glob(".*"))


@pytest.mark.usefixtures("small_batches")
@pytest.mark.parametrize("family", ["ebm", "profit"])
@pytest.mark.parametrize("top", [1, 60, 450, 10_000])
def test_the_contact_list_is_the_head_of_everybody_sorted(score: Score, write: Write, family: str, top: int) -> None:
    """By probability or by expected profit; equals stay in their order."""
    frame = pd.concat([make_frame(MIXED, rows=300)] * 3, ignore_index=True)
    path = write(frame)
    by, column = ("expected_profit",) * 2 if family == "profit" else ("probability", "churn_probability")
    everybody = score(family, path).answers.sort_values(column, ascending=False, kind="stable")
    found = score(family, path, top=top, by=by).answers
    pd.testing.assert_frame_equal(found, everybody.head(top).reset_index(drop=True))


def test_rows_that_cannot_be_scored_are_kept_with_their_reasons(score: Score, write: Write) -> None:
    """Of the wrong type, not finite, without an id, with too much missing: each row with its number, none lost."""
    frame = make_frame(MIXED, rows=20, missing_share=0).astype(object)
    frame["customer_id"] = [f"C{row}" for row in range(20)]
    frame.loc[2, "tenure"] = "abc"
    frame.loc[4, "paperless"] = "maybe"
    frame.loc[6, "charges"] = "inf"
    frame.loc[8, "customer_id"] = ""
    frame.loc[10, ["tenure", "plan", "charges"]] = None
    scored = score("ebm", write(frame, "c.csv"))
    assert scored.rejects["row"].tolist() == [3, 5, 7, 9, 11]
    assert scored.rejects["file"].str.endswith("c.csv").all()
    assert scored.rejects["reason"].tolist() == [
        "the column 'tenure' is 'abc'; a number was expected.",
        "the column 'paperless' is 'maybe'; a boolean was expected.",
        "the column 'charges' is 'inf'; a finite number was expected.",
        "the column 'customer_id' is missing; a customer's id was expected.",
        "3 of 5 features are missing (60%); at most 50% may be: tenure, plan, charges.",
    ]
    assert scored.rejects["text"].iloc[0].startswith("C2,abc,")
    assert set(scored.answers["customer_id"]) == {f"C{row}" for row in range(20)} - {"C2", "C4", "C6", "C10"} - {"C8"}


def test_a_column_of_another_kind_is_refused_with_its_file(score: Score, write: Write) -> None:
    """Dates where numbers were expected are no matter of single rows."""
    frame = make_frame(MIXED, rows=5).assign(tenure=pd.Timestamp("2026-01-01"))
    with pytest.raises(DataFileError, match=r"c\.parquet: the column 'tenure' holds timestamp.*numbers were expected"):
        score("ebm", write(frame, "c.parquet"))


@pytest.mark.parametrize("worth", [pd.Timestamp("2026-01-01"), [1.5]])
def test_a_worth_of_another_kind_is_refused_with_its_file(score: Score, write: Write, worth: Any) -> None:
    """Nobody is taken to be worth nothing; where a whole file has no worth, its customers are worth the usual."""
    frame = make_frame(MIXED, rows=5, missing_share=0)
    with pytest.raises(DataFileError, match=r"c\.parquet: the column 'worth' holds .* values; numbers were expected"):
        score("profit", write(frame.assign(worth=[worth] * 5), "c.parquet"), customer_value="worth")
    scored = score("profit", write(frame.assign(worth=None), "c.parquet"), customer_value="worth")
    assert scored.answers["customer_value"].tolist() == [50.0] * 5


def test_where_nobody_can_be_scored_the_last_output_stays(score: Score, write: Write, tmp_path: Path) -> None:
    """And the rejects say why."""
    (tmp_path / "scores.parquet").write_text("the last output")
    frame = make_frame(MIXED, rows=3).assign(customer_id=None)
    with pytest.raises(DataError, match=r"None of the 3 rows could be scored; .*rejects\.csv says why, and no answers"):
        score("ebm", write(frame, "c.csv"))
    assert (tmp_path / "scores.parquet").read_text() == "the last output"
    assert len(pd.read_csv(tmp_path / "rejects.csv")) == 3


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        (["2026-01-31"] * 2, "2026-01-31 00:00:00+00:00"),
        (["2026-01-31T12:00:00+02:00"] * 2, "2026-01-31 10:00:00+00:00"),
    ],
)
def test_the_snapshot_date_is_told(score: Score, write: Write, times: list[str], expected: str) -> None:
    """As the column says, in UTC; a row without a usable one is rejected."""
    frame = make_frame(MIXED, rows=3).assign(as_of=[*times, "soon"])
    scored = score("ebm", write(frame, "c.csv"), time="as_of")
    assert scored.answers["snapshot_date"].astype(str).tolist() == [expected] * 2
    assert "the time 'as_of' is 'soon'" in scored.rejects["reason"].iloc[0]


def test_a_column_says_what_customers_are_worth(score: Score, write: Write) -> None:
    """As a request's customer_value does: it decides instead of the feature; a negative one is rejected."""
    frame = make_frame(MIXED, rows=4, missing_share=0).assign(worth=[0, 15.5, -1, np.nan])
    scored = score("profit", write(frame), customer_value="worth")
    assert scored.answers["customer_value"].tolist() == [0, 15.5, 50.0]
    profit = 0.3 * scored.answers["churn_probability"].astype(float) * scored.answers["customer_value"] - 5
    np.testing.assert_allclose(scored.answers["expected_profit"], profit)
    assert scored.answers["churn_predicted"].tolist() == (profit >= 0).tolist()
    assert "the column 'worth' is -1.0; a customer value of at least 0" in scored.rejects["reason"].iloc[0]
