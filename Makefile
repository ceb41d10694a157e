# make run   installs, trains on the sample table and serves on http://127.0.0.1:8000
# make test  lints and runs every test; image tests where a Docker engine answers
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
API_IMAGE ?= techitfactory/churn-api:v1.0
ML_IMAGE ?= techitfactory/churn-ml:v1.0
BUILD_ARGS = --build-arg BUILD_DATE=$$(date -u +%Y-%m-%dT%H:%M:%SZ) --build-arg VCS_REF=$$(git rev-parse HEAD 2>/dev/null)

.PHONY: run test lint format bench images images-spark lock sample-model clean
.DEFAULT_GOAL := run

run: .venv/ml-installed
	$(BIN)/churn-mlops train
	$(BIN)/churn-mlops serve

test: lint
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadscope --no-loadscope-reorder

lint: .venv/dev-installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/hadolint docker/Dockerfile.api docker/Dockerfile.ml

format: .venv/dev-installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: .venv/dev-installed
	$(BIN)/python -m benchmarks

images:
	docker build -f docker/Dockerfile.api -t $(API_IMAGE) $(BUILD_ARGS) .
	docker build -f docker/Dockerfile.ml -t $(ML_IMAGE) $(BUILD_ARGS) .

# the ML image with Spark and Java
images-spark:
	docker build -f docker/Dockerfile.ml -t $(ML_IMAGE)-spark --build-arg SPARK=1 $(BUILD_ARGS) .

# requirements/*.txt from pyproject.toml; needs uv
lock:
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml -o requirements/api.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml --extra ml -o requirements/ml.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml --extra dev -o requirements/dev.txt
	uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header pyproject.toml --extra ml --extra spark -o requirements/spark.txt
	printf 'tritonclient[http]\nkserve\n' | uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header - -o tests/api/open_inference/clients/requirements-clients.txt
	echo 'flit_core>=3.11,<5' | uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header - -o requirements/build.txt

# the bundled sample version (docs/decisions/0005): trained here, kept in git without what serving does not need
sample-model: .venv/ml-installed
	rm -rf build/sample && CHURN_MLOPS__ARTIFACTS__PATH=build/sample $(BIN)/churn-mlops train
	git rm -rq --ignore-unmatch artifacts/models && mkdir -p artifacts/models
	rm -f build/sample/models/*/model.joblib build/sample/models/*/report.html build/sample/models/*/out_of_fold.csv && cp -r build/sample/models/* artifacts/models/ && rm -rf build
	git add -f artifacts/models

clean:
	rm -rf .venv build dist .mypy_cache .pytest_cache .ruff_cache

.venv/python-checked:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v < (3, 14) else "Python 3.11 to 3.13 is needed, and $(PYTHON) is %d.%d; try: make PYTHON=python3.13" % v)'
	$(PYTHON) -m venv .venv
	@touch $@

.venv/ml-installed: .venv/python-checked requirements/ml.txt requirements/build.txt pyproject.toml
	$(PIP) install -q --require-hashes -r requirements/ml.txt -r requirements/build.txt
	$(PIP) install -q --no-deps --no-build-isolation -e .
	@touch $@

.venv/dev-installed: .venv/ml-installed requirements/dev.txt
	$(PIP) install -q --require-hashes -r requirements/dev.txt -r requirements/build.txt
	@touch $@
