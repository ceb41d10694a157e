"""The same customer gets the same answer from a batch, from the API and from the estimator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
from customer_answers import ask_api, check_same, strange_customers

from churn_mlops.config.settings import DataSettings
from churn_mlops.data.sample import describe_sample, read_sample
from churn_mlops.data.table import load_customers
from churn_mlops.inference.batch_score.answers import Answerer
from churn_mlops.inference.batch_score.quick_scorer import QuickScorer
from churn_mlops.inference.batch_score.source import CustomerBatch
from churn_mlops.inference.batch_score.table_source import TableSource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from churn_mlops.inference.scorer import Scorer
    from churn_mlops.models.churn_model import ChurnModel

FAMILIES = ("logistic", "ebm", "boosted", "blend", "profit")


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    ("name", "form"),
    [("customers.parquet", "parquet"), ("customers.csv", "csv"), ("customers.csv.gz", "parquet")],
)
def test_a_batch_says_what_the_api_says_and_the_estimator(
    versions: dict[str, Any],
    score: Callable[..., Any],
    write: Callable[..., Path],
    family: str,
    name: str,
    form: str,
) -> None:
    """On missing, unseen, rare and extreme values: probability, decision, band, reasons with words, input quality."""
    version = versions[family]
    frame = strange_customers(version.scorer)
    scored = score(family, write(frame, name), form)
    answered = ask_api(version.scorer, frame)
    kept = [row for row, answer in enumerate(answered) if answer is not None]
    assert len(kept) < len(frame)
    assert scored.answers["customer_id"].tolist() == [f"C{row}" for row in kept]
    assert scored.counts["rejected"] == len(scored.rejects) == len(frame) - len(kept)
    estimated = version.model.predict_proba(frame.iloc[kept])[:, 1]
    check_same(scored.answers, [answer for answer in answered if answer is not None], estimated)


def test_every_customer_of_the_sample_gets_one_answer(
    sample_scorer: Scorer, sample_estimator: ChurnModel, sample_registry: Any
) -> None:
    """On all 7,043 rows of telco as they stand in their file."""
    frame = load_customers(DataSettings(source="sample")).features
    customers = read_sample().columns
    names = sample_scorer.manifest.signature.names
    settings = describe_sample(DataSettings(source="sample"))
    quick = QuickScorer(sample_scorer, sample_registry.read_file(sample_scorer.manifest))
    source = TableSource([], names, "customer_id")
    answerer = Answerer(quick, source, 3, 0.5, settings.missing_values)
    table = customers.append_column("customer_id", pa.array(range(len(frame))))
    batch = CustomerBatch(
        table.combine_chunks().to_batches()[0], "telco", np.arange(1, len(frame) + 1), (), (0, len(frame)), 1.0
    )
    answers = answerer.answer(batch).table.to_pandas()
    expected = ask_api(sample_scorer, frame)
    check_same(answers, [answer for answer in expected if answer], sample_estimator.predict_proba(frame)[:, 1])
