"""The command as a person types it: help that teaches, one line when something is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from learnable_tables import draw_customers

import churn_mlops

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[..., subprocess.CompletedProcess[str]]


def train_quickly(folder: Path) -> dict[str, str]:
    """Write a small table, and give the settings to train on it."""
    draw_customers().to_csv(folder / "customers.csv", index=False)
    table = {"DATA__SOURCE": "table", "DATA__PATH": "customers.csv", "DATA__TARGET": "churned"}
    return table | {"DATA__POSITIVE_LABEL": "true", "TRAINING__FOLDS": "2", "TRAINING__BOOTSTRAP_RESAMPLES": "100"}


def test_help_names_every_command(run: Run) -> None:
    """The first thing that is tried shows what there is and how to start."""
    done = run("--help")
    assert done.returncode == 0
    assert all(
        word in done.stdout
        for word in ("train", "serve", "models", "report", "sample", "Start with: churn-mlops train")
    )


def test_no_command_shows_the_help(run: Run) -> None:
    """A bare churn-mlops is answered with the commands, and says that nothing was done."""
    done = run()
    assert all(command in done.stdout for command in ("Usage:", "train", "serve", "models"))
    assert done.returncode == 2


def test_the_help_of_train_shows_how_to_bring_a_table(run: Run) -> None:
    """The lines of the example can be pasted into a shell: each but the last goes on with a backslash."""
    lines = [line.strip() for line in run("train", "--help").stdout.splitlines()]
    example = [line for line in lines if line.startswith("CHURN_MLOPS__DATA__")]
    assert [line.endswith("\\") for line in example] == [True, True, True, False]
    assert example[-1].endswith("churn-mlops train")


def test_the_version_is_the_package_s(run: Run) -> None:
    """--version prints the version and nothing else."""
    assert run("--version").stdout == f"{churn_mlops.__version__}\n"


def test_the_installed_command_is_the_module() -> None:
    """churn-mlops, as it is installed beside Python, is the same program."""
    command = Path(sys.executable).with_name("churn-mlops")
    if not command.is_file():
        pytest.skip("needs churn-mlops installed beside the Python that runs the tests")
    done = subprocess.run([command, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"{churn_mlops.__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "settings", "problem"),
    [
        (("train", "--config", "nowhere.yaml"), {}, "There is no configuration file nowhere.yaml"),
        (("train",), {"DATA__SOURCE": "tabel"}, "data.source is 'tabel'"),
        (("train",), {"DATA__FILE": "x"}, "CHURN_MLOPS__DATA__FILE names no key"),
        (
            ("train",),
            {"DATA__SOURCE": "table", "DATA__PATH": "no.csv", "DATA__TARGET": "t", "DATA__POSITIVE_LABEL": "1"},
            "no.csv",
        ),
        (("models", "show", "latest"), {}, "There is no version 'latest'. There are none."),
        (("models", "promote", "../x"), {}, "There is no version '../x'. There are none."),
        (("models", "rollback"), {}, "There is no previous champion to go back to."),
    ],
)
def test_a_refusal_is_one_line_and_exit_code_2(
    arguments: tuple[str, ...], settings: dict[str, str], problem: str, run: Run
) -> None:
    """What is wrong stands in one line on stderr, never in a traceback."""
    done = run(*arguments, **settings)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith("error: ")
    assert problem in done.stderr


def test_an_unknown_command_is_exit_code_2(run: Run) -> None:
    """A typing error is answered with how to get help."""
    done = run("trian")
    assert done.returncode == 2
    assert "No such command 'trian'" in done.stderr


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    """Where the system refuses to write, the reason stands in one line and the exit code is 2."""
    (tmp_path / "empty.yaml").touch()
    command = [sys.executable, "-m", "churn_mlops.training.train_baseline", "--config", "empty.yaml"]
    environment = os.environ | {f"CHURN_MLOPS__{name}": value for name, value in train_quickly(tmp_path).items()}
    done = subprocess.run(
        ["sh", "-c", 'ulimit -f 1 && exec "$@"', "sh", *command],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (2, "error: The operating system refused: [Errno 27] File too large.\n")


def test_train_with_if_no_champion_trains_once(run: Run, tmp_path: Path) -> None:
    """The first run registers a champion; the second says so and does nothing."""
    command = ("train", "--model", "logistic", "--if-no-champion")
    settings = train_quickly(tmp_path)
    first, second = (run(*command, **settings) for _ in range(2))
    champion = first.stdout.splitlines()[-1].split()[1]
    assert first.stdout.splitlines()[-1] == f"version {champion} is champion: it is what is served"
    assert second.stdout == f"{champion} is champion already; nothing to train.\n"


def test_the_module_of_training_is_the_command_train(tmp_path: Path) -> None:
    """Python -m churn_mlops.training.train_baseline takes what churn-mlops train takes, and says where more is told."""
    command = [sys.executable, "-m", "churn_mlops.training.train_baseline", "--help"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "--if-no-champion" in done.stdout
    assert "python -m churn_mlops.training.train_baseline" in done.stdout
    assert "churn-mlops train --help" in done.stdout


def test_the_command_loads_only_what_it_needs() -> None:
    """Scoring loads nothing to train with, and Arrow only once its memory is set up."""
    program = (
        "import sys; import churn_mlops.cli.app; print('pyarrow' in sys.modules);"
        "import churn_mlops.inference.batch_score.run; print({'scipy', 'sklearn', 'duckdb', 'ibis'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "set()"]
