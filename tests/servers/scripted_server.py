"""A server that answers as a test tells it to, and what it is asked for and answers."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from email.message import Message

FEATURES: Final[dict[str, Any]] = {
    "tenure": 2,
    "contract": "Month-to-month",
    "monthly_charges": 99.5,
    "total_charges": 199,
    "female": 1,
    "senior_citizen": 0,
    "partner": 0,
    "dependents": 0,
    "phone_service": 1,
    "multiple_lines": "No",
    "internet_service": "Fiber optic",
    "online_security": "No",
    "online_backup": "No",
    "paperless_billing": 1,
}
ANSWER: Final[dict[str, Any]] = {
    "customer_id": None,
    "churn_probability": 0.25,
    "churn_predicted": False,
    "decision": {"mode": "threshold", "threshold": 0.5, "expected_profit": None, "customer_value": None},
    "risk_band": "low",
    "reasons_are": "additive",
    "reasons": [{"feature": "tenure", "value": 2.0, "contribution": 0.5, "text": "tenure is 2"}],
    "input_quality": {"missing": [], "unseen_category": [], "out_of_range": []},
    "model_version": "20260301T120000Z-00000000",
}


@dataclass
class Reply:
    """What a scripted server answers; `cut` closes the connection within the body, `hang_seconds` waits first."""

    status: int = 200
    content: Any = field(default_factory=lambda: ANSWER)
    headers: dict[str, str] = field(default_factory=dict)
    cut: bool = False
    hang_seconds: float = 0.0


@dataclass
class Request:
    """What a scripted server was asked."""

    method: str
    path: str
    headers: Message
    body: bytes
    at_seconds: float


class ScriptedServer(ThreadingHTTPServer):
    """Answers as its script says, the last reply again and again; one may depend on the request's body."""

    daemon_threads = True

    def __init__(self, script: list[Reply | Callable[[bytes], Reply]], port: int = 0) -> None:
        self.script = script
        self.requests: list[Request] = []
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", port), _Handler)
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def handle_error(self, *_: object) -> None:
        """Take it as it comes: clients that give up are what some tests are about."""

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ScriptedServer

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        with self.server.lock:
            reply = self.server.script[min(len(self.server.requests), len(self.server.script) - 1)]
            if callable(reply):
                reply = reply(body)
            self.server.requests.append(Request(self.command, self.path, self.headers, body, time.monotonic()))
        time.sleep(reply.hang_seconds)
        content = reply.content if isinstance(reply.content, bytes) else json.dumps(reply.content).encode()
        self.send_response(reply.status)
        for name, value in {"content-length": str(len(content)), **reply.headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if reply.cut else content)
        self.close_connection = reply.cut

    do_GET = do_POST = _answer  # noqa: N815 - the names that http.server looks for

    def log_message(self, *_: object) -> None:
        """Say nothing."""
