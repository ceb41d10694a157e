"""Batches are answered as each of their customers would be, or not at all; in JSON or CSV either way."""

from __future__ import annotations

import csv
import io
import json
import math
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_core import from_json

from churn_mlops.api import batch_json, json_slices
from churn_mlops.api.batch_csv import _Lines, split_columns
from churn_mlops.config.settings import ArtifactsSettings, DataSettings, ServingSettings, Settings
from churn_mlops.data.table import load_customers

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from pathlib import Path

    import httpx

    from churn_mlops.training.job import TrainedVersion

    Ask = Callable[..., httpx.Response]

CSV = {"content-type": "text/csv"}
AS_CSV = {"accept": "text/csv"}


@pytest.fixture(scope="module")
def customers(sample_version: TrainedVersion) -> list[dict[str, Any]]:
    """300 real customers as requests: what is missing is null or absent, what is whole is written without a point."""
    kinds: dict[Hashable, str] = {feature.name: feature.kind for feature in sample_version.manifest.signature.features}

    def value(name: Hashable, cell: Any) -> Any:
        if pd.isna(cell):
            return None
        if kinds[name] == "categorical":
            return str(cell)
        return bool(cell) if kinds[name] == "boolean" else int(cell) if float(cell).is_integer() else float(cell)

    frame = load_customers(DataSettings(source="sample")).features
    rows = [{name: value(name, cell) for name, cell in row.items()} for row in frame.sample(300).to_dict("records")]
    for place, row in enumerate(rows):
        if place % 3 == 0:
            row["contract"] = "Never seen, “quoted”"
        if place % 4 == 0:
            del row["tenure"], row["payment_method"]
        if place % 5 == 0:
            row["monthly_charges"] = 1e9
    return [{"customer_id": place if place % 2 else f"no {place}", "features": row} for place, row in enumerate(rows)]


def write_table(customers: list[dict[str, Any]], names: list[str]) -> str:
    """Write customers as a spreadsheet would."""

    def cell(value: Any) -> str:
        return "" if value is None else str(value).upper() if isinstance(value, bool) else str(value)

    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["customer_id", *names])
    for customer in customers:
        features = customer["features"]
        writer.writerow([customer["customer_id"], *(cell(features.get(name)) for name in names)])
    return text.getvalue()


def close(answer: dict[str, Any]) -> dict[str, Any]:
    """Make an answer comparable with another one that is equal but for the last digits of float32."""
    reasons = [
        {**reason, "contribution": pytest.approx(reason["contribution"], abs=1e-5)} for reason in answer["reasons"]
    ]
    decision = {
        name: pytest.approx(value, rel=1e-5) if isinstance(value, float) else value
        for name, value in answer["decision"].items()
    }
    probability = pytest.approx(answer["churn_probability"], abs=1e-6)
    return {**answer, "churn_probability": probability, "decision": decision, "reasons": reasons}


def test_each_is_answered_as_alone(ask: Ask, customers: list[dict[str, Any]]) -> None:
    """Row by row and in order, /predict/batch says what /predict says."""
    answer = ask("POST", "/predict/batch?reasons=4", json={"customers": customers})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert answer.headers["x-model-version"] == answer.json()["predictions"][0]["model_version"]
    alone = [ask("POST", "/predict?reasons=4", json=customer).json() for customer in customers]
    assert answer.json() == {"predictions": [close(one) for one in alone]}
    assert {len(one["input_quality"]["missing"]) for one in alone} >= {0, 2}
    assert any(one["input_quality"]["unseen_category"] and one["input_quality"]["out_of_range"] for one in alone)


