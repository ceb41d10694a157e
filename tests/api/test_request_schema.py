"""Every request that does not fit is a 4xx that names the field; any column name can be a feature's."""

from __future__ import annotations

import csv
import json
import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from churn_mlops.api.request_schema import RequestSchema
from churn_mlops.api.responses import shorten
from churn_mlops.config.settings import ArtifactsSettings, DataSettings, Settings, TrainingSettings
from churn_mlops.errors import FeatureSchemaMismatch
from churn_mlops.models.signature import Feature, Signature
from churn_mlops.training.job import train_baseline

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    Ask = Callable[..., httpx.Response]

STRANGE_NAMES = [
    *("Call  Failure", "class", "model_fields", "schema", "features", "customer_id", "int", "json", "copy"),
    *("ünïcode", "$ref", "f0", "f1", "model_config", "__class__", "__dict__", "_private", "self", "body"),
    *("a'b\"c\\d", "a/b~c", "x" * 300, "<b>", "日本", "{x}", "%s", "null", "tenure.months", "0"),
]
ONE_FEATURE = Signature(features=(Feature(name="tenure", kind="numeric", typical=1.0),))
RAW = '{"features": {"tenure": %s}}'


def with_feature(example: dict[str, Any], name: str, value: object) -> dict[str, Any]:
    """Give the example another value in one feature."""
    return {**example, "features": {**example["features"], name: value}}


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("tenure", "12", "'tenure' is \"12\"; a number or null was expected"),
        ("tenure", "", "'tenure' is \"\"; a number or null was expected"),
        ("tenure", True, "'tenure' is true; a number or null was expected"),
        ("tenure", [1], "'tenure' is [1]; a number or null was expected"),
        ("tenure", {"months": 1}, "'tenure' is {\"months\": 1}; a number or null was expected"),
        ("tenure", float("nan"), "'tenure' is not finite; a number or null was expected"),
        ("tenure", float("inf"), "'tenure' is not finite; a number or null was expected"),
        ("tenure", float("-inf"), "'tenure' is not finite; a number or null was expected"),
        ("tenure", 10**400, "'tenure' is not finite; a number or null was expected"),
        ("contract", 1, "'contract' is 1; a text or null was expected"),
        ("contract", False, "'contract' is false; a text or null was expected"),
        ("contract", 1.5, "'contract' is 1.5; a text or null was expected"),
        ("contract", float("nan"), "'contract' is NaN; a text or null was expected"),
        ("contract", ["One year"], "'contract' is [\"One year\"]; a text or null was expected"),
        ("contract", int("9" * 4000), f"'contract' is {'9' * 59}…; a text or null was expected"),
        ("tenur", 1, "'tenur' is not a feature of this model (the closest is 'tenure')"),
        ("Contract", "One year", "'Contract' is not a feature of this model (the closest is 'contract')"),
        ("f0", 1, "'f0' is not a feature of this model"),
        ("qqqq", None, "'qqqq' is not a feature of this model"),
        ("", None, "'' is not a feature of this model"),
        ("__class__", None, "'__class__' is not a feature of this model"),
    ],
)
def test_a_feature_that_does_not_fit_is_422_naming_it(
    ask: Ask, example: dict[str, Any], name: str, value: object, said: str
) -> None:
    """The sentence shows the value as JSON and what was expected, or the closest name; `fields` holds the name."""
    answer = ask("POST", "/predict", content=json.dumps(with_feature(example, name, value)).encode())
    assert (answer.status_code, answer.json()) == (
        422,
        {"error": "FeatureSchemaMismatch", "detail": f"{said}.", "fields": [name]},
    )


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN", "Infinity", "-Infinity", "1" + "0" * 400])
def test_numbers_without_a_finite_value_are_422(ask: Ask, number: str) -> None:
    """However JSON spells a number that is not finite, the answer names the field."""
    answer = ask("POST", "/predict", content=(RAW % number).encode())
    assert (answer.status_code, answer.json()["fields"]) == (422, ["tenure"])


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["features"]),
        ({"features": None}, ["features"]),
        ({"features": []}, ["features"]),
        ({"features": "tenure"}, ["features"]),
        ({"feature": {}}, ["features", "feature"]),
        ({"features": {}, "extra": 1}, ["extra"]),
        ({"features": {}, "": 1}, [""]),
        ({"features": {"tenure": "x", "contract": 1, "tenur": 2}}, ["tenure", "contract", "tenur"]),
        ({"features": {"nope": 1}, "customer_id": 1.5, "more": 1}, ["customer_id", "nope", "more"]),
        (None, ["body"]),
        ([], ["body"]),
        ([{"features": {}}], ["body"]),
        (1, ["body"]),
        (True, ["body"]),
        ("features", ["body"]),
    ],
)
def test_a_request_of_another_shape_is_422_naming_every_field(ask: Ask, body: object, fields: list[str]) -> None:
    """All that is wrong is named at once, `body` standing for the whole."""
    answer = ask("POST", "/predict", content=json.dumps(body).encode())
    assert (answer.status_code, answer.json()["error"]) == (422, "FeatureSchemaMismatch")
    assert answer.json()["fields"] == fields


