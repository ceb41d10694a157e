"""The request of /predict, made from the model's signature: validated straight from the bytes that came in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError, WithJsonSchema, create_model

from churn_mlops.api.responses import shorten
from churn_mlops.errors import FeatureSchemaMismatch, MalformedRequest, find_closest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from churn_mlops.inference.encoding import Value
    from churn_mlops.models.signature import Feature, Signature

_STRICT: Final = ConfigDict(extra="forbid", strict=True, frozen=True)
_TYPE: Final[dict[str, type]] = {"numeric": float, "boolean": bool, "categorical": str}
_JSON_TYPE: Final = {"numeric": "number", "boolean": "boolean", "categorical": "string"}
_WORD: Final = {"numeric": "a number", "boolean": "true or false", "categorical": "a text"}
_SHOWN: Final = 10
_LONGEST_ID: Final = 200
_CUSTOMER_VALUE: Final[Any] = Field(
    default=None,
    gt=0,
    allow_inf_nan=False,
    description="What the customer is worth if kept, in the unit of the offer's cost. It decides churn_predicted; "
    "without it, the feature that the model was told holds it does, or the mean of the training customers.",
)


@dataclass(frozen=True, slots=True)
class Customer:
    """One customer to score.

    Attributes:
        customer_id: as the client sent it; echoed, never looked at.
        values: one per feature, in the signature's order, of the feature's kind or None.
        customer_value: what the client says that the customer is worth; None where it leaves that to the model.
    """

    customer_id: str | int | None
    values: tuple[Value, ...]
    customer_value: float | None = None


class RequestSchema:
    """What a client may send for one model.

    Args:
        signature: the model's features.
        mode: how the model decides; a customer's value is taken only where it decides by profit.
    """

    def __init__(self, signature: Signature, mode: str = "threshold") -> None:
        self._signature = signature
        self._mode = mode
        # field names of the table need not be identifiers, so they are aliases; the order is the signature's
        fields: dict[str, Any] = {f"f{place}": _field(feature) for place, feature in enumerate(signature.features)}
        features = create_model("Features", __config__=_STRICT, **fields)
        features.__doc__ = "The customer's features; one that is null or absent is used as missing."
        request: dict[str, Any] = {
            "customer_id": (Annotated[str, Field(max_length=_LONGEST_ID)] | int | None, None),
            "features": (features, ...),
        }
        if mode == "profit":
            request["customer_value"] = (float | None, _CUSTOMER_VALUE)
        self._fields = tuple(request)
        self._model: type[BaseModel] = create_model("PredictRequest", __config__=_STRICT, **request)

    def read(self, body: bytes) -> Customer:
        """Read one customer from a request's body.

        Raises:
            MalformedRequest: the body is no JSON.
            FeatureSchemaMismatch: a field is unknown, of the wrong type, or not finite; every one is named.
        """
        try:
            request: Any = self._model.model_validate_json(body)
        except ValidationError as error:
            raise self._refusal(error.errors(include_url=False)) from None
        value = getattr(request, "customer_value", None)
        return Customer(request.customer_id, tuple(request.features.__dict__.values()), value)

    def json_schema(self) -> dict[str, Any]:
        """Give the JSON schema of the request, its parts under `#/components/schemas/`."""
        return self._model.model_json_schema(ref_template="#/components/schemas/{model}")

    def example(self) -> dict[str, Any]:
        """Give a request that works: a customer who is typical in everything."""
        return {
            "customer_id": "7590-VHVEG",
            "features": {feature.name: _plain(feature.typical) for feature in self._signature.features},
        }

    def _refusal(self, errors: list[ErrorDetails]) -> MalformedRequest | FeatureSchemaMismatch:
        if errors[0]["type"] == "json_invalid":
            return MalformedRequest(f"The body is not valid JSON: {errors[0]['ctx']['error']}.")
        first_of: dict[str, ErrorDetails] = {}
        for error in errors:
            # of a feature, the location is "features" and its name; of a customer id, it goes on with the types tried
            first, *rest = error["loc"] or ("body",)
            first_of.setdefault(str(rest[0] if first == "features" and rest else first), error)
        # sentences for those that are shown only: looking for the closest name takes its time
        problems = [self._problem(name, error) for name, error in [*first_of.items()][:_SHOWN]]
        more = f"; and {len(first_of) - _SHOWN} more" if len(first_of) > _SHOWN else ""
        return FeatureSchemaMismatch("; ".join(problems) + more + ".", first_of)

    def _problem(self, name: str, error: ErrorDetails) -> str:
        if error["loc"][:1] != ("features",) or len(error["loc"]) == 1:
            return self._request_problem(name, error)
        if error["type"] == "extra_forbidden":
            close = find_closest(name, self._signature.names)
            return f"{name!r} is not a feature of this model" + (f" (the closest is {close!r})" if close else "")
        feature = next(feature for feature in self._signature.features if feature.name == name)
        if error["type"] == "finite_number":
            return f"{name!r} is not finite; a number or null was expected"
        return f"{name!r} is {shorten(error['input'])}; {_WORD[feature.kind]} or null was expected"

    def _request_problem(self, name: str, error: ErrorDetails) -> str:
        fields = _join(self._fields)
        if error["type"] == "extra_forbidden":
            if name == "customer_value":
                return f"{name!r} would change nothing: this model decides by {self._mode}, not by profit"
            return f"{name!r} is not a field of the request; {fields} are"
        if error["type"] == "missing":
            return f"{name!r} is missing from the request"
        expected = {
            "features": "an object of feature names and values",
            "customer_id": f"a text of at most {_LONGEST_ID} characters, a whole number or null",
            "customer_value": "a finite number above 0 or null",
            "body": f"an object with {fields}",
        }
        return f"{name!r} is {shorten(error['input'])}; {expected[name]} was expected"


def _join(names: tuple[str, ...]) -> str:
    *others, last = map(repr, names)
    return f"{', '.join(others)} and {last}"


def _plain(value: Value) -> Value:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _field(feature: Feature) -> tuple[Any, None]:
    schema: dict[str, Any] = {"type": [_JSON_TYPE[feature.kind], "null"], "title": feature.name}
    schema |= {"x-kind": feature.kind, "x-missing-share": round(feature.missing_share, 4)}
    if feature.kind == "categorical":
        schema["x-categories"] = list(feature.categories)
    elif feature.kind == "numeric":
        schema["x-range"] = [_plain(feature.minimum), _plain(feature.maximum)]
    limits: dict[str, Any] = {"allow_inf_nan": False} if feature.kind == "numeric" else {}
    description = f"{feature.kind}; seen in training: {_seen(feature)}"
    return (
        Annotated[_TYPE[feature.kind] | None, WithJsonSchema(schema)],
        Field(default=None, alias=feature.name, description=description, **limits),
    )


def _seen(feature: Feature) -> str:
    if feature.typical is None:
        return "nothing, it was always missing"
    if feature.kind == "boolean":
        return "true and false"
    if feature.kind == "numeric":
        return f"{_plain(feature.minimum)} to {_plain(feature.maximum)}"
    named = [repr(category) for category in feature.categories[:_SHOWN]]
    unnamed = len(feature.categories[_SHOWN:]) + len(feature.rare_categories)
    return ", ".join([*named, f"{unnamed} more"] if unnamed else named)