@pytest.mark.parametrize("value_column", [None, "monthly_charges"])
def test_each_is_decided_about_as_alone(
    ask_by_profit: Callable[..., Ask], customers: list[dict[str, Any]], value_column: str | None
) -> None:
    """By profit as well: with a value of the request, of a feature, or of the training customers."""
    ask = ask_by_profit(value_column)
    some = [
        {**customer, "customer_value": [None, 15, 80.5][place % 3]} if place % 2 else customer
        for place, customer in enumerate(customers[:60])
    ]
    answers = ask("POST", "/predict/batch", json={"customers": some}).json()["predictions"]
    alone = [ask("POST", "/predict", json=customer).json() for customer in some]
    assert answers == [close(one) for one in alone]
    assert {one["decision"]["threshold"] is None for one in alone} == {True, False}


def test_a_table_is_answered_as_json_is(
    ask: Ask, customers: list[dict[str, Any]], sample_version: TrainedVersion
) -> None:
    """The same customers as CSV, columns in another order, get the same answers, but for ids, which are texts there."""
    names = sorted(sample_version.manifest.signature.names)
    by_json = ask("POST", "/predict/batch", json={"customers": customers}).json()["predictions"]
    by_csv = ask("POST", "/predict/batch", content=write_table(customers, names).encode(), headers=CSV)
    assert by_csv.status_code == 200, by_csv.text
    assert by_csv.json()["predictions"] == [{**one, "customer_id": str(one["customer_id"])} for one in by_json]


@pytest.mark.parametrize("query", ["", "?reasons=0", "?reasons=1", "?reasons=1000"])
def test_the_answer_as_a_table_says_what_json_says(ask: Ask, customers: list[dict[str, Any]], query: str) -> None:
    """One flat line for each customer, numbers to the last digit, reasons beside each other."""
    body = {"customers": customers}
    expected = ask("POST", f"/predict/batch{query}", json=body).json()["predictions"]
    answer = ask("POST", f"/predict/batch{query}", json=body, headers=AS_CSV)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    lines = list(csv.DictReader(io.StringIO(answer.text, newline="")))
    assert answer.text.endswith("\r\n")
    assert len(lines) == len(expected)
    for line, one in zip(lines, expected, strict=True):
        assert line["customer_id"] == str(one["customer_id"])
        assert float(line["churn_probability"]) == one["churn_probability"]
        assert line["churn_predicted"] == ("true" if one["churn_predicted"] else "false")
        assert [line[name] for name in ("risk_band", "model_version")] == [one["risk_band"], one["model_version"]]
        assert float(line["threshold"]) == one["decision"]["threshold"]
        for name, found in one["input_quality"].items():
            assert line[name] == "; ".join(found)
        for place, reason in enumerate(one["reasons"], start=1):
            assert line[f"reason_{place}"] == reason["text"]
            assert float(line[f"contribution_{place}"]) == reason["contribution"]
        assert f"reason_{len(one['reasons']) + 1}" not in line


def test_a_table_by_profit_has_values_and_profits(ask_by_profit: Callable[..., Ask], example: dict[str, Any]) -> None:
    """customer_value may be a column; a value that makes no offer pay leaves the threshold empty."""
    names = list(example["features"])
    head = ",".join(["customer_value", *names])
    line = ",".join(map(str, example["features"].values()))
    body = f"{head}\n15,{line}\n,{line}\n1000,{line}\n"
    answer = ask_by_profit()("POST", "/predict/batch", content=body, headers=CSV | AS_CSV)
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    assert [line["customer_value"] for line in lines] == ["15.0", "80.0", "1000.0"]
    assert [line["threshold"] for line in lines] == ["", "0.25", "0.02"]
    assert [line["churn_predicted"] for line in lines][::2] == ["false", "true"]
    assert all(float(line["expected_profit"]) for line in lines)


