"""Puts the service under load while its champion changes all the time, and checks every answer.

Run it by hand: python -m benchmarks.soak [--minutes 10] [--rate N] [--workers 1]. Every 2 s the champion changes, by
promotion and rollback in turn, and every 20 s a version whose graph is damaged is made champion by hand. The load comes
at a fixed rate, whatever the answers take: 80 % of the highest at which the same service answered everything
beforehand, unless --rate says how many a second. The service has one core and the load another, where there are two.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from array import array
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import uvloop

from benchmarks import overload
from churn_mlops.api.request_schema import RequestSchema
from churn_mlops.atomic_files import replace_file
from churn_mlops.registry.manifest import GRAPH
from churn_mlops.registry.reading import Aliases, Registry
from churn_mlops.registry.writing import promote, register, roll_back

if TYPE_CHECKING:
    from collections.abc import Iterator

CHANGE_SECONDS: Final = 2
CHANGES_PER_DAMAGE: Final = 10
LATE_SECONDS: Final = 3
"""How long after it was champion a version may still answer: reload_seconds, and a request's time."""

SETTLED_MINUTES: Final = 2
"""When memory is first looked at."""

CONNECTIONS: Final = 64
AFTER_CHANGE_SECONDS: Final = 1
SAMPLE: Final = Path(__file__).resolve().parents[1] / "artifacts"


class Changes:
    """An artifacts folder with two good versions and a damaged one, and the changes of its champion.

    Args:
        root: an empty folder.
    """

    def __init__(self, root: Path) -> None:
        sample = Registry(SAMPLE)
        manifest = sample.read(sample.champion())
        files = {GRAPH: sample.read_file(manifest)}
        self.registry = Registry(root)
        self.thresholds: dict[str, float] = {}
        names = []
        for threshold in (0.5, 0.25, 0.75):
            decision = manifest.decision.model_copy(update={"threshold": threshold})
            names.append(register(self.registry, manifest.model_copy(update={"decision": decision}), files).version)
            self.thresholds[names[-1]] = threshold
        self._damaged = names.pop()
        graph = self.registry.models / self._damaged / GRAPH
        graph.write_bytes(graph.read_bytes()[:-1] + b"\0")
        self.example = RequestSchema(manifest.signature).example()
        self._good = names
        self._until = dict.fromkeys(names, 0.0) | {names[0]: float("inf")}
        self.made: list[float] = []
        self.damages = 0

    def may_answer(self, version: str) -> bool:
        """Whether a version is champion, or was until a moment ago."""
        return time.monotonic() - self._until.get(version, 0.0) <= LATE_SECONDS

    def run(self, ended: threading.Event) -> None:
        """Change the champion until told to stop."""
        while not ended.wait(CHANGE_SECONDS):
            if len(self.made) % CHANGES_PER_DAMAGE == CHANGES_PER_DAMAGE - 1:
                self._damage()
            else:
                self._change()
            self.made.append(time.monotonic())

    def _damage(self) -> None:
        aliases = self.registry.aliases() or Aliases()
        damaged = aliases.model_copy(update={"champion": self._damaged})
        replace_file(self.registry.aliases_file, damaged.model_dump_json().encode())
        self.damages += 1
        self._ends(aliases.champion)

    def _change(self) -> None:
        aliases = self.registry.aliases() or Aliases()
        next_one = self._good[aliases.champion == self._good[0]]
        self._until[next_one] = float("inf")
        if aliases.previous == next_one:
            roll_back(self.registry)
        else:
            promote(self.registry, next_one)
        self._ends(aliases.champion)

    def _ends(self, version: str | None) -> None:
        if version in self._until:
            self._until[str(version)] = time.monotonic()


@dataclass
class Answers:
    """What came back.

    Attributes:
        seconds: latency of each answer, from the moment that its request was due.
        at: when each came, by the monotonic clock.
        statuses: how many of each.
        versions: how many of each.
        wrong: answers of a version that was not to answer, or that contradict themselves.
        broken: requests that were never answered.
    """

    seconds: array[float] = field(default_factory=lambda: array("d"))
    at: array[float] = field(default_factory=lambda: array("d"))
    statuses: Counter[bytes] = field(default_factory=Counter)
    versions: Counter[str] = field(default_factory=Counter)
    wrong: int = 0
    broken: int = 0


