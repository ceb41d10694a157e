"""Inference by the protocol: the answers of /predict, row by row, in every form of tensors; and what is refused."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from typing import TYPE_CHECKING, Any

import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from messages_by_hand import DTYPES, INFER, make_tensors, read_outputs, to_binary

from churn_mlops.config.settings import ArtifactsSettings, ServingSettings, Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fastapi import FastAPI

    Ask = Callable[..., httpx.Response]
    Infer = Callable[..., httpx.Response]
    Rows = list[dict[str, Any]]

FORMS = [(binary_in, binary_out) for binary_in in (False, True) for binary_out in (False, True)]


@pytest.fixture
def one(example: dict[str, Any], kinds: dict[str, str]) -> list[dict[str, Any]]:
    """The tensors of one customer, who is typical in everything."""
    return make_tensors([example["features"]], kinds, {})


def change(tensors: list[dict[str, Any]], which: str, **values: Any) -> list[dict[str, Any]]:
    """Give the tensors with one of them changed."""
    return [tensor | values if tensor["name"] == which else tensor for tensor in tensors]


@pytest.mark.parametrize(("binary_in", "binary_out"), FORMS)
def test_the_answers_are_those_of_predict(
    ask: Ask, infer: Infer, customers: Rows, kinds: dict[str, str], binary_in: bool, binary_out: bool
) -> None:
    """Probability, decision, band, reasons and all contributions are to the bit what /predict says of each customer."""
    tensors = make_tensors(customers, kinds, {})
    found = read_outputs(infer(tensors, binary=binary_in, parameters={"binary_data_output": binary_out}))
    for row, customer in enumerate(customers):
        expected = ask("POST", "/predict?reasons=0", json={"features": customer}).json()
        for name in ("churn_probability", "churn_predicted", "risk_band"):
            assert found[name][row] == expected[name]
        assert found["reasons"][row] == [reason["text"] for reason in expected["reasons"][:3]]
        contributions = {reason["feature"]: reason["contribution"] for reason in expected["reasons"]}
        assert dict(zip(kinds, found["contributions"][row], strict=True)) == contributions


@pytest.mark.parametrize("datatype", [name for name in DTYPES if name != "BOOL"])
@pytest.mark.parametrize("binary", [False, True])
def test_a_number_may_come_in_any_datatype(infer: Infer, one: Rows, datatype: str, binary: bool) -> None:
    """The same whole number means the same, whatever datatype it comes in."""
    expected = read_outputs(infer(change(one, "tenure", data=[7])))
    assert read_outputs(infer(change(one, "tenure", data=[7], datatype=datatype), binary=binary)) == expected


@pytest.mark.parametrize(
    ("name", "missing"), [("tenure", None), ("tenure", float("nan")), ("contract", ""), ("contract", None)]
)
def test_what_counts_as_missing(ask: Ask, infer: Infer, one: Rows, name: str, missing: object) -> None:
    """NaN, null and an empty text are what a tensor that is not there is: missing."""
    without = [tensor for tensor in one if tensor["name"] != name]
    expected = read_outputs(infer(without, parameters={"reasons": 0}))
    body = json.dumps({"inputs": change(one, name, data=[missing]), "parameters": {"reasons": 0}})
    found = read_outputs(ask("POST", INFER, content=body.encode()))  # NaN is no JSON, but tritonclient writes it
    assert any(text.startswith(f"{name} is missing") for text in expected["reasons"][0])
    assert found == expected


@pytest.mark.parametrize("binary", [False, True])
def test_a_tensor_may_be_a_column(infer: Infer, customers: Rows, kinds: dict[str, str], binary: bool) -> None:
    """[rows, 1] is as good as [rows], its values nested or not."""
    flat = make_tensors(customers[:5], kinds, {})
    column = [tensor | {"shape": [5, 1]} for tensor in flat]
    nested = [tensor | {"shape": [5, 1], "data": [[value] for value in tensor["data"]]} for tensor in flat]
    expected = read_outputs(infer(flat))
    assert read_outputs(infer(column, binary=binary)) == expected
    assert read_outputs(infer(nested)) == expected


def test_outputs_can_be_chosen_each_in_its_form(infer: Infer, one: Rows) -> None:
    """Only what is asked for is answered, in that order, and `binary_data` overrules `binary_data_output`."""
    wanted = [{"name": "risk_band", "parameters": {"binary_data": False}}, {"name": "churn_probability"}]
    answer = infer(one, outputs=wanted, parameters={"binary_data_output": True})
    assert list(read_outputs(answer)) == ["risk_band", "churn_probability"]
    length = int(answer.headers["Inference-Header-Content-Length"])
    band, probability = json.loads(answer.content[:length])["outputs"]
    assert (band["data"], probability["parameters"]) == (["medium"], {"binary_data_size": 4})
    assert answer.headers["content-type"] == "application/octet-stream"


def test_an_answer_says_who_gave_it_to_which_request(ask: Ask, infer: Infer, one: Rows) -> None:
    """Name and version of the model, and the id of the request if it has one."""
    version = ask("GET", "/ready").json()["model_version"]
    with_id, without = infer(one, id="42").json(), infer(one).json()
    assert (with_id["id"], with_id["model_name"], with_id["model_version"]) == ("42", "churn", version)
    assert "id" not in without
    assert set(without) == {"model_name", "model_version", "outputs"}


@pytest.mark.parametrize(("parameters", "count"), [({}, 3), ({"reasons": 1}, 1), ({"reasons": 0}, 19)])
def test_reasons_are_as_many_as_asked_for(infer: Infer, one: Rows, parameters: dict[str, Any], count: int) -> None:
    """The parameter `reasons` is what ?reasons= is to /predict."""
    assert len(read_outputs(infer(one, parameters=parameters))["reasons"][0]) == count


def test_what_a_customer_is_worth_is_taken_where_it_decides(
    ask_by_profit: Callable[..., Ask], example: dict[str, Any], kinds: dict[str, str]
) -> None:
    """By profit, the input customer_value decides as it does in /predict; NaN leaves it to the model."""
    ask = ask_by_profit()
    values = [1.0, 5000.0, float("nan")]
    worth = {"name": "customer_value", "shape": [3], "datatype": "FP64", "data": values}
    request = {"inputs": [*make_tensors([example["features"]] * 3, kinds, {}), worth]}
    found = read_outputs(ask("POST", INFER, **to_binary(request)))["churn_predicted"]
    bodies = [example | ({} if np.isnan(value) else {"customer_value": value}) for value in values]
    assert found == [ask("POST", "/predict", json=body).json()["churn_predicted"] for body in bodies]
    assert found[:2] == [False, True]
    assert "customer_value" in {tensor["name"] for tensor in ask("GET", "/v2/models/churn").json()["inputs"]}
    refused = ask("POST", INFER, json={"inputs": [*request["inputs"][:-1], worth | {"data": [1, 0, 3]}]})
    assert (refused.status_code, "row 1, is 0" in refused.json()["error"]) == (422, True)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_body_may_be_compressed(ask: Ask, infer: Infer, one: Rows, encoding: str) -> None:
    """As tritonclient does on request."""
    body = json.dumps({"inputs": one}).encode()
    compressed = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
    answer = ask("POST", INFER, content=compressed, headers={"Content-Encoding": encoding})
    assert read_outputs(answer) == read_outputs(infer(one))


def test_other_requests_are_answered_during_a_long_one(
    sample_app: FastAPI, customers: Rows, kinds: dict[str, str]
) -> None:
    """While thousands of rows are scored, the service answers others."""
    body = json.dumps({"inputs": make_tensors(customers * 10, kinds, {})}).encode()

    async def race() -> tuple[int, httpx.Response]:
        transport = httpx.ASGITransport(sample_app)
        async with (
            sample_app.router.lifespan_context(sample_app),
            httpx.AsyncClient(transport=transport, base_url="http://service") as client,
        ):
            long = asyncio.create_task(client.post(INFER, content=body))
            answered = 0
            while not long.done():
                answered += (await client.get("/health")).status_code == 200
                await asyncio.sleep(0)
            return answered, await long

    answered, long = asyncio.run(race())
    assert len(read_outputs(long)["churn_probability"]) == 6000
    assert answered >= 50


REFUSED: list[tuple[str, dict[str, Any], list[str]]] = [
    ("tenure", {"name": "Tenure"}, ['"Tenure"', "not an input", "'tenure'"]),
    ("tenure", {"name": "contract"}, ["'contract' is named twice"]),
    ("tenure", {"datatype": "FP128"}, ["'tenure'", "numeric", '"FP128"', "FP64 or INT8"]),
    ("tenure", {"datatype": "BYTES", "data": ["7"]}, ["'tenure'", "numeric", '"BYTES"']),
    ("tenure", {"datatype": "BOOL", "data": [True]}, ["'tenure'", "numeric", '"BOOL"']),
    ("contract", {"datatype": "INT64", "data": [1]}, ["'contract'", "categorical", "BYTES was expected"]),
    ("tenure", {"data": ["7"]}, ["'tenure', row 0, is \"7\"", "a number or null"]),
    ("tenure", {"data": [True]}, ["'tenure', row 0, is true", "a number or null"]),
    ("tenure", {"data": [[1, 2]]}, ["'tenure', row 0, is [1, 2]", "a number or null"]),
    ("tenure", {"data": [10**400]}, ["'tenure', row 0, is 1000", "a number or null"]),
    ("tenure", {"datatype": "INT8", "data": [128]}, ["'tenure', row 0, is 128", "from -128 to 127"]),
    ("tenure", {"datatype": "UINT8", "data": [-1]}, ["'tenure', row 0, is -1", "from 0 to 255"]),
    ("tenure", {"datatype": "INT64", "data": [1.5]}, ["'tenure', row 0, is 1.5", "whole number"]),
    ("contract", {"data": [3]}, ["'contract', row 0, is 3", "a text or null"]),
    ("contract", {"shape": [2]}, ["'contract' has the shape [2]", "1 rows"]),
    ("contract", {"shape": [1, 2]}, ["'contract' has the shape [1, 2]", "[rows, 1]"]),
    ("contract", {"shape": []}, ["'contract' has the shape []"]),
    ("contract", {"data": ["One year", "One year"]}, ["'contract' has 2 values", "[1]"]),
    ("contract", {"data": None}, ["'contract'", "binary_data_size"]),
    ("contract", {"data": None, "parameters": {"shared_memory_region": "r"}}, ["'contract'", "binary_data_size"]),
    ("female", {"shape": [0], "data": []}, ["'female' has 0 rows", "1 to 10000"]),
    ("female", {"shape": [10001], "data": []}, ["'female' has 10001 rows", "1 to 10000", "serving.max_batch_rows"]),
]


@pytest.mark.parametrize(("name", "values", "parts"), REFUSED)
def test_a_tensor_that_does_not_fit_is_named(
    infer: Infer, one: Rows, name: str, values: dict[str, Any], parts: list[str]
) -> None:
    """The protocol's error body names the tensor, the row, what was sent and what was expected."""
    answer = infer(change(one, name, **values))
    assert (answer.status_code, set(answer.json())) == (422, {"error"})
    assert [part for part in parts if part not in answer.json()["error"]] == []


