"""How fast /predict is under load, beside the same service with less behind it and beside other products.

    python -m benchmarks.serving [--quick] [--peers none|all|NAME ...]

The server runs on processor 0, the load comes from processor 1 (wrk), posting real customers of the sample table; what
is compared runs in turn, round by round. `--peers` adds mlflow, mlserver, bentoml and litserve, each in an environment
that the benchmark makes for it, which takes minutes the first time. Rounds are many and short: of two seconds next to
each other on a shared machine, one may have half the processor of the other.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import urllib.request
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks import stages
from benchmarks.comparison import Comparison, compare, summarise, take_in_turn
from benchmarks.customers import as_request, draw_customers, write_bodies, write_table
from benchmarks.load import check_tools, put_under_load
from benchmarks.peers.products import GRAPH, PRODUCTS, serving_product
from benchmarks.servers import BARE, free_port, serving
from benchmarks.table import show
from churn_mlops.config.settings import ArtifactsSettings, Settings
from churn_mlops.registry.reading import Registry

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import AbstractContextManager

    from benchmarks.load import Load
    from benchmarks.peers.products import Product
    from benchmarks.servers import Server

REPOSITORY: Final = Path(__file__).resolve().parents[1]
ARTIFACTS: Final = REPOSITORY / "artifacts"
ROUNDS: Final = 3
ROUNDS_OF_LOAD: Final = 11
CONNECTIONS: Final = (1, 16, 128)
BESIDE_PEERS: Final = 16
MEMORY_LIMIT_MB: Final = 110
OURS: Final = (sys.executable, "-m", "churn_mlops.api")


@dataclass(frozen=True)
class Less:
    """The service with less behind it.

    Attributes:
        name: what it still is.
        kind: what `benchmarks.constants` calls it.
        path: what is posted to.
        ready: the path that answers 200 once it serves.
        wanted: of its requests a second, how many ours should answer.
    """

    name: str
    kind: str
    path: str
    ready: str
    wanted: str = ""


LESS: Final = (
    Less("the model call a constant", "model", "/predict", "/ready", "≥ 0.8"),
    Less("a FastAPI route of the same app that answers a constant", "route", "/constant", "/ready"),
    Less("uvicorn alone, answering a constant", "uvicorn", "/", "/"),
)


def main() -> None:
    """Measure, and show."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(options)
    chosen = options.parse_args()
    rows: list[Comparison] = []
    try:
        rows.extend(measure(chosen.quick, chosen.peers))
    finally:  # minutes of measuring are not lost to a peer that cannot be started
        show(rows)


def add_options(options: argparse.ArgumentParser) -> None:
    """Add what can be asked of this benchmark."""
    names = sorted({product.name for product in PRODUCTS})
    options.add_argument("--quick", action="store_true", help="one second instead of five for each round of load")
    options.add_argument("--peers", nargs="+", choices=["none", "all", *names], default=["none"])


def measure(quick: bool = False, peers: list[str] | None = None) -> Iterator[Comparison]:
    """Measure the service alone, then beside the peers that are named.

    Raises:
        SystemExit: what makes the load is not here.
    """
    check_tools()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # the servers are ended on the way out
    seconds = 1 if quick else 5
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bodies = write_bodies(folder / "bodies.txt", (as_request(*pair) for pair in enumerate(draw_customers())))
        yield from stages.measure(Settings(artifacts=ArtifactsSettings(path=ARTIFACTS)), ROUNDS)
        yield from _beside_less(folder, bodies, seconds)
        yield _start(folder)
        for product in PRODUCTS:
            if {"all", product.name} & set(peers or ()):
                yield from _beside_product(product, folder, bodies, seconds)


