"""The report: one file that holds all it shows, whatever the columns are called."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import numpy as np
import pytest
from report_contents import HOSTILE
from version_drafts import make_draft

from churn_mlops.registry.manifest import Horizon
from churn_mlops.training.report.background import describe_champion
from churn_mlops.training.report.content import Champion
from churn_mlops.training.report.page import write_report
from churn_mlops.training.report.quality import describe_headline
from churn_mlops.training.wording import METRIC_TITLES, show_interval

if TYPE_CHECKING:
    from churn_mlops.training.report.content import ReportContent
    from churn_mlops.training.report.parts import Section

VOID = {"meta", "br", "hr", "img", "link", "input"}


class Page(HTMLParser):
    """Reads a page strictly: what is opened is closed in order; collects texts, tags, ids and links."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(page.decode())
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect a tag and what it names."""
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links += [value for name, value in attrs if name in ("src", "href", "data", "action") and value]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect a tag that is closed at once, as those within a figure are."""
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the tag that was opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Collect what is read."""
        self.text += data


def test_the_page_is_well_formed(full_page: bytes) -> None:
    """Every tag is closed in order, every id occurs once, and every link leads to one of them."""
    page = Page(full_page)
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert {link.removeprefix("#") for link in page.links} <= set(page.ids)


def test_the_page_needs_nothing_from_elsewhere(full_page: bytes) -> None:
    """There is no address in it, no script, and a policy that forbids to load anything."""
    page = Page(full_page)
    assert not {"script", "link", "img", "image", "iframe", "object"} & page.tags
    assert b"://" not in full_page
    assert re.findall(rb"@import|url\((?!#)", full_page) == []
    assert b"default-src 'none'" in full_page


def test_sixty_features_stay_a_reasonable_size(full_page: bytes) -> None:
    """A report can be sent by mail."""
    assert len(full_page) < 1_500_000


@pytest.mark.parametrize("name", [name for name in HOSTILE if name.isprintable()])
def test_a_hostile_name_is_shown_as_it_is(name: str, full_page: bytes) -> None:
    """It can be read whole, and nowhere does it become a tag."""
    assert name in Page(full_page).text


def test_what_html_may_not_hold_is_replaced(full_page: bytes) -> None:
    """Control characters, and those that turn the direction of what follows, do not reach the page."""
    assert not set("\x00\x1b\u202e") & set(full_page.decode())


def test_the_same_content_gives_the_same_bytes(small: ReportContent) -> None:
    """A version's name hashes its report, so nothing in it may be by chance."""
    assert write_report(small) == write_report(small)


@pytest.mark.parametrize("metric", METRIC_TITLES)
def test_the_headline_is_the_manifests(metric: str, small: ReportContent, small_sections: tuple[Section, ...]) -> None:
    """Figures and intervals are written as they are recorded, not measured again."""
    headline = small_sections[0]
    card = next(card for card in headline.cards if card.title == METRIC_TITLES[metric])
    estimate = small.manifest.evaluation.metrics[metric]
    assert (card.value, card.interval) == (f"{estimate.value:.3f}", show_interval(estimate))
    assert card.beside[2].startswith("lower" if metric in ("log_loss", "brier", "calibration_error") else "higher")


@pytest.mark.parametrize("which", ["small_sections", "full_sections"])
def test_no_section_is_empty(which: str, request: pytest.FixtureRequest) -> None:
    """Where there is nothing to show, a sentence says so; no table is without rows."""
    for section in request.getfixturevalue(which):
        assert section.sentences or section.facts, section.title
        assert all(table.rows for table in section.tables)
        assert all(len(row) == len(table.header) for table in section.tables for row in table.rows)


def test_the_sections_are_those_that_were_asked_for(full_sections: tuple[Section, ...]) -> None:
    """In the order in which they are read: how good, why, whether to believe it, what it is."""
    assert [section.anchor for section in full_sections] == [
        *("headline", "champion", "profit", "ranking", "calibration", "drivers"),
        *("segments", "leaks", "candidates", "learning", "data", "card"),
    ]


def _say(sections: tuple[Section, ...], anchor: str) -> str:
    section = next(section for section in sections if section.anchor == anchor)
    cells = [cell for table in section.tables for row in table.rows for cell in row]
    return "\n".join([*section.sentences, *cells, *(f"{a}: {b}" for a, b in section.facts)])


