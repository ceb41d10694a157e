"""The sample: the published Telco table, whole, and never in place of the operator's own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from churn_mlops.config.settings import DataSettings
from churn_mlops.data.table import load_customers
from churn_mlops.errors import DataError, DataFileError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_the_sample_is_the_telco_table() -> None:
    """7,043 customers with 19 features, 1,869 of them churners, none rejected."""
    table = load_customers(DataSettings())
    assert (table.is_sample, len(table.features), len(table.kinds)) == (True, 7043, 19)
    assert (int(table.churned.sum()), table.rejects) == (1869, ())


def test_the_sample_holds_what_the_published_file_holds(real_data: Callable[[str], Path]) -> None:
    """Every value of the package's copy equals that of IBM's file, but for how 0 and 1 are written."""
    settings = {"source": "table", "path": real_data("telco.csv"), "target": "Churn", "positive_label": "Yes"}
    published = load_customers(DataSettings.model_validate(settings | {"customer_id": "customerID"}))
    sample = load_customers(DataSettings())
    assert (sample.churned == published.churned).all()
    assert sample.features["total_charges"].equals(published.features["TotalCharges"].rename("total_charges"))


def test_columns_of_the_sample_can_be_dropped() -> None:
    """`data.drop` and `data.kinds` hold for the sample too."""
    table = load_customers(DataSettings(drop=("female",), kinds={"tenure": "categorical"}))
    assert ("female" in table.kinds, table.kinds["tenure"]) == (False, "categorical")


def test_a_missing_table_is_never_replaced_by_the_sample(tmp_path: Path) -> None:
    """A configured file that is not there is an error."""
    settings = DataSettings(source="table", path=tmp_path / "none.csv", target="churn", positive_label="Yes")
    with pytest.raises(DataFileError, match=r"none\.csv: there is no such file"):
        load_customers(settings)


def test_a_path_beside_the_sample_is_refused(tmp_path: Path) -> None:
    """An operator who set the path but not the source does not train on the sample unaware."""
    with pytest.raises(DataError, match=r"data\.source is 'sample'; set data\.source to 'table'"):
        load_customers(DataSettings(path=tmp_path / "mine.csv"))