@pytest.mark.parametrize("customer_id", ["x" * 201, "x" * 60_000, 1.5, True, [], {}, ["7590-VHVEG"], float("nan")])
def test_a_customer_id_of_another_type_or_length_is_422(ask: Ask, example: dict[str, Any], customer_id: object) -> None:
    """A customer id is a text of at most 200 characters, a whole number or null."""
    answer = ask("POST", "/predict", content=json.dumps({**example, "customer_id": customer_id}).encode())
    assert (answer.status_code, answer.json()["fields"]) == (422, ["customer_id"])
    assert len(answer.json()["detail"]) < 200


@pytest.mark.parametrize("customer_value", [100, 0, -1.5, None, "100"])
def test_a_value_that_would_change_nothing_is_422_saying_why(
    ask: Ask, example: dict[str, Any], customer_value: object
) -> None:
    """A model that does not decide by profit takes no value, whatever it is, and says what it decides by."""
    answer = ask("POST", "/predict", json={**example, "customer_value": customer_value})
    assert (answer.status_code, answer.json()["fields"]) == (422, ["customer_value"])
    assert answer.json()["detail"] == (
        "'customer_value' would change nothing: this model decides by threshold, not by profit."
    )


@pytest.mark.parametrize("customer_value", ["0", "-1", "-0.0", '"100"', "true", "[]", "{}", "NaN", "Infinity", "1e999"])
def test_a_value_that_is_no_number_above_zero_is_422(customer_value: str) -> None:
    """Where the decision is by profit, a value is a finite number above 0 or null, and the sentence says so."""
    schema = RequestSchema(ONE_FEATURE, "profit")
    with pytest.raises(FeatureSchemaMismatch, match="a finite number above 0 or null was expected") as refusal:
        schema.read(b'{"features": {}, "customer_value": %s}' % customer_value.encode())
    assert refusal.value.fields == ("customer_value",)


@pytest.mark.parametrize(("text", "value"), [("100", 100.0), ("0.5", 0.5), ("null", None)])
def test_a_value_is_read_beside_the_features(text: str, value: float | None) -> None:
    """A whole or broken number is taken as it is, and the features are those without it."""
    customer = RequestSchema(ONE_FEATURE, "profit").read(b'{"features": {}, "customer_value": %s}' % text.encode())
    assert customer == {"features": {}, "customer_value": value}


