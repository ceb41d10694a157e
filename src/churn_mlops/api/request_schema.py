"""The request of /predict, made from the model's signature: validated straight from the bytes that came in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final, NotRequired

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, WithJsonSchema, with_config
from typing_extensions import TypedDict

from churn_mlops.api.responses import shorten
from churn_mlops.errors import FeatureSchemaMismatch, MalformedRequest, find_closest

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

    from churn_mlops.inference.encoding import Value
    from churn_mlops.inference.prediction import Customer
    from churn_mlops.models.signature import Feature, Signature

_STRICT: Final = ConfigDict(extra="forbid", strict=True)
_JSON_TYPE: Final = {"numeric": "number", "boolean": "boolean", "categorical": "string"}
KIND_WORDS: Final = {"numeric": "a number", "boolean": "true or false", "categorical": "a text"}
SHOWN: Final = 10
"""How many faults, or categories, are named."""
_LONGEST_ID: Final = 200
LONGEST_BYTES: Final = 1 << 16
_FEATURE_BYTES: Final = 1000
"""That a request may have at most, and for each feature: to say what is wrong with a longer one would take long."""

CUSTOMER_ID: Final[Any] = Annotated[str, Field(max_length=_LONGEST_ID)] | int | None
CUSTOMER_VALUE: Final[Any] = Annotated[
    float | None,
    Field(
        gt=0,
        allow_inf_nan=False,
        description="What the customer is worth if kept, in the unit of the offer's cost. It decides churn_predicted; "
        "without it, the feature that the model was told holds it does, or the mean of the training customers.",
    ),
]
FEATURE_VALUE: Final[dict[str, Any]] = {
    "numeric": Annotated[float | None, Field(allow_inf_nan=False)],
    "boolean": bool | None,
    "categorical": str | None,
}
"""The types of the parts of a request, which a batch has many of; features' values by kind."""


class RequestSchema:
    """What a client may send for one model.

    Args:
        signature: the model's features.
        mode: how the model decides; a customer's value is taken only where it decides by profit.

    Attributes:
        fields: names of the parts of a request.
    """

    def __init__(self, signature: Signature, mode: str = "threshold") -> None:
        self._signature = signature
        self._mode = mode
        self._longest = LONGEST_BYTES + _FEATURE_BYTES * len(signature.features)
        features = build_object("Features", {feature.name: _field(feature) for feature in signature.features})
        features.__doc__ = "The customer's features; one that is null or absent is used as missing."
        fields: dict[str, Any] = {"customer_id": NotRequired[CUSTOMER_ID], "features": features}
        if mode == "profit":
            fields["customer_value"] = NotRequired[CUSTOMER_VALUE]
        self.fields = tuple(fields)
        self._adapter: TypeAdapter[Customer] = TypeAdapter(build_object("PredictRequest", fields))

    def read(self, body: bytes) -> Customer:
        """Read one customer from a request's body.

        Raises:
            MalformedRequest: the body is no JSON.
            FeatureSchemaMismatch: a field is unknown, of the wrong type, or not finite; every one is named. Or it is
                longer than any customer.
        """
        if len(body) > self._longest:
            detail = f"The request has {len(body):,} bytes; at most {self._longest:,} were expected for one customer."
            raise FeatureSchemaMismatch(detail, ("body",))
        try:
            return self._adapter.validate_json(body)
        except ValidationError as error:
            raise self._refusal(error.errors(include_url=False)) from None

    def find_faults(self, body: bytes) -> tuple[str, ...]:
        """Name the fields that `read` would refuse, without a word about each; none if it would take the customer."""
        if len(body) > self._longest:
            return ("body",)
        try:
            self._adapter.validate_json(body)
        except ValidationError as error:
            return tuple(_first_by_field(error.errors(include_url=False, include_input=False)))
        return ()

    def json_schema(self) -> dict[str, Any]:
        """Give the JSON schema of the request, its parts under `#/components/schemas/`."""
        return self._adapter.json_schema(ref_template="#/components/schemas/{model}")

    def example(self) -> dict[str, Any]:
        """Give a request that works: a customer who is typical in everything."""
        return {
            "customer_id": "7590-VHVEG",
            "features": {feature.name: write_plainly(feature.typical) for feature in self._signature.features},
        }

    def _refusal(self, errors: list[ErrorDetails]) -> MalformedRequest | FeatureSchemaMismatch:
        if errors[0]["type"] == "json_invalid":
            return MalformedRequest(f"The body is not valid JSON: {errors[0]['ctx']['error']}.")
        first_of = _first_by_field(errors)
        # sentences for those that are shown only: looking for the closest name takes its time
        problems = [self._problem(name, error) for name, error in [*first_of.items()][:SHOWN]]
        more = f"; and {len(first_of) - SHOWN} more" if len(first_of) > SHOWN else ""
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
        return f"{name!r} is {shorten(error['input'])}; {KIND_WORDS[feature.kind]} or null was expected"

    def _request_problem(self, name: str, error: ErrorDetails) -> str:
        fields = _join(self.fields)
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


def _first_by_field(errors: list[ErrorDetails]) -> dict[str, ErrorDetails]:
    first_of: dict[str, ErrorDetails] = {}
    for error in errors:
        # of a feature, the location is "features" and its name; of a customer id, it goes on with the types tried
        first, *rest = error["loc"] or ("body",)
        first_of.setdefault(str(rest[0] if first == "features" and rest else first), error)
    return first_of


def _join(names: tuple[str, ...]) -> str:
    *others, last = map(repr, names)
    return f"{', '.join(others)} and {last}"


def write_plainly(value: Value) -> Value:
    """Give a number that is whole without a point."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def build_object(name: str, fields: dict[str, Any]) -> Any:
    """Make the type of a JSON object with these fields and no others; their names need not be identifiers."""
    return with_config(_STRICT)(TypedDict(name, fields))  # type: ignore[operator]  # fields known at run time only


def _field(feature: Feature) -> Any:
    schema: dict[str, Any] = {"type": [_JSON_TYPE[feature.kind], "null"], "title": feature.name}
    schema |= {"x-kind": feature.kind, "x-missing-share": round(feature.missing_share, 4)}
    if feature.kind == "categorical":
        schema["x-categories"] = list(feature.categories)
    elif feature.kind == "numeric":
        schema["x-range"] = [write_plainly(feature.minimum), write_plainly(feature.maximum)]
    description = f"{feature.kind}; seen in training: {_seen(feature)}"
    return NotRequired[Annotated[FEATURE_VALUE[feature.kind], WithJsonSchema(schema), Field(description=description)]]


def _seen(feature: Feature) -> str:
    if feature.typical is None:
        return "nothing, it was always missing"
    if feature.kind == "boolean":
        return "true and false"
    if feature.kind == "numeric":
        return f"{write_plainly(feature.minimum)} to {write_plainly(feature.maximum)}"
    named = [repr(category) for category in feature.categories[:SHOWN]]
    unnamed = len(feature.categories[SHOWN:]) + len(feature.rare_categories)
    return ", ".join([*named, f"{unnamed} more"] if unnamed else named)
