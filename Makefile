# Everything runs in .venv, which `make` builds with pip from requirements.lock, from whatever index pip is set up with.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Subprocesses of dagster and dbt find the project wherever they are started.
export PYTHONPATH := $(CURDIR)

.PHONY: demo up test lint docs bench migrate clean

demo: $(STAMP)
	causeway demo

up: $(STAMP)
	causeway up

# A file of tests stays with one process, whose database is its own. Many of them start Python: it compiles modules once.
test: $(STAMP)
	env -u PYTHONDONTWRITEBYTECODE python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile --no-loadscope-reorder

lint: $(STAMP)
	ruff check .
	ruff format --check .
	mypy
	lint-imports
	sqlfluff lint dbt_project/models --disable-progress-bar

docs: $(STAMP)
	causeway schema > docs/declarations.schema.json
	python docs/draw_asset_graph.py
	mkdocs build --strict --quiet

bench: $(STAMP)
	causeway bench spine coverage validity assign serve ingest estimates

migrate: $(STAMP)
	causeway migrate

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Causeway needs Python 3.11 or 3.12; name one with make PYTHON=python3.12") if sys.version_info[:2] not in ((3, 11), (3, 12)) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	cd dbt_project && DBT_PROFILES_DIR=. ../$(BIN)/dbt --quiet parse
	@touch $@

clean:
	rm -rf $(VENV) .causeway dbt_project/target site
