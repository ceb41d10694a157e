"""The edge of every command: a refusal is a sentence and an exit code, a defect is a traceback."""

from __future__ import annotations

import errno

import pytest

from churn_mlops.command_line import run_command
from churn_mlops.errors import ChurnMlopsError, DataError


class Strict(ChurnMlopsError):
    """An error with an exit code of its own."""

    exit_code = 7


def _raising(error: BaseException) -> int:
    def command() -> None:
        raise error

    return run_command(command)


def test_a_command_that_ends_well_is_exit_code_0(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is said about it."""
    assert run_command(lambda: None) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (DataError("The table is empty."), 2, "error: The table is empty.\n"),
        (Strict("No."), 7, "error: No.\n"),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            2,
            "error: The operating system refused: [Errno 28] No space left on device.\n",
        ),
    ],
)
def test_a_refusal_is_one_line_and_its_exit_code(
    error: Exception, code: int, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The product's errors and the system's are told in one line."""
    assert _raising(error) == code
    assert capsys.readouterr().err == line


@pytest.mark.parametrize("error", [ValueError("a defect"), SystemExit(3), KeyboardInterrupt()])
def test_anything_else_goes_through(error: BaseException) -> None:
    """A defect keeps its traceback, and an exit its code."""
    with pytest.raises(type(error)):
        _raising(error)
