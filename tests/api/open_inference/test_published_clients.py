"""Published clients of the protocol, in an environment of their own, against a running service."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from benchmarks.peers.environment import peer_python

if TYPE_CHECKING:
    from collections.abc import Callable

    StartService = Callable[..., tuple[subprocess.Popen[bytes], str, Path]]
    Rows = list[dict[str, Any]]

CLIENTS = Path(__file__).parent / "clients"


@pytest.fixture(scope="session")
def client_python() -> str:
    """The Python that has the clients; they bring dozens of packages, in versions of their own."""
    try:
        return peer_python("clients", CLIENTS)
    except subprocess.CalledProcessError:
        if os.environ.get("CI"):
            raise
        pytest.skip("needs a package index once, to install tritonclient and kserve from requirements-clients.txt")


@pytest.fixture
def expected(customers: Rows, start_service: StartService, sample_artifacts: Path) -> dict[str, Any]:
    """A running service's address and metadata, and what /predict of it says of twenty customers, as outputs."""
    _, address, _ = start_service(sample_artifacts)
    with httpx.Client(base_url=address) as client:
        metadata = client.get("/v2/models/churn").json()
        answers = [
            client.post("/predict", params={"reasons": 0}, json={"features": row}).json() for row in customers[:20]
        ]
    names = [tensor["name"] for tensor in metadata["inputs"]]
    contributions = [{reason["feature"]: reason["contribution"] for reason in answer["reasons"]} for answer in answers]
    outputs = {
        name: [answer[name] for answer in answers] for name in ("churn_probability", "churn_predicted", "risk_band")
    }
    outputs["contributions"] = [[by_name[name] for name in names] for by_name in contributions]
    outputs["reasons"] = [[reason["text"] for reason in answer["reasons"]] for answer in answers]
    return {"address": address, "metadata": metadata, "outputs": outputs}


def run(python: str, client: str, expected: dict[str, Any], rows: Rows) -> dict[str, Any]:
    """Let a client ask the service about the rows."""
    task = {"address": expected["address"], "model": "churn", "inputs": expected["metadata"]["inputs"], "rows": rows}
    command = [python, str(CLIENTS / f"ask_with_{client}.py")]
    done = subprocess.run(command, input=json.dumps(task), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def with_reasons(outputs: dict[str, Any], count: int) -> dict[str, Any]:
    """Give the outputs with only the first reasons."""
    return outputs | {"reasons": [reasons[:count] for reasons in outputs["reasons"]]}


def test_tritonclient(client_python: str, expected: dict[str, Any], customers: Rows) -> None:
    """Tritonclient reads what the server and the model are, and gets the answers of /predict in every form."""
    found = run(client_python, "tritonclient", expected, customers[:20])
    version = expected["metadata"]["versions"][0]
    whole = with_reasons(expected["outputs"], 3)
    part = {name: whole[name] for name in ("churn_probability", "contributions")}
    assert (found["live"], found["ready"], found["model_ready"]) == (True, True, [True, True, False])
    assert found["server"]["extensions"] == ["binary_tensor_data"]
    assert found["metadata"] == expected["metadata"]
    assert found["default"] == {"id": "7", "model_name": "churn", "model_version": version, "outputs": whole}
    assert [found[form]["outputs"] for form in ("json_in", "compressed")] == [whole, whole]
    assert [found[form]["outputs"] for form in ("json", "json_out")] == [part, part]
    assert found["column"]["outputs"] == expected["outputs"]
    assert (found["refused"][0], found["unknown"][0]) == ("422", "404")
    assert '"score" is not an output of this model' in found["refused"][1]
    assert "the model is called 'churn' here" in found["unknown"][1]


def test_kserve(client_python: str, expected: dict[str, Any], customers: Rows) -> None:
    """KServe's inference client finds server and model ready, and gets the answers of /predict in every form."""
    found = run(client_python, "kserve", expected, customers[:20])
    answer = {"id": "7", "model_name": "churn", "outputs": with_reasons(expected["outputs"], 3)}
    assert (found["live"], found["ready"], found["model_ready"]) == (True, True, [True, False])
    assert [found[form] for form in ("json", "binary", "binary_out")] == [answer] * 3
    assert found["unknown"][0] == 404
    assert "the model is called 'churn' here" in found["unknown"][1]
