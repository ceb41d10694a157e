"""What the service counts: the names, and the few instructions that count a request."""

from __future__ import annotations

from bisect import bisect_left
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from churn_mlops.api.counts import Counts, WorkerCounts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from churn_mlops.inference.encoding import InputQuality
    from churn_mlops.models.signature import Signature
    from churn_mlops.registry.manifest import Manifest


@dataclass(frozen=True)
class Metric:
    """A family of numbers of one name.

    Attributes:
        name: without the `_total` of a counter.
        kind: a gauge of several workers is the sum of those that live, a counter that of all there were.
        description: what is counted.
        labels: names of the labels.
        buckets: upper ends of a histogram's buckets, lowest first; the last one is infinite.
    """

    name: str
    kind: Literal["counter", "gauge", "histogram", "info"]
    description: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def width(self) -> int:
        """How many numbers it has: of a histogram one for each bucket, then the sum of what was observed."""
        return len(self.buckets) + 1 if self.buckets else 1


_SECONDS: Final = tuple(digit * 10.0**power for power in range(-4, 1) for digit in (1, 2.5, 5))
REQUESTS: Final = Metric(
    "churn_mlops_http_requests",
    "counter",
    "Requests that were answered, by route template (none: no route), method and status.",
    ("route", "method", "status"),
)
LATENCY: Final = Metric(
    "churn_mlops_http_request_duration_seconds",
    "histogram",
    "Time from the first byte that the service saw of a request to the last one of its answer.",
    ("route", "method"),
    (*(float(f"{value:.4g}") for value in _SECONDS), 10.0, float("inf")),
)
IN_FLIGHT: Final = Metric(
    "churn_mlops_http_requests_in_flight", "gauge", "Requests being answered now, without the scrape that says so."
)
SHED: Final = Metric(
    "churn_mlops_http_requests_shed", "counter", "Requests refused at once because of too many others."
)
MODEL: Final = Metric(
    "churn_mlops_model_info", "info", "1 for each version being served.", ("version", "family", "sample")
)
LOADS: Final = Metric(
    "churn_mlops_model_loads", "counter", "Versions that a worker loaded, as champion or as challenger.", ("part",)
)
LOAD_FAILURES: Final = Metric(
    "churn_mlops_model_load_failures",
    "counter",
    "Attempts of a worker to load a version, or to find it, that failed.",
    ("part",),
)
SHADOW: Final = Metric(
    "churn_mlops_shadow_customers",
    "counter",
    "Customers that the challenger was to be scored on as well: scored, dropped (too many at a time), unscorable (it "
    "would miss too many of their features), failed.",
    ("outcome",),
)
PROBABILITY: Final = Metric(
    "churn_mlops_churn_probability",
    "histogram",
    "Churn probabilities answered; their number is that of the customers scored.",
    (),
    (*(step / 20 for step in range(1, 21)), float("inf")),
)
CHURNERS: Final = Metric("churn_mlops_churn_predicted", "counter", "Customers of whom churn was predicted.")
INPUT_PROBLEMS: Final = Metric(
    "churn_mlops_input_problems",
    "counter",
    "Values that were missing, of a category never seen, or outside the range seen in training, by feature.",
    ("feature", "problem"),
)

METRICS: Final = (
    *(REQUESTS, LATENCY, IN_FLIGHT, SHED, MODEL, LOADS, LOAD_FAILURES, SHADOW, PROBABILITY, CHURNERS, INPUT_PROBLEMS),
)

# constants of the module are faster to get at than attributes
_LATENCY_BUCKETS: Final = LATENCY.buckets
_LATENCY_SUM: Final = len(LATENCY.buckets)
_PROBABILITY_BUCKETS: Final = PROBABILITY.buckets
_PROBABILITY_SUM: Final = len(PROBABILITY.buckets)

_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"})


class _Places(dict[tuple[object, ...], int]):
    """Where the numbers of a metric begin, by the values of its labels; room is made for those that are new."""

    def __init__(self, counts: Counts, metric: Metric) -> None:
        super().__init__()
        self._counts = counts
        self._metric = metric
        if not metric.labels:
            self[()]  # there from the start, as 0

    def __missing__(self, labels: tuple[object, ...]) -> int:
        key = (self._metric.name, *map(str, labels))
        self[labels] = place = self._counts.place(key, self._metric.width)
        return place


