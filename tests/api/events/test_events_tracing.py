"""The steps of a request by events are spans inside its own, wherever they run."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from event_versions import DAY
from span_collector import collecting, read_attributes

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from event_versions import EventVersion

    StartService = Callable[..., tuple[subprocess.Popen[bytes], str, Path]]


@pytest.mark.parametrize("is_long", [False, True], ids=["short", "long"])
def test_a_request_by_events_is_a_span_with_its_steps(
    start_service: StartService, event_version: EventVersion, is_long: bool
) -> None:
    """A short body is read by the event loop, a long one by a thread: both are validated and scored in the trace."""
    longest = max(event_version.rows, key=lambda customer: len(event_version.events[customer]))
    one = {"as_of": str(DAY), "events": [{"type": "login", "time": "2024-09-30"}], "customer": {"plan": "basic"}}
    body = event_version.request(longest) if is_long else one
    assert (len(json.dumps(body)) > 2048) is is_long
    with collecting() as collector:
        process, address, _ = start_service(event_version.artifacts, OTEL_EXPORTER_OTLP_ENDPOINT=collector.address)
        assert httpx.post(f"{address}/predict/events", json=body).status_code == 200
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
        spans: dict[str, Any] = {span.name: span for span in collector.spans()}
    request = spans["POST /predict/events"]
    assert read_attributes(request)["http.response.status_code"] == 200
    for step in ("validate", "score"):
        assert (spans[step].trace_id, spans[step].parent_span_id) == (request.trace_id, request.span_id)
