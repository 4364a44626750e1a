# Everything a person or CI runs. `make demo` and `make test` need nothing but Debian 12 and Python 3.11.

VENV   := .venv
# The distribution's own interpreter where there is one: it is what a site controller runs.
PYTHON ?= $(if $(wildcard /usr/bin/python3),/usr/bin/python3,python3)
PY     := $(VENV)/bin/python
STAMP  := $(VENV)/.installed
# A real MQTT broker, systemd's own checkers, and an independent Modbus peer: the tests use the real parts.
DEBIAN := gcc libmodbus-dev mbpoll mosquitto mosquitto-clients openssl pkg-config python3-dev python3-venv systemd

.PHONY: help setup demo test check docs sim bench fuzz mutation clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

setup: $(STAMP) ## a virtual environment with what is needed

$(STAMP): pyproject.toml constraints.txt
	@sh .ci/install-debian $(DEBIAN)
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, found " + sys.version) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[fast,dev]'
	@touch $(STAMP)

demo: setup ## one night of a simulated depot, before your eyes
	$(PY) -m sim demo

test: setup check ## everything that is promised, checked
	$(PY) -m pytest -n 2

check: setup ## lint, types, import rules
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

docs: setup ## the documentation as a site, in build/docs
	$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt '.[docs]'
	$(VENV)/bin/mkdocs build --config-file .ci/mkdocs.yml

sim: setup ## the seeded night in virtual time
	$(PY) -m sim run --scenario night --seed 7 --report out.json

bench: setup ## speed and memory, as ratios
	$(PY) -m tests.bench

fuzz: setup ## hostile input, for a while
	$(PY) -m tests.fuzz

mutation: setup ## does a test notice each seeded fault?
	$(PY) -m tests.mutation

clean: ## remove what was made
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis mutants out.json
