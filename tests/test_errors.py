"""Errors: full sentences of one line, built from what went wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from churn_mlops.errors import (
    CannotListen,
    ChurnMlopsError,
    DataFileError,
    FeatureSchemaMismatch,
    MissingColumn,
    NotComparable,
    NotWritable,
    ParityError,
    PromotionRefused,
    SuspectedLeak,
    VersionNotFound,
    VersionRefused,
)


@pytest.mark.parametrize(
    ("name", "columns", "ending"),
    [
        ("Chrun", ["tenure", "Churn"], "The closest is 'Churn'."),
        ("CHURN", ["tenure", "churn"], "The closest is 'churn'."),
        ("churn", ["tenure", " churn "], "The closest is ' churn '."),
        ("zzz", ["tenure", "plan"], "There are: 'tenure', 'plan'."),
        ("zzz", [f"c{n}" for n in range(8)], "There are: 'c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7'."),
        ("zzz", [f"c{n}" for n in range(10)], "'c7' and 2 more."),
        ("zzz", [], "There are none."),
    ],
)
def test_a_wrong_name_is_answered_with_the_closest(name: str, columns: list[str], ending: str) -> None:
    """The nearest known name is given whatever its case; without one, the first eight that there are."""
    sentence = str(MissingColumn("data.target", name, columns))
    assert sentence.startswith(f"data.target names the column {name!r}, which the table does not have. ")
    assert sentence.endswith(ending)


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (DataFileError(Path("a.csv"), "it is empty."), "Cannot read a.csv: it is empty."),
        (
            SuspectedLeak("refund", "by being missing or not", 0.99),
            "The column 'refund' by being missing or not all but decides the target (ROC AUC 0.990 on its own): "
            "it was most likely recorded after the customer left. Add it to data.drop, or to data.allow_leaky if it is "
            "truly known beforehand.",
        ),
        (
            NotWritable(Path("/app/artifacts"), (1000, 1001), (10001, 0)),
            "Cannot write to /app/artifacts: it belongs to 1000:1001 and this process runs as 10001:0. In a container, "
            "add --user 1000:1001 to docker run.",
        ),
        (
            ParityError("edge rows", 0.0123, 1e-5),
            "model.onnx and the estimator differ by 1.23e-02 on edge rows (allowed: 1e-05); no version was written.",
        ),
        (VersionNotFound("v1", []), "There is no version 'v1'. There are none."),
        (VersionNotFound("2026-b", ["2026-a"]), "There is no version '2026-b'. The closest is '2026-a'."),
        (NotComparable("v1", "it needs 'plan'."), "Version v1 cannot be judged: it needs 'plan'."),
        (
            PromotionRefused("v1", iter(["It is worse.", "It leaks."])),
            "Version v1 is not promoted. It is worse. It leaks. To promote it all the same, give --force and --reason; "
            "both are recorded.",
        ),
        (VersionRefused("v1", "its hash differs."), "Version v1 is refused: its hash differs."),
        (
            CannotListen("127.0.0.1", 80, PermissionError(13, "denied")),
            "Cannot listen on 127.0.0.1:80: Permission denied. serving.host and serving.port in the configuration, or "
            "CHURN_MLOPS__SERVING__PORT, choose another address.",
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_error_is_a_sentence_with_its_values(error: ChurnMlopsError, sentence: str) -> None:
    """What was wrong, where, and what to do about it stand in the text."""
    assert str(error) == sentence


def test_a_leak_by_value_has_no_gap_in_its_sentence() -> None:
    """Where nothing needs to be said of how, nothing is."""
    assert "The column 'refund' all but decides" in str(SuspectedLeak("refund", "", 0.99))


def test_a_schema_mismatch_names_its_fields() -> None:
    """The fields at fault can be told to a program, in the order of the sentence."""
    assert FeatureSchemaMismatch("b and a are unknown.", iter(["b", "a"])).fields == ("b", "a")


def test_every_error_ends_a_command_with_2_or_says_otherwise() -> None:
    """The exit code that commands promise belongs to the class."""
    classes = [ChurnMlopsError]
    for one in classes:
        classes.extend(sub for sub in one.__subclasses__() if sub.__module__.startswith("churn_mlops"))
    assert {one for one in classes if one.exit_code != 2} == {PromotionRefused}
    assert PromotionRefused.exit_code == 3
