"""The same customer gets the same answer from a batch, from the API and from the estimator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from customer_frames import MIXED, make_frame

from churn_mlops.config.settings import DataSettings
from churn_mlops.data.sample import describe_sample, read_sample
from churn_mlops.data.table import load_customers
from churn_mlops.errors import FeatureSchemaMismatch
from churn_mlops.inference.batch_score.answers import Answerer
from churn_mlops.inference.batch_score.quick_scorer import QuickScorer
from churn_mlops.inference.batch_score.source import CustomerBatch
from churn_mlops.inference.batch_score.table_source import TableSource
from churn_mlops.inference.prediction import Predictor
from churn_mlops.models.parity import build_edge_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from churn_mlops.inference.prediction import Customer, Prediction
    from churn_mlops.inference.scorer import Scorer
    from churn_mlops.models.churn_model import ChurnModel

FAMILIES = ("logistic", "ebm", "boosted", "blend", "profit")
NATIVE: dict[str, Any] = {"numeric": float, "boolean": bool, "categorical": str}


def strange_customers(scorer: Scorer) -> pd.DataFrame:
    """Draw customers of whom some have values missing, never seen or out of range, and add those at every edge."""
    frame = make_frame(MIXED, rows=500, seed=7, missing_share=0.25)
    frame.loc[::9, "plan"] = "never seen"
    frame.loc[::11, "tenure"] = 1e6
    frame.loc[5::11, "charges"] = -1234.5
    edges = build_edge_rows(scorer.manifest.signature)
    readable = ~edges["plan"].str.contains("\x00", na=False) & ~edges["city"].str.contains("\x00", na=False)
    return pd.concat([frame, edges[readable]], ignore_index=True)


def ask_api(scorer: Scorer, frame: pd.DataFrame, reasons: int = 3) -> list[Prediction | None]:
    """Answer as the API does; None where it refuses."""
    predictor = Predictor(scorer, max_missing_share=0.5)
    features = scorer.manifest.signature.features
    answers: list[Prediction | None] = []
    for row in frame.to_dict("records"):
        values = {f.name: None if pd.isna(row[f.name]) else NATIVE[f.kind](row[f.name]) for f in features}
        customer: Customer = {"features": values}
        try:
            answers.append(predictor.predict(customer, predictor.encode(values), reasons))
        except FeatureSchemaMismatch:
            answers.append(None)
    return answers


def check_same(answers: pd.DataFrame, expected: list[Prediction], estimated: Any) -> None:
    """Compare a batch's answers with the API's and the estimator's."""
    said = pd.DataFrame(expected)
    np.testing.assert_allclose(answers["churn_probability"], said["churn_probability"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(answers["churn_probability"], estimated, rtol=0, atol=1e-6)
    assert answers["churn_predicted"].tolist() == said["churn_predicted"].tolist()
    assert answers["risk_band"].tolist() == said["risk_band"].tolist()
    decisions = pd.DataFrame(said["decision"].tolist())
    for name in ("threshold", "expected_profit", "customer_value"):
        if decisions[name].notna().any():
            np.testing.assert_allclose(answers[name].astype(float), decisions[name].astype(float), rtol=1e-6, atol=1e-6)
        else:
            assert name not in answers
    for name in ("missing", "unseen_category", "out_of_range"):
        listed = [
            text.split("; ") if isinstance(text, str) else [] if text is None else list(text)
            for text in answers[name].astype(object).where(answers[name].notna(), None)
        ]
        assert listed == [quality[name] for quality in said["input_quality"]]
    for rank in range(3):
        of_rank = pd.DataFrame([reasons[rank] for reasons in said["reasons"]])
        assert answers[f"feature_{rank + 1}"].tolist() == of_rank["feature"].tolist()
        assert answers[f"reason_{rank + 1}"].tolist() == of_rank["text"].tolist()
        np.testing.assert_allclose(answers[f"contribution_{rank + 1}"], of_rank["contribution"], rtol=0, atol=1e-6)


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
