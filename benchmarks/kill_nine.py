"""Kills training with SIGKILL at random moments and checks after each that everything registered still serves.

Run it by hand: python -m benchmarks.kill_nine [--kills 50] [--seed 0]. The moments come from the seed: a third are
spread over the whole run, a third over its last step, and a third fall while the version's files are being written.
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
        self._random = random.Random(seed)  # noqa: S311 - moments, no secrets
        empty = root / "empty.yaml"
        empty.touch()
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CHURN_MLOPS")}
        inherited.pop("FORCE_COLOR", None)  # the steps are read as plain lines
        self._environment = inherited | settings | {"CHURN_MLOPS_CONFIG": str(empty)}
        self._environment["CHURN_MLOPS__ARTIFACTS__PATH"] = str(root)
        begin = time.monotonic()
        with self._train() as run:
            self._await_last_step(run)
            self.last_step_begins = time.monotonic() - begin
            run.communicate()
        self.run_seconds = time.monotonic() - begin
        self.champion = load_champion(self.registry).version

    def kill_one(self, number: int) -> str:
        """Start a run, kill it, and say when that was: "anywhere", "last step", "writing" or "after its end"."""
        name, await_moment = (
            ("anywhere", self._await_anything),
            ("last step", self._await_somewhere_in_last_step),
            ("writing", self._await_writing),
        )[number % 3]
        with self._train() as run:
            await_moment(run)
            run.send_signal(signal.SIGKILL)
            run.communicate()
        return name if run.returncode == -signal.SIGKILL else "after its end"

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
        time.sleep(self._random.uniform(0, self.run_seconds))

    def _await_last_step(self, run: subprocess.Popen[str]) -> None:
        assert run.stdout is not None  # noqa: S101 - a pipe, see _train
        for line in run.stdout:
            place, _, of = line[1:].partition("]")[0].partition("/")
            if place == of:
                return

    def _await_somewhere_in_last_step(self, run: subprocess.Popen[str]) -> None:
        self._await_last_step(run)
        time.sleep(self._random.uniform(0, self.run_seconds - self.last_step_begins))

    def _await_writing(self, run: subprocess.Popen[str]) -> None:
        self._await_last_step(run)
        before = set(self.registry.models.iterdir())  # a folder that appears is one being written
        while run.poll() is None and set(self.registry.models.iterdir()) == before:
            pass
        time.sleep(self._random.uniform(0, WRITING_SECONDS))


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
    versions = len(killing.registry.versions())
    show(f"{kills} kills ({spread}): {kills - invalid} times the champion served and models list worked")
    show(f"{versions} whole versions; a run left alone takes {killing.run_seconds:.1f} s")
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
