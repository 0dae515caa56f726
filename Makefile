# The daily verbs; `make` lists them. All that is needed is `make` and Python 3.11 to 3.14:
# the first target that needs packages makes .venv and installs the pinned, hashed ones into it.
#
#   make test ARGS="-k money"          ARGS goes to the target's command
#   make demo PYTHON=python3.12        PYTHON is the interpreter that .venv is made with

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
# Images of containers set it; the many processes of the tests would each compile every module anew.
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
SITE_VENV := .venv-site
SITE_INSTALLED := $(SITE_VENV)/.installed
ARGS :=

# The versions that the pinned packages have wheels for.
IS_SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))
HAS_VENV := import ensurepip, venv
CANDIDATES := python3 python3.14 python3.13 python3.12 python3.11
PYTHON ?= $(or $(shell for python in $(CANDIDATES); do \
	"$$python" -c '$(HAS_VENV); $(IS_SUPPORTED)' 2>/dev/null && echo "$$python" && break; \
	done),python3)

COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-python-downloads \
	--generate-hashes --no-emit-index-url --no-emit-find-links \
	--custom-compile-command "make lock" $(ARGS)

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: $(INSTALLED) ## See it work: a real Kafka, the worker, a few thousand events, in a minute
	@$(BIN)/track-pipeline demo $(ARGS)

.PHONY: compiled
compiled: $(INSTALLED) ## Compile the core, which then runs; needs a C compiler; ARGS=--remove goes back
	@$(BIN)/python -m pipeline.compiled.build $(ARGS)

# What is tested does not depend on whether there is a compiled core.
test quick: export TRACK_CORE ?= python

.PHONY: test
test: $(INSTALLED) ## Run all tests, also those on a real Kafka; only this proves a change
	@# Three processes on two cores: a test that talks to Kafka waits more than half of its time.
	@# One that crashes is not replaced: pytest would wait for the new one for ever.
	$(BIN)/python -m pytest -n 3 --max-worker-restart 0 --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: quick
quick: $(INSTALLED) ## Run the tests that need no broker, in a minute and a half: for every edit
	@# Three processes on two cores: many of these tests wait for time limits or child processes.
	$(BIN)/python -m pytest --quick -n 3 --max-worker-restart 0 --dist worksteal $(ARGS)

.PHONY: lint
lint: $(INSTALLED) ## Check style, types and the Dockerfile
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/hadolint deploy/Dockerfile

.PHONY: format
format: $(INSTALLED) ## Put the code into the project's format
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

.PHONY: bench
bench: $(INSTALLED) ## Measure CPU time per event, as ratios to a baseline
	@$(BIN)/python -m tests.bench $(ARGS)

.PHONY: fuzz
fuzz: $(INSTALLED) ## Mutate records for 5 minutes: does the core fail, or do other than it did?
	@TRACK_CORE=python $(BIN)/python -m tests.oracle $(ARGS)

.PHONY: capacity
capacity: $(INSTALLED) ## How many workers and partitions a load needs, and how late it can get
	@$(BIN)/python -m tests.bench.capacity $(ARGS)

.PHONY: chaos
chaos: $(INSTALLED) ## Inject faults for 5 minutes; is any event lost or duplicated?
	@$(BIN)/python -m tests.system.chaos $(ARGS)

.PHONY: schemas
schemas: $(INSTALLED) ## Write the schemas of schemas/ anew from the code; ARGS=--release: they are final
	$(BIN)/python -m schemas.publish $(ARGS)

.PHONY: docs
docs: $(INSTALLED) ## Refresh the parts of the documents that are made from the code
	@$(BIN)/python -m tests.system.docs

.PHONY: site
site: $(SITE_INSTALLED) ## Build the documents as a web site into site/; a broken link is an error
	@# The theme warns of MkDocs 2 in each build; the pinned packages exclude it.
	@NO_MKDOCS_2_WARNING=1 $(SITE_VENV)/bin/mkdocs build $(ARGS)
	@echo "Open site/index.html; its search needs a server: $(BIN)/python -m http.server\
	 --bind 127.0.0.1 --directory site"

