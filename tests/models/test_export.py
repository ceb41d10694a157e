"""Every family on every mix of kinds becomes a graph that is proven, and contributions that mean what is said."""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pandas as pd
import pytest
from customer_frames import DTYPES, MIXED, SHAPES, draw_churn, make_frame
from family_matrices import quick_boosted, quick_ebm
from graph_running import run_graph
from onnx import numpy_helper

from churn_mlops.errors import ParityError
from churn_mlops.models.blend import Blend
from churn_mlops.models.boosted import BoostedTrees
from churn_mlops.models.calibration import Calibration
from churn_mlops.models.churn_model import ChurnModel
from churn_mlops.models.export import ExportedModel, export_model
from churn_mlops.models.logistic import build_logistic
from churn_mlops.models.parity import LIMIT, build_edge_rows, prove_parity

if TYPE_CHECKING:
    import numpy.typing as npt

    from churn_mlops.config.settings import Kind

    Floats = npt.NDArray[np.float64]

BENT = Calibration("beta", 0.8, 1.3, -0.2)
FAMILIES = ("logistic", "ebm", "boosted", "blend")
ADDITIVE = ("logistic", "ebm")
REFERENCE = ("boosted", "blend")
ALL_SHAPES: dict[str, dict[str, Kind]] = SHAPES | {
    "a number that never was present": {"tenure": "numeric", "empty": "numeric"},
    "a category that never was present": {"tenure": "numeric", "empty": "categorical"},
    "a boolean that never was present": {"tenure": "numeric", "empty": "boolean"},
}


def _family(name: str, kinds: dict[str, Kind]) -> Any:
    if name == "logistic":
        return build_logistic(kinds)
    members = {"boosted": quick_boosted(bags=2), "ebm": quick_ebm()}
    return members[name] if name in members else Blend(members, {"boosted": 0.4, "ebm": 0.6})


def _frame(kinds: dict[str, Kind]) -> pd.DataFrame:
    frame = make_frame(kinds, rows=300)
    if "empty" in kinds:
        frame["empty"] = pd.Series([None] * 300, dtype=DTYPES[kinds["empty"]])
    return frame


@cache
def _export(family: str, shape: str = "mixed kinds") -> tuple[ExportedModel, ChurnModel, pd.DataFrame]:
    kinds = ALL_SHAPES[shape]
    frame = _frame(kinds)
    model = ChurnModel(kinds, 5, _family(family, kinds), BENT).fit(frame, draw_churn(frame))
    return export_model(model, frame), model, frame


def _contributions(family: str, shape: str, frame: pd.DataFrame | None = None) -> Floats:
    exported, model, training = _export(family, shape)
    return run_graph(exported.graph, model.encoder_.transform(training if frame is None else frame))[1]


def _spoil_nodes(graph: bytes, spoil: float) -> bytes:
    """Add to the first weight of the trees, or to the largest of the constants where there is no tree."""
    model = onnx.load_from_string(graph)
    tensors = [
        attribute.t
        for node in model.graph.node
        for attribute in node.attribute
        if attribute.name == "target_weights_as_tensor"
    ] or [constant for constant in model.graph.initializer if constant.data_type == onnx.TensorProto.DOUBLE]
    tensor = max(tensors, key=lambda tensor: float(np.prod(tensor.dims)))
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) + spoil, tensor.name))
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("shape", ALL_SHAPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_on_every_mix_of_kinds_is_proven(family: str, shape: str) -> None:
    """Graph and estimator agree on the training rows and on edge rows."""
    parity = prove_parity(*_export(family, shape))
    assert max(parity.rows, parity.edge_rows) <= LIMIT


@pytest.mark.parametrize("spoil", [1e-3, -1e-3])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_graph_with_wrong_weights_is_refused(family: str, spoil: float) -> None:
    """A thousandth of a log-odd more at every leaf is found, in whichever family."""
    exported, model, frame = _export(family)
    wrong = dataclasses.replace(exported, graph=_spoil_nodes(exported.graph, spoil))
    with pytest.raises(ParityError):
        prove_parity(wrong, model, frame)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_graph_of_other_customers_is_refused(family: str) -> None:
    """A model fitted again on one customer less is another model."""
    exported, model, frame = _export(family)
    fewer = frame.iloc[:-30]
    other = ChurnModel(MIXED, 5, model.family, BENT).fit(fewer, draw_churn(frame)[:-30])
    with pytest.raises(ParityError):
        prove_parity(exported, other, frame)


@pytest.mark.parametrize("family", REFERENCE)
def test_wrong_reference_contributions_are_refused_though_the_probability_is_right(family: str) -> None:
    """Contributions against another reference customer are not those that the version promises."""
    _, model, frame = _export(family)
    other = model.encoder_.transform(frame)[7]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model.signature), "reference_row", lambda signature: other)
        wrong = export_model(model, frame)
    with pytest.raises(ParityError):
        prove_parity(wrong, model, frame)


