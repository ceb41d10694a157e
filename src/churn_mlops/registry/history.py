"""The history of the champion: every promotion and rollback, with the figures and the reason it was decided on.

A move is written down before the alias is moved. A job that is killed in between leaves a record of what was not done,
which the next record or the champion gives away; the other order could leave a champion that nobody answers for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from churn_mlops.atomic_files import replace_file
from churn_mlops.errors import RegistryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from churn_mlops.registry.reading import Registry


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Check(_Part):
    """One thing that a version must show before it is promoted.

    Attributes:
        name: what is asked.
        passed: None where there is nothing to compare with.
        figures: what was found and what was asked, in sentences.
    """

    name: str
    passed: bool | None
    figures: str


class Grounds(_Part):
    """What a promotion is decided on.

    Attributes:
        champion: the version that was champion when it was judged.
        checks: all of them, whatever they said.
        reason: why it is promoted whatever they say; None where it was not forced.
    """

    champion: str | None
    checks: tuple[Check, ...]
    reason: str | None = None


class Move(_Part):
    """A change of champion, as it was decided.

    Attributes:
        decided_at: UTC.
        action: promote or rollback.
        from_version: the champion before.
        to_version: the champion afterwards.
        forced: whether it was promoted whatever its checks say.
        reason: why it was forced.
        checks: what it was judged by; a rollback is not judged.
    """

    decided_at: AwareDatetime
    action: Literal["promote", "rollback"]
    from_version: str | None
    to_version: str
    forced: bool = False
    reason: str | None = None
    checks: tuple[Check, ...] = ()


def record_move(registry: Registry, move: Move) -> None:
    """Add a move at the end, whole or not at all; the caller holds the lock of the registry."""
    replace_file(registry.history_file, _read_whole_lines(registry) + move.model_dump_json().encode() + b"\n")


def read_history(registry: Registry) -> list[Move]:
    """Read all moves, oldest first; a last line that was cut short is no move.

    Raises:
        RegistryError: the file cannot be read, or a whole line of it is no move.
    """
    try:
        lines = _read_whole_lines(registry).splitlines()
    except OSError as error:
        raise RegistryError(f"registry/{registry.history_file.name} cannot be read: {error.strerror}.") from error
    return [_read_move(registry, number, line) for number, line in enumerate(lines, start=1)]


def find_unfinished(moves: Sequence[Move], champion: str | None) -> list[bool]:
    """Say of each move whether it was decided but, as the next one or the champion shows, not carried out."""
    found = [*(move.from_version for move in moves[1:]), champion]
    return [move.to_version != now for move, now in zip(moves, found, strict=True)] if moves else []


def _read_whole_lines(registry: Registry) -> bytes:
    try:
        content = registry.history_file.read_bytes()
    except FileNotFoundError:
        return b""
    return content[: content.rfind(b"\n") + 1]


def _read_move(registry: Registry, number: int, line: bytes) -> Move:
    try:
        return Move.model_validate_json(line)
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise RegistryError(
            f"Line {number} of registry/{registry.history_file.name} is no promotion or rollback: {problem}."
        ) from error
