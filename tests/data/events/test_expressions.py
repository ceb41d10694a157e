"""The SQL of the configuration: a small part of it, which means the same whatever computes it."""

from __future__ import annotations

import ibis
import pytest

from churn_mlops.data.events.expressions import read_expression
from churn_mlops.errors import DataError, MissingColumn

ROW = ibis.memtable(
    {"text": ["C12"], "number": [4], "blank": [None], "digits": [" 2.5 "]},
    schema={"text": "string", "number": "int64", "blank": "string", "digits": "string"},
)
COLUMNS = {name: ROW[name] for name in ROW.columns}


def value(text: str) -> object:
    """Compute an expression on one row."""
    (found,) = ROW.select(x=read_expression(text, COLUMNS, "key")).to_pyarrow()["x"].to_pylist()
    return found


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("number * 2 + 1 - -1", 10),
        ("number / 8", 0.5),
        ("number / (number - 4)", None),
        ("digits * number", 10.0),
        ("text * number", None),
        ("text LIKE 'C%'", True),
        ("NOT text LIKE 'C%' OR number >= 4", True),
        ("text = 'C12' AND number <> 5", True),
        ("digits > 2", True),
        ("number IN (1, 4)", True),
        ("number NOT IN (1, 4)", False),
        ("number BETWEEN 3 AND 5", True),
        ("blank IS NULL", True),
        ("blank IS NOT NULL", False),
        ("COALESCE(blank, 'none')", "none"),
        ("CASE WHEN number > 5 THEN 'many' WHEN number > 3 THEN 'some' ELSE 'few' END", "some"),
        ("CASE WHEN number > 5 THEN 'many' END", None),
        ("LOWER(text)", "c12"),
        ("UPPER(TRIM(' a '))", "A"),
        ("LENGTH(text) + ABS(-2)", 5),
        ("CAST(digits AS DOUBLE)", 2.5),
        ("CAST(text AS BIGINT)", None),
        ("'purchase'", "purchase"),
        ("TRUE", True),
        ("NULL", None),
    ],
)
def test_an_expression_means_what_it_does_in_sql(text: str, expected: object) -> None:
    """Texts are numbers where they are calculated with; what has no value is missing."""
    assert value(text) == expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("number +", "key is 'number +', which is no SQL expression"),
        ("read_csv('/etc/passwd')", "is not known there; known are columns"),
        ("(SELECT 1)", "is not known there"),
        ("number IN (SELECT 1)", "is not known there"),
        ("SUM(number)", "is not known there"),
        ("number IS TRUE", "is not known there"),
        ("number AND text", "does not fit the types of its columns"),
        ("number AND number", "does not fit the types of its columns"),
        ("NOT number", "does not fit the types of its columns"),
        ("CASE WHEN number THEN 1 END", "does not fit the types of its columns"),
        ("TRIM(LEADING 'C' FROM text)", "is not known there"),
        ("LENGTH(text, 'utf8')", "is not known there"),
        ("CAST(text AS VARCHAR(1))", "is not known there"),
        ("log.number", "log.number is not known there"),
        ("text = NULL", "a comparison with NULL (IS NULL is meant) is not known there"),
        ("number IN (1, NULL)", "a comparison with NULL"),
    ],
)
def test_anything_else_is_refused(text: str, sentence: str) -> None:
    """Neither functions of the engine nor queries: the configuration cannot reach its SQL."""
    with pytest.raises(DataError) as refused:
        read_expression(text, COLUMNS, "key")
    assert sentence in str(refused.value)


def test_an_unknown_column_is_named() -> None:
    """With the key, and what comes closest."""
    with pytest.raises(MissingColumn, match=r"key names the column 'numbr'.*The closest is 'number'"):
        read_expression("numbr + 1", COLUMNS, "key")
