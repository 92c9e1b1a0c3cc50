# Needs python3 (3.10 to 3.14), make and a package index; everything else goes into .venv.

PYTHON ?= python3
VENV   ?= .venv
# A second environment, for the clients of others: their pins would bind ours.
CLIENTS ?= .venv-clients
OUT    ?= hello.wav
TEXT   ?= Hello, it is nice to meet you.

BIN := $(VENV)/bin
# What the native kernels are compiled from, which installing does.
NATIVE := $(wildcard src/causerie/native/*.cpp src/causerie/native/*.hpp) src/causerie/native/build.py
INSTALL := -m pip --disable-pip-version-check install --no-warn-conflicts
PIP := $(BIN)/python $(INSTALL) -c constraints.txt
# Workers share the tests, and each takes tests from the others when it has none left.
PYTEST := $(BIN)/python -m pytest -n logical --maxprocesses 8 --dist worksteal
CLIENTS_PIP := $(CLIENTS)/bin/python $(INSTALL) -c constraints-clients.txt

# TEXT reaches the shell through the environment and unexpanded, so that quotes and dollar signs in
# it are spoken rather than obeyed.
export SAY_TEXT := $(value TEXT)
export SAY_OUT := $(value OUT)
unexport TEXT OUT
# Without it, every worker and server of the tests compiles all modules again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help say serve test test-all test-page test-aarch64 test-clients dist test-dist check lint docs format parity-full memory bench bench-petit quality wer clean

help: ## This list
	@echo "make TARGET, where TARGET is one of"
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' Makefile

say: $(VENV)/.base ## Speak TEXT="…" into OUT (hello.wav), and aloud where there is a sound device
	@$(BIN)/causerie say --output "$$SAY_OUT" --play -- "$$SAY_TEXT"

serve: $(VENV)/.server ## Serve petit at http://127.0.0.1:8000, or PORT=: web page, OpenAI's and ElevenLabs' APIs
	@$(BIN)/causerie serve $(if $(PORT),--port "$(PORT)")

test: $(VENV)/.dev ## Run the tests, those against the reference implementations included
	$(PYTEST) -m "not slow and not aloud"

test-all: test ## Run the slow tests too: kills, soaks, long documents, peers
	$(PYTEST) -m slow

test-page: $(VENV)/.dev ## Test the web page in headless Chromium, which it installs where it can, and talking
	@command -v chromium >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium; } \
	  || { echo "the page is tested in Chromium: install the package chromium"; exit 1; }
	$(BIN)/python -m pytest tests/page tests/talk/test_aloud.py

test-aarch64: $(VENV)/.dev ## Test the kernels in C++ for AArch64, in an emulator that it installs where it can
	@command -v aarch64-linux-gnu-g++ qemu-aarch64 >/dev/null \
	  || { apt-get update -qq && apt-get install -y -qq --no-install-recommends \
	       g++-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user; } \
	  || { echo "install the packages g++-aarch64-linux-gnu and qemu-user"; exit 1; }
	CXX=aarch64-linux-gnu-g++ EMULATOR="qemu-aarch64 -L /usr/aarch64-linux-gnu" \
	  $(BIN)/python -m pytest -s tests/native/test_cpp.py

test-clients: $(CLIENTS)/.made ## Test the server with pipecat, LiveKit, ElevenLabs, OpenAI's for Node, the AI SDK and Ray
	$(CLIENTS)/bin/python -m pytest -W default tests/clients

dist: $(VENV)/.release ## Build what is published: an sdist, and a wheel for this platform, checked
	rm -rf dist
	CAUSERIE_BUILD_NATIVE=1 $(BIN)/python -m build
	@if [ "$$(uname -s)" = Linux ]; then \
	  PATH="$(abspath $(BIN)):$$PATH" $(BIN)/auditwheel repair --wheel-dir dist \
	    --plat "manylinux_2_28_$$(uname -m)" dist/*-linux_*.whl && rm dist/*-linux_*.whl; fi
	$(BIN)/twine check --strict dist/*

test-dist: dist ## Install the wheel in a clean environment and speak, and run the sdist's own tests
	$(BIN)/python tests/packaging/clean_install.py dist

check: lint test ## Everything that a change must pass

lint: $(VENV)/.dev ## ruff, mypy --strict, the import rules, and the documentation site
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	@$(MAKE) --no-print-directory docs

docs: $(VENV)/.docs ## Build the documentation site into build/site, without the network
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

format: $(VENV)/.dev ## Let ruff put the code in order
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

parity-full: $(VENV)/.dev ## Compare with transformers at csm-1b's true size (7 GB of memory)
	$(BIN)/python -m tests.parity.full_size

memory: $(VENV)/.dev ## Memory that training csm-1b needs: measured on a CUDA device, else counted
	$(BIN)/python benchmarks/training_memory.py

bench: $(VENV)/.dev ## Time csm-1b's shapes beside transformers and moshi: 18 GB of memory, 15 minutes
	$(BIN)/causerie bench --subject csm-1b --peers transformers,moshi,sesame --frames 4 --rounds 4 --sounds 4 \
	  --measures frame,prefill,first-sound,codec,memory --json > bench-csm-1b.jsonl
	$(BIN)/causerie bench --subject csm-1b --peers transformers --formats bf16,bf16+int4 --frames 3 \
	  --rounds 2 --measures context --contexts 500,1000,1900 --json >> bench-csm-1b.jsonl
	$(BIN)/causerie bench --subject csm-1b --formats bf16,bf16+int4,int8+int4 --frames 3 --rounds 2 \
	  --measures streams --streams 1,2,4,8,16,32,64 --json >> bench-csm-1b.jsonl
	$(BIN)/causerie bench --from bench-csm-1b.jsonl
	$(BIN)/python benchmarks/plot.py bench-csm-1b.jsonl bench-csm-1b.png

bench-petit: $(VENV)/.dev ## Time the bundled model, up to 64 streams at once
	$(BIN)/causerie bench --subject petit --formats fp32,bf16,int8 --frames 25 \
	  --streams 1,2,4,8,16,32,64 --json > bench-petit.jsonl
	$(BIN)/causerie bench --from bench-petit.jsonl
	$(BIN)/python benchmarks/plot.py bench-petit.jsonl bench-petit.png

quality: $(VENV)/.evaluate ## What formats of weights and fewer codebooks cost in quality, on the bundled model
	$(BIN)/python benchmarks/quality.py

wer: $(VENV)/.evaluate ## Word error rate of the bundled model
	$(BIN)/causerie eval petit --count 100 --only wer,stopping,speed

clean: ## Remove .venv and what the tools left behind
	rm -rf "$(VENV)" "$(CLIENTS)" tests/clients/node/node_modules build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	rm -f src/causerie/native/*.so
	find src tests recipes benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp for each set of packages: the second run of a target starts at once.

$(VENV)/.made:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 10) <= v < (3, 15) else \
	  "causerie runs on Python 3.10 to 3.14, and $(PYTHON) is %d.%d: make PYTHON=python3.12 …" % v)'
	$(PYTHON) -m venv "$(VENV)"
	@touch $@

$(VENV)/.base: pyproject.toml constraints.txt hatch_build.py $(NATIVE) | $(VENV)/.made
	$(PIP) --editable .
	@$(BIN)/python -c 'from causerie import native; print("native kernels:", native.describe())'
	@touch $@

$(VENV)/.dev: $(VENV)/.base
	$(PIP) --quiet --upgrade pip  # for --group
	$(PIP) --editable . --group dev --group reference
	$(PIP) --no-deps moshi llama-models
	@touch $@

$(VENV)/.release: pyproject.toml constraints.txt | $(VENV)/.made
	$(PIP) --quiet --upgrade pip  # for --group
	$(PIP) --group release
	@touch $@

$(VENV)/.docs: $(VENV)/.dev
	$(PIP) --group docs
	@touch $@

$(VENV)/.server: $(VENV)/.base
	$(PIP) --editable ".[server]"
	@touch $@

$(CLIENTS)/.made: pyproject.toml constraints-clients.txt tests/clients/node/package-lock.json
	$(PYTHON) -m venv "$(CLIENTS)"
	$(CLIENTS_PIP) --quiet --upgrade pip
	$(CLIENTS_PIP) --editable . --group clients
	cd tests/clients/node && npm ci --no-audit --no-fund
	@touch $@

$(VENV)/.evaluate: $(VENV)/.base
	$(PIP) --editable ".[evaluate]"
	$(PIP) --no-deps Resemblyzer
	@touch $@
