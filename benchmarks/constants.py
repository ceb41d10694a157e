"""Our service with less and less behind it, which says what the rest costs; for benchmarks only.

    PORT=8000 python -m benchmarks.constants model|route|uvicorn

`model` is the service with the model call of /predict replaced by a constant. `route` adds a FastAPI route to it that
answers a constant (POST /constant). `uvicorn` is the HTTP server alone, with an application that reads the body and
answers.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import uvicorn
from fastapi import Request  # noqa: TC002 - FastAPI reads the annotation
from pydantic_core import to_json

from churn_mlops.api import routes
from churn_mlops.api.server import serve
from churn_mlops.config import load_settings
from churn_mlops.inference import scorer
from churn_mlops.inference.scorer import Scorer, Scores
from churn_mlops.models.graph_contract import CONTRIBUTIONS, PROBABILITY
from churn_mlops.onnx_session import BoundCall

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    from starlette.types import Receive, Scope, Send

ANSWER: Final[dict[str, Any]] = {
    "customer_id": "7590-VHVEG",
    "churn_probability": 0.8282272815704346,
    "churn_predicted": True,
    "decision": {"mode": "threshold", "threshold": 0.5, "expected_profit": None, "customer_value": None},
    "risk_band": "high",
    "reasons_are": "additive",
    "reasons": [
        {"feature": name, "value": 2.0, "contribution": 0.6344, "text": f"{name} is 2 (median 29): raises the risk"}
        for name in ("tenure", "monthly_charges", "total_charges")
    ],
    "input_quality": {"missing": [], "unseen_category": [], "out_of_range": []},
    "model_version": "20261130T203025Z-93a2460f",
}
"""As long as an answer of /predict."""


def main(kind: str) -> None:
    """Serve until SIGTERM."""
    if kind == "uvicorn":
        uvicorn.run(_bare, host="127.0.0.1", port=int(os.environ["PORT"]), access_log=False)
        return
    if kind == "route":
        routes.router.post("/constant")(_constant)
    scorer.BoundCall = _ConstantCall  # type: ignore[attr-defined]  # what this module is for
    Scorer.score = _score  # type: ignore[method-assign]  # the same
    serve(load_settings())


_SCORES: Final[dict[int, Scores]] = {}


def _score(self: Scorer, matrix: npt.NDArray[np.float32]) -> Scores:
    """Answer the same for every row, made once for each number of rows."""
    rows = len(matrix)
    if rows not in _SCORES:
        contributions = np.tile(np.linspace(-1, 1, matrix.shape[1], dtype=np.float32), (rows, 1))
        _SCORES[rows] = Scores(np.full(rows, 0.5, dtype=np.float32), contributions)
    return _SCORES[rows]


class _ConstantCall(BoundCall):
    """Leaves in the outputs what is in them from the start."""

    def __init__(self, session: Any, shapes: Mapping[str, tuple[int, ...]]) -> None:
        super().__init__(session, shapes)
        self.arrays[PROBABILITY][:] = 0.5
        self.arrays[CONTRIBUTIONS][:] = np.linspace(-1, 1, self.arrays[CONTRIBUTIONS].size)
        self.run = lambda: None


async def _constant(request: Request) -> dict[str, Any]:
    await request.body()
    return ANSWER


async def _bare(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(_BYTES))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": _BYTES})


_BYTES: Final = to_json(ANSWER)


if __name__ == "__main__":
    main(sys.argv[1])
