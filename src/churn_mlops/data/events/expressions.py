"""Reads the SQL expressions of the configuration into Ibis: a small part of SQL that means the same on every engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import ibis
import ibis.expr.datatypes as dt
import sqlglot
from ibis.common.annotations import SignatureValidationError
from sqlglot import exp

from churn_mlops.data.events.engine import divide
from churn_mlops.errors import DataError, MissingColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import ibis.expr.types as ir

_TYPES: Final = {
    exp.DataType.Type.DOUBLE: dt.float64,
    exp.DataType.Type.FLOAT: dt.float64,
    exp.DataType.Type.BIGINT: dt.int64,
    exp.DataType.Type.INT: dt.int64,
    exp.DataType.Type.TEXT: dt.string,
    exp.DataType.Type.VARCHAR: dt.string,
}

_BINARY: Final[dict[type[exp.Expression], Callable[[Any, Any], Any]]] = {
    exp.Add: lambda left, right: _number(left) + _number(right),
    exp.Sub: lambda left, right: _number(left) - _number(right),
    exp.Mul: lambda left, right: _number(left) * _number(right),
    exp.Div: lambda left, right: divide(_number(left), _number(right)),
    exp.EQ: lambda left, right: _alike(left, right)[0] == _alike(left, right)[1],
    exp.NEQ: lambda left, right: _alike(left, right)[0] != _alike(left, right)[1],
    exp.LT: lambda left, right: _alike(left, right)[0] < _alike(left, right)[1],
    exp.LTE: lambda left, right: _alike(left, right)[0] <= _alike(left, right)[1],
    exp.GT: lambda left, right: _alike(left, right)[0] > _alike(left, right)[1],
    exp.GTE: lambda left, right: _alike(left, right)[0] >= _alike(left, right)[1],
    exp.And: lambda left, right: _truth(left) & _truth(right),
    exp.Or: lambda left, right: _truth(left) | _truth(right),
    exp.Like: lambda text, pattern: _text(text).like(pattern.op().value),
    exp.Is: lambda value, _: value.isnull(),
}

_UNARY: Final[dict[type[exp.Expression], Callable[[Any], Any]]] = {
    exp.Paren: lambda value: value,
    exp.Neg: lambda value: -_number(value),
    exp.Not: lambda value: ~_truth(value),
    exp.Abs: lambda value: _number(value).abs(),
    exp.Lower: lambda value: _text(value).lower(),
    exp.Upper: lambda value: _text(value).upper(),
    exp.Trim: lambda value: _text(value).strip(),
    exp.Length: lambda value: _text(value).length(),
}

_READ: Final = frozenset({"this", "expression", "expressions", "low", "high", "ifs", "default", "true", "to"})
"""What is read of the parts of an expression; TRIM(LEADING 'x' FROM y) or a.b have more."""

_KNOWN: Final = (
    "columns, numbers, 'texts', + - * /, = <> < <= > >=, AND OR NOT, IN, BETWEEN, LIKE, IS NULL, CASE WHEN, COALESCE, "
    "CAST, ABS, LOWER, UPPER, TRIM and LENGTH"
)


def read_expression(text: str, columns: Mapping[str, ir.Value], key: str) -> ir.Value:
    """Read one SQL expression.

    A text is read as a number where it is calculated with or compared to one; what is no number is then missing, as is
    what is divided by zero.

    Args:
        text: the expression.
        columns: what it may name.
        key: the key of the configuration that holds it, for messages.

    Raises:
        DataError: it is no expression, or uses more of SQL than is known here.
        MissingColumn: it names a column that is not there.
    """
    try:
        tree: Any = sqlglot.parse_one(text, into=exp.Condition)
        return _build(tree, columns, key)
    except (sqlglot.ParseError, sqlglot.TokenError) as error:
        reason = " ".join(str(error).split("\n")[0].split())
        raise DataError(f"{key} is {text!r}, which is no SQL expression ({reason}).") from error
    except _Unknown as error:
        raise DataError(f"{key} is {text!r}, and {error} is not known there; known are {_KNOWN}.") from error
    except (ibis.common.exceptions.IbisError, SignatureValidationError, TypeError, AttributeError) as error:
        raise DataError(f"{key} is {text!r}, which does not fit the types of its columns.") from error


class _Unknown(Exception):
    """A part of SQL that is not known here."""


def _build(node: exp.Expression, columns: Mapping[str, ir.Value], key: str) -> Any:
    def build(part: exp.Expression) -> Any:
        return _build(part, columns, key)

    _refuse_more(node)
    if isinstance(node, exp.Column):
        if node.name not in columns:
            raise MissingColumn(key, node.name, list(columns))
        return columns[node.name]
    if isinstance(node, exp.Literal | exp.Boolean | exp.Null):
        return _build_literal(node)
    if isinstance(node, exp.Is) and not isinstance(node.expression, exp.Null):
        raise _Unknown(node.sql())
    if type(node) in _BINARY:
        return _BINARY[type(node)](build(node.this), build(node.expression))
    if type(node) in _UNARY:
        return _UNARY[type(node)](build(node.this))
    return _build_list(node, build)


def _refuse_more(node: exp.Expression) -> None:
    """Refuse what says more than is read of it, which would go by in silence."""
    if any(value and value is not True for name, value in node.args.items() if name not in _READ):
        raise _Unknown(node.sql())


def _build_literal(node: exp.Expression) -> Any:
    if isinstance(node, exp.Null):
        return ibis.null()
    is_number = isinstance(node, exp.Literal) and not node.is_string
    return ibis.literal(_read_number(node.this) if is_number else node.this)


def _build_list(node: exp.Expression, build: Callable[[exp.Expression], Any]) -> Any:
    """Build what takes more than two parts."""
    if isinstance(node, exp.In) and node.expressions:
        equal = _BINARY[exp.EQ]
        found = [equal(build(node.this), build(value)) for value in node.expressions]
        return ibis.or_(*found)
    if isinstance(node, exp.Between):
        value, low, high = build(node.this), build(node.args["low"]), build(node.args["high"])
        return _BINARY[exp.GTE](value, low) & _BINARY[exp.LTE](value, high)
    if isinstance(node, exp.Coalesce):
        return ibis.coalesce(*map(build, (node.this, *node.expressions)))
    if isinstance(node, exp.Case) and node.this is None:
        branches = [(_truth(build(branch.this)), build(branch.args["true"])) for branch in node.args["ifs"]]
        default = node.args.get("default")
        return ibis.cases(*branches, else_=None if default is None else build(default))
    if isinstance(node, exp.Cast) and node.to.this in _TYPES and not node.to.expressions:
        return build(node.this).try_cast(_TYPES[node.to.this])
    raise _Unknown(node.sql())


def _read_number(text: str) -> float | int:
    try:
        return int(text)
    except ValueError:
        return float(text)


def _number(value: Any) -> Any:
    return value.strip().try_cast(dt.float64) if value.type().is_string() else value


def _text(value: Any) -> Any:
    return value if value.type().is_string() else value.cast(dt.string)


def _truth(value: Any) -> Any:
    """Refuse what is neither true nor false: bits would be calculated with."""
    if not (value.type().is_boolean() or value.type().is_null()):
        raise TypeError
    return value


def _alike(left: Any, right: Any) -> tuple[Any, Any]:
    """Read a text as a number where it is compared to one; what is compared to NULL would be asked whether it is."""
    if left.type().is_null() or right.type().is_null():
        raise _Unknown("a comparison with NULL (IS NULL is meant)")
    if left.type().is_string() and right.type().is_numeric():
        return _number(left), right
    if left.type().is_numeric() and right.type().is_string():
        return left, _number(right)
    return left, right
