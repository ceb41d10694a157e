"""Customers, and the requests of the protocol that bring them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from messages_by_hand import INFER, to_binary

from churn_mlops.config.settings import DataSettings
from churn_mlops.data.table import load_customers

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx
    from fastapi import FastAPI

    Ask = Callable[..., httpx.Response]
    from messages_by_hand import Tensor


@pytest.fixture
def kinds(ask: Ask, sample_app: FastAPI) -> dict[str, str]:
    """The kind of each feature of the sample version."""
    return {feature.name: feature.kind for feature in sample_app.state.served.scorer.manifest.signature.features}


@pytest.fixture(scope="session")
def customers() -> list[dict[str, Any]]:
    """Six hundred customers of the sample, each without a few features, some of a category never seen."""
    table = load_customers(DataSettings(source="sample")).features.head(600)
    random = np.random.default_rng(0)
    names = list(table.columns)
    rows = []
    for row in table.itertuples(index=False):
        values = {
            n: None if pd.isna(v) else v if isinstance(v, str) else float(v) for n, v in zip(names, row, strict=True)
        }
        values |= dict.fromkeys(random.choice(names, random.integers(0, 9), replace=False).tolist())
        rows.append(values | ({"contract": "Dreißig Jahre"} if random.random() < 0.1 else {}))
    return rows


@pytest.fixture
def infer(ask: Ask) -> Callable[..., httpx.Response]:
    """Send a request of the protocol: as JSON, or with its tensors in binary form."""

    def send(inputs: list[Tensor], *, binary: bool = False, **more: Any) -> httpx.Response:
        request = {"inputs": inputs} | more
        return ask("POST", INFER, **(to_binary(request) if binary else {"json": request}))

    return send
