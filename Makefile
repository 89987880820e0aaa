# Everything runs in .venv, which the first target that needs it makes from the lock.
PYTHON ?= python3.11
VENV   ?= .venv
BIN    := $(VENV)/bin

.PHONY: demo serve test lint docs bench lock
.DEFAULT_GOAL := demo

$(VENV)/.ready: requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

demo: $(VENV)/.ready          ## the main job, start to finish; ONCE=1 stops by itself
	$(BIN)/python scripts/demo.py $(if $(ONCE),--once)

serve: $(VENV)/.ready         ## a support assistant in ./demo on http://127.0.0.1:4000
	test -f demo/rondo.toml || $(BIN)/rondo init support-bot --dir demo
	cd demo && ../$(BIN)/rondo up

test: $(VENV)/.ready          ## all tests; those that need a service or a browser skip without it
	$(BIN)/pytest -n auto

lint: $(VENV)/.ready          ## style, types, layers, docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python scripts/docs_cli.py --check
	$(BIN)/python scripts/docs_api.py --check
	$(BIN)/python scripts/docs_openapi.py --check
	$(BIN)/mkdocs build --strict --quiet --site-dir build/site

docs: $(VENV)/.ready          ## the generated reference pages, and the site
	$(BIN)/python scripts/docs_cli.py
	$(BIN)/python scripts/docs_api.py
	$(BIN)/python scripts/docs_openapi.py
	$(BIN)/mkdocs build --strict --site-dir build/site

build/docs:                   # real documents for the knowledge benchmark
	mkdir -p $@
	cd $@ && apt-get download -qq postgresql-doc-15 && dpkg -x postgresql-doc-15_*.deb .

bench: $(VENV)/.ready build/docs  ## figures of benchmarks/README.md (peers are set up by benchmarks/peers.sh)
	$(BIN)/python benchmarks/gateway.py
	$(BIN)/python benchmarks/drain.py
	$(BIN)/python benchmarks/knowledge.py build/docs
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/evals.py
	$(BIN)/python benchmarks/eval_statistics.py
	$(BIN)/python benchmarks/rollout_simulation.py
	$(BIN)/python benchmarks/rollback.py
	$(BIN)/python benchmarks/otlp.py
	$(BIN)/python benchmarks/dashboards.py

lock:                         ## resolve pyproject.toml into requirements.lock
	$(BIN)/pip-compile --quiet --extra dev --strip-extras --no-emit-index-url --no-emit-trusted-host --no-emit-find-links --output-file requirements.lock pyproject.toml