def test_an_unknown_field_is_told_what_fields_there_are() -> None:
    """The value is among them where the decision is by profit."""
    with pytest.raises(FeatureSchemaMismatch, match="'customer_id', 'features' and 'customer_value' are"):
        RequestSchema(ONE_FEATURE, "profit").read(b'{"features": {}, "value": 1}')


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b" \n", id="blank"),
        pytest.param(b"{", id="cut short"),
        pytest.param(b'{"features": {"tenure": 1}', id="not closed"),
        pytest.param(b'{"features": {"tenure": 1},}', id="comma too many"),
        pytest.param(b"{'features': {}}", id="single quotes"),
        pytest.param(b"features=1", id="form"),
        pytest.param(b'{"features": {}} {}', id="two documents"),
        pytest.param(b'{"features": {"tenure": 01}}', id="leading zero"),
        pytest.param(b'{"features": {"tenure": .5}}', id="no digit before the point"),
        pytest.param(b'{"features": {"tenure": 0x10}}', id="hexadecimal"),
        pytest.param(b'{"features": {"contract": "\xff\xfe"}}', id="not UTF-8"),
        pytest.param(b'\xef\xbb\xbf{"features": {}}', id="byte order mark"),
        pytest.param('{"features": {}}'.encode("utf-16"), id="UTF-16"),
        pytest.param(b'{"features": {"contract": "\\ud800"}}', id="lone surrogate"),
        pytest.param(b'{"features": {"\\udfff": 1}}', id="lone surrogate as a name"),
        pytest.param(b'{"features": {"contract": "\xed\xa0\x80"}}', id="surrogate in UTF-8"),
        pytest.param(b'{"features": {"contract": "a\nb"}}', id="newline in a text"),
        pytest.param(b"\x00" * 100, id="zeros"),
        pytest.param(b"[" * 60_000, id="60,000 arrays"),
        pytest.param(b'{"features":' * 5_000, id="5,000 objects"),
        pytest.param(b'{"features":' + b"[" * 30_000 + b"]" * 30_000 + b"}", id="30,000 arrays, closed"),
        pytest.param((RAW % ("9" * 5000)).encode(), id="5,000 digits"),
        pytest.param(b'{"customer_id": ' + b"9" * 5000 + b', "features": {}}', id="5,000 digits in the id"),
    ],
)
def test_what_is_no_json_is_400(ask: Ask, body: bytes) -> None:
    """A body that cannot be parsed is the client's doing, in the one error body."""
    answer = ask("POST", "/predict", content=body)
    assert (answer.status_code, answer.json()["error"], answer.json()["fields"]) == (400, "MalformedRequest", [])
    assert answer.json()["detail"].startswith("The body is not valid JSON: ")


def test_nesting_within_the_parsers_limit_names_the_field(ask: Ask) -> None:
    """A hundred levels are read, and refused for what they are."""
    answer = ask("POST", "/predict", content=(RAW % ("[" * 100 + "]" * 100)).encode())
    assert (answer.status_code, answer.json()["fields"]) == (422, ["tenure"])


@pytest.mark.parametrize("value", ["[" + "1," * 40_000 + "1]", '"' + "x" * 80_000 + '"'])
def test_a_request_longer_than_any_customer_is_refused_unread(value: str) -> None:
    """A list of a thousand pages is not looked at to be shown."""
    body = (RAW % value).encode()
    schema = RequestSchema(ONE_FEATURE)
    with pytest.raises(FeatureSchemaMismatch) as refused:
        schema.read(body)
    assert str(refused.value) == f"The request has {len(body):,} bytes; at most 66,536 were expected for one customer."
    assert refused.value.fields == schema.find_faults(body) == ("body",)
    assert schema.read((RAW % "1").encode().ljust(66_536)) == {"features": {"tenure": 1}}


def test_of_a_long_list_no_more_is_written_than_is_shown() -> None:
    """A value of any size is shown as soon as a small one."""

    class Counting(list[int]):
        def __iter__(self) -> Iterator[int]:
            for number in range(len(self)):
                looked_at.append(number)
                yield self[number]

    looked_at: list[int] = []
    assert shorten(Counting([7] * 100_000)) == "[" + "7, " * 19 + "7…"
    assert len(looked_at) < 100


def test_many_unknown_fields_cost_no_search_each() -> None:
    """Ten sentences are written, whatever the number of unknown names; all are named in `fields`."""
    schema = RequestSchema(Signature(features=(Feature(name="tenure", kind="numeric", typical=1.0),)))
    names = [f"tenure{number}" for number in range(3_000)]
    with pytest.raises(FeatureSchemaMismatch) as refusal:
        schema.read(json.dumps({"features": dict.fromkeys(names, 1)}).encode())
    assert refusal.value.fields == tuple(names)
    assert str(refusal.value).count("the closest is 'tenure'") == 10
    assert str(refusal.value).endswith("; and 2990 more.")


@pytest.mark.parametrize("name", ["", " ", "\u202e", "\x00", "features", "__init__"])
def test_any_text_can_name_a_feature(name: str) -> None:
    """A signature may hold names that no table reader gives."""
    schema = RequestSchema(Signature(features=(Feature(name=name, kind="numeric", typical=1.0),)))
    assert schema.read(json.dumps(schema.example()).encode())["features"] == {name: 1.0}