@pytest.mark.parametrize(
    ("accept", "given"),
    [
        (None, "application/json"),
        ("*/*", "application/json"),
        ("text/csv", "text/csv"),
        ("TEXT/CSV; charset=utf-8", "text/csv"),
        ("text/*", "text/csv"),
        ("text/csv, application/json;q=0.5", "text/csv"),
        ("text/csv;q=0.5, application/json", "application/json"),
        ("text/csv;q=0.4, */*;q=0.5", "application/json"),
        ("text/csv;q=x", "application/json"),
        ("text/csv;q=0", "application/json"),
        ("image/png", "application/json"),
        (",;,=", "application/json"),
    ],
)
def test_the_client_chooses_the_form_of_the_answer(
    ask: Ask, example: dict[str, Any], accept: str | None, given: str
) -> None:
    """Accept decides between CSV and JSON; JSON is what is given in doubt."""
    headers = {} if accept is None else {"accept": accept}
    answer = ask("POST", "/predict/batch", json={"customers": [example]}, headers=headers)
    assert answer.headers["content-type"].partition(";")[0] == given


def test_every_bad_row_is_listed_and_nothing_scored(ask: Ask, example: dict[str, Any]) -> None:
    """Each customer at fault is named by place and fields, whatever is wrong; the ones that could be scored are not."""
    good = example["features"]
    customers = [
        example,
        {"features": {**good, "tenure": "x", "contract": 5}},
        {"features": {**good, "tenur": 1}},
        example,
        {"features": {"tenure": 1}},
        7,
        {"customer_id": 1},
        {"features": good, "more": 1},
        {"features": [1]},
        {"features": good, "customer_id": "x" * 201},
        example,
    ]
    answer = ask("POST", "/predict/batch", json={"customers": customers})
    body = answer.json()
    assert (answer.status_code, body["error"]) == (422, "BatchRefused")
    fields = {row["row"]: row["fields"] for row in body["rows"]}
    assert list(fields) == [1, 2, 4, 5, 6, 7, 8, 9]
    assert (fields[1], fields[2], fields[5]) == (["tenure", "contract"], ["tenur"], ["body"])
    assert (fields[6], fields[7], fields[8], fields[9]) == (["features"], ["more"], ["features"], ["customer_id"])
    assert fields[4] == [name for name in good if name != "tenure"]
    assert body["detail"].startswith("8 of 11 customers cannot be scored, so none was; the first: row 1: 'tenure' is ")
    assert {"tenure", "tenur", "more"} <= set(body["fields"])
    alone = ask("POST", "/predict", json=customers[2]).json()
    assert body["rows"][1] == {"row": 2, "fields": alone["fields"], "detail": alone["detail"], "line": None}


def test_many_bad_rows_are_all_listed(ask: Ask, example: dict[str, Any]) -> None:
    """The words are for the first of them, the places and fields for all."""
    bad = {"features": {**example["features"], "tenure": "x" * 1000}}
    few: dict[str, Any] = {"features": {}}
    body = ask("POST", "/predict/batch", json={"customers": [example, bad, few] * 400}).json()
    assert [row["row"] for row in body["rows"]] == [place for place in range(1200) if place % 3]
    assert [row["fields"] for row in body["rows"][:-2:2]] == [["tenure"]] * 399
    assert {len(row["fields"]) for row in body["rows"][1::2]} == {19}
    assert [bool(row["detail"]) for row in body["rows"]] == [True] * 50 + [False] * 750