@pytest.mark.parametrize(
    ("datatype", "binary", "parts"),
    [
        ("FP64", b"1234567", ["'tenure' has 7 bytes", "multiple of 8"]),
        ("FP64", b"", ["'tenure' has 0 values"]),
        ("FP32", np.array([np.inf], "<f4").tobytes(), ["'tenure', row 0, is inf", "a finite number"]),
        ("FP64", np.array([-np.inf]).tobytes(), ["'tenure', row 0, is -inf"]),
    ],
)
def test_binary_numbers_that_do_not_fit_are_named(
    ask: Ask, one: Rows, datatype: str, binary: bytes, parts: list[str]
) -> None:
    """As those in JSON are."""
    answer = ask("POST", INFER, **with_binary(one, "tenure", datatype, binary))
    assert answer.status_code == 422
    assert [part for part in parts if part not in answer.json()["error"]] == []


@pytest.mark.parametrize(
    ("binary", "parts"),
    [
        (b"\x05\0\0\0abc", ["'contract', row 0, is cut short"]),
        (b"\x01\0\0", ["'contract', row 0, is cut short"]),
        (b"\x02\0\0\0\xff\xfe", ["'contract', row 0, is no text in UTF-8"]),
        (b"\x01\0\0\0a\x01\0\0\0", ["'contract', row 1, is cut short"]),
        (b"\x01\0\0\0a\0\0\0\0", ["'contract' has 2 values"]),
    ],
)
def test_binary_texts_that_do_not_fit_are_named(ask: Ask, one: Rows, binary: bytes, parts: list[str]) -> None:
    """A text that is cut short, or no UTF-8, is named by its row."""
    answer = ask("POST", INFER, **with_binary(one, "contract", "BYTES", binary))
    assert answer.status_code == 422
    assert [part for part in parts if part not in answer.json()["error"]] == []


