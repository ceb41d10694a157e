"""The history: whoever became champion is written down, before it happens."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NoReturn

import pytest
from version_drafts import register_some

from churn_mlops.errors import RegistryError
from churn_mlops.registry import writing
from churn_mlops.registry.history import Check, Grounds, Move, find_unfinished, read_history
from churn_mlops.registry.reading import Aliases
from churn_mlops.registry.writing import promote, roll_back

if TYPE_CHECKING:
    from pathlib import Path

CHECKS = (
    Check(name="calibrated", passed=False, figures="It is not."),
    Check(name="at least as good", passed=None, figures="There is no champion."),
)


def _fail(*_: object) -> NoReturn:
    raise OSError(28, "No space left on device")


def test_nothing_was_promoted_at_first(tmp_path: Path) -> None:
    """The first version becomes champion by being registered: nobody decided that."""
    registry, _ = register_some(tmp_path, 1)
    assert read_history(registry) == []


def test_promotions_and_rollbacks_are_recorded_in_order(tmp_path: Path) -> None:
    """Each with the champion before and after, and when, in UTC."""
    registry, (first, second) = register_some(tmp_path, 2)
    promote(registry, second)
    roll_back(registry)
    moves = read_history(registry)
    assert [(move.action, move.from_version, move.to_version) for move in moves] == [
        ("promote", first, second),
        ("rollback", second, first),
    ]
    assert all(abs(datetime.now(UTC) - move.decided_at) < timedelta(minutes=1) for move in moves)


@pytest.mark.parametrize(("reason", "forced"), [(None, False), ("The audit asks for it.", True)])
def test_the_grounds_are_recorded(reason: str | None, forced: bool, tmp_path: Path) -> None:
    """All checks with their figures, and the reason where it was forced."""
    registry, (first, second) = register_some(tmp_path, 2)
    promote(registry, second, Grounds(champion=first, checks=CHECKS, reason=reason))
    (move,) = read_history(registry)
    assert (move.forced, move.reason, move.checks) == (forced, reason, CHECKS)


def test_a_version_judged_against_another_champion_is_not_promoted(tmp_path: Path) -> None:
    """Where another job promoted meanwhile, the figures no longer hold, and nothing is moved or recorded."""
    registry, (first, second, third) = register_some(tmp_path, 3)
    promote(registry, second)
    with pytest.raises(RegistryError, match=f"{second} became champion while {third} was judged"):
        promote(registry, third, Grounds(champion=first, checks=CHECKS))
    assert registry.champion() == second
    assert len(read_history(registry)) == 1


@pytest.mark.parametrize("action", ["promote", "rollback"])
def test_what_was_not_carried_out_is_known(action: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A job that ends between record and move leaves the champion, and the record shows that it is not one."""
    registry, (first, second, third) = register_some(tmp_path, 3)
    promote(registry, second)
    with monkeypatch.context() as patch:
        patch.setattr(writing, "_write_aliases", _fail)
        with pytest.raises(OSError, match="No space left"):
            promote(registry, third) if action == "promote" else roll_back(registry)
    moves = read_history(registry)
    assert registry.aliases() == Aliases(champion=second, challenger=third, previous=first)
    assert find_unfinished(moves, registry.champion()) == [False, True]
    promote(registry, third)
    assert find_unfinished(read_history(registry), registry.champion()) == [False, True, False]


def test_what_cannot_be_recorded_is_not_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No version is ever served whose promotion nobody can look up."""
    registry, (first, second) = register_some(tmp_path, 2)
    monkeypatch.setattr(writing, "record_move", _fail)
    with pytest.raises(OSError, match="No space left"):
        promote(registry, second)
    assert registry.champion() == first


def test_a_last_line_cut_short_is_no_move(tmp_path: Path) -> None:
    """It neither makes the history unreadable nor spoils the next record."""
    registry, (first, second) = register_some(tmp_path, 2)
    promote(registry, second)
    whole = registry.history_file.read_bytes()
    registry.history_file.write_bytes(whole + whole[: len(whole) // 2])
    assert len(read_history(registry)) == 1
    roll_back(registry)
    assert [move.to_version for move in read_history(registry)] == [second, first]


def test_a_spoilt_line_is_named(tmp_path: Path) -> None:
    """What someone edited by hand is an error that says where."""
    registry, (_, second) = register_some(tmp_path, 2)
    promote(registry, second)
    registry.history_file.write_bytes(registry.history_file.read_bytes() + b'{"action": "demote"}\n')
    with pytest.raises(RegistryError, match=r"Line 2 of registry/promotions\.jsonl is no promotion or rollback"):
        read_history(registry)


def test_an_empty_history_has_nothing_unfinished() -> None:
    """There is no move to doubt."""
    assert find_unfinished([], "anything") == []


def test_moves_are_frozen() -> None:
    """What was decided is not changed afterwards."""
    move = Move(decided_at=datetime.now(UTC), action="rollback", from_version=None, to_version="v")
    with pytest.raises(ValueError, match="frozen"):
        move.to_version = "w"  # type: ignore[misc]  # that is the point
