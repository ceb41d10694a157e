"""What is said of strange customers: by the API, and compared with what others say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from customer_frames import MIXED, make_frame

from churn_mlops.errors import FeatureSchemaMismatch
from churn_mlops.inference.prediction import Predictor
from churn_mlops.models.parity import build_edge_rows

if TYPE_CHECKING:
    from churn_mlops.inference.prediction import Customer, Prediction
    from churn_mlops.inference.scorer import Scorer

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
