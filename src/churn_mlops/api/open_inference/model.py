"""The served model in terms of the protocol: a tensor for each feature in, a tensor for each part of the answer out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from churn_mlops.api.open_inference.messages import ModelMetadata, TensorMetadata
from churn_mlops.api.open_inference.tensors import BYTES, DTYPES, read_column, refuse
from churn_mlops.api.responses import shorten
from churn_mlops.errors import FeatureSchemaMismatch, find_closest
from churn_mlops.inference.columns import CustomerColumns
from churn_mlops.models.signature import Feature

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt

    from churn_mlops.api.open_inference.messages import InferInput
    from churn_mlops.api.open_inference.tensors import Numbers
    from churn_mlops.inference.encoding import Value
    from churn_mlops.inference.records import PredictionRecord
    from churn_mlops.models.signature import Signature

_DATATYPES: Final = {
    "numeric": ("FP64", *(name for name in DTYPES if name not in ("BOOL", "FP64"))),
    "boolean": ("BOOL", *(name for name in DTYPES if name != "BOOL")),
    "categorical": (BYTES,),
}
"""In which datatypes a feature of each kind may come; the metadata names the first."""

_CUSTOMER_VALUE: Final = Feature(name="customer_value", kind="numeric")
_SHOWN: Final = 10


class TensorModel:
    """What one version takes and gives as tensors.

    Args:
        signature: its features.
        mode: how it decides; what a customer is worth is taken only where it decides by profit.
    """

    def __init__(self, signature: Signature, mode: str) -> None:
        self._features = {feature.name: feature for feature in signature.features}
        self._takes_value = mode == "profit" and _CUSTOMER_VALUE.name not in self._features
        self._inputs = self._features | ({_CUSTOMER_VALUE.name: _CUSTOMER_VALUE} if self._takes_value else {})
        self._outputs: dict[str, tuple[str, list[int]]] = {
            "churn_probability": ("FP32", [-1]),
            "churn_predicted": ("BOOL", [-1]),
            "risk_band": (BYTES, [-1]),
            "contributions": ("FP32", [-1, len(self._features)]),
            "reasons": (BYTES, [-1, -1]),
        }

    @property
    def inputs(self) -> tuple[str, ...]:
        """The names of what it takes."""
        return tuple(self._inputs)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The names of what it gives."""
        return tuple(self._outputs)

    def describe(self, name: str, version: str) -> ModelMetadata:
        """Describe the tensors, under the name that the model is served by."""
        return ModelMetadata(
            name=name,
            versions=[version],
            inputs=[
                TensorMetadata(name=feature.name, datatype=_DATATYPES[feature.kind][0], shape=[-1])
                for feature in self._inputs.values()
            ],
            outputs=[
                TensorMetadata(name=output, datatype=datatype, shape=shape)
                for output, (datatype, shape) in self._outputs.items()
            ],
        )

    def check_inputs(self, names: Sequence[str]) -> None:
        """Check that each is an input of the model, named once.

        Raises:
            FeatureSchemaMismatch: some are not.
        """
        _check_names("an input", names, self.inputs)

    def select_outputs(self, names: Sequence[str]) -> tuple[str, ...]:
        """Give the outputs that are wanted: these, or all if there are none.

        Raises:
            FeatureSchemaMismatch: some are no outputs of the model, or named twice.
        """
        _check_names("an output", names, self.outputs)
        return tuple(names) or self.outputs

    def read(self, tensor: InferInput, binary: memoryview | None) -> list[Value]:
        """Read a tensor into a value for each row: of the feature's kind, or None where it is missing.

        Missing are NaN, null, and an empty text unless it is a category.

        Raises:
            FeatureSchemaMismatch: it does not fit the feature.
        """
        feature = self._inputs[tensor["name"]]
        taken = _DATATYPES[feature.kind]
        if tensor["datatype"] not in taken:
            problem = f"is {feature.kind} and has the datatype {shorten(tensor['datatype'])}"
            raise refuse(feature.name, f"{problem}; {' or '.join(taken)} was expected")
        column = read_column(tensor, binary)
        if isinstance(column, list):
            return [text if text or not feature.is_unseen("") else None for text in column]
        return _read_numbers(feature, column)

    def split(self, columns: Mapping[str, Sequence[Any]], rows: int, part_rows: int) -> Iterator[CustomerColumns]:
        """Cut columns of so many rows into customers, part by part; what has no column is missing."""
        absent = [None] * rows
        features = [columns.get(name, absent) for name in self._features]
        values = columns.get(_CUSTOMER_VALUE.name, absent) if self._takes_value else absent
        for start in range(0, rows, part_rows):
            part = slice(start, start + part_rows)
            yield CustomerColumns(absent[part], values[part], [column[part] for column in features])

    def describe_output(self, name: str, rows: int, reasons: int) -> tuple[str, list[int]]:
        """Give an output's datatype, and its shape for so many rows with so many reasons each (0: all)."""
        datatype, (_, *others) = self._outputs[name]
        count = len(self._features)
        return datatype, [rows, *((min(reasons or count, count),) if name == "reasons" else others)]


def read_output(
    name: str, predictions: Sequence[PredictionRecord], contributions: npt.NDArray[np.float32]
) -> list[Any]:
    """Give an output's values for some rows, one row after the other."""
    if name == "contributions":
        return contributions.ravel().tolist()
    if name == "reasons":
        return [reason.text for prediction in predictions for reason in prediction.reasons]
    return [getattr(prediction, name) for prediction in predictions]


def _check_names(what: str, names: Sequence[str], known: Sequence[str]) -> None:
    unknown = [name for name in dict.fromkeys(names) if name not in known]
    if unknown:
        close = find_closest(unknown[0], known)
        hint = f" (the closest to {shorten(unknown[0])} is {close!r})" if close else f"; there are {', '.join(known)}"
        raise FeatureSchemaMismatch(
            f"{', '.join(map(shorten, unknown[:_SHOWN]))} is not {what} of this model{hint}.", unknown
        )
    twice = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if twice is not None:
        raise refuse(twice, f"is named twice; {what} was expected once")


def _read_numbers(feature: Feature, column: Numbers) -> list[Value]:
    missing = np.isnan(column)
    if feature.kind == "boolean":
        fits, expected = np.isin(column, (0, 1)), "true, false, 1, 0 or, where it is missing, NaN"
    elif feature is _CUSTOMER_VALUE:
        fits, expected = (column > 0) & np.isfinite(column), "a finite number above 0 or NaN"
    else:
        fits, expected = np.isfinite(column), "a finite number or, where it is missing, NaN"
    wrong = np.flatnonzero(~fits & ~missing)
    if len(wrong):
        raise refuse(feature.name, f"is {column[wrong[0]]:g}; {expected} was expected", int(wrong[0]))
    values = (column == 1 if feature.kind == "boolean" else column).astype(object)
    values[missing] = None
    return values.tolist()