class Metrics:
    """Counts what this worker does.

    Nothing here takes a lock: the numbers belong to the thread that runs the event loop.
    """

    def __init__(self) -> None:
        self._count_in(Counts())

    def share(self, folder: Path) -> None:
        """Count where the other workers can read it, from now on; to be called before anything is counted."""
        self._count_in(Counts(folder))

    def _count_in(self, counts: Counts) -> None:
        self._counts = counts
        self._values = counts.values
        self._followed: list[Callable[[], None]] = []
        self._shown: Manifest | None = None
        self._in_flight = _Places(counts, IN_FLIGHT)[()]
        _Places(counts, SHED)
        self._probability = _Places(counts, PROBABILITY)[()]
        self._churners = _Places(counts, CHURNERS)[()]
        self._statuses = _Places(counts, REQUESTS)
        self._latencies = _Places(counts, LATENCY)
        self._requests: dict[tuple[str | None, str, int], tuple[int, int]] = {}
        self._models = _Places(counts, MODEL)
        self._problems = _Places(counts, INPUT_PROBLEMS)
        # what a worker that died was doing is not being done any more
        for (name, *_), place in counts.places().items():
            if name in (IN_FLIGHT.name, MODEL.name):
                self._values[place] = 0

    @property
    def is_shared(self) -> bool:
        """Whether other workers count in the same folder."""
        return self._counts.folder is not None

    def of_all_workers(self) -> list[WorkerCounts]:
        """Read what each worker has counted."""
        return self._counts.of_all_workers()

    def begin(self) -> None:
        """Count a request as being answered, until it is."""
        self._values[self._in_flight] += 1.0

    def answered(self, route: str | None, method: str, status: int, seconds: float) -> None:
        """Count a request that has begun.

        Args:
            route: the template of its path; None if no route has it.
            method: any, as it was sent.
            status: of the answer.
            seconds: that it took.
        """
        values = self._values
        request, latency = self._requests.get((route, method, status)) or self._find_places(route, method, status)
        values[request] += 1.0
        values[latency + bisect_left(_LATENCY_BUCKETS, seconds)] += 1.0
        values[latency + _LATENCY_SUM] += seconds
        values[self._in_flight] -= 1.0

    @contextmanager
    def not_counting_this(self) -> Iterator[None]:
        """Leave one request, which is being answered, out of those that are."""
        self._values[self._in_flight] -= 1.0
        yield
        self._values[self._in_flight] += 1.0

    def _find_places(self, route: str | None, method: str, status: int) -> tuple[int, int]:
        labels = route or "none", method if method in _METHODS else "other"
        places = self._statuses[*labels, status], self._latencies[labels]
        if method in _METHODS:  # the others are without number
            self._requests[route, method, status] = places
        return places

    def scored(self, probability: float, churns: bool, quality: InputQuality) -> None:
        """Count a customer that was scored, and what was the matter with its values."""
        values = self._values
        place = self._probability
        values[place + bisect_left(_PROBABILITY_BUCKETS, probability)] += 1.0
        values[place + _PROBABILITY_SUM] += probability
        if churns:
            values[self._churners] += 1.0
        if quality["missing"] or quality["unseen_category"] or quality["out_of_range"]:
            self._count_problems(quality)

    def _count_problems(self, quality: InputQuality) -> None:
        for problem, features in quality.items():
            for feature in features:  # type: ignore[attr-defined]  # to mypy, a TypedDict's values are objects
                self._values[self._problems[feature, problem]] += 1.0

    def follow(self, metric: Metric, read: Callable[[], float], *labels: str) -> None:
        """Take a counter from where it is kept anyway: `read` says how far that has come in this process."""
        place = _Places(self._counts, metric)[labels]
        before = self._values[place]  # what a worker that died had counted

        def copy() -> None:
            self._values[place] = before + read()

        self._followed.append(copy)

    def refresh(self, manifest: Manifest | None) -> None:
        """Copy what is followed, and tell which version is served; scrapes and other workers then see it."""
        for copy in self._followed:
            copy()
        if manifest is not self._shown:
            self._shown = manifest
            for place in self._models.values():
                self._values[place] = 0.0
            if manifest:
                self._values[self._models[manifest.version, manifest.model, str(manifest.sample).lower()]] = 1.0
                self._expect(manifest.signature)

    def _expect(self, signature: Signature) -> None:
        """Show a 0 for each problem that each feature can have: an increase from nothing is none to Prometheus."""
        for feature in signature.features:
            problems = {"numeric": ["out_of_range"], "categorical": ["unseen_category"], "boolean": []}
            for problem in ("missing", *problems[feature.kind]):
                self._problems[feature.name, problem]