class Connection(asyncio.Protocol):
    """One connection, with at most one request on it."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._received = b""
        self._due: float | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Be ready for a request."""
        self._transport = cast("asyncio.Transport", transport)  # TCP's; uvloop's is no subclass of it
        self._load.take(self)

    def ask(self, due: float) -> None:
        """Send a request."""
        assert self._transport  # noqa: S101 - only called once connected
        self._due = due
        self._transport.write(self._load.request)

    def data_received(self, data: bytes) -> None:
        """Read an answer."""
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head) if found else None
        if length is None or len(body) < int(length[1]) or self._due is None:
            return
        due, self._due, self._received = self._due, None, b""
        self._load.note(due, head, body)
        self._load.take(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Open another one."""
        self._load.lose(self)


class Load:
    """Requests at a fixed rate.

    Args:
        port: of the service, on this machine.
        changes: says which version may answer.
    """

    def __init__(self, port: int, changes: Changes) -> None:
        body = json.dumps(changes.example).encode()
        head = "POST /predict HTTP/1.1\r\nHost: service\r\nContent-Type: application/json\r\n"
        self.request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
        self.answers = Answers()
        self._port = port
        self._changes = changes
        self._free: deque[Connection] = deque()
        self._due: deque[float] = deque()
        self._opening: set[asyncio.Task[object]] = set()
        self._ended = False

    def take(self, connection: Connection) -> None:
        """Use a connection that is free."""
        if self._due:
            connection.ask(self._due.popleft())
        else:
            self._free.append(connection)

    def lose(self, connection: Connection) -> None:
        """Replace a connection that the service closed."""
        if connection in self._free:
            self._free.remove(connection)
        if not self._ended:
            self._open()

    def note(self, due: float, head: bytes, body: bytes) -> None:
        """Check an answer."""
        now = time.monotonic()
        answers = self.answers
        answers.seconds.append(now - due)
        answers.at.append(now)
        status = head[9:12]
        answers.statuses[status] += 1
        if status != b"200":
            return
        answer = json.loads(body)
        version = answer["model_version"]
        answers.versions[version] += 1
        consistent = f"x-model-version: {version}".encode() in head
        threshold = answer["decision"]["threshold"] == self._changes.thresholds.get(version)
        answers.wrong += not (consistent and threshold and self._changes.may_answer(version))

    async def run(self, rate: float, seconds: float) -> None:
        """Send requests, each when it is due, whether or not those before it are answered."""
        for _ in range(CONNECTIONS):
            self._open()
        begin = time.monotonic()
        sent = 0
        while (passed := time.monotonic() - begin) < seconds:
            while sent < passed * rate:
                self._send(begin + sent / rate)
                sent += 1
            await asyncio.sleep(0.0005)
        await asyncio.sleep(LATE_SECONDS)
        self._ended = True
        self.answers.broken = sent - len(self.answers.at)

    def _send(self, due: float) -> None:
        if self._free:
            self._free.popleft().ask(due)
        else:
            self._due.append(due)

    def _open(self) -> None:
        loop = asyncio.get_running_loop()
        opening = loop.create_task(loop.create_connection(lambda: Connection(self), "127.0.0.1", self._port))
        self._opening.add(opening)
        opening.add_done_callback(self._opening.discard)


class Service:
    """A service on an artifacts folder, on a core of its own where there are two.

    Args:
        root: the artifacts folder.
        workers: how many processes.
    """

    def __init__(self, root: Path, workers: int) -> None:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CHURN_MLOPS")}
        (root / "empty.yaml").touch()
        settings = {
            "CHURN_MLOPS_CONFIG": str(root / "empty.yaml"),
            "CHURN_MLOPS__ARTIFACTS__PATH": str(root),
            "CHURN_MLOPS__SERVING__PORT": "0",
            "WEB_CONCURRENCY": str(workers),
        }
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[:1])  # which the service inherits
        self.process = subprocess.Popen(
            [sys.executable, "-m", "churn_mlops.api"],
            env=inherited | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        os.sched_setaffinity(0, cores[1:] or cores)
        assert self.process.stdout  # noqa: S101 - a pipe
        self.port = 0
        for line in self.process.stdout:
            if found := re.search(rb"running on http://127.0.0.1:(\d+)", line):
                self.port = int(found[1])
                break
        if not self.port:
            raise RuntimeError("the service did not start")
        threading.Thread(target=self._drain, daemon=True).start()

    def memory_bytes(self) -> int:
        """Add up the resident memory of all its processes."""
        return sum(_resident_bytes(pid) for pid in _family(self.process.pid))

    def ask(self, path: str) -> dict[str, Any]:
        """Ask one of its other routes."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as answer:
            return dict(json.load(answer))

    def stop(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait()

    def _drain(self) -> None:
        # the log, at the speed at which it comes: a file of it would fill the disk
        assert self.process.stdout  # noqa: S101 - a pipe
        while os.read(self.process.stdout.fileno(), 1 << 20):
            pass


def _family(pid: int) -> Iterator[int]:
    yield pid
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        yield from _family(int(child))


def _resident_bytes(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) * 1024 if found else 0


def measure_maximum(port: int, request: bytes) -> float:
    """Find the highest rate at which all requests are answered; requests a second."""

    async def find() -> float:
        return await overload.find_maximum(await overload.open_pool(request, port))

    return uvloop.run(find())


@dataclass
class Watched:
    """What the other routes and the kernel said meanwhile."""

    memory: list[tuple[float, int]] = field(default_factory=list)
    refused_seen: int = 0
    not_ready: int = 0

    def run(self, service: Service, ended: threading.Event) -> None:
        """Look twice a second."""
        begin = time.monotonic()
        while not ended.wait(0.5):
            self.memory.append((time.monotonic() - begin, service.memory_bytes()))
            try:
                service.ask("/ready")
                self.refused_seen += service.ask("/model")["refused"] is not None
            except OSError:
                self.not_ready += 1


def soak(minutes: float, rate: float | None, workers: int) -> dict[str, Any]:
    """Run it all; give the figures."""
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        changes = Changes(Path(folder))
        service = Service(Path(folder), workers)
        try:
            load = Load(service.port, changes)
            rate = rate or 0.8 * measure_maximum(service.port, load.request)
            watched, ended = Watched(), threading.Event()
            threads = [
                threading.Thread(target=changes.run, args=(ended,)),
                threading.Thread(target=watched.run, args=(service, ended)),
            ]
            for thread in threads:
                thread.start()
            uvloop.run(load.run(rate, minutes * 60))
            ended.set()
            for thread in threads:
                thread.join()
        finally:
            service.stop()
    return {"minutes": minutes, "rate": rate, "workers": workers} | _summary(load.answers, changes, watched)


def _summary(answers: Answers, changes: Changes, watched: Watched) -> dict[str, Any]:
    settled = min(SETTLED_MINUTES * 60, watched.memory[-1][0] / 2)
    early = statistics.median(size for at, size in watched.memory if settled <= at < settled + 10)
    late = statistics.median(size for at, size in watched.memory if at >= watched.memory[-1][0] - 10)
    changing, quiet = _split(answers, changes.made)
    good = answers.statuses[b"200"]
    return {
        "answers": len(answers.at),
        "failed": len(answers.at) - good + answers.broken,
        "wrong_version": answers.wrong,
        "versions": dict(answers.versions),
        "changes": len(changes.made),
        "damaged": changes.damages,
        "refused_seen": watched.refused_seen,
        "not_ready": watched.not_ready,
        "p50_ms": _percentile(quiet, 50),
        "p99_ms": _percentile(quiet, 99),
        "p99_ms_within_1s_of_a_change": _percentile(changing, 99),
        "longest_ms": max(answers.seconds) * 1000,
        "memory_mb": [early / 1e6, late / 1e6],
        "memory_growth": late / early - 1,
    }


def _split(answers: Answers, made: list[float]) -> tuple[list[float], list[float]]:
    """Split the latencies into those of the second after each change, and the others."""
    changing: list[float] = []
    quiet: list[float] = []
    place = 0
    for at, seconds in zip(answers.at, answers.seconds, strict=True):
        while place < len(made) and made[place] + AFTER_CHANGE_SECONDS < at:
            place += 1
        near = place < len(made) and made[place] <= at
        (changing if near else quiet).append(seconds)
    return changing, quiet


def _percentile(seconds: list[float], percent: int) -> float | None:
    return statistics.quantiles(seconds, n=100)[percent - 1] * 1000 if len(seconds) > 1 else None


def main() -> int:
    """Read the options, run, and say whether nothing was lost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--rate", type=float, default=None, help="requests a second")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    figures = soak(options.minutes, options.rate, options.workers)
    print(json.dumps(figures, indent=2))
    return 1 if figures["failed"] or figures["wrong_version"] or figures["not_ready"] else 0


if __name__ == "__main__":
    sys.exit(main())
