"""The serving image: every documented command, and what a careful operator would try."""

from __future__ import annotations

import json
import re
import subprocess
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from images_engine import API, BASE, Engine, get, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    Start = Callable[..., tuple[str, str]]

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("api_build")]

HARDENED = "--read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges --user 12345:0"
LARGEST_ADDED_MB = 170


def predict(address: str) -> dict[str, Any]:
    """Send the document's own example to /predict."""
    document = json.loads(wait_for(f"{address}/openapi.json"))
    example = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["example"]
    answer = httpx.post(f"{address}/predict", json=example, timeout=10)
    found: dict[str, Any] = answer.raise_for_status().json()
    return found


@pytest.mark.usefixtures("port_8000")
def test_the_documented_commands_work_word_for_word(engine: Engine) -> None:
    """Run, logs, curl, exec and stop as the README has them, on port 8000 under the name churn-api."""
    if engine.run("docker container inspect churn-api", check=False).returncode == 0:
        pytest.skip("needs the container name churn-api, which is taken")
    try:
        engine.run("docker run -d -p 8000:8000 --name churn-api techitfactory/churn-api:v1.0")
        wait_for("http://localhost:8000/ready")
        health = json.loads(engine.output("curl -s http://localhost:8000/health"))
        logs = [json.loads(line) for line in engine.output("docker logs churn-api").splitlines()]
        config = engine.output("docker exec churn-api cat config/config.yaml")
        version = engine.output('docker exec churn-api python -c "import churn_mlops; print(churn_mlops.__version__)"')
        stopped = engine.run("docker stop -t 10 churn-api && docker inspect -f {{.State.ExitCode}} churn-api")
    finally:
        engine.run("docker rm -f churn-api", check=False)
    assert health["status"] == "ok"
    assert re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{8}", health["model_version"])
    assert [line["sample"] for line in logs if line["message"] == "model loaded"] == [True]
    assert config == (engine.checkout / "config/config.yaml").read_text().strip()
    assert version == "0.1.0"
    assert stopped.stdout.split() == ["churn-api", "0"]


def test_a_shell_in_the_image_shows_what_the_course_expects(engine: Engine) -> None:
    """An interactive bash knows its user, place, Python and packages, and has no training stack."""
    typed = "whoami\\npwd\\nls -la\\npython --version\\npip list\\nexit\\n"
    shell = engine.output(f"printf '{typed}' | script -qec 'docker run -it --rm {API} bash' /dev/null")
    assert re.search(r"^apiuser\r?$", shell, re.MULTILINE)
    assert re.search(r"^/app\r?$", shell, re.MULTILINE)
    assert "artifacts" in shell
    assert "Python 3.13" in shell
    assert re.search(r"^onnxruntime +\d", shell, re.MULTILINE)
    assert not re.search(r"^(pandas|scikit-learn|scipy|joblib|pip|flit_core) +\d", shell, re.MULTILINE)


def test_a_bare_run_predicts_with_the_bundled_sample(container: Start) -> None:
    """Without any mount the sample answers at once, with reasons, and says that it is a sample."""
    _, address = container()
    wait_for(f"{address}/ready")
    answer = predict(address)
    assert 0 < answer["churn_probability"] < 1
    assert len(answer["reasons"]) == 3
    assert json.loads(get(f"{address}/model")[1])["sample"] is True


def test_it_predicts_under_the_strictest_options(container: Start) -> None:
    """Read-only, no capabilities, no new privileges and a user unknown to the image change nothing."""
    _, address = container(HARDENED)
    wait_for(f"{address}/ready")
    assert predict(address)["risk_band"] in ("low", "medium", "high")


def test_an_empty_mount_means_no_model(container: Start, tmp_path: Path) -> None:
    """A mounted folder takes the place of the sample even when it is empty."""
    tmp_path.chmod(0o755)
    _, address = container(f"-v {tmp_path}:/app/artifacts")
    health = wait_for(f"{address}/health")
    assert json.loads(health) == {"status": "ok", "model_version": None}
    status, body = get(f"{address}/ready")
    assert (status, json.loads(body)["error"]) == (503, "NoModel")


def test_the_health_check_turns_healthy_without_a_model(engine: Engine, container: Start, tmp_path: Path) -> None:
    """Liveness is not readiness: a service that waits for a model is healthy."""
    name, address = container(f"-v {tmp_path}:/app/artifacts --health-interval 1s --health-start-period 0s")
    wait_for(f"{address}/health")
    engine.run(
        f"timeout 30 bash -c 'until [ $(docker inspect -f {{{{.State.Health.Status}}}} {name}) = healthy ];"
        " do sleep 0.2; done'"
    )


def test_threads_follow_the_cpu_quota(engine: Engine, container: Start) -> None:
    """A container held to one processor uses one, whatever the machine has."""
    name, address = container("--cpus 1")
    wait_for(f"{address}/health")
    count = 'python -c "from churn_mlops.cpu_quota import available_cpus; print(available_cpus())"'
    assert engine.output(f"docker exec {name} {count}") == "1"


def test_nothing_but_what_runs_is_inside(engine: Engine) -> None:
    """No compiler, cache, test, stub, source tree, estimator or report; and byte-code for every module."""
    look = r"""
        command -v gcc cc make uv
        ls -d /build /dist /opt/build /root/.cache 2>/dev/null
        find /app -name model.joblib -o -name report.html
        find /opt/venv -name tests -o -name '*.pyi'
        cd /opt/venv/lib/python3*/site-packages
        find . -name '*.py' -size +0 | while read -r module; do
            compiled=$(dirname "$module")/__pycache__/$(basename "$module" .py).cpython-313.pyc
            [ -e "$compiled" ] || echo "$module"
        done
    """
    found = subprocess.run(
        ["docker", "run", "--rm", "--user", "0", API, "bash", "-c", look], capture_output=True, text=True, check=False
    )
    assert found.stdout == ""


def test_it_adds_little_to_its_base(engine: Engine) -> None:
    """The layers over the base stay within 170 MB, byte-code included."""
    sizes = [int(engine.output(f"docker image inspect -f {{{{.Size}}}} {image}")) for image in (API, BASE)]
    assert (sizes[0] - sizes[1]) / 1e6 <= LARGEST_ADDED_MB


def test_labels_say_when_and_from_what_it_was_built(engine: Engine) -> None:
    """BUILD_DATE and VCS_REF become the OCI labels, in a last layer that rebuilds nothing."""
    engine.run(
        "docker build -f docker/Dockerfile.api -t churn-mlops-test:labels"
        " --build-arg BUILD_DATE=2026-01-02T03:04:05Z --build-arg VCS_REF=abc123 ."
    )
    labels = json.loads(engine.output("docker image inspect -f '{{json .Config.Labels}}' churn-mlops-test:labels"))
    engine.run("docker rmi churn-mlops-test:labels")
    assert labels["org.opencontainers.image.created"] == "2026-01-02T03:04:05Z"
    assert labels["org.opencontainers.image.revision"] == "abc123"


def test_history_and_user(engine: Engine) -> None:
    """`docker history` works, the user is numeric, and the command is in exec form."""
    assert "HEALTHCHECK" in engine.output(f"docker history --no-trunc {API}")
    config = json.loads(engine.output(f"docker image inspect -f '{{{{json .Config}}}}' {API}"))
    assert config["User"].isdigit()
    assert config["Cmd"] == ["python", "-m", "churn_mlops.api"]
