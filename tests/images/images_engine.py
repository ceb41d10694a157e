"""A real Docker engine, and a copy of the checkout in which its commands are run."""

from __future__ import annotations

import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
BASE = "python:3.13-slim-trixie"
API = "techitfactory/churn-api:v1.0"
ML = "techitfactory/churn-ml:v1.0"
PATIENCE_SECONDS = 60


@dataclass(frozen=True)
class Engine:
    """Runs commands in a copy of the checkout, as a person would in a clone.

    Attributes:
        checkout: the copy.
    """

    checkout: Path

    def run(self, command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a shell command line; its output is kept."""
        done = subprocess.run(
            ["bash", "-c", command], cwd=self.checkout, capture_output=True, text=True, check=False, timeout=580
        )
        assert not check or done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done

    def output(self, command: str) -> str:
        """Run a command that has to succeed, and give what it printed on stdout."""
        return self.run(command).stdout.strip()


def get(url: str) -> tuple[int, str]:
    """Ask a service; 0 if it does not answer."""
    try:
        answer = httpx.get(url, timeout=5)
    except httpx.TransportError:
        return 0, ""
    return answer.status_code, answer.text


def wait_for(url: str, status: int = 200) -> str:
    """Ask until the service answers with the status."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found, body = get(url)
        if found == status:
            return body
        time.sleep(0.05)
    pytest.fail(f"{url} did not answer {status} in {PATIENCE_SECONDS} s; last: {found} {body}")


def copy_checkout(target: Path) -> Path:
    """Copy what git tracks or would, so that neither data nor models of this machine get in."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
    ).stdout
    for name in filter(None, listed.decode().split("\0")):
        source = REPOSITORY / name
        if source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    return target
