"""The scorer gives what the estimator gives, and takes no graph that does not fit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from churn_mlops.errors import NoModel, VersionRefused
from churn_mlops.inference.scorer import Scorer, load_champion
from churn_mlops.models.additive import AdditiveModel, CategoryTerm, write_additive
from churn_mlops.models.calibration import Calibration
from churn_mlops.models.graph_builder import OPSET
from churn_mlops.models.graph_contract import CONTRIBUTIONS, INPUT, PROBABILITY
from churn_mlops.models.parity import build_edge_rows
from churn_mlops.registry.manifest import GRAPH
from churn_mlops.registry.reading import Registry

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from churn_mlops.models.churn_model import ChurnModel
    from churn_mlops.training.job import TrainedVersion


def graph_of(features: int) -> bytes:
    """Write a graph that fits any signature with so many features."""
    terms = tuple(CategoryTerm((0.5,), 0.0, 0.0) for _ in range(features))
    return write_additive(AdditiveModel(terms, 0.0), Calibration())


def renamed(graph: bytes, old: str, new: str) -> bytes:
    """Call an input or output of a graph by another name."""
    model = onnx.load_model_from_string(graph)
    for value in (*model.graph.input, *model.graph.output):
        value.name = new if value.name == old else value.name
    for node in model.graph.node:
        for names in (node.input, node.output):
            names[:] = [new if name == old else name for name in names]
    return bytes(model.SerializeToString())


def echo_graph(input_type: int, features: int | None, *, echoed: int) -> bytes:
    """Write a graph with the right names that answers with copies of its first columns."""
    shape: list[str | int | None] = ["rows", features] if features else []
    nodes = [helper.make_node("Cast", [INPUT], ["float"], to=TensorProto.FLOAT)]
    if features:
        nodes += [
            helper.make_node("ReduceSum", ["float"], ["all"], keepdims=1),
            helper.make_node("Expand", ["all", "size"], [CONTRIBUTIONS]),
            helper.make_node("Expand", ["all", "size"], [PROBABILITY]),
        ]
    else:
        nodes += [helper.make_node("Identity", ["float"], [name]) for name in (CONTRIBUTIONS, PROBABILITY)]
    graph = helper.make_graph(
        nodes,
        "echo",
        [helper.make_tensor_value_info(INPUT, input_type, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in (PROBABILITY, CONTRIBUTIONS)],
        [helper.make_tensor("size", TensorProto.INT64, [2], [1, echoed])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = 8
    return bytes(model.SerializeToString())


def test_scores_are_the_estimators(
    sample_scorer: Scorer, sample_estimator: ChurnModel, sample_features: pd.DataFrame, sample_version: TrainedVersion
) -> None:
    """Probabilities agree with predict_proba within 1e-6 on every customer, and within 1e-5 on edge rows."""
    encoder = sample_estimator.encoder_
    for frame, limit in ((sample_features, 1e-6), (build_edge_rows(sample_version.manifest.signature), 1e-5)):
        scores = sample_scorer.score(encoder.transform(frame).astype(np.float32))
        np.testing.assert_allclose(scores.probability, sample_estimator.predict_proba(frame)[:, 1], rtol=0, atol=limit)


def test_one_row_and_many_rows_give_the_same(sample_scorer: Scorer) -> None:
    """A customer's score does not depend on who is scored beside them."""
    rows = np.tile(np.linspace(-2, 80, 50, dtype=np.float32)[:, None], (1, len(sample_scorer.manifest.signature.names)))
    together = sample_scorer.score(rows)
    alone = [sample_scorer.score_row(row.tolist()) for row in rows]
    np.testing.assert_array_equal(together.probability, [probability for probability, _ in alone])
    np.testing.assert_array_equal(together.contributions, [contributions for _, contributions in alone])
    np.testing.assert_array_equal(
        np.concatenate([sample_scorer.score(row[None]).probability for row in rows]), together.probability
    )


