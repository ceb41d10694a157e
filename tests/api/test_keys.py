"""API keys: who may ask, what is said to the others, and what is wrong with the variable."""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import urllib.parse
from typing import TYPE_CHECKING, Any

import pytest

from churn_mlops.api.keys import KEYS_VARIABLE, create_key, read_key_hashes
from churn_mlops.config.settings import ArtifactsSettings, ServingSettings, Settings
from churn_mlops.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import httpx

    Ask = Callable[..., httpx.Response]
    StartService = Callable[..., tuple[subprocess.Popen[bytes], str, Path]]

KEYS = [create_key() for _ in range(2)]
NEEDED = "An API key is needed, as 'Authorization: Bearer <key>' or 'X-API-Key: <key>'."


@pytest.fixture
def ask_with_keys(
    sample_artifacts: Path, serve_settings: Callable[[Settings], Ask], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Ask]:
    """Start the service of the sample version with two keys."""

    def start(**serving: Any) -> Ask:
        monkeypatch.setenv(KEYS_VARIABLE, f"{KEYS[0][1]}, {KEYS[1][1].upper()}")
        settings = Settings(artifacts=ArtifactsSettings(path=sample_artifacts), serving=ServingSettings(**serving))
        return serve_settings(settings)

    return start


@pytest.mark.parametrize("key", [key for key, _ in KEYS], ids=["first", "second"])
@pytest.mark.parametrize("header", ["Authorization: Bearer ", "authorization: bearer  ", "X-API-Key: "])
def test_every_key_is_taken_in_either_header(ask_with_keys: Callable[..., Ask], key: str, header: str) -> None:
    """Old and new key are both good while clients are moved from one to the other."""
    name, _, prefix = header.partition(": ")
    assert ask_with_keys()("GET", "/model", headers={name: prefix + key}).status_code == 200


@pytest.mark.parametrize("path", ["/model", "/predict", "/docs", "/openapi.json", "/nothing", "/health/", "//health"])
@pytest.mark.parametrize(
    ("headers", "detail"),
    [
        ({}, NEEDED),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, NEEDED),
        ({"Authorization": "Bearer "}, "The API key is not known."),
        ({"X-API-Key": KEYS[0][0] + "x"}, "The API key is not known."),
        ({"X-API-Key": KEYS[0][1]}, "The API key is not known."),
    ],
    ids=["none", "basic", "empty", "wrong", "hash"],
)
def test_without_a_known_key_nothing_is_told(
    ask_with_keys: Callable[..., Ask], path: str, headers: dict[str, str], detail: str
) -> None:
    """Not even what there is: 401 in the one body, with an id, whatever was asked; the hash itself is no key."""
    answer = ask_with_keys()("GET", path, headers=headers)
    assert answer.status_code == 401
    assert answer.json() == {"error": "Unauthorized", "detail": detail, "fields": []}
    assert answer.headers["www-authenticate"] == 'Bearer realm="churn-mlops"'
    assert len(answer.headers["x-request-id"]) == 32


@pytest.mark.parametrize("turned", [False, True])
def test_beside_a_known_key_another_does_no_harm(ask_with_keys: Callable[..., Ask], turned: bool) -> None:
    """A gateway may add its own: either header is enough, as the document says, in whatever order they come."""
    headers = [("X-API-Key", KEYS[0][0]), ("Authorization", "Bearer of-a-gateway")]
    assert ask_with_keys()("GET", "/model", headers=headers[::-1] if turned else headers).status_code == 200
    headers = [("Authorization", f"Bearer {KEYS[0][0]}"), ("X-API-Key", "of-a-gateway")]
    assert ask_with_keys()("GET", "/model", headers=headers[::-1] if turned else headers).status_code == 200


def test_open_paths_need_no_key(ask_with_keys: Callable[..., Ask]) -> None:
    """Probes, by default; what the configuration says, else."""
    assert [ask_with_keys()("GET", path).status_code for path in ("/health", "/ready")] == [200, 200]
    ask = ask_with_keys(open_paths=("/docs",))
    assert [ask("GET", path).status_code for path in ("/health", "/docs")] == [401, 200]


def test_the_document_says_that_a_key_is_needed(ask_with_keys: Callable[..., Ask]) -> None:
    """In two schemes, on what is not open."""
    document = ask_with_keys()("GET", "/openapi.json", headers={"X-API-Key": KEYS[0][0]}).json()
    assert list(document["components"]["securitySchemes"]) == ["bearer", "key"]
    predict, health = document["paths"]["/predict"]["post"], document["paths"]["/health"]["get"]
    assert predict["security"] == [{"bearer": []}, {"key": []}]
    assert "401" in predict["responses"]
    assert not {"security", "401"} & {*health, *health["responses"]}


def test_without_the_variable_no_key_is_needed(ask: Ask) -> None:
    """And the document has no scheme."""
    document = ask("GET", "/openapi.json")
    assert document.status_code == 200
    assert "securitySchemes" not in document.text


@pytest.mark.parametrize(
    ("text", "entries"),
    [("", "1 of 1"), ("secret-key", "1 of 1"), (f"{'a' * 64},", "2 of 2"), (f"x,{'a' * 64},{'a' * 63}", "1, 3 of 3")],
)
def test_a_wrong_variable_is_refused_without_being_shown(
    text: str, entries: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sentence says which entry is wrong; somebody may have put a key there."""
    monkeypatch.setenv(KEYS_VARIABLE, text)
    with pytest.raises(SettingsError) as raised:
        read_key_hashes()
    assert f"entry {entries} is none" in str(raised.value)
    assert not any(part and part in str(raised.value) for part in ("secret-key", "a" * 63))


def test_a_wrong_variable_stops_the_start(sample_artifacts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one line, and without the value."""
    monkeypatch.setenv(KEYS_VARIABLE, "secret-key")
    monkeypatch.setenv("CHURN_MLOPS__ARTIFACTS__PATH", str(sample_artifacts))
    done = subprocess.run(
        [sys.executable, "-m", "churn_mlops.api"], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert done.stderr.startswith(f"error: {KEYS_VARIABLE} must hold SHA-256 hashes")
    assert "secret-key" not in done.stdout + done.stderr


def test_a_new_key_is_random_and_only_its_hash_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    """256 bits; the hash is what any tool gives for it."""
    keys = [create_key() for _ in range(10)]
    assert len({key for key, _ in keys}) == 10
    assert {len(key) for key, _ in keys} == {43}
    assert all(hashlib.sha256(key.encode()).hexdigest() == hashed for key, hashed in keys)


def test_a_refused_body_is_not_waited_for(start_service: StartService, sample_artifacts: Path) -> None:
    """The answer is there while the body has yet to come."""
    _, address, _ = start_service(sample_artifacts, **{KEYS_VARIABLE: KEYS[0][1]})
    target = urllib.parse.urlsplit(address)
    with socket.create_connection((str(target.hostname), int(target.port or 0)), 30) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nhost: service\r\ncontent-length: 1000000\r\n\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 401 ")
