"""Whatever is sent to the real service, it answers as its document says: no failure of its own, no hang.

For longer, and with other cases: `FUZZ_EXAMPLES=500 FUZZ_SEED=7 pytest tests/api/fuzzing` (cases for each operation).
"""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import socket
import subprocess
import sys
import urllib.parse
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import httpx
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from messages_by_hand import INFER, to_binary

from churn_mlops.api.keys import KEYS_VARIABLE, create_key
from churn_mlops.api.open_inference.inference import HEADER_LENGTH
from churn_mlops.api.open_inference.messages import ProtocolError
from churn_mlops.api.responses import ErrorAnswer

if TYPE_CHECKING:
    from collections.abc import Callable

    from event_versions import EventVersion

    StartService = Callable[..., tuple[subprocess.Popen[bytes], str, Path]]
    ReadLog = Callable[[Path], list[dict[str, Any]]]

FOLDER: Final = Path(__file__).parent
EXAMPLES: Final = int(os.environ.get("FUZZ_EXAMPLES", "10"))
SEED: Final = int(os.environ.get("FUZZ_SEED", "1"))
TIMEOUT_SECONDS: Final = 20

EVENTS: Final = "/predict/events"
PATHS: Final = ("/predict", "/predict/batch", INFER)
BY_CONNECTION: Final = {400, 431}
"""What is answered to what is no request of HTTP, or one with too long headers: to any address."""


class Good(NamedTuple):
    """What is answered with scores; in binary form, tensors follow the JSON."""

    text: bytes
    headers: list[tuple[bytes, bytes]]
    tensors: bytes = b""

    def write(self, text: bytes) -> tuple[bytes, list[tuple[bytes, bytes]]]:
        """Give body and headers, with something in place of the text."""
        length = [(HEADER_LENGTH.encode(), b"%d" % len(text))] if self.tensors else []
        return text + self.tensors, self.headers + length


class Sent(NamedTuple):
    """A request to be."""

    path: str
    query: bytes
    headers: list[tuple[bytes, bytes]]
    body: bytes
    chunks: int | None

    def write(self) -> bytes:
        """Write it as it goes over the wire, in one piece or in chunks."""
        lines = [b"POST %s%s HTTP/1.1" % (self.path.encode(), self.query), b"host: service", b"connection: close"]
        lines += (b"%s: %s" % header for header in self.headers)
        if self.chunks is None:
            return b"\r\n".join([*lines, b"content-length: %d" % len(self.body), b"", self.body])
        pieces = [self.body[start : start + self.chunks] for start in range(0, len(self.body), self.chunks)]
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])
        return b"\r\n".join([*lines, b"transfer-encoding: chunked", b"", chunks])


JSON_VALUES: Final[st.SearchStrategy[Any]] = st.deferred(
    lambda: (
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=20)
        | st.lists(JSON_VALUES, max_size=3)
        | st.dictionaries(st.text(max_size=10), JSON_VALUES, max_size=3)
    )
)
COMPRESSIONS: Final[dict[bytes, Callable[[bytes], bytes]]] = {
    b"": bytes,
    b"gzip": gzip.compress,
    b"deflate": zlib.compress,
}
TYPES: Final = (
    "application/json",
    "text/csv",
    "text/csv; charset=utf-16",
    "application/octet-stream",
    "*/*;q=0.1",
    ",;",
)
FIELD_VALUES: Final = st.binary(max_size=30).map(lambda value: value.translate(None, b"\r\n\0"))
HEADERS: Final = st.lists(
    st.tuples(st.sampled_from([b"content-type", b"accept"]), st.sampled_from([name.encode() for name in TYPES]))
    | st.tuples(st.just(b"content-encoding"), st.sampled_from([b"gzip", b"deflate", b"identity", b"br"]))
    | st.tuples(st.just(HEADER_LENGTH.encode()), st.integers(-1, 3000).map(b"%d".__mod__) | FIELD_VALUES)
    | st.tuples(st.sampled_from([b"x-request-id", b"content-type", b"accept", b"origin", b"traceparent"]), FIELD_VALUES)
    | st.tuples(st.from_regex(rb"\A[A-Za-z-]{1,12}\Z"), FIELD_VALUES)
    | st.just((b"expect", b"100-continue")),
    max_size=4,
)
QUERIES: Final = st.sampled_from([b"", b"", b"?reasons=0", b"?reasons=2&reasons=x"]) | st.from_regex(
    rb"\A\?reasons=[!-~]{0,12}\Z"
)


