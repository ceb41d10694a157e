"""`churn-mlops keys new`: a key for the client, a hash for the service."""

from __future__ import annotations

import hashlib

import pytest

from churn_mlops.cli.app import app


def test_a_new_key_and_its_hash_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """Two lines on stdout; what to do with them on stderr."""
    with pytest.raises(SystemExit) as stopped:
        app(["keys", "new"])
    shown = capsys.readouterr()
    key, hashed = (line.split()[1] for line in shown.out.splitlines())
    assert (stopped.value.code, hashlib.sha256(key.encode()).hexdigest()) == (0, hashed)
    assert "CHURN_MLOPS_API_KEYS" in shown.err
    assert key not in shown.err