def _beside_less(folder: Path, bodies: Path, seconds: float) -> Iterator[Comparison]:
    with ExitStack() as stack:
        ours = stack.enter_context(_serve(folder, OURS))
        others = [
            stack.enter_context(_serve(folder, (sys.executable, "-m", "benchmarks.constants", less.kind), less.ready))
            for less in LESS
        ]
        asked = [(ours, "/predict"), *((other, less.path) for other, less in zip(others, LESS, strict=True))]
        for connections in CONNECTIONS:
            loads = [partial(_load, server, path, bodies, connections, seconds) for server, path in asked]
            yield from _rows(connections, take_in_turn(loads, ROUNDS_OF_LOAD))
        memory = ours.resident_mb()
    share = memory / MEMORY_LIMIT_MB
    yield Comparison("memory of a worker after load", "MB", memory, MEMORY_LIMIT_MB, "the limit", share, "≤ 1")


def _rows(connections: int, rounds: list[list[Load]]) -> Iterator[Comparison]:
    name = f"/predict, {connections} connection{'s' if connections > 1 else ''}"
    for place, less in enumerate(LESS, start=1):
        pairs = [(loads[0].requests_per_second, loads[place].requests_per_second) for loads in rounds]
        yield summarise(name, "/s", pairs, less.name, less.wanted)
    yield summarise(f"{name}: p99", "ms", [(loads[0].p99_ms, loads[0].p50_ms) for loads in rounds], "its p50", "≤ 3")
    # on a machine that others use, this is above 3 as well at times
    tails = [[load.p99_ms / load.p50_ms for load in (loads[0], loads[-1])] for loads in rounds]
    yield summarise(f"{name}: p99 / p50", "times", tails, LESS[-1].name)


def _start(folder: Path) -> Comparison:
    def seconds(command: tuple[str, ...]) -> float:
        with _serve(folder, command) as server:
            return server.start_seconds

    return compare(
        "start of the process to 200 on /ready",
        "s",
        partial(seconds, OURS),
        partial(seconds, (sys.executable, "-c", BARE)),
        "a bare FastAPI app",
        ROUNDS,
    )


def _beside_product(product: Product, folder: Path, bodies: Path, seconds: float) -> Iterator[Comparison]:
    registry = Registry(ARTIFACTS)
    version = ARTIFACTS / "models" / registry.champion()
    table = write_table(folder / "customers.csv")
    with (
        tempfile.TemporaryDirectory(dir=folder) as own,
        _serve(folder, OURS) as ours,
        serving_product(product, table, version, Path(own)) as theirs,
    ):
        asked = write_bodies(Path(own) / "bodies.txt", (product.body(*pair) for pair in enumerate(draw_customers())))
        both = [(ours, "/predict", bodies), (theirs, product.path, asked)]
        answers = [_post_first(*one) for one in both]
        if product.serves == GRAPH and answers[0] != answers[1]:
            raise RuntimeError(f"{product.name} answers {answers[1]} where ours answers {answers[0]}.")
        loads = [partial(_load, server, path, lines, BESIDE_PEERS, seconds) for server, path, lines in both]
        rounds = [[load.requests_per_second for load in pair] for pair in take_in_turn(loads, ROUNDS)]
    name = f"/predict, {BESIDE_PEERS} connections"
    yield summarise(name, "/s", rounds, f"{product.name}: {product.serves}", product.wanted)


def _load(server: Server, path: str, bodies: Path, connections: int, seconds: float) -> Load:
    with server.awake() as address:
        return put_under_load(address + path, bodies, connections, seconds)


def _post_first(server: Server, path: str, bodies: Path) -> Any:
    """Post the first of the bodies; give what is answered."""
    with server.awake() as address, bodies.open("rb") as lines:
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(address + path, lines.readline(), headers)  # noqa: S310 - our own address
        with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310 - our own address
            return json.load(answer)


def _serve(folder: Path, command: tuple[str, ...], ready: str = "/ready") -> AbstractContextManager[Server]:
    port = free_port()
    variables: Mapping[str, str] = {
        "PORT": str(port),
        "HOST": "127.0.0.1",
        "CHURN_MLOPS__SERVING__PORT": str(port),
        "CHURN_MLOPS__ARTIFACTS__PATH": str(ARTIFACTS),
        "PYTHONPATH": os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH", "")])),
    }
    return serving(command, port, ready, variables, folder / f"{port}.log")


if __name__ == "__main__":
    main()
