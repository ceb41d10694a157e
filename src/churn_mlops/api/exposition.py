"""`/metrics`: what all workers have counted, in the formats that Prometheus reads."""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from contextlib import asynccontextmanager
from functools import partial
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Final

from fastapi import APIRouter, Request, Response
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.metrics_core import Metric as Family
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector, CollectorRegistry

from churn_mlops.api.metrics import METRICS, Metric, Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from fastapi import FastAPI

    from churn_mlops.api.counts import Key, WorkerCounts
    from churn_mlops.api.served_model import ServedModel

router = APIRouter()

_TEXT: Final[dict[str, Any]] = {"schema": {"type": "string"}}


@router.get(
    "/metrics",
    tags=["operation"],
    summary="What has been counted?",
    response_class=Response,
    responses={
        200: {
            "description": "Counts of all workers, in the format that `Accept` asks for.",
            "content": {"text/plain": _TEXT, "application/openmetrics-text": _TEXT},
        }
    },
)
async def metrics(request: Request) -> Response:
    """Answer requests, latencies, the model, scores and the quality of the input, for Prometheus to scrape."""
    _refresh(request.app)
    registry = CollectorRegistry()
    counted: Metrics = request.app.state.metrics
    registry.register(_Collector(counted))
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    with counted.not_counting_this():
        return Response(encode(registry), media_type=content_type)


@asynccontextmanager
async def share_regularly(app: FastAPI) -> AsyncIterator[None]:
    """Show other workers, once a second, what this one does not write where they read it."""

    async def refresh() -> None:
        while True:
            _refresh(app)
            await asyncio.sleep(1)

    metrics: Metrics = app.state.metrics
    task = asyncio.create_task(refresh()) if metrics.is_shared else None
    yield
    if task:
        task.cancel()
        _refresh(app)


def _refresh(app: FastAPI) -> None:
    metrics: Metrics = app.state.metrics
    served: ServedModel | None = app.state.served
    metrics.refresh(served.scorer.manifest if served else None)


class _Collector(Collector):
    """Gives what was counted as the families of prometheus_client."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def describe(self) -> list[Family]:
        """Name nothing beforehand: that would count everything twice for each scrape."""
        return []

    def collect(self) -> Iterator[Family]:
        """Add up what the workers have counted."""
        workers = self._metrics.of_all_workers()
        for metric in METRICS:
            yield _write_family(metric, _add_up(metric, workers))
        yield from _describe_processes(workers if self._metrics.is_shared else [])


def _add_up(metric: Metric, workers: list[WorkerCounts]) -> dict[Key, list[float]]:
    """Add up the numbers of a metric, by the values of its labels."""
    sums: dict[Key, list[float]] = defaultdict(lambda: [0.0] * metric.width)
    for worker in workers:
        if not worker.is_alive and metric.kind in ("gauge", "info"):
            continue
        for (name, *labels), place in worker.places.items():
            if name == metric.name:
                numbers = worker.values[place : place + metric.width]
                sums[tuple(labels)] = [a + b for a, b in zip(sums[tuple(labels)], numbers, strict=True)]
    return sums


def _write_family(metric: Metric, sums: dict[Key, list[float]]) -> Family:
    if metric.kind == "histogram":
        histogram = HistogramMetricFamily(metric.name, metric.description, labels=metric.labels)
        ends = ["+Inf" if end == math.inf else repr(end) for end in metric.buckets]
        for labels, numbers in sums.items():
            buckets = list(zip(ends, accumulate(numbers[:-1]), strict=True))
            histogram.add_metric(labels, buckets, numbers[-1])
        return histogram
    family = (CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily)(
        metric.name, metric.description, labels=metric.labels
    )
    for labels, numbers in sums.items():
        if metric.kind != "info":
            family.add_metric(labels, numbers[0])
        elif numbers[0]:
            family.add_metric(labels, 1)
    return family


def _describe_processes(workers: list[WorkerCounts]) -> Iterator[Family]:
    """Describe this process as every Prometheus client does; of several workers, each that lives with its number."""
    if not workers:
        yield from ProcessCollector(registry=None).collect()
        return
    families: dict[str, Family] = {}
    for worker in workers:
        if not worker.is_alive:
            continue
        for found in ProcessCollector(pid=partial(int, worker.pid), registry=None).collect():
            family = families.setdefault(found.name, Family(found.name, found.documentation, found.type))
            for sample in found.samples:
                family.add_sample(sample.name, {"worker": str(worker.worker)}, sample.value)
    yield from families.values()
