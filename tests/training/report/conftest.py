"""Reports that are written once for all tests, since drawing takes its time."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from report_contents import make_content, make_full_content

from churn_mlops.training.report.page import describe, write_report

if TYPE_CHECKING:
    from churn_mlops.training.report.content import ReportContent
    from churn_mlops.training.report.parts import Section


@pytest.fixture(scope="session")
def full() -> ReportContent:
    """A content with every section filled and hostile names."""
    return make_full_content(features=14)


@pytest.fixture(scope="session")
def full_sections(full: ReportContent) -> tuple[Section, ...]:
    """Its sections."""
    return describe(full)


@pytest.fixture(scope="session")
def full_page() -> bytes:
    """The report on a content like it with 60 features."""
    return write_report(make_full_content())


@pytest.fixture(scope="session")
def small() -> ReportContent:
    """A content with what every version has."""
    return make_content()


@pytest.fixture(scope="session")
def small_sections(small: ReportContent) -> tuple[Section, ...]:
    """Its sections."""
    return describe(small)
