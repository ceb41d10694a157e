"""The sections that put a version in its place: beside the champion, on its data, and within its limits."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from churn_mlops.training.report.parts import Section, Table, cut_rows
from churn_mlops.training.wording import LOWER_IS_BETTER, METRIC_TITLES, show_estimate

if TYPE_CHECKING:
    from collections.abc import Iterator

    from churn_mlops.registry.manifest import Manifest
    from churn_mlops.training.report.content import Champion, ReportContent

MOST_REASONS: Final = 20
"""Reasons of rejected rows that are listed; each names the value at fault, so there can be as many as rows."""

_LONG: Final = 15
_LEFT_OUT: Final = "Columns left out"
_MISSING: Final = "Missing values"


def describe_champion(content: ReportContent) -> Section:
    """Compare with the version that was served when this one was made."""
    champion = content.champion
    if champion is None:
        sentence = "There was no champion to compare with when this version was made."
        return Section("champion", "Against the champion", (sentence,))
    own, other = content.manifest.evaluation.metrics, champion.manifest.evaluation.metrics
    rows = tuple(
        (
            title,
            show_estimate(own[name]),
            show_estimate(other[name]),
            *_compare(name, own[name].value - other[name].value),
        )
        for name, title in METRIC_TITLES.items()
    )
    header = ("metric", "this version [95 % interval]", "champion [95 % interval]", "difference", "this version is")
    sentences = (
        f"The champion is {champion.manifest.version}, a {champion.manifest.model} model made on "
        f"{champion.manifest.created_at.day} {champion.manifest.created_at:%B %Y}.",
        _describe_data_of(content.manifest, champion),
    )
    return Section("champion", "Against the champion", sentences, tables=(Table("Side by side", header, rows),))


def describe_data(content: ReportContent) -> Section:
    """Show what was read, rejected, left out and missing."""
    data = content.manifest.data
    sentences = [
        f"{data.name}: {data.rows_read:,} rows read, {data.rows_used:,} used, {data.rows_rejected:,} rejected; "
        f"{data.churn_rate:.2%} churned."
    ]
    if data.rows_repeated:
        sentences.append(f"{data.rows_repeated:,} rows repeat an earlier one; they are evaluated in one fold with it.")
    tables = tuple(replace(table, folded=len(table.rows) > _LONG) for table in _tabulate_data(content) if table.rows)
    titles = [table.title for table in tables]
    if not data.rows_rejected:
        sentences.append("No row was rejected.")
    if _LEFT_OUT not in titles:
        sentences.append("No column was left out.")
    if _MISSING not in titles:
        sentences.append("No feature has a missing value.")
    return Section("data", "Data", tuple(sentences), tables=tables)


def describe_card(content: ReportContent) -> Section:
    """Say what the model is for, on whom it was fitted, when, and what it cannot do."""
    manifest = content.manifest
    facts = (
        ("intended use", "Rank customers by their risk of leaving, tell how sure that is and why, and choose whom to "
                         "contact. Not for decisions that hurt a customer, such as refusing a service or a price."),
        ("population", f"Customers like those of {manifest.data.name}: {manifest.data.rows_used:,} of them, "
                       f"{manifest.data.churn_rate:.2%} of whom left."),
        ("date", f"{manifest.created_at.day} {manifest.created_at:%B %Y, %H:%M} UTC"),
        ("model", _describe_model(manifest)),
        ("decision", f"Predicted to leave from a probability of {manifest.decision.threshold:.2f} on; medium risk from "
                     f"{manifest.decision.medium_risk:.2f}, high risk from {manifest.decision.high_risk:.2f}."),
        ("reasons", f"{manifest.explanation.method[:1].upper()}{manifest.explanation.method[1:]}."),
        ("served graph", f"Agrees with the fitted estimator within "
                         f"{max(manifest.parity.rows, manifest.parity.edge_rows):.0e} on all rows and edge rows."),
        ("data fingerprint", manifest.data.fingerprint),
        ("made with", ", ".join(f"{name} {version}" for name, version in manifest.libraries.items())),
        *(("limits", limit) for limit in _limits(manifest)),
    )  # fmt: skip
    return Section("card", "Model card", facts=facts)


def _compare(name: str, difference: float) -> tuple[str, str]:
    if abs(difference) < 0.0005:
        return f"{0:+.3f}", "equal"
    better = (difference < 0) == (name in LOWER_IS_BETTER)
    return f"{difference:+.3f}", "better" if better else "worse"


def _describe_data_of(own: Manifest, champion: Champion) -> str:
    if own.data.fingerprint == champion.manifest.data.fingerprint:
        return "Both were measured on the same customers."
    return (
        f"They were measured on different data (this version on {own.data.name}, the champion on "
        f"{champion.manifest.data.name}; the fingerprints differ), so a difference may come from the customers."
    )


def _count_reasons(content: ReportContent) -> tuple[tuple[str, ...], ...]:
    ordered = sorted(content.rejects.items(), key=lambda item: (-item[1], item[0]))
    return cut_rows(((reason, f"{rows:,}") for reason, rows in ordered), MOST_REASONS)


def _tabulate_data(content: ReportContent) -> tuple[Table, ...]:
    data = content.manifest.data
    return (
        Table("Rejected rows by reason", ("reason", "rows"), _count_reasons(content)),
        Table(_LEFT_OUT, ("column", "why"), tuple(data.left_out.items()), 2),
        Table("Columns with a note", ("column", "note"), tuple(data.notes.items()), 2),
        Table(_MISSING, ("feature", "share of rows"), _missing_shares(content.manifest)),
    )


def _missing_shares(manifest: Manifest) -> tuple[tuple[str, str], ...]:
    ordered = sorted(manifest.signature.features, key=lambda feature: -feature.missing_share)
    return tuple((feature.name, f"{feature.missing_share:.2%}") for feature in ordered if feature.missing_share > 0)


def _describe_model(manifest: Manifest) -> str:
    kinds = [feature.kind for feature in manifest.signature.features]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    return f"{manifest.model} on {len(kinds)} features ({counts}); calibration: {manifest.calibration.kind}."


def _limits(manifest: Manifest) -> Iterator[str]:
    if manifest.sample:
        yield "This is the sample that ships with the product: it knows nothing of your customers."
    yield "It has learnt who left, not why, and not whom a contact would keep: effects are no causes."
    later = [check for check in manifest.evaluation.leak_report if check.scheme == "later period"]
    if not any(check.roc_auc is not None for check in later):
        yield "It was not measured on a later period than it was fitted on: prices, offers and habits change."
    yield "Values outside the range seen are taken as the nearest one seen; categories never seen, as rare ones."
    yield "A column that is only filled in once a customer has left makes every figure here too good."
    yield "The intervals are about the customers measured, not about how customers may change."
