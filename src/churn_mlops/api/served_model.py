"""The model that is being served, with what requests to it must look like."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pydantic_core import to_json

from churn_mlops.api.batch_schema import BatchSchema
from churn_mlops.api.event_scoring import EventScoring
from churn_mlops.api.open_inference.model import TensorModel
from churn_mlops.api.request_schema import RequestSchema
from churn_mlops.api.together import Together
from churn_mlops.errors import VersionRefused
from churn_mlops.inference.events.program import read_program
from churn_mlops.inference.prediction import Predictor, tell_nobody
from churn_mlops.inference.scorer import load_version

if TYPE_CHECKING:
    from churn_mlops.inference.prediction import OnScored
    from churn_mlops.inference.scorer import Scorer
    from churn_mlops.registry.reading import Registry


@dataclass(frozen=True)
class ServedModel:
    """A loaded version, the schema of its requests, and what answers them."""

    scorer: Scorer
    schema: RequestSchema
    predictor: Predictor
    event_scoring: EventScoring | None = None

    @property
    def version(self) -> str:
        """The name of the version."""
        return self.scorer.version

    @cached_property
    def headers(self) -> dict[str, str]:
        """What every answer of this version says of it."""
        return {"x-model-version": self.version}

    @cached_property
    def header(self) -> tuple[bytes, bytes]:
        """The same for `raw_headers`, which encodes nothing: that would take /predict a microsecond."""
        return b"x-model-version", self.version.encode()

    @cached_property
    def together(self) -> Together:
        """What scores single customers."""
        return Together(self.scorer)

    @cached_property
    def batch_schema(self) -> BatchSchema:
        """The schema of requests for many customers."""
        return BatchSchema(self.scorer.manifest.signature, self.schema.fields)

    @cached_property
    def tensors(self) -> TensorModel:
        """What it takes and gives as tensors."""
        manifest = self.scorer.manifest
        return TensorModel(manifest.signature, manifest.decision.mode)

    @classmethod
    def load(
        cls,
        registry: Registry,
        version: str,
        max_missing_share: float,
        threads: int,
        on_scored: OnScored = tell_nobody,
        max_events: int = 10_000,
    ) -> ServedModel:
        """Load a version, check it, and score a customer with it, so that the first request is no slower than the next.

        Args:
            registry: where it is.
            version: its name.
            max_missing_share: customers of whom more of the features is missing are refused; where events are asked
                with, those of whom more of the attributes is not sent.
            threads: how many may run its graph.
            on_scored: told of each answer.
            max_events: how many events a customer may have, where the version can be asked with events.

        Raises:
            RegistryError: it cannot be found, or fails a check.
        """
        scorer = load_version(registry, version, threads)
        schema = RequestSchema(scorer.manifest.signature, scorer.manifest.decision.mode)
        program = read_program(registry, scorer.manifest)
        event_scoring = EventScoring(program, scorer.manifest, max_missing_share, max_events) if program else None
        served = cls(scorer, schema, Predictor(scorer, max_missing_share, on_scored), event_scoring)
        try:
            served._score_example()
        except Exception as error:
            raise VersionRefused(version, f"it cannot score its own example ({type(error).__name__}).") from error
        return served

    def _score_example(self) -> None:
        customer = self.schema.read(to_json(self.schema.example()))
        predictor = Predictor(self.scorer, 1)  # an example may lack more features than a customer may
        answer = predictor.predict(customer, predictor.encode(customer["features"]), 0)
        if not 0 <= answer["churn_probability"] <= 1:
            msg = f"a probability of {answer['churn_probability']}"
            raise ValueError(msg)
        to_json(answer)