def with_binary(tensors: Rows, name: str, datatype: str, binary: bytes) -> dict[str, Any]:
    """Give what `httpx.request` takes to send one of the tensors as these bytes, and the others in JSON."""
    described = {"datatype": datatype, "parameters": {"binary_data_size": len(binary)}, "data": None}
    head = json.dumps({"inputs": change(tensors, name, **described)}).encode()
    return {"content": head + binary, "headers": {"Inference-Header-Content-Length": str(len(head))}}


def test_a_row_with_too_many_missing_is_named(infer: Infer, one: Rows) -> None:
    """As in /predict, half of 19 features may be missing; features without a tensor are missing in every row."""
    assert infer(one[9:]).status_code == 200
    answer = infer(one[10:])
    assert answer.status_code == 422
    assert "Row 0: 10 of 19 features are missing" in answer.json()["error"]
    assert one[9]["name"] in answer.json()["error"]


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (b"", ["not valid JSON"]),
        (b"{", ["not valid JSON"]),
        (b"[]", ["The body"]),
        (b"{}", ["inputs", "required"]),
        (b'{"inputs": []}', ["'inputs' is empty"]),
        (b'{"inputs": [{"name": "tenure", "datatype": "FP64", "data": [1]}]}', ["inputs.0.shape", "required"]),
        (b'{"inputs": [{"name": "tenure", "shape": [-1], "datatype": "FP64"}]}', ["inputs.0.shape.0"]),
        (b'{"inputs": [], "id": 7}', ["id"]),
        (b'{"inputs": [], "outputs": [{"name": 7}]}', ["outputs.0.name"]),
    ],
)
def test_what_is_not_of_the_protocol_is_a_400(ask: Ask, content: bytes, parts: list[str]) -> None:
    """The error says where the request departs from the protocol."""
    answer = ask("POST", INFER, content=content)
    assert (answer.status_code, set(answer.json())) == (400, {"error"})
    assert [part for part in parts if part not in answer.json()["error"]] == []


