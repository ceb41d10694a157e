"""The promotion gate: a version becomes champion only if it shows, on rows it never saw, that it deserves to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from churn_mlops.data.table import check_learnable
from churn_mlops.errors import DataError, NotComparable, PromotionRefused, RegistryError
from churn_mlops.inference.scorer import load_version
from churn_mlops.models.folds import DuplicateGroupedKFold
from churn_mlops.registry.history import Check, Grounds
from churn_mlops.registry.reading import Registry
from churn_mlops.registry.served import open_registry
from churn_mlops.registry.writing import promote
from churn_mlops.training.blind_scores import score_blindly
from churn_mlops.training.loading import load_table
from churn_mlops.training.promotion_checks import (
    AT_LEAST_AS_GOOD,
    UNSEEN_ROWS,
    Comparison,
    check_calibration,
    check_champion,
    check_leaks,
    check_rule,
    check_served,
    check_speed,
    describe_rows,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from churn_mlops.config.settings import Settings
    from churn_mlops.data.table import CustomerTable
    from churn_mlops.inference.scorer import Scorer
    from churn_mlops.registry.reading import Aliases
    from churn_mlops.training.blind_scores import BlindScores

CHALLENGER: Final = "challenger"


@dataclass(frozen=True)
class Verdict:
    """What the gate found about a version.

    Attributes:
        version: the one that was judged.
        champion: the champion at that time, whether or not it could be compared with; None where there was none.
        checks: all of them, passed or not.
    """

    version: str
    champion: str | None
    checks: tuple[Check, ...]

    @property
    def failed(self) -> tuple[Check, ...]:
        """The checks that stand against a promotion."""
        return tuple(check for check in self.checks if check.passed is False)


def judge(settings: Settings, version: str) -> Verdict:
    """Judge a version, or the one that is `challenger`, against the champion on the table of the configuration.

    Raises:
        VersionNotFound: there is no such version.
        VersionRefused: its files fail their checks, it cannot be loaded, or nobody whom serving.require_signature names
            signed it.
        KeyRefused: a file of serving.require_signature holds no public key.
        RegistryError: it is champion already, or there is no challenger.
    """
    registry = Registry(settings.artifacts.path)
    aliases = registry.aliases()
    champion = aliases.champion if aliases else None
    scorer = load_version(
        open_registry(settings), _resolve(aliases, version)
    )  # refused here where it would not be served
    if scorer.version == champion:
        raise RegistryError(f"{champion} is champion already.")
    try:
        comparison, rival = _compare(settings, registry, scorer, champion)
    except (DataError, NotComparable) as error:
        sentence = f"Nothing can be compared on the table of the configuration: {error}"
        return Verdict(scorer.version, champion, (Check(name=UNSEEN_ROWS, passed=False, figures=sentence),))
    return Verdict(scorer.version, champion, _check(comparison, rival))


def promote_if_fit(
    settings: Settings, version: str, reason: str | None = None, show: Callable[[Verdict], None] = lambda verdict: None
) -> Aliases:
    """Judge a version and make it champion if no check stands against it, or if there is a reason to do it anyway.

    Args:
        settings: the configuration.
        version: its name, or `challenger`.
        reason: why it is to be promoted whatever the checks say; recorded with them.
        show: told the verdict before anything is changed.

    Raises:
        PromotionRefused: a check failed and there is no reason to promote it all the same.
        RegistryError: see `judge`; a version that would not be served is never promoted.
    """
    verdict = judge(settings, version)
    show(verdict)
    if verdict.failed and reason is None:
        raise PromotionRefused(verdict.version, (check.figures for check in verdict.failed))
    grounds = Grounds(champion=verdict.champion, checks=verdict.checks, reason=reason)
    return promote(Registry(settings.artifacts.path), verdict.version, grounds)


def _resolve(aliases: Aliases | None, version: str) -> str:
    if version != CHALLENGER:
        return version
    if aliases is None or aliases.challenger is None:
        raise RegistryError("No version waits as challenger; churn-mlops models list shows what there is.")
    return aliases.challenger


def _compare(
    settings: Settings, registry: Registry, scorer: Scorer, champion: str | None
) -> tuple[Comparison, BlindScores | Check]:
    """Score the rows of the table that neither version has seen, or that each held out."""
    table = load_table(settings)
    if table.held_out is not None:  # the other snapshots are those that models are made from
        table = table.take(np.flatnonzero(table.held_out))
    check_learnable(table)
    challenger = score_blindly(registry, scorer, table)
    rival = _score_champion(registry, champion, table)
    is_blind = challenger.blind if isinstance(rival, Check) else challenger.blind & rival.blind
    rows, left_out = np.flatnonzero(is_blind), int((~is_blind).sum())
    if left_out:
        table, challenger = table.take(rows), challenger.take(rows)
        rival = rival if isinstance(rival, Check) else rival.take(rows)
        _check_enough(table, left_out)
    folds = DuplicateGroupedKFold(settings.training.folds, settings.training.seed)
    fold = folds.assign(table.features, table.churned, table.customer_ids)
    rival_scores = None if isinstance(rival, Check) else rival
    return Comparison(table, left_out, fold, challenger, rival_scores, settings), rival


def _check_enough(table: CustomerTable, left_out: int) -> None:
    try:
        check_learnable(table)
    except DataError as error:
        raise DataError(
            f"on {left_out:,} rows one of the two was trained without being evaluated, and of the others, {error} "
            f"Versions that were trained with the same training.seed are evaluated on the same rows."
        ) from error


def _score_champion(registry: Registry, champion: str | None, table: CustomerTable) -> BlindScores | Check:
    """Score the rows by the champion; where that cannot be, give the check that says why."""
    if champion is None:
        return Check(name=AT_LEAST_AS_GOOD, passed=None, figures="No champion is registered to compare it with.")
    try:
        scorer: Scorer = load_version(registry, champion)
        if scorer.manifest.sample and not table.is_sample:
            sentence = "The champion was trained on the sample that ships with the product: it is not compared."
            return Check(name=AT_LEAST_AS_GOOD, passed=None, figures=sentence)
        return score_blindly(registry, scorer, table)
    except RegistryError as error:
        sentence = f"It cannot be compared with the champion: {error}"
        return Check(name=AT_LEAST_AS_GOOD, passed=False, figures=sentence)


def _check(comparison: Comparison, rival: BlindScores | Check) -> tuple[Check, ...]:
    return (
        describe_rows(comparison),
        rival if isinstance(rival, Check) else check_champion(comparison, rival),
        check_calibration(comparison),
        check_rule(comparison),
        check_leaks(comparison),
        check_served(comparison),
        check_speed(comparison),
    )
