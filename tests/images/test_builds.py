"""How the images are built: what is sent, what is cached, what a change costs."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from images_engine import Engine

pytestmark = pytest.mark.engine

LARGEST_CONTEXT_BYTES = 2_000_000
UNITS = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}


def build(engine: Engine, name: str) -> str:
    """Build an image and give what the builder printed."""
    return engine.run(
        f"docker build --progress=plain -f docker/Dockerfile.{name} -t techitfactory/churn-{name}:v1.0 ."
    ).stderr


def steps(log: str) -> dict[str, bool]:
    """Tell, for every instruction the builder went through, whether it was cached."""
    named = dict(re.findall(r"^#(\d+) (\[[^\]]*\d+/\d+\] (?:RUN|COPY|WORKDIR|FROM).*)$", log, re.MULTILINE))
    cached = set(re.findall(r"^#(\d+) CACHED$", log, re.MULTILINE))
    return {name: number in cached for number, name in named.items() if "FROM" not in name}


@pytest.mark.parametrize("name", ["api", "ml"])
def test_a_rebuild_is_all_cached(engine: Engine, name: str) -> None:
    """Building again without a change runs no step."""
    build(engine, name)
    again = steps(build(engine, name))
    assert len(again) > 5
    assert all(again.values()), again


@pytest.mark.parametrize("name", ["api", "ml"])
def test_a_change_in_the_code_reruns_only_what_comes_after_it(engine: Engine, name: str) -> None:
    """The packages, their layer and the user stay cached when a source file changes."""
    build(engine, name)
    module = engine.checkout / "src" / "churn_mlops" / "__init__.py"
    before = module.read_text()
    try:
        # new text every time: the engine remembers builds of earlier runs
        module.write_text(before + f"# changed: {uuid.uuid4()}\n")
        after_change = steps(build(engine, name))
    finally:
        module.write_text(before)
    rerun = {step for step, cached in after_change.items() if not cached}
    allowed = re.compile(r"COPY src src|flit_core.wheel|COPY artifacts|registry.baking|churn_mlops-\*|from=build")
    assert any("COPY src src" in step for step in rerun)
    assert [step for step in rerun if not allowed.search(step)] == []


def test_data_is_never_sent_to_the_builder(engine: Engine) -> None:
    """A gigabyte in data/ leaves the build context under 2 MB."""
    data = engine.checkout / "data" / "large.csv"
    data.parent.mkdir(exist_ok=True)
    with data.open("wb") as file:
        file.truncate(10**9)
    try:
        (engine.checkout / "README.md").touch()
        log = build(engine, "api")
    finally:
        data.unlink()
        data.parent.rmdir()
    sent = re.findall(r"transferring context: ([\d.]+)([kMG]?B)", log)
    assert sent
    assert max(float(size) * UNITS[unit] for size, unit in sent) < LARGEST_CONTEXT_BYTES