@pytest.mark.parametrize(
    ("body", "status", "error", "said"),
    [
        (b"", 400, "MalformedRequest", "not valid JSON"),
        (b'{"customers": [{]}', 400, "MalformedRequest", "not valid JSON"),
        (b'{"customers": [{"features": {}}, ]}', 400, "MalformedRequest", "not valid JSON"),
        (b'{"customers": [{"features": {"contract": "},{', 400, "MalformedRequest", "not valid JSON"),
        (b'{"customers": [{"features": "\xff"}]}', 400, "MalformedRequest", "not valid JSON"),
        (b'{"customers": []}', 422, "BatchRefused", "There is no customer in the batch; at least one was expected."),
        (b"[]", 422, "BatchRefused", "The body is no object"),
        (b"{}", 422, "BatchRefused", "'customers' is no list"),
        (b'{"customers": {}}', 422, "BatchRefused", "'customers' is no list"),
        (b'{"customers": [], "x": []}', 422, "BatchRefused", "'x' is not a field of a batch"),
        (b'{"x": 1, "customers": []}', 422, "BatchRefused", "'x' is not a field of a batch"),
        (b'{"customers": [{"features": {"tenure": NaN}}]}', 422, "BatchRefused", "'tenure' is not finite"),
        (b'{"customers": [1, 2]}', 422, "BatchRefused", "2 of 2 customers"),
    ],
)
def test_what_is_no_batch_is_refused(ask: Ask, body: bytes, status: int, error: str, said: str) -> None:
    """One sentence says what is wrong with the whole."""
    answer = ask("POST", "/predict/batch", content=body)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert said in answer.json()["detail"]


@pytest.mark.parametrize("text", ["},{", '"},{"features":{}}', "}\\,{", "[{},{}]", '\\"},{', "é},{"])
@pytest.mark.parametrize("layout", ["{}", " {} "])
def test_a_body_may_look_cut_where_it_is_not(ask: Ask, example: dict[str, Any], text: str, layout: str) -> None:
    """However often a text looks like the end of a customer, customers are told apart."""
    customers = [{**example, "customer_id": f"{place}{text}"} for place in range(400)]
    body = layout.format(json.dumps({"customers": customers}, ensure_ascii=False))
    answer = ask("POST", "/predict/batch?reasons=1", content=body.encode())
    assert [one["customer_id"] for one in answer.json()["predictions"]] == [one["customer_id"] for one in customers]


def test_an_unusual_layout_is_read(ask: Ask, example: dict[str, Any]) -> None:
    """An escape in the name of the field, or blanks at the end, are JSON like any other."""
    one = json.dumps(example)
    bodies = [f'{{"c\\u0075stomers": [{one}]}}', f'{{"customers": [{one}]}}' + 1000 * " "]
    assert [ask("POST", "/predict/batch", content=body).status_code for body in bodies] == [200, 200]


@pytest.mark.parametrize("count", [1, 2000])
@pytest.mark.parametrize(
    ("more", "said"),
    [
        (',"customers": []}', "'customers' stands more than once in the body."),
        (',"more": 1}', "'more' is not a field of a batch"),
        ("}}", "trailing characters at line 3 column 3."),
        (",}", "trailing comma at line 3 column 3."),
        ("", "EOF while parsing an object at line 3 column 1."),
    ],
)
def test_what_follows_the_customers_is_refused(
    ask: Ask, example: dict[str, Any], count: int, more: str, said: str
) -> None:
    """However long the list is, nothing but the end of the object may follow it, and no customer counts twice."""
    lines = ",".join([json.dumps(example)] * count)
    body = ask("POST", "/predict/batch", content=f'{{"customers": [\n{lines}\n]{more}').json()
    assert said in body["detail"]