def test_threads_that_score_single_rows_at_once_do_not_mix_them_up(sample_scorer: Scorer) -> None:
    """A row's answer is its own, whoever else asks at the same time."""
    rows = np.tile(np.linspace(-2, 80, 50, dtype=np.float32)[:, None], (1, len(sample_scorer.manifest.signature.names)))
    together = sample_scorer.score(rows).probability.tolist()
    with ThreadPoolExecutor(4) as threads:
        asked = list(threads.map(sample_scorer.score_row, rows.tolist() * 20))
    assert [probability for probability, _ in asked] == together * 20


def test_a_graph_that_fits_is_taken(sample_version: TrainedVersion) -> None:
    """The graphs that the next tests spoil are fine as they are."""
    manifest = sample_version.manifest
    scorer = Scorer(manifest, graph_of(len(manifest.signature.features)))
    assert scorer.version == manifest.version


@pytest.mark.parametrize("graph", [b"", b"garbage", b"\x00" * 1000, b"\x08\x08" + b"\xff" * 50])
def test_bytes_that_are_no_graph_are_refused(sample_version: TrainedVersion, graph: bytes) -> None:
    """What ONNX Runtime cannot load is refused with a sentence that names the file."""
    with pytest.raises(VersionRefused, match=r"cannot load model\.onnx"):
        Scorer(sample_version.manifest, graph)


def test_a_graph_cut_short_is_refused(sample_version: TrainedVersion) -> None:
    """Half a graph is no graph."""
    graph = graph_of(19)
    with pytest.raises(VersionRefused, match=r"model\.onnx"):
        Scorer(sample_version.manifest, graph[: len(graph) // 2])


@pytest.mark.parametrize("features", [1, 18, 20])
def test_a_graph_for_another_number_of_features_is_refused(sample_version: TrainedVersion, features: int) -> None:
    """The sentence says how many features the graph takes, and how many the signature has."""
    with pytest.raises(VersionRefused, match=rf"takes tensor\(float\) \['rows', {features}\].*signature has 19"):
        Scorer(sample_version.manifest, graph_of(features))


@pytest.mark.parametrize("name", [INPUT, PROBABILITY, CONTRIBUTIONS])
def test_a_graph_with_other_names_is_refused(sample_version: TrainedVersion, name: str) -> None:
    """An input or output by another name is not guessed at, and the sentence shows it."""
    with pytest.raises(VersionRefused, match="something_else"):
        Scorer(sample_version.manifest, renamed(graph_of(19), name, "something_else"))


@pytest.mark.parametrize(
    "graph",
    [
        pytest.param(echo_graph(TensorProto.DOUBLE, 19, echoed=1), id="float64 in"),
        pytest.param(echo_graph(TensorProto.FLOAT, None, echoed=1), id="one number in"),
        pytest.param(echo_graph(TensorProto.FLOAT, 19, echoed=3), id="three contributions out"),
        pytest.param(echo_graph(TensorProto.FLOAT, 19, echoed=19), id="probabilities with two dimensions out"),
    ],
)
def test_a_graph_of_other_types_or_shapes_is_refused(sample_version: TrainedVersion, graph: bytes) -> None:
    """Right names do not help a graph that takes or answers something else."""
    with pytest.raises(VersionRefused, match="19 features"):
        Scorer(sample_version.manifest, graph)


def test_the_champion_is_loaded(sample_registry: Registry, sample_version: TrainedVersion) -> None:
    """What load_champion gives is the version that was trained."""
    assert load_champion(sample_registry).version == sample_version.manifest.version


def test_without_a_version_there_is_no_model(tmp_path: Path) -> None:
    """An empty registry is no model, not an error of the registry."""
    with pytest.raises(NoModel):
        load_champion(Registry(tmp_path))


def test_a_changed_graph_is_refused(sample_version: TrainedVersion, copied: Registry) -> None:
    """One changed byte in model.onnx is refused before ONNX Runtime sees it."""
    graph = copied.models / sample_version.manifest.version / GRAPH
    graph.write_bytes(graph.read_bytes()[:-1] + b"\x00")
    with pytest.raises(VersionRefused, match="sha256"):
        load_champion(copied)
