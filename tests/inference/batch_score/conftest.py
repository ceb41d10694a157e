"""Small versions of every family, and the job run on frames of customers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pa_parquet
import pytest
from customer_frames import MIXED
from fitted_versions import PROFIT, Version, make_version

from churn_mlops.inference.batch_score.answering import AnsweringHere
from churn_mlops.inference.batch_score.answers import Answerer
from churn_mlops.inference.batch_score.job import Order, write_answers
from churn_mlops.inference.batch_score.table_source import TableSource, find_files

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="session")
def versions(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Version]:
    """A version of each family, and one of the EBM that decides by profit."""
    root = tmp_path_factory.mktemp("versions")
    made = {family: make_version(root / family, family) for family in ("logistic", "ebm", "boosted", "blend")}
    return made | {"profit": make_version(root / "profit", "ebm", PROFIT)}


@dataclass(frozen=True)
class Scored:
    """What a run wrote: the answers, the rejected rows, what was counted, and the file."""

    answers: pd.DataFrame
    rejects: pd.DataFrame
    counts: Counter[str]
    output: Path


@pytest.fixture
def score(versions: dict[str, Version], tmp_path: Path) -> Callable[..., Scored]:
    """Run the job on files."""

    def run(family: str, path: Path, form: str = "parquet", **changes: Any) -> Scored:
        version = versions[family]
        columns = {name: changes.pop(name) for name in ("customer_value", "time", "delimiter") if name in changes}
        source = TableSource(find_files(str(path)), list(MIXED), "customer_id", **columns)
        output = tmp_path / f"scores.{form}"
        settings: dict[str, Any] = {
            "output": output,
            "rejects": tmp_path / "rejects.csv",
            "form": form,
            "reasons": 3,
            "top": None,
            "by": "probability",
            "max_missing_share": 0.5,
            "missing_values": ("", "NA"),
        }
        order = Order(**(settings | changes))
        answerer = Answerer(version.quick, source, order.reasons, order.max_missing_share, order.missing_values)
        counts = write_answers(version.scorer.manifest, AnsweringHere(source, answerer), order)
        answers = pd.read_csv(output) if form == "csv" else pd.read_parquet(output)
        return Scored(answers, pd.read_csv(order.rejects), counts, output)

    return run


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a frame of customers as a file of the kind that its name says, with their ids in front."""

    def to_file(frame: pd.DataFrame, name: str = "customers.parquet", **options: Any) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if "customer_id" not in frame:
            frame = frame.assign(customer_id=[f"C{row}" for row in range(len(frame))])
        if name.endswith(".parquet"):
            pa_parquet.write_table(pa.Table.from_pandas(frame, preserve_index=False), path, **options)
        else:
            frame.to_csv(path, index=False, **options)
        return path

    return to_file