@pytest.mark.parametrize(
    ("anchor", "said"),
    [
        (
            "leaks",
            "A random split would have claimed a ROC AUC of 0.950 where the honest one is",
        ),
        ("candidates", "costs 0.0008 of log loss against boosted, the best, which is within one standard error"),
        ("learning", "From 2,000 to 4,000 customers the ROC AUC rose by 0.003: more customers would most likely help."),
        ("segments", "In 7 of 10 segments"),
        ("profit", "Contacting the 37.5% scored highest is worth 1.12 EUR <b> per customer"),
        ("champion", "Both were measured on the same customers."),
        ("data", "55 rejected"),
        ("card", "not measured on a later period"),
    ],
)
def test_each_section_says_what_it_means(anchor: str, said: str, full_sections: tuple[Section, ...]) -> None:
    """Beside every figure stands a sentence that a person can act on."""
    assert said in _say(full_sections, anchor)


@pytest.mark.parametrize(
    ("anchor", "said"),
    [
        ("champion", "There was no champion to compare with"),
        ("profit", "there is no profit to draw; the decision threshold 0.50 is the configured one"),
        ("leaks", "were not tried"),
        ("candidates", "No other family was tried: logistic was asked for."),
        ("learning", "not known whether more would help"),
        ("segments", "were not looked at"),
        ("data", "No row was rejected.\nNo column was left out."),
    ],
)
def test_what_is_not_there_is_said(anchor: str, said: str, small_sections: tuple[Section, ...]) -> None:
    """A reader need not wonder whether something was forgotten."""
    assert said in _say(small_sections, anchor)


def test_other_data_is_said_to_be_other_data(small: ReportContent) -> None:
    """A difference between two versions on two tables is not taken for progress."""
    manifest = make_draft(5)
    other = manifest.model_copy(update={"data": manifest.data.model_copy(update={"fingerprint": "f" * 64})})
    section = describe_champion(replace(small, champion=Champion(other)))
    assert "different data" in _say((section,), "champion")


def test_a_worse_champion_makes_the_version_better(small: ReportContent) -> None:
    """Lower is better for the log loss, higher for the ROC AUC, and equal to three digits is equal."""
    manifest = small.manifest
    metrics = dict(manifest.evaluation.metrics)
    for name, change in (("roc_auc", -0.1), ("log_loss", 0.1), ("brier", 0.0001)):
        metrics[name] = metrics[name].model_copy(update={"value": metrics[name].value + change})
    evaluation = manifest.evaluation.model_copy(update={"metrics": metrics})
    champion = Champion(manifest.model_copy(update={"evaluation": evaluation}))
    (table,) = describe_champion(replace(small, champion=champion)).tables
    verdicts = {row[0]: row[3:] for row in table.rows}
    assert verdicts["ROC AUC"] == ("+0.100", "better")
    assert verdicts["log loss"] == ("-0.100", "better")
    assert verdicts["Brier score"] == ("+0.000", "equal")


def test_features_come_in_the_order_of_their_importance(
    full: ReportContent, full_sections: tuple[Section, ...]
) -> None:
    """The first effect that is seen is the one that matters most."""
    drivers = next(section for section in full_sections if section.anchor == "drivers")
    strongest = max(full.effects, key=lambda effect: effect.importance)
    assert drivers.drawings[1].title == strongest.feature
    table = drivers.drawings[0].table
    assert table is not None
    shown = [float(row[1]) for row in table.rows]
    assert shown == sorted(shown, reverse=True)
    assert len(shown) == 14


def test_probabilities_that_are_all_equal_are_drawn(small: ReportContent) -> None:
    """A model that has learnt nothing has a report too."""
    assert write_report(replace(small, probability=np.full(len(small.churned), 0.3)))


def test_further_horizons_stand_beside_the_main_one(small: ReportContent) -> None:
    """A row each, with its own figures; without them there is no table."""
    assert describe_headline(small).tables == ()
    manifest = small.manifest
    horizon = Horizon(
        days=90,
        churn_rate=0.125,
        metrics=manifest.evaluation.metrics,
        explanation=manifest.explanation,
        calibration=manifest.calibration,
        parity=manifest.parity,
    )
    (table,) = describe_headline(replace(small, manifest=manifest.model_copy(update={"horizons": (horizon,)}))).tables
    assert [row[:2] for row in table.rows] == [("90 days", "12.5%")]
    assert show_interval(manifest.evaluation.metrics["roc_auc"]) in table.rows[0][2]
