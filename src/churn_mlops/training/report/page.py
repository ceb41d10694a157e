"""Writes the report of a version: one HTML file that needs nothing else to be read."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from churn_mlops.training.report.background import describe_card, describe_champion, describe_data
from churn_mlops.training.report.checks import (
    describe_candidates,
    describe_leaks,
    describe_learning,
    describe_segments,
)
from churn_mlops.training.report.drivers import describe_drivers
from churn_mlops.training.report.quality import (
    describe_calibration,
    describe_headline,
    describe_profit,
    describe_ranking,
)

if TYPE_CHECKING:
    from churn_mlops.training.report.content import ReportContent
    from churn_mlops.training.report.parts import Section

_UNFIT: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]")
"""What HTML may not hold, and what turns the direction of the text after it."""


def write_report(content: ReportContent) -> bytes:
    """Write the report as a UTF-8 encoded HTML page; the same content gives the same bytes.

    The page names the version by when it was made and by the fingerprint of its data, not by its name: the name is a
    hash over the manifest, which holds the hash of this page, so it is known only when the page is written.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_replace_unfit,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    template = environment.get_template("page.html.jinja")
    style = Markup((Path(__file__).parent / "page.css").read_text(encoding="utf-8"))  # noqa: S704 - it is our own
    page = template.render(manifest=content.manifest, style=style, sections=describe(content))
    return page.encode("utf-8")


def describe(content: ReportContent) -> tuple[Section, ...]:
    """Write all sections, in the order of the page: how good it is, why, whether to believe it, what it is."""
    manifest = content.manifest
    return (
        describe_headline(content),
        describe_champion(content),
        describe_profit(content),
        describe_ranking(content),
        describe_calibration(content),
        describe_drivers(content),
        describe_segments(manifest),
        describe_leaks(manifest),
        describe_candidates(manifest),
        describe_learning(manifest),
        describe_data(content),
        describe_card(content),
    )


def _replace_unfit(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, Markup):
        return _UNFIT.sub("\N{REPLACEMENT CHARACTER}", value)
    return value
