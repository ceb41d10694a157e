"""Takes in the customers of a batch, part by part: encoded for scoring, or listed with what is wrong with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from pydantic_core import to_json

from churn_mlops.errors import BadRow, BatchRefused, FeatureSchemaMismatch

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    import numpy as np
    import numpy.typing as npt

    from churn_mlops.api.served_model import ServedModel
    from churn_mlops.inference.columns import CustomerColumns
    from churn_mlops.inference.encoding import InputQuality

_EXPLAINED: Final = 50
"""Of so many customers at fault the answer says what is wrong; of the others, in which fields."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some customers of a batch, ready to be answered.

    Attributes:
        customers: as they came in.
        matrix: float32 [customers, features], for the graph.
        qualities: of each customer's input.
    """

    customers: CustomerColumns
    matrix: npt.NDArray[np.float32]
    qualities: list[InputQuality]


class Intake:
    """The customers of one batch.

    Args:
        served: the model that is to score them.
        most: how many there may be.
    """

    def __init__(self, served: ServedModel, most: int) -> None:
        self._served = served
        self._most = most
        self._parts: list[Part] = []
        self._bad: list[BadRow] = []
        self._count = 0

    def take(
        self,
        customers: CustomerColumns | None,
        count: int,
        row: Callable[[int], Any],
        lines: Sequence[int] | None = None,
    ) -> Generator[None]:
        """Take in the next customers, a moment at a time.

        Args:
            customers: them, if all could be read.
            count: how many there are.
            row: gives one of them as a request, from its place among these: asked if they are to be judged one by one.
            lines: where each stands in the CSV file.

        Raises:
            BatchRefused: there are more than may be.
        """
        first, self._count = self._count, self._count + count
        if self._count > self._most:
            raise BatchRefused(
                f"There are more than {self._most:,} customers, which is all that serving.max_batch_rows allows in "
                f"one batch.",
                ("customers",),
            )
        yield
        encoded = self._served.predictor.encode_columns(customers.features) if customers and count else None
        if customers and encoded:
            self._parts.append(Part(customers, *encoded))
            yield
            return
        for place in range(count):
            self._judge(first + place, row(place), lines[place] if lines else None)
            yield

    def refuse(self, fields: Sequence[str], problem: str, line: int) -> None:
        """List the next line of a CSV file as no customer at all."""
        detail = f"line {line}: {problem}" if len(self._bad) < _EXPLAINED else None
        self._bad.append(BadRow(self._count, tuple(fields), detail, line))
        self._count += 1

    def close(self) -> list[Part]:
        """Give the customers in their order, in parts.

        Raises:
            BatchRefused: some are at fault, or there is none.
        """
        if self._bad:
            first = self._bad[0]
            where = "" if first.line else f"row {first.row}: "
            raise BatchRefused(
                f"{len(self._bad):,} of {self._count:,} customers cannot be scored, so none was; the first: "
                f"{where}{first.detail}",
                dict.fromkeys(field for bad in self._bad for field in bad.fields),
                self._bad,
            )
        if not self._parts:
            raise BatchRefused("There is no customer in the batch; at least one was expected.", ("customers",))
        return self._parts

    def _judge(self, row: int, request: object, line: int | None) -> None:
        body = to_json(request, inf_nan_mode="constants")
        if len(self._bad) >= _EXPLAINED and (fields := self._served.schema.find_faults(body)):
            self._bad.append(BadRow(row, fields, line=line))
            return
        try:
            self._served.predictor.encode(self._served.schema.read(body)["features"])
        except FeatureSchemaMismatch as error:
            detail = f"line {line}: {error}" if line else str(error)
            self._bad.append(BadRow(row, error.fields, detail if len(self._bad) < _EXPLAINED else None, line))
