"""Many customers checked by columns: as the schema of one request does it, at a fraction of its cost."""

from __future__ import annotations

from itertools import repeat
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Final

from pydantic import TypeAdapter, ValidationError

from churn_mlops.api.request_schema import CUSTOMER_ID, CUSTOMER_VALUE, FEATURE_VALUE
from churn_mlops.inference.columns import CustomerColumns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from churn_mlops.inference.encoding import Value
    from churn_mlops.models.signature import Signature

_CUSTOMER_IDS: Final[TypeAdapter[list[str | int | None]]] = TypeAdapter(list[CUSTOMER_ID])
_CUSTOMER_VALUES: Final[TypeAdapter[list[float | None]]] = TypeAdapter(list[CUSTOMER_VALUE])
_FEATURE_VALUES: Final[dict[str, TypeAdapter[list[Value]]]] = {
    kind: TypeAdapter(list[value])  # type: ignore[valid-type]  # a type that is known at run time only
    for kind, value in FEATURE_VALUE.items()
}


class BatchSchema:
    """Takes customers whom `RequestSchema` would take, one by one, however long, and says no more than that of others.

    Args:
        signature: the model's features.
        fields: names of the parts of a request for one customer.
    """

    def __init__(self, signature: Signature, fields: tuple[str, ...]) -> None:
        self._fields = frozenset(fields)
        self._names = signature.names
        self._known = frozenset(signature.names)
        # of one name it would give the value alone
        self._pick: Callable[[dict[str, Any]], tuple[Any, ...]] = (
            itemgetter(*signature.names) if len(signature.names) > 1 else lambda given: (given[signature.names[0]],)
        )
        self._columns = [_FEATURE_VALUES[feature.kind] for feature in signature.features]

    def read_rows(self, rows: Sequence[Any]) -> CustomerColumns | None:
        """Read requests, as parsed from JSON; None if one of them cannot be taken."""
        by_row: list[tuple[Any, ...]] = []
        fields, pick, width = self._fields, self._pick, len(self._names)
        for row in rows:
            if type(row) is not dict or not row.keys() <= fields:
                return None
            features = row.get("features")
            if type(features) is not dict:
                return None
            try:
                given = pick(features)
            except KeyError:  # some are absent, and others may not be features
                if not features.keys() < self._known:
                    return None
                given = tuple(map(features.get, self._names))
            else:
                if len(features) > width:
                    return None
            by_row.append(given)
        return self.read_columns(
            [row.get("customer_id") for row in rows],
            [row.get("customer_value") for row in rows],
            list(map(list, zip(*by_row, strict=True))),
        )

    def read_columns(
        self, ids: list[Any], values: list[Any], features: Sequence[list[Any]], sure: Sequence[bool] = ()
    ) -> CustomerColumns | None:
        """Read customers column by column; None if one cannot be taken.

        Args:
            ids: what they are called.
            values: what they are worth.
            features: in the signature's order.
            sure: of each feature, whether its values are known to be of its kind; without it, none is.
        """
        try:
            return CustomerColumns(
                _CUSTOMER_IDS.validate_python(ids, strict=True),
                _CUSTOMER_VALUES.validate_python(values, strict=True),
                [
                    given if is_sure else column.validate_python(given, strict=True)
                    for column, given, is_sure in zip(self._columns, features, sure or repeat(False), strict=bool(sure))
                ],
            )
        except ValidationError:
            return None
