"""OpenTelemetry traces, where the standard `OTEL_*` variables ask for them; nothing of it is loaded where not."""

from __future__ import annotations

import logging
import os
from contextlib import asynccontextmanager
from functools import wraps
from threading import Thread
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from starlette.datastructures import Headers

import churn_mlops

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from fastapi import FastAPI
    from opentelemetry.trace import Tracer
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from churn_mlops.api.served_model import ServedModel

_LAST_SECONDS: Final = 2

_log = logging.getLogger("churn_mlops.api")

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")

TRACE_ID: Final = "churn_mlops.trace_id"
"""Where a request's scope has the id of its trace: 32 hexadecimal digits."""


def is_asked_for() -> bool:
    """Whether the environment says where traces go, and does not switch them off."""
    endpoints = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    is_off = _read("OTEL_SDK_DISABLED") == "true" or _read("OTEL_TRACES_EXPORTER") == "none"
    return not is_off and any(map(_read, ("OTEL_TRACES_EXPORTER", *endpoints)))


def _read(variable: str) -> str:
    return os.environ.get(variable, "").strip().lower()


class Tracing:
    """Makes spans and sends them away by a thread of its own; to be made in the process that serves.

    Service name, resource, sampler, batches and exporter follow their `OTEL_*` variables, as the SDK reads them.
    """

    def __init__(self) -> None:
        # loading the SDK takes longer than all the rest of the start
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, SERVICE_VERSION, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter

        own = Resource({SERVICE_NAME: "churn-mlops", SERVICE_VERSION: churn_mlops.__version__})
        given = Resource.create()
        is_named = not str(given.attributes[SERVICE_NAME]).startswith("unknown_service")
        self._provider = TracerProvider(
            resource=own.merge(given) if is_named else given.merge(own), shutdown_on_exit=False
        )
        exporter = _read("OTEL_TRACES_EXPORTER") or "otlp"
        if exporter in ("otlp", "console"):
            sender = OTLPSpanExporter() if exporter == "otlp" else ConsoleSpanExporter()
            self._provider.add_span_processor(BatchSpanProcessor(sender))
        else:
            detail = f"OTEL_TRACES_EXPORTER is {exporter!r}; it can be otlp, console or none."
            _log.warning("no traces are sent", extra={"detail": detail})
        self.tracer: Tracer = self._provider.get_tracer("churn_mlops", churn_mlops.__version__)

    def trace_steps(self, served: ServedModel) -> None:
        """Give reading and scoring, of every route, spans of their own inside that of the request."""
        steps: list[tuple[str, Any, str]] = [
            ("validate", served.schema, "read"),
            ("score", served.predictor, "predict"),
        ]
        if served.event_scoring:
            steps.append(("validate", served.event_scoring.schema, "read"))
        for step, owner, name in steps:
            setattr(owner, name, _in_span(self.tracer, step, getattr(owner, name)))

    def close(self) -> None:
        """Send what was not sent yet, if that does not take long: the SDK would try for 30 seconds."""
        last = Thread(target=self._provider.shutdown, daemon=True)
        last.start()
        last.join(_LAST_SECONDS)


@asynccontextmanager
async def trace(app: FastAPI) -> AsyncIterator[None]:
    """Have an application's requests traced, and send at the end what was not sent yet."""
    app.state.tracing = Tracing()
    app.state.in_flight = ()  # each request is scored alone, in a span of its own
    yield
    app.state.tracing.close()


def _in_span(tracer: Tracer, name: str, function: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
    @wraps(function)
    def traced(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Answer:
        # what an error says may quote the customer
        with tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False):
            return function(*args, **kwargs)

    return traced


class TraceRequests:
    """Makes a span of each request, in the trace that its `traceparent` names, if any.

    It says what the access log says, by OpenTelemetry's conventions for HTTP servers: no path, query or value.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on inside a span."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        from opentelemetry import propagate
        from opentelemetry.trace import SpanKind, StatusCode

        state = scope["app"].state
        status = 0

        async def send_seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with state.tracing.tracer.start_as_current_span(
            scope["method"],
            context=propagate.extract(Headers(scope=scope)),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": scope["method"], "url.scheme": scope["scheme"]},
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            scope[TRACE_ID] = f"{span.get_span_context().trace_id:032x}"
            try:
                await self._app(scope, receive, send_seen)
            finally:
                attributes: dict[str, Any] = {"http.response.status_code": status or 500}
                if route := getattr(scope.get("route"), "path", None):
                    attributes["http.route"] = route
                    span.update_name(f"{scope['method']} {route}")
                if served := scope.get("served") or state.served:
                    attributes["churn_mlops.model_version"] = served.version
                span.set_attributes(attributes)
                if attributes["http.response.status_code"] >= 500:
                    span.set_status(StatusCode.ERROR)