.PHONY: manifests
manifests: $(INSTALLED) ## Make the Kubernetes manifests and the chart's schema anew; needs helm
	@$(BIN)/python -m tests.system.deploy

.PHONY: panels
panels: $(INSTALLED) $(SITE_INSTALLED) ## Draw the dashboard from a run with faults; needs Prometheus, 4 minutes
	$(BIN)/python -m tests.system.deploy.record_panels $(SITE_VENV)/panels.json
	$(SITE_VENV)/bin/python tests/system/deploy/draw_panels.py $(SITE_VENV)/panels.json \
		docs/images/dashboard.png

.PHONY: up
up: ## Start Kafka, two workers and sample events in Docker; ARGS="--profile monitoring", ui or registry
	@docker compose version >/dev/null 2>&1 || { echo "make up needs Docker with Compose v2;\
	 without Docker, try: make demo" >&2; exit 1; }
	docker compose $(ARGS) up --build --detach --wait

.PHONY: down
down: ## Stop what `make up` started; its data stays (ARGS=--volumes removes it)
	docker compose --profile '*' down $(ARGS)

.PHONY: lock
lock: $(INSTALLED) ## Pin the packages of pyproject.toml anew; ARGS=--upgrade takes newer ones
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements/lock.txt
	$(COMPILE) pyproject.toml -o requirements/runtime.txt
	$(COMPILE) --group build -o requirements/build.txt
	$(COMPILE) --group compile -o requirements/compile.txt
	$(COMPILE) --group lock -o requirements/lock.txt
	$(COMPILE) --group site -o requirements/site.txt
	$(COMPILE) pyproject.toml --extra otel -c requirements/runtime.txt -o requirements/otel.txt
	$(COMPILE) pyproject.toml --extra registry -c requirements/otel.txt \
		-o requirements/registry.txt
	$(COMPILE) pyproject.toml --extra local --extra otel --extra registry --group dev \
		-c requirements/otel.txt -c requirements/registry.txt -c requirements/build.txt \
		-c requirements/compile.txt -o requirements/dev.txt

.PHONY: clean
clean: ## Remove .venv, caches and built files
	rm -rf $(VENV) $(SITE_VENV) site dist .hypothesis .mypy_cache .pytest_cache .ruff_cache \
		pipeline/compiled/builds
	find pipeline tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml requirements/dev.txt | $(BIN)/python
	@echo "Installing the pinned packages into $(VENV), about 100 MB, this once ..."
	@$(BIN)/python -m pip install --disable-pip-version-check --require-hashes \
		-r requirements/dev.txt \
	&& $(BIN)/python -m pip install --disable-pip-version-check --quiet \
		--no-deps --no-build-isolation -e . \
	|| { echo "The packages could not be installed, see above; pip needs to reach a package index\
	 (behind a proxy or mirror: set it up for pip, then run make again)." >&2; exit 1; }
	@touch $@

# Apart from .venv: the site's packages are as many again, and nothing else needs them.
$(SITE_INSTALLED): requirements/site.txt | $(INSTALLED)
	@echo "Installing the site's pinned packages into $(SITE_VENV), about 60 MB, this once ..."
	@$(BIN)/python -m venv $(SITE_VENV)
	@$(SITE_VENV)/bin/python -m pip install --disable-pip-version-check --quiet --require-hashes \
		-r requirements/site.txt
	@touch $@

$(BIN)/python:
	@python='$(PYTHON)'; \
	"$$python" -c '$(IS_SUPPORTED)' 2>/dev/null || { \
		echo "Python 3.11 to 3.14 is needed, but $$python is missing or another version: install\
	 one and name it, as in: make demo PYTHON=python3.12" >&2; exit 1; }; \
	"$$python" -c '$(HAS_VENV)' 2>/dev/null || { \
		echo "$$python has no venv module: install it (on Debian and Ubuntu the package\
	 python3-venv), then run make again" >&2; exit 1; }; \
	"$$python" -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }
