"""Kills training with SIGKILL at random moments and checks after each that everything registered still serves.

Run it by hand: python -m benchmarks.kill_nine [--kills 50] [--seed 0]. The moments come from the seed: a quarter
are spread over the whole run, a quarter over its last step, and half fall while the version's files are written.
A run that ends before it is hit does not count as killed.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from churn_mlops.errors import ChurnMlopsError
from churn_mlops.inference.scorer import load_champion
from churn_mlops.registry.reading import Registry

if TYPE_CHECKING:
    from collections.abc import Callable

TRAIN: Final = (sys.executable, "-m", "churn_mlops.training.train_baseline")
LIST: Final = (sys.executable, "-m", "churn_mlops", "models", "list")
WRITING_SECONDS: Final = 0.02
"""Longer than the files of a version take to be written and renamed."""


class Killing:
    """Training runs on one artifacts folder, each killed at some moment of its own.

    Args:
        root: the artifacts folder; the first run is left alone and gives the champion.
        seed: seeds the moments.
        settings: configuration by its environment variable.
    """

    def __init__(self, root: Path, seed: int, settings: dict[str, str]) -> None:
        self.registry = Registry(root)
        self.ended_first = 0
        self._random = random.Random(seed)  # noqa: S311 - moments, no secrets
        empty = root / "empty.yaml"
        empty.touch()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CHURN_MLOPS")}
        inherited.pop("FORCE_COLOR", None)  # the steps are read as plain lines
        self._environment = inherited | settings | {"CHURN_MLOPS_CONFIG": str(empty)}
        self._environment["CHURN_MLOPS__ARTIFACTS__PATH"] = str(root)
        with self._train() as run:
            self._phases = _time_phases(run)
            run.communicate()
        self.champion = load_champion(self.registry).version

    def kill_one(self, number: int) -> str:
        """Start runs until one was killed before its end, and say when: "anywhere", "last step" or "writing"."""
        name, await_moment = (
            ("anywhere", self._await_anything),
            ("writing", self._await_writing),
            ("last step", self._await_last_step),
            ("writing", self._await_writing),
        )[number % 4]
        while True:
            with self._train() as run:
                await_moment(run)
                run.send_signal(signal.SIGKILL)
                run.communicate()
            if run.returncode == -signal.SIGKILL:
                return name
            if run.returncode != 0:
                raise RuntimeError(f"training failed by itself, with exit code {run.returncode}")
            self.ended_first += 1

    def check(self) -> str:
        """Say what is wrong with the registry, or nothing: every version whole, the champion serving, all listed."""
        versions = self.registry.versions()
        try:
            for manifest in map(self.registry.read, versions):
                for name in manifest.files:
                    self.registry.read_file(manifest, name)
            if load_champion(self.registry).version != self.champion:
                return "another version is champion"
        except ChurnMlopsError as error:
            return str(error)
        listed = subprocess.run(LIST, env=self._environment, capture_output=True, text=True, check=False)
        if listed.returncode != 0 or not all(version in listed.stdout for version in versions):
            return f"models list ends with {listed.returncode}: {listed.stdout}{listed.stderr}"
        return ""

    def _train(self) -> subprocess.Popen[str]:
        return subprocess.Popen(TRAIN, env=self._environment, stdout=subprocess.PIPE, text=True)

    def _await_anything(self, run: subprocess.Popen[str]) -> None:
        # by the phase and not by the clock: a machine that others use is not always equally fast
        (phase,) = self._random.choices(range(len(self._phases)), self._phases)
        self._await_phase(run, phase)

    def _await_last_step(self, run: subprocess.Popen[str]) -> None:
        self._await_phase(run, len(self._phases) - 1)

    def _await_phase(self, run: subprocess.Popen[str], phase: int) -> None:
        for _ in range(phase):
            _read_line(run)
        time.sleep(self._random.uniform(0, self._phases[phase]))

    def _await_writing(self, run: subprocess.Popen[str]) -> None:
        for _ in self._phases[1:]:
            _read_line(run)
        before = set(self.registry.models.iterdir())  # a folder that appears is one being written
        while run.poll() is None and set(self.registry.models.iterdir()) == before:
            pass
        time.sleep(WRITING_SECONDS * self._random.random() ** 3)  # most often at once


def _time_phases(run: subprocess.Popen[str]) -> list[float]:
    """Time each phase of a run that is left alone, in seconds: before the first step, and each of its steps."""
    seconds, number, total = [], 0, 1
    while number < total:
        begin = time.monotonic()
        line = _read_line(run)
        if not line:
            raise RuntimeError("training ended before its last step")
        number, total = map(int, line[1:].partition("]")[0].split("/"))
        seconds.append(time.monotonic() - begin)
    begin = time.monotonic()
    _read_line(run)  # what follows the last step: a line about the table
    return [*seconds, time.monotonic() - begin]


def _read_line(run: subprocess.Popen[str]) -> str:
    assert run.stdout is not None  # noqa: S101 - its type does not tell that it was started with a pipe
    return run.stdout.readline()


def kill_many(root: Path, kills: int, seed: int, settings: dict[str, str], show: Callable[[str], None]) -> bool:
    """Kill that many runs, show a line for every ten and a summary; whether the registry was valid after each."""
    killing = Killing(root, seed, settings)
    moments: Counter[str] = Counter()
    invalid = 0
    for number in range(kills):
        moment = killing.kill_one(number)
        moments[moment] += 1
        problem = killing.check()
        if problem:
            invalid += 1
            show(f"kill {number + 1} ({moment}): {problem}")
        if (number + 1) % 10 == 0:
            show(f"{number + 1} of {kills} kills: {invalid} left the registry invalid")
    spread = ", ".join(f"{count} {moment}" for moment, count in sorted(moments.items()))
    show(f"{kills} kills ({spread}): {kills - invalid} times the champion served and models list worked")
    show(
        f"{killing.ended_first} more runs ended before they were hit; {len(killing.registry.versions())} whole versions"
    )
    return invalid == 0


def main() -> int:
    """Read the options, and kill on a temporary artifacts folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kill-nine-") as folder:
        return 0 if kill_many(Path(folder), options.kills, options.seed, {}, print) else 1


if __name__ == "__main__":
    sys.exit(main())