@pytest.mark.parametrize(
    ("customers", "status", "said"),
    [
        ("{one},{one},{", 400, "key must be a string at line 1 column"),
        ("{one},,{one}", 400, "expected value at line 1 column"),
        ("{one},]", 400, "trailing comma at line 1 column"),
        ("{one},[[{x}0]]", 422, "row 4001: more than 262,144 bytes go by without the end of a customer"),
        ('{one},"{x}', 422, "row 4001: more than 262,144 bytes go by without the end of a customer"),
        ("{brackets}", 422, "row 0: more than 262,144 bytes go by without the end of a customer"),
        ("{x}0", 422, "There are more than 10,000 customers"),
    ],
)
def test_no_body_is_parsed_at_once(
    ask: Ask, example: dict[str, Any], customers: str, status: int, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever a long body holds, the parser is never given more of it than takes a moment."""
    one, parsed = json.dumps(example), []

    def parse(text: bytes, **options: Any) -> Any:
        parsed.append(len(text))
        return from_json(text, **options)

    for module in (json_slices, batch_json):
        monkeypatch.setattr(module, "from_json", parse)
    for name, text in {"one": ",".join([one] * 4001), "x": "0," * 1_000_000, "brackets": "[" * 1_000_000}.items():
        customers = customers.replace(f"{{{name}}}", text, 1)
    customers = customers.replace("{one}", one)
    answer = ask("POST", "/predict/batch", content=f'{{"customers": [{customers}]}}')
    assert (answer.status_code, said in answer.json()["detail"]) == (status, True), answer.json()["detail"]
    assert 0 < max(parsed) <= (1 << 18) + 100


def test_a_large_whole_number_is_given_back(ask: Ask, example: dict[str, Any]) -> None:
    """An id that no machine word holds is echoed to the last digit."""
    customers = [{**example, "customer_id": number} for number in (2**70, -(2**70), 10**300)]
    answer = ask("POST", "/predict/batch", json={"customers": customers})
    assert [one["customer_id"] for one in answer.json()["predictions"]] == [2**70, -(2**70), 10**300]


def serve_small(start: Callable[[Settings], Ask], artifacts: Path, **serving: Any) -> Ask:
    """Start a service with other limits."""
    return start(Settings(artifacts=ArtifactsSettings(path=artifacts), serving=ServingSettings(**serving)))


def test_there_is_a_most_of_rows(
    serve_settings: Callable[[Settings], Ask], sample_artifacts: Path, example: dict[str, Any]
) -> None:
    """serving.max_batch_rows customers are taken, and not one more, in either form."""
    ask = serve_small(serve_settings, sample_artifacts, max_batch_rows=3)
    table = write_table([example] * 4, list(example["features"])).encode()
    answers = [ask("POST", "/predict/batch", json={"customers": [example] * count}) for count in (3, 4)]
    answers += [ask("POST", "/predict/batch", content=table, headers=CSV)]
    assert [answer.status_code for answer in answers] == [200, 422, 422]
    assert answers[1].json()["fields"] == ["customers"]
    assert "serving.max_batch_rows" in answers[2].json()["detail"]


@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
def test_there_is_a_most_of_bytes(
    serve_settings: Callable[[Settings], Ask], sample_artifacts: Path, example: dict[str, Any], path: str
) -> None:
    """A body over serving.max_body_bytes is 413, whether its length is told or only found out."""
    request = json.dumps(example if path == "/predict" else {"customers": [example]}).encode()
    ask = serve_small(serve_settings, sample_artifacts, max_body_bytes=len(request))

    async def chunks(body: bytes) -> Any:
        for start in range(0, len(body), 100):
            yield body[start : start + 100]

    bodies = [request, request + b" ", chunks(request), chunks(request + b" ")]
    answers = [ask("POST", path, content=body) for body in bodies]
    assert [answer.status_code for answer in answers] == [200, 413, 200, 413]
    assert answers[1].json()["error"] == "BodyTooLarge"
    assert "serving.max_body_bytes" in answers[3].json()["detail"]


def test_a_table_may_come_from_a_spreadsheet(ask: Ask, example: dict[str, Any]) -> None:
    """A byte order mark, CRLF, blank lines, blanks around fields, quotes, and columns that are left out."""
    rows = [
        "\ufefftenure, contract ,monthly_charges,total_charges,female,senior_citizen,partner,dependents,phone_service,"
        "multiple_lines,internet_service",
        "",
        ' 2 ,"Month-to-month",99.5,199,1,0,0,0,1,No,"Fiber optic"',
        '+2e0,"One ""odd"", two\r\nlines",.5,199.,1,,0,0,1,No,Fiber optic',
        "",
    ]
    answer = ask("POST", "/predict/batch", content="\r\n".join(rows).encode(), headers=CSV)
    assert answer.status_code == 200, answer.text
    first, second = answer.json()["predictions"]
    assert first["customer_id"] is None
    assert len(first["input_quality"]["missing"]) == 8
    assert second["input_quality"]["missing"][0] == "senior_citizen"
    assert second["input_quality"]["unseen_category"] == ["contract"]


@pytest.mark.parametrize(
    ("table", "said", "fields"),
    [
        ("tenure,tenur\n1,2\n", "line 1: 'tenur' is not a feature of this model (the closest is 'tenure')", ["tenur"]),
        ("\n\ntenure,tenure\n1,2\n", "line 3: 'tenure' stands more than once in the header", ["tenure"]),
        ("tenure;contract\n1;2\n", "line 1: columns are separated by commas, not by ';'", ["body"]),
        ("tenure,customer_value\n1,2\n", "line 1: 'customer_value' would change nothing", ["customer_value"]),
        ("", "The body is empty", ["body"]),
        ("\n\n", "The body is empty", ["body"]),
        ("tenure,contract\n", "There is no customer in the batch", ["customers"]),
    ],
)
def test_a_bad_header_is_refused(ask: Ask, table: str, said: str, fields: list[str]) -> None:
    """Its line is named, and the column."""
    answer = ask("POST", "/predict/batch", content=table.encode(), headers=CSV)
    assert (answer.status_code, answer.json()["fields"]) == (422, fields)
    assert said in answer.json()["detail"]


def test_a_header_of_thousands_of_other_columns_is_refused_for_them(ask: Ask, example: dict[str, Any]) -> None:
    """The first are named, none of them at any length, and all are counted."""
    names = [*example["features"], "x" * 100_000, *(f"column_{place}" for place in range(4999))]
    answer = ask("POST", "/predict/batch", content=",".join(names) + "\n", headers=CSV).json()
    assert answer["error"] == "BatchRefused"
    assert answer["fields"] == [f"{'x' * 200}…", *(f"column_{place}" for place in range(49))]
    assert answer["detail"].startswith(f"line 1: '{'x' * 200}…' is not a feature of this model; 'column_0' is not a fe")
    assert answer["detail"].endswith("; and 40 more. In all, 5,000 columns are no features.")


@pytest.mark.parametrize(
    "value", ["x", "1_000", "NaN", "inf", "1e999", "0x10", "1,5", "\u0661", "null", "true", "1 2", "[1]"]
)
def test_a_bad_value_is_named_by_line_and_column(ask: Ask, example: dict[str, Any], value: str) -> None:
    """What is no number in a column of numbers is refused, as it is in JSON."""
    table = write_table(
        [example, {**example, "features": {**example["features"], "tenure": value}}, example], [*example["features"]]
    )
    body = ask("POST", "/predict/batch", content=table.encode(), headers=CSV).json()
    assert [(row["row"], row["line"], row["fields"]) for row in body["rows"]] == [(1, 3, ["tenure"])]
    assert body["rows"][0]["detail"].startswith("line 3: 'tenure' is ")


def test_ragged_rows_are_named_by_line_and_column(ask: Ask, example: dict[str, Any]) -> None:
    """A line with too few or too many fields is listed in its place among other bad ones."""
    names = list(example["features"])
    lines = write_table([example] * 5, names).splitlines()
    lines[2] += ",1"
    lines[3] = "a,b"
    lines[4] = lines[4].replace("Month-to-month", "Month-to-month").replace("29", "many", 1)
    body = ask("POST", "/predict/batch", content="\n".join(lines).encode(), headers=CSV).json()
    assert [(row["row"], row["line"]) for row in body["rows"]] == [(1, 3), (2, 4), (3, 5)]
    assert body["rows"][0]["detail"] == "line 3: it has 21 fields, and the header 20."
    assert (body["rows"][1]["fields"], body["rows"][2]["fields"]) == (names[1:], ["tenure"])


@pytest.mark.parametrize("before", ["", 'tenure,contract\n1,"x'])
def test_a_line_without_end_is_refused_where_it_is_too_long(ask: Ask, before: str) -> None:
    """However long it is, no more of it is read than shows that."""
    body = before.encode() + b"x" * 20_000_000
    assert len(_Lines(body).take()) <= (1 << 20) + (1 << 15) + 1
    answer = ask("POST", "/predict/batch", content=body, headers=CSV)
    assert (answer.status_code, "1,048,576 characters" in answer.json()["detail"]) == (400, True), answer.text


def test_ends_of_lines_in_quotes_are_given_back(ask: Ask) -> None:
    """Within quotes they are part of a text, and each of them stays what it is."""
    texts = ["one\rtwo", "one\r\ntwo", "one\ntwo", "\ufeffone\r\r\ntwo"]
    names = "tenure,contract,monthly_charges,total_charges,female,senior_citizen,partner,dependents,phone_service"
    names += ",paperless_billing"
    table = f"customer_id,{names}\r\n" + "".join(f'"{text}",1,"{text}",1,1,1,1,1,1,1,1\r\n' for text in texts)
    answer = ask("POST", "/predict/batch?reasons=0", content=table.encode(), headers=CSV)
    assert answer.status_code == 200, answer.text
    predictions = answer.json()["predictions"]
    assert [one["customer_id"] for one in predictions] == texts
    contracts = [next(r["value"] for r in one["reasons"] if r["feature"] == "contract") for one in predictions]
    assert contracts == texts


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("odd", ['"quoted, ""twice"""', '"two{end}lines"', "plain"])
def test_quotes_anywhere_change_nothing_for_the_other_lines(
    ask: Ask, customers: list[dict[str, Any]], end: str, odd: str
) -> None:
    """Whatever else stands in a file of many lines, each customer is answered as in JSON, and a fault has its line."""
    names = list(customers[1]["features"])
    plain = [customer for customer in customers if "tenure" in customer["features"]] * 4
    for customer in plain:
        customer["features"]["contract"] = "Month-to-month"
    lines = write_table(plain, names).splitlines()
    middle = len(lines) // 2
    lines[middle] = lines[middle].replace("Month-to-month", odd.format(end=end))
    expected = ask("POST", "/predict/batch", json={"customers": plain}).json()["predictions"]
    answer = ask("POST", "/predict/batch", content=end.join(lines).encode(), headers=CSV).json()["predictions"]
    unlike = [place for place, (one, other) in enumerate(zip(answer, expected, strict=True)) if not same(one, other)]
    assert unlike == [middle - 1]
    lines[-1] += ",1"
    bad = ask("POST", "/predict/batch", content=end.join([*lines, end]).encode(), headers=CSV).json()
    assert [(row["row"], row["line"]) for row in bad["rows"]] == [(len(plain) - 1, len(lines) + ("{end}" in odd))]


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two answers say the same of a customer, whose id is a text in a table."""
    return {**one, "customer_id": None} == {**other, "customer_id": None}


@settings(max_examples=300, deadline=None)
@given(text=st.text(st.sampled_from('a1,, "\r\n\n\u2028\x0b\0'), max_size=40), width=st.integers(2, 3))
def test_splitting_reads_what_the_csv_module_reads(text: str, width: int) -> None:
    """Lines that are split by columns hold what the csv module finds in them; the rest is left to it."""
    columns = split_columns(text, width)
    if columns is not None:
        assert list(zip(*columns, strict=True)) == list(
            map(tuple, csv.reader(io.StringIO(text, newline=""), strict=True))
        )


def test_plain_lines_are_split() -> None:
    """What most files hold is read the quick way, whatever ends its lines."""
    assert split_columns("a,b\nc,d\n", 2) == split_columns("a,b\r\nc,d", 2) == [["a", "c"], ["b", "d"]]
    assert split_columns("a,b\nc\nd,e,f\n", 2) is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"tenure,contract\n1,\xe9\n", "not UTF-8 text: byte 0xe9"),
        ("tenure,contract\n1,2\n".encode("utf-16"), "not UTF-8 text: byte 0xff"),
        (b"tenure,contract\n" + b"1,2\n" * 3_000 + b"1,\xe9\n", "byte 0xe9 in or after line 3002"),
        (b'tenure,contract\n1,"a"b\n', "not valid CSV: line 2"),
        (b'tenure,contract\n1,2\n\n3,"open\n', "not valid CSV: line 4"),
        (b"tenure,contract\n1," + b"x" * 2_000_000, "not valid CSV: line 2: it has more than"),
        (b"," * 2_000_000, "not valid CSV: line 1: it has more than"),
    ],
)
def test_what_is_no_table_is_malformed(ask: Ask, body: bytes, said: str) -> None:
    """Another encoding, or quotes that do not add up, are a 400 that says where."""
    answer = ask("POST", "/predict/batch", content=body, headers=CSV)
    assert (answer.status_code, answer.json()["error"]) == (400, "MalformedRequest")
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    ("sent", "written"),
    [
        ("=1+1", "'=1+1"),
        ("+cmd|' /C calc'!A0", "'+cmd|' /C calc'!A0"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\uff1d1", "'\uff1d1"),
        ("-5", "-5"),
        ("+49", "+49"),
        ("a=1", "a=1"),
        ('say "hi", you', 'say "hi", you'),
        ("two\r\nlines", "two\r\nlines"),
    ],
)
def test_no_formula_reaches_a_spreadsheet(ask: Ask, example: dict[str, Any], sent: str, written: str) -> None:
    """What a client sent is defused where a spreadsheet would run it, and only there: JSON has it as it was."""
    request = {"customers": [{**example, "customer_id": sent}]}
    table = ask("POST", "/predict/batch", json=request, headers=AS_CSV).text
    assert list(csv.reader(io.StringIO(table, newline="")))[1][0] == written
    assert ask("POST", "/predict/batch", json=request).json()["predictions"][0]["customer_id"] == sent


texts = st.text(st.characters(codec="utf-8"), max_size=5)
anything = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), texts, st.lists(st.none(), max_size=1))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_sent_is_judged_as_alone(ask: Ask, example: dict[str, Any], data: st.DataObject) -> None:
    """A batch is answered if each of its customers is, and otherwise lists exactly those who are not."""
    changes = st.dictionaries(st.one_of(st.sampled_from([*example["features"]]), texts), anything, max_size=2)
    customers = data.draw(st.lists(changes, min_size=1, max_size=4))
    requests = [{"features": {**example["features"], **change}} for change in customers]
    alone = [ask("POST", "/predict", content=json.dumps(request)) for request in requests]
    batch = ask("POST", "/predict/batch", content=json.dumps({"customers": requests}))
    refused = [place for place, answer in enumerate(alone) if answer.status_code != 200]
    if not refused:
        assert batch.json() == {"predictions": [close(answer.json()) for answer in alone]}
        return
    if any(answer.status_code == 400 for answer in alone):
        assert batch.status_code == 400
        return
    rows = batch.json()["rows"]
    assert [row["row"] for row in rows] == refused
    assert [row["fields"] for row in rows] == [alone[place].json()["fields"] for place in refused]
    assert [row["detail"] for row in rows] == [alone[place].json()["detail"] for place in refused]


def test_nan_in_the_answer_is_impossible(ask: Ask, customers: list[dict[str, Any]]) -> None:
    """Every probability is a number between 0 and 1."""
    answer = ask("POST", "/predict/batch", json={"customers": customers}).json()["predictions"]
    assert all(0 <= one["churn_probability"] <= 1 and math.isfinite(one["churn_probability"]) for one in answer)
