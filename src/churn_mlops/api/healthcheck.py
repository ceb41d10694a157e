"""Asks a running service whether it is alive: a container's health check, without curl."""

from __future__ import annotations

import os
import sys
import urllib.request


def is_alive(port: int, timeout_seconds: float = 3) -> bool:
    """Whether /health on this machine answers 200 in time."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=timeout_seconds) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


if __name__ == "__main__":
    sys.exit(0 if is_alive(int(os.environ.get("CHURN_MLOPS__SERVING__PORT", "8000"))) else 1)
