"""The training image: a model from a mounted folder, or a sentence that says how to get one."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
from images_engine import ML, Engine, get, wait_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

pytestmark = [pytest.mark.engine, pytest.mark.usefixtures("ml_build")]

TABLE = (
    "-e CHURN_MLOPS__DATA__SOURCE=table -e CHURN_MLOPS__DATA__PATH=data/telco.csv"
    " -e CHURN_MLOPS__DATA__TARGET=Churn -e CHURN_MLOPS__DATA__POSITIVE_LABEL=Yes"
    " -e CHURN_MLOPS__DATA__CUSTOMER_ID=customerID"
)


def test_the_documented_shell_session_trains_a_model(engine: Engine) -> None:
    """In an interactive bash, the module trains and its version can be listed."""
    typed = (
        "whoami\\npwd\\nls -la\\npython --version\\npip list\\n"
        "python -m churn_mlops.training.train_baseline\\nls artifacts/models\\nexit\\n"
    )
    shell = engine.output(f"printf '{typed}' | script -qec 'docker run -it --rm {ML} bash' /dev/null")
    assert re.search(r"^apiuser\r?$", shell, re.MULTILINE)
    assert re.search(r"^scikit-learn +\d", shell, re.MULTILINE)
    assert re.search(r"^\d{8}T\d{6}Z-[0-9a-f]{8}\r?$", shell, re.MULTILINE)


def test_a_folder_it_may_not_write_gets_the_option_to_add(engine: Engine, tmp_path: Path) -> None:
    """The message names the exact --user; adding it works."""
    artifacts = tmp_path / "artifacts"
    artifacts.mkdir(mode=0o755)
    owner = f"{artifacts.stat().st_uid}:{artifacts.stat().st_gid}"
    command = f"docker run --rm -v {artifacts}:/app/artifacts"
    refused = engine.run(f"{command} {ML}", check=False)
    assert (refused.returncode, len(refused.stderr.splitlines())) == (2, 1)
    assert f"--user {owner}" in refused.stderr
    engine.run(f"{command} --user {owner} {ML}")
    assert len(list((artifacts / "models").iterdir())) == 1


def test_a_mounted_table_becomes_a_model_that_the_api_image_serves(
    engine: Engine,
    container: Callable[..., tuple[str, str]],
    real_data: Callable[[str], Path],
    tmp_path: Path,
) -> None:
    """Train in one image and serve in the other, over a mounted folder; the sample is gone."""
    artifacts = tmp_path / "artifacts"
    artifacts.mkdir()
    artifacts.chmod(0o777)
    data = real_data("telco.csv").parent
    trained = engine.output(f"docker run --rm -v {data}:/app/data -v {artifacts}:/app/artifacts {TABLE} {ML}")
    assert "TotalCharges" in trained
    _, address = container(f"-v {artifacts}:/app/artifacts")
    wait_for(f"{address}/ready")
    manifest = json.loads(get(f"{address}/model")[1])
    assert (manifest["sample"], manifest["data"]["name"]) == (False, "telco.csv")


def test_the_command_line_is_inside(engine: Engine) -> None:
    """`churn-mlops` runs as any user, also one that the image does not know."""
    assert engine.output(f"docker run --rm --user 12345:0 {ML} churn-mlops --version") == "0.1.0"