@pytest.mark.parametrize("length", ["", "-1", "x", "9999999", "1e2", "9" * 30, "+5"])
def test_a_wrong_header_length_is_a_400(ask: Ask, length: str) -> None:
    """It has to be a length within the body."""
    answer = ask("POST", INFER, content=b"{}", headers={"Inference-Header-Content-Length": length})
    assert (answer.status_code, "Inference-Header-Content-Length" in answer.json()["error"]) == (400, True)


@pytest.mark.parametrize("size", [0, 7, 9, -8, "8", True, 10**30])
def test_a_wrong_binary_size_is_a_400(ask: Ask, one: Rows, size: object) -> None:
    """The tensors' sizes have to add up to what follows the JSON."""
    inputs = change(one, "tenure", data=None, parameters={"binary_data_size": size})
    head = json.dumps({"inputs": inputs}).encode()
    answer = ask("POST", INFER, content=head + bytes(8), headers={"Inference-Header-Content-Length": str(len(head))})
    assert (answer.status_code, "binary_data_size" in answer.json()["error"]) == (400, True)


@pytest.mark.parametrize(
    ("outputs", "part"), [(["score"], '"score" is not an output'), (["reasons", "reasons"], "'reasons' is named twice")]
)
def test_an_output_that_cannot_be_had_is_named(infer: Infer, one: Rows, outputs: list[str], part: str) -> None:
    """An unknown output is refused, and so is one that is asked for twice."""
    answer = infer(one, outputs=[{"name": name} for name in outputs])
    assert (answer.status_code, part in answer.json()["error"]) == (422, True)


