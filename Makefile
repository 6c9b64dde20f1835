# Every command a newcomer or CI types; `make help` lists them.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# what a browser runs the one-file editor with; only the tests need it
ONNX_WEB := .browser/node_modules/onnxruntime-web
ONNX_WEB_VERSION := 1.30.0

.DEFAULT_GOAL := help
.PHONY: help setup demo test check browser format up down status base clean

help:  ## List these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))" || { echo "Python 3.11 or 3.12 is needed; name yours with make PYTHON=..."; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25"
	@echo "Installing Heddle and the servers it runs on (about 2 GB, a minute or two) ..."
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e ".[dev]"
	@touch $@

setup: $(STAMP)  ## Make the environment in .venv

demo: setup  ## Watch a tenant's factors become sliders, on real servers, start to end
	$(BIN)/heddle demo

check: setup  ## Format check, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy platform adapters infra workers api tests
	$(BIN)/lint-imports

test: check  ## All checks and all tests
	$(BIN)/pytest -n 2 --dist loadgroup --no-loadscope-reorder

$(ONNX_WEB)/package.json: Makefile
	@command -v npm >/dev/null || { echo "npm is needed for this (Debian: apt-get install npm); nothing else needs it"; exit 1; }
	npm install --prefix .browser --ignore-scripts --no-save --no-audit --no-fund onnxruntime-web@$(ONNX_WEB_VERSION)
	@touch $@

browser: $(ONNX_WEB)/package.json  ## Fetch onnxruntime-web for the editor's browser test (150 MB, npm)

format: setup  ## Format and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

up: setup  ## Start the stack in .heddle
	$(BIN)/heddle up --detach

down:  ## Stop it
	$(BIN)/heddle down

status:  ## Tell what runs, where, how it is
	$(BIN)/heddle status

base: setup  ## Train the default base from its committed recipe (hours)
	$(BIN)/heddle base train --recipe platform/heddle_platform/base/recipes/default.yaml --out base-output

clean:  ## Remove the environment and everything made by running
	rm -rf $(VENV) .heddle demo-output screenshots base-output .browser