@st.composite
def changed(draw: st.DrawFn, value: Any) -> Any:
    """Change a part of a JSON value: put something in its place, or call it something else."""
    if not isinstance(value, dict | list) or not value or not draw(st.integers(0, 7)):
        return draw(JSON_VALUES)
    names = list(value) if isinstance(value, dict) else list(range(len(value)))
    which = draw(st.sampled_from(names))
    parts = {name: value[name] for name in names}
    if draw(st.booleans()) or isinstance(value, list):
        parts[which] = draw(changed(parts[which]))
    else:
        parts[draw(st.text(max_size=10))] = parts.pop(which)
    return parts if isinstance(value, dict) else list(parts.values())


@st.composite
def spoiled(draw: st.DrawFn, body: bytes) -> bytes:
    """Replace some bytes of a body by others."""
    start, end = sorted(draw(st.tuples(*[st.integers(0, len(body))] * 2)))
    return body[:start] + draw(st.binary(max_size=8)) + body[end:]


def texts(good: Good) -> st.SearchStrategy[bytes]:
    """Make texts of which some are as they should be, and most are nearly so."""
    made = st.just(good.text) | spoiled(good.text) | st.binary(max_size=300) | JSON_VALUES.map(to_json)
    return made | changed(json.loads(good.text)).map(to_json) if good.text[:1] == b"{" else made


def to_json(value: Any) -> bytes:
    """Write JSON as many programs do, NaN and lone surrogates included."""
    return json.dumps(value).encode()


def read_examples(operation: dict[str, Any]) -> list[Good]:
    """Read the requests that the document shows of an operation."""
    shown = {
        kind: content["example"]
        for kind, content in operation["requestBody"]["content"].items()
        if content.get("example")
    }
    return [
        Good(body.encode() if isinstance(body, str) else to_json(body), [(b"content-type", kind.encode())])
        for kind, body in shown.items()
    ]


def write_binary(good: Good) -> Good:
    """Write a request with its tensors in binary form."""
    binary = to_binary(json.loads(good.text))
    length = int(binary["headers"][HEADER_LENGTH])
    return Good(binary["content"][:length], [], binary["content"][length:])


@st.composite
def requests(draw: st.DrawFn, good: dict[str, list[Good]]) -> Sent:
    """Make requests that begin as good ones."""
    path = draw(st.sampled_from(list(good)))
    kind = draw(st.sampled_from(good[path]))
    body, headers = kind.write(draw(texts(kind)))
    coding = draw(st.sampled_from([b"", b"", *COMPRESSIONS]))
    headers = draw(st.just(headers) | HEADERS | HEADERS.map(lambda others: [*headers, *others]))
    headers += [(b"content-encoding", coding)] if coding else []
    return Sent(path, draw(QUERIES), headers, COMPRESSIONS[coding](body), draw(st.none() | st.integers(1, 200)))


def send(address: str, request: bytes) -> tuple[int, str, bytes]:
    """Send bytes to the service; give status, content type and body of its answer."""
    target = urllib.parse.urlsplit(address)
    with socket.create_connection((str(target.hostname), int(target.port or 0)), TIMEOUT_SECONDS) as connection:
        connection.sendall(request)
        answer = http.client.HTTPResponse(connection, method="POST")
        answer.begin()
        return answer.status, answer.headers.get("content-type", ""), answer.read()


