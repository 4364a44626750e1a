# Everything a person or CI runs. `make demo` and `make test` need nothing but Debian 12 and Python 3.11.

VENV   := .venv
# The distribution's own interpreter where there is one: it is what a site controller runs.
PYTHON ?= $(if $(wildcard /usr/bin/python3),/usr/bin/python3,python3)
PY     := $(VENV)/bin/python
STAMP  := $(VENV)/.installed
# A real MQTT broker, systemd's own checkers, and an independent Modbus peer: the tests use the real parts.
DEBIAN := gcc libmodbus-dev mbpoll mosquitto mosquitto-clients openssl pkg-config python3-dev python3-venv systemd

.PHONY: setup demo test check sim bench fuzz mutation clean

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@sh .ci/install-debian $(DEBIAN)
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, found " + sys.version) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[fast,dev]'
	@touch $(STAMP)

demo: setup
	$(PY) -m sim demo

test: setup check
	$(PY) -m pytest -n 2

check: setup
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

sim: setup
	$(PY) -m sim run --scenario night --seed 7 --report out.json

bench: setup
	$(PY) -m tests.bench

fuzz: setup
	$(PY) -m tests.fuzz

mutation: setup
	$(PY) -m tests.mutation

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis mutants out.json
