"""Other products that serve models: how each is installed, started and asked, as its documentation says.

- MLflow: https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/
- MLServer: https://docs.seldon.ai/mlserver/runtimes/sklearn and …/user-guide/content-type
- BentoML: https://docs.bentoml.com/en/latest/build-with-bentoml/services.html and …/iotypes.html
- LitServe: https://lightning.ai/docs/litserve/api-reference/litserver
"""

from __future__ import annotations

import os
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.customers import LABEL, as_request
from benchmarks.peers.environment import HERE, peer_python
from benchmarks.servers import free_port, serving

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from benchmarks.customers import Features
    from benchmarks.servers import Server

REPOSITORY: Final = HERE.parents[1]


@dataclass(frozen=True)
class Product:
    """A way to serve a model.

    Attributes:
        name: of the environment it is installed in.
        serves: what.
        command: what starts it: programs of its environment by name; `{port}` and `{folder}` are filled in.
        ready: the path that answers 200 once it serves.
        path: where customers are posted.
        body: what is posted of a customer, given its number and features.
        wanted: how many times as many requests ours should answer.
    """

    name: str
    serves: str
    command: tuple[str, ...]
    ready: str
    path: str
    body: Callable[[int, Features], object]
    wanted: str


@contextmanager
def serving_product(product: Product, table: Path, our_version: Path, folder: Path) -> Iterator[Server]:
    """Install, fit and serve it until the block is left; one worker, on the server's core."""
    python, port = Path(peer_python(product.name)), free_port()
    variables = {
        "PATH": f"{python.parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": f"{REPOSITORY / 'src'}{os.pathsep}{REPOSITORY}",
        "FOLDER": str(folder),
        "OUR_VERSION": str(our_version),
        "PORT": str(port),
        # they would write to the home, take the same ports as another server, or tell their makers
        "BENTOML_HOME": str(folder / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLSERVER_HTTP_PORT": str(port),
        "MLSERVER_GRPC_PORT": str(free_port()),
        "MLSERVER_METRICS_PORT": str(free_port()),
        "MLSERVER_PARALLEL_WORKERS": "0",  # in the server's own process: another one would share its core
    }
    fit: list[str | Path] = [python, HERE / "pipeline.py", product.name, table, LABEL, folder]
    subprocess.run(fit, check=True, capture_output=True, env=os.environ | variables)
    program, *arguments = product.command
    filled: list[str | Path] = [python.parent / program, *(part.format(port=port, folder=folder) for part in arguments)]
    with serving(filled, port, product.ready, variables, folder / "log.txt") as server:
        yield server


def _split(number: int, features: Features) -> dict[str, Any]:
    return {"dataframe_split": {"columns": list(features), "data": [list(features.values())]}}


def _tensors(number: int, features: Features) -> dict[str, Any]:
    """Give one input a column, which the content type pd makes a frame of."""
    inputs = [
        {"name": name, "datatype": "BYTES", "shape": [1], "data": [value], "parameters": {"content_type": "str"}}
        if isinstance(value, str)
        else {"name": name, "datatype": "FP64", "shape": [1], "data": [value]}
        for name, value in features.items()
    ]
    return {"parameters": {"content_type": "pd"}, "inputs": inputs, "outputs": [{"name": "predict_proba"}]}


def _rows(number: int, features: Features) -> dict[str, Any]:
    return {"customers": [features]}


_MLFLOW: Final = ("mlflow", "models", "serve", "-m", "{folder}/mlflow", "-p", "{port}", "--env-manager", "local")
_BENTOML: Final = ("bentoml", "serve", "--working-dir", str(HERE), "--host", "127.0.0.1", "--port", "{port}")
_LITSERVE: Final = ("python", str(HERE / "litserve_server.py"))
PIPELINE, GRAPH = "our scikit-learn baseline", "our graph and reasons"

PRODUCTS: Final = (
    Product("mlflow", PIPELINE, (*_MLFLOW, "--workers", "1"), "/ping", "/invocations", _split, "≥ 40"),
    Product(
        "mlserver",
        PIPELINE,
        ("mlserver", "start", "{folder}"),
        "/v2/models/churn/ready",
        "/v2/models/churn/infer",
        _tensors,
        "≥ 40",
    ),
    Product("bentoml", PIPELINE, (*_BENTOML, "bentoml_services:Pipeline"), "/readyz", "/predict", _rows, "≥ 40"),
    Product("litserve", PIPELINE, (*_LITSERVE, "pipeline"), "/health", "/predict", as_request, "≥ 40"),
    Product("bentoml", GRAPH, (*_BENTOML, "bentoml_services:Graph"), "/readyz", "/predict", as_request, "≥ 4"),
    Product("litserve", GRAPH, (*_LITSERVE, "graph"), "/health", "/predict", as_request, "≥ 4"),
)
