"""Tables say what the graph that they were read from says, wherever a number lies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from graph_running import run_graph
from hypothesis import given, settings
from hypothesis import strategies as st

from churn_mlops.errors import VersionRefused
from churn_mlops.inference.batch_score import additive_tables
from churn_mlops.inference.batch_score.additive_tables import AdditiveTables, Binning, NoTablesError
from churn_mlops.inference.batch_score.table_encoder import Levels
from churn_mlops.inference.scorer import Scores

if TYPE_CHECKING:
    import numpy.typing as npt


def draw_matrix(cuts: list[npt.NDArray[np.float64]], rows: int = 4000) -> npt.NDArray[np.float32]:
    """Draw encoded customers: on cuts, right beside them, far away, and missing."""
    random = np.random.default_rng(0)
    matrix = np.empty((rows, len(cuts)), dtype=np.float32)
    far = np.array([0.0, -0.0, -0.5, 1e-30, -1e-30, 1e9, -1e9, 3.4e38, -3.4e38, np.nan], dtype=np.float32)
    for place, of_feature in enumerate(cuts):
        near = np.clip(of_feature, -3e38, 3e38).astype(np.float32)
        sides = [np.nextafter(near, np.float32(side)) for side in (-np.inf, np.inf)]
        matrix[:, place] = random.choice(np.concatenate([far, near, *sides]), rows)
    return matrix


def test_tables_equal_the_graph_on_and_beside_every_cut(versions: dict[str, Any]) -> None:
    """Of an EBM with pairs: contributions to the rounding of float32, probabilities to 1e-7."""
    version = versions["ebm"]
    graph = version.registry.read_file(version.scorer.manifest)
    tables = AdditiveTables(version.scorer.manifest, graph)
    assert tables.pairs > 0
    matrix = draw_matrix([binning.cuts for binning in tables.binnings])
    probability, contributions = run_graph(graph, matrix)
    found = tables.score(matrix)
    np.testing.assert_allclose(found.contributions, contributions, rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.probability, probability, rtol=0, atol=2e-7)


def test_levels_are_looked_up_once_for_customers_in_any_block(
    versions: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Customer by customer what the matrix alone says, to the last bit."""
    version = versions["ebm"]
    tables = AdditiveTables(version.scorer.manifest, version.registry.read_file(version.scorer.manifest))
    matrix = draw_matrix([binning.cuts for binning in tables.binnings], rows=100)
    expected = tables.score(matrix)
    codes, places = np.unique(matrix[:, 1], return_inverse=True)
    levels = {1: Levels(range(len(codes)), codes, places)}
    monkeypatch.setattr(additive_tables, "_ROWS", 7)
    matrix[:, 1] = np.nan  # not looked at
    found = tables.score(matrix, levels)
    np.testing.assert_array_equal(found.contributions, expected.contributions)
    np.testing.assert_array_equal(found.probability, expected.probability)


@pytest.mark.parametrize("family", ["logistic", "boosted", "blend"])
def test_other_graphs_have_no_tables(versions: dict[str, Any], family: str) -> None:
    """Lines, and trees of many features, are left to the graph."""
    version = versions[family]
    with pytest.raises(NoTablesError):
        AdditiveTables(version.scorer.manifest, version.registry.read_file(version.scorer.manifest))


@given(
    st.lists(st.floats(width=32, allow_nan=False), max_size=40, unique=True),
    st.lists(st.floats(width=32), min_size=1, max_size=40),
)
@settings(deadline=None, database=None, max_examples=200)
def test_a_bin_is_found_as_by_searching(cuts: list[float], numbers: list[float]) -> None:
    """For any float32, the first cut that it is not above; the last bin where it is missing."""
    ascending = np.array(sorted(set(cuts)), dtype=np.float64)
    finite = np.clip(np.array(numbers, dtype=np.float32), np.float32(-3.4028235e38), np.float32(3.4028235e38))
    expected = np.where(np.isnan(finite), len(ascending) + 1, np.searchsorted(ascending, finite.astype(np.float64)))
    np.testing.assert_array_equal(Binning(ascending).find(finite), expected)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20, unique=True))
@settings(deadline=None, database=None, max_examples=200)
def test_cuts_between_two_float32_numbers_keep_their_sides(cuts: list[float]) -> None:
    """A float64 cut, which no float32 equals, has the same float32 numbers on each side as before."""
    ascending = np.array(sorted(cuts))
    near = np.clip(ascending, -3.4e38, 3.4e38).astype(np.float32)
    numbers = np.concatenate([near, np.nextafter(near, np.float32(-1)), np.nextafter(near, np.float32(1))])
    expected = np.searchsorted(ascending, numbers.astype(np.float64))
    np.testing.assert_array_equal(Binning(ascending).find(numbers), expected)


def test_tables_that_differ_from_their_graph_are_refused(
    versions: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first customers of each call are scored by both, and a difference stops the run."""
    quick = versions["ebm"].quick
    matrix = np.zeros((10, 5), dtype=np.float32)
    quick.score(matrix)
    wrong = Scores(np.zeros(10, dtype=np.float32), np.zeros((10, 5), dtype=np.float32))
    monkeypatch.setattr(AdditiveTables, "score", lambda *_: wrong)
    with pytest.raises(VersionRefused, match="differs from its own tables"):
        quick.score(matrix)