@pytest.mark.parametrize("shape", ALL_SHAPES)
@pytest.mark.parametrize("family", ADDITIVE)
def test_additive_contributions_average_zero_over_the_training_rows(family: str, shape: str) -> None:
    """They are measured from the average customer, so over all of them each cancels out."""
    np.testing.assert_allclose(_contributions(family, shape).mean(axis=0), 0, atol=1e-6)


@pytest.mark.parametrize("family", ADDITIVE)
def test_additive_contributions_add_up_to_the_log_odds(family: str) -> None:
    """With the intercept they are the log-odds before calibration, on training rows and edge rows."""
    exported, model, frame = _export(family)
    for rows in (frame, build_edge_rows(model.signature)):
        total = exported.intercept + _contributions(family, "mixed kinds", rows).sum(axis=1)
        np.testing.assert_allclose(total, model.decision_function(rows), atol=LIMIT)


@pytest.mark.parametrize("family", REFERENCE)
def test_the_reference_customer_has_no_contributions(family: str) -> None:
    """Who is typical in everything differs from the reference in nothing."""
    exported, model, _ = _export(family)
    contributions = run_graph(exported.graph, model.signature.reference_row()[np.newaxis])[1]
    np.testing.assert_allclose(contributions, 0, atol=1e-6)


@pytest.mark.parametrize("family", REFERENCE)
def test_a_reference_contribution_is_a_change_of_the_log_odds(family: str) -> None:
    """Where one feature alone is not typical, its contribution is all that parts the customer from the reference."""
    exported, model, frame = _export(family)
    reference = model.signature.reference_row()
    row = reference.copy()
    row[0] = model.encoder_.transform(frame)[:, 0].max()
    change = np.subtract(*model.family_.decision_function(np.array([row, reference])))
    contributions = run_graph(exported.graph, row[np.newaxis])[1]
    np.testing.assert_allclose(contributions, [[change, 0, 0, 0, 0]], atol=LIMIT)


@pytest.mark.parametrize(
    ("family", "contributions"), [(f, "additive") for f in ADDITIVE] + [(f, "reference") for f in REFERENCE]
)
def test_a_graph_says_how_its_contributions_are_to_be_read(family: str, contributions: str) -> None:
    """Exact for additive families, reference differences for the others, in a word and in a sentence."""
    exported, _, _ = _export(family)
    assert exported.contributions == contributions
    assert exported.method.startswith("exact" if contributions == "additive" else "reference differences")


@pytest.mark.parametrize("kind", ["number", "category", "boolean"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_feature_that_never_was_present_contributes_nothing(family: str, kind: str) -> None:
    """In no family does an empty column move anybody, whatever its kind."""
    contributions = _contributions(family, f"a {kind} that never was present")
    np.testing.assert_allclose(contributions[:, 1], 0, atol=1e-6)


def test_trees_that_learnt_nothing_are_exported() -> None:
    """Where no split was worth it every customer has the base rate, in the graph as well."""
    frame = make_frame(MIXED, rows=300)
    model = ChurnModel(MIXED, 5, BoostedTrees(bags=2, min_leaf_rows=1000)).fit(frame, draw_churn(frame))
    exported = export_model(model, frame)
    assert prove_parity(exported, model, frame).rows <= LIMIT


def test_a_blend_of_one_kind_of_trees_is_exported() -> None:
    """Members may be all that a blend has, of weight 1 and of weight 0."""
    frame = make_frame(MIXED, rows=300)
    for weights in ({"boosted": 1.0, "ebm": 0.0}, {"boosted": 0.0, "ebm": 1.0}):
        family = Blend({"boosted": quick_boosted(), "ebm": quick_ebm()}, weights)
        model = ChurnModel(MIXED, 5, family).fit(frame, draw_churn(frame))
        assert prove_parity(export_model(model, frame), model, frame).rows <= LIMIT


@pytest.mark.parametrize("family", FAMILIES)
def test_equal_models_are_written_as_equal_bytes(family: str) -> None:
    """The graph's hash names its content: nothing of the moment gets into it."""
    exported, model, frame = _export(family)
    assert export_model(model, frame).graph == exported.graph