@pytest.mark.parametrize("reasons", [-1, 1.5, "3", None, True])
def test_a_wrong_number_of_reasons_is_refused(infer: Infer, one: Rows, reasons: object) -> None:
    """The parameter has to be a whole number from 0."""
    answer = infer(one, parameters={"reasons": reasons})
    assert (answer.status_code, "'reasons'" in answer.json()["error"]) == (422, True)


@pytest.mark.parametrize(
    ("encoding", "content", "part"),
    [
        ("br", b"{}", '"br"'),
        ("gzip", b"{}", "not compressed with gzip"),
        ("gzip", gzip.compress(b"{}", mtime=0)[:-4], "cut short"),
    ],
)
def test_a_compression_that_cannot_be_undone_is_a_400(ask: Ask, encoding: str, content: bytes, part: str) -> None:
    """The error says which compressions can."""
    answer = ask("POST", INFER, content=content, headers={"Content-Encoding": encoding})
    assert (answer.status_code, part in answer.json()["error"]) == (400, True)


def test_limits_hold_whatever_the_body_is_packed_in(sample_artifacts: Path, serve_settings: Callable[..., Ask]) -> None:
    """A body that grows beyond serving.max_body_bytes when it is inflated is refused."""
    serving = ServingSettings(max_body_bytes=1000)
    ask = serve_settings(Settings(artifacts=ArtifactsSettings(path=sample_artifacts), serving=serving))
    bomb = gzip.compress(bytes(100_000_000), 1)[:990]
    answer = ask("POST", INFER, content=bomb, headers={"Content-Encoding": "gzip"})
    assert (answer.status_code, "serving.max_body_bytes" in answer.json()["error"]) == (413, True)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELD = st.sampled_from(["name", "shape", "datatype", "data", "parameters"])


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_nothing_makes_the_service_fail(ask: Ask, data: st.DataObject) -> None:
    """Whatever part of a request is junk, and whatever bytes follow it, the answer is a score or a refusal in words."""
    described = ask("GET", "/v2/models/churn").json()["inputs"]
    tensors = [{**tensor, "shape": [1], "data": [None]} for tensor in described]
    for place in data.draw(st.lists(st.integers(0, len(tensors) - 1), max_size=3)):
        tensors[place][data.draw(FIELD)] = data.draw(JUNK | st.sampled_from([{"binary_data_size": 8}, [None], [1]]))
    request: dict[str, Any] = {"inputs": tensors}
    if data.draw(st.booleans()):
        request[data.draw(st.sampled_from(["inputs", "outputs", "parameters", "id"]))] = data.draw(JUNK)
    head = json.dumps(request).encode()
    binary = data.draw(st.binary(max_size=20))
    length = data.draw(st.sampled_from([len(head), len(head) + len(binary)]))
    headers = {"Inference-Header-Content-Length": str(length)}
    answer = ask("POST", INFER, content=head + binary, headers=headers)
    assert answer.status_code in (200, 400, 422)
    assert answer.status_code == 200 or isinstance(answer.json()["error"], str)