@pytest.fixture(scope="module")
def strange_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A model trained on a table whose column names are anything but identifiers."""
    folder = tmp_path_factory.mktemp("strange")
    draw = random.Random(0)  # noqa: S311 - a table, not a secret
    kinds = (lambda: round(draw.gauss(0, 1), 3), lambda: draw.choice(["true", "false"]), lambda: draw.choice("abc"))
    with (folder / "customers.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*STRANGE_NAMES, "left"])
        for _ in range(300):
            row = [kinds[place % 3]() for place in range(len(STRANGE_NAMES))]
            writer.writerow([*row, draw.choice(["yes", "no"])])
    data = DataSettings(source="table", path=folder / "customers.csv", target="left", positive_label="yes")
    artifacts = ArtifactsSettings(path=folder / "artifacts")
    trained = Settings(data=data, artifacts=artifacts, training=TrainingSettings(folds=2, bootstrap_resamples=100))
    train_baseline(trained)
    return trained


def test_any_column_name_can_be_a_features(
    serve_settings: Callable[[Settings], Ask], strange_settings: Settings
) -> None:
    """Names that are no identifiers, or pydantic's own, are documented, taken and given reasons for."""
    ask = serve_settings(strange_settings)
    document = ask("GET", "/openapi.json").json()
    assert list(document["components"]["schemas"]["Features"]["properties"]) == STRANGE_NAMES
    example = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]
    answer = ask("POST", "/predict?reasons=0", json=example)
    assert answer.status_code == 200
    given = {reason["feature"]: reason["value"] for reason in answer.json()["reasons"]}
    assert given == example["features"]


def test_any_column_name_can_be_named_as_wrong(
    serve_settings: Callable[[Settings], Ask], strange_settings: Settings
) -> None:
    """A wrong value is refused under the column's own name, whatever that is."""
    ask = serve_settings(strange_settings)
    for name in STRANGE_NAMES:
        answer = ask("POST", "/predict", json={"features": {name: []}})
        assert (answer.status_code, answer.json()["fields"]) == (422, [name])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda part: st.lists(part, max_size=4) | st.dictionaries(st.text(max_size=8), part, max_size=4),
    max_leaves=12,
)
FEATURE_NAMES = st.sampled_from(["tenure", "contract", "total_charges", "payment_method", "Tenure", "f0", "", "$ref"])
NEAR_REQUESTS = st.fixed_dictionaries(
    {"features": st.dictionaries(FEATURE_NAMES | st.text(max_size=5), JSON, max_size=6) | JSON},
    optional={"customer_id": JSON, "features ": JSON},
)
ANY_REQUEST = settings(
    deadline=None, database=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def require_an_answer_or_the_error_body(answer: httpx.Response) -> None:
    """A request is answered, or refused with the one error body; the service never fails."""
    assert answer.status_code in (200, 400, 422)
    body = answer.json()
    if answer.status_code != 200:
        assert (type(body.pop("error")), type(body.pop("detail")), type(body.pop("fields"))) == (str, str, list)
        assert body == {}


@given(body=st.binary(max_size=300))
@ANY_REQUEST
def test_no_bytes_make_it_fail(ask: Ask, body: bytes) -> None:
    """Whatever the bytes, the answer is a 4xx with the one error body."""
    require_an_answer_or_the_error_body(ask("POST", "/predict", content=body))


@given(body=JSON | NEAR_REQUESTS)
@ANY_REQUEST
def test_no_json_makes_it_fail(ask: Ask, body: object) -> None:
    """Whatever the JSON, near a request or far from it, it is answered or refused."""
    require_an_answer_or_the_error_body(ask("POST", "/predict", content=json.dumps(body).encode()))


@given(changes=st.dictionaries(st.integers(0, 18), JSON, max_size=4), customer_id=JSON)
@ANY_REQUEST
def test_no_change_to_a_good_request_makes_it_fail(
    ask: Ask, example: dict[str, Any], changes: dict[int, Any], customer_id: object
) -> None:
    """A good request with some values replaced by any JSON is answered, or refused naming what was replaced."""
    changed = {list(example["features"])[place]: value for place, value in changes.items()}
    body = {"customer_id": customer_id, "features": {**example["features"], **changed}}
    answer = ask("POST", "/predict", content=json.dumps(body).encode())
    require_an_answer_or_the_error_body(answer)
    if answer.status_code == 422:
        assert set(answer.json()["fields"]) <= {*changed, "customer_id"}