@pytest.mark.parametrize(("of_events", "needs_key"), [(False, False), (False, True), (True, False)])
def test_what_the_document_says_is_so(
    start_service: StartService,
    sample_artifacts: Path,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    read_log: ReadLog,
    of_events: bool,
    needs_key: bool,
) -> None:
    """Schemathesis finds nothing, by all of its checks, in what it makes from the document to fit it and not to."""
    key, hashed = create_key()
    # which customers lack too many features is not for a schema to say: here nobody does
    variables = {"CHURN_MLOPS__SERVING__MAX_MISSING_SHARE": "1"} | ({KEYS_VARIABLE: hashed} if needs_key else {})
    artifacts = request.getfixturevalue("event_version").artifacts if of_events else sample_artifacts
    process, address, log = start_service(artifacts, **variables)
    headers = {"X-API-Key": key} if needs_key else {}
    document = httpx.get(f"{address}/openapi.json", headers=headers).json()
    command: list[str | Path] = [
        *(Path(sys.executable).with_name("schemathesis"), "--config-file", FOLDER / "schemathesis.toml"),
        *("run", f"{address}/openapi.json", "--checks=all", "--no-color"),
        *(f"--max-examples={EXAMPLES}", f"--seed={SEED}", "--generation-database=none"),
        *(f"--header={name}: {value}" for name, value in headers.items()),
    ]
    environment = {**os.environ, "PYTHONPATH": str(FOLDER)}
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
    operations = sum(len(path) for path in document["paths"].values())
    assert f"Tested: {operations}\n" in found.stdout
    generated = re.search(r"(\d+) generated", found.stdout)
    assert generated
    assert int(generated[1]) > 500
    assert process.poll() is None
    assert not [line for line in read_log(log) if line["level"] == "ERROR"]


@pytest.mark.parametrize("asked", [PATHS, (EVENTS,)], ids=["table", "events"])
def test_any_bytes_are_answered_as_documented(
    start_service: StartService,
    sample_artifacts: Path,
    request: pytest.FixtureRequest,
    read_log: ReadLog,
    asked: tuple[str, ...],
) -> None:
    """Bytes, nearly good bodies and odd headers get a score or an error body, with a status that is documented."""
    version: EventVersion | None = request.getfixturevalue("event_version") if EVENTS in asked else None
    process, address, log = start_service(version.artifacts if version else sample_artifacts)
    paths = httpx.get(f"{address}/openapi.json").json()["paths"]
    described = {path: paths[path.replace("/churn/", "/{model_name}/")]["post"] for path in asked}
    good = {path: read_examples(operation) for path, operation in described.items()}
    if INFER in good:
        good[INFER].append(write_binary(good[INFER][0]))
    if version:
        events = version.events
        customer = min(version.rows, key=lambda customer: len(events[customer]))
        good[EVENTS].append(Good(to_json(version.request(customer)), good[EVENTS][0].headers))
    statuses = set()

    @seed(SEED)
    @settings(max_examples=EXAMPLES * 50, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(requests(good))
    def ask(sent: Sent) -> None:
        status, kind, body = send(address, sent.write())
        statuses.add(status)
        assert {str(status)} <= described[sent.path]["responses"].keys() | set(map(str, BY_CONNECTION))
        assert status < 500
        if status == 200:
            assert kind.partition(";")[0] in described[sent.path]["responses"]["200"]["content"]
        else:
            assert kind == "application/json"
            (ProtocolError if sent.path == INFER else ErrorAnswer).model_validate_json(body, strict=True)

    for path, requests_of in good.items():
        for kind in requests_of:
            body, headers = kind.write(kind.text)
            assert send(address, Sent(path, b"", headers, body, None).write())[0] == 200
    ask()
    assert {200, 400, 422} <= statuses
    assert process.poll() is None
    assert not [line for line in read_log(log) if line["level"] == "ERROR"]
