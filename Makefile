# Everything a person or CI runs. `make demo` and `make test` need nothing but Debian 12 and Python 3.11.

VENV   := .venv
# The distribution's own interpreter where there is one: it is what a site controller runs.
PYTHON ?= $(if $(wildcard /usr/bin/python3),/usr/bin/python3,python3)
PY     := $(VENV)/bin/python
STAMP  := $(VENV)/.installed
TESTS  := $(VENV)/.installed-tests
# What only tests use, and the demonstration never installs: a real MQTT broker, systemd's own checkers, an independent Modbus peer.
DEBIAN := chromium gcc libmodbus-dev mbpoll mosquitto mosquitto-clients openssl pkg-config python3-dev systemd
# What the package is built from and tested with.
PACKAGING := apt-utils debhelper dpkg-dev gnupg mmdebstrap po-debconf python3-venv
PIP    := $(PY) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: help setup demo test test-systemd check docs sim soak bench torture kills upstream-hour fuzz hostile lock sbom audit mutation deb apt-repo clean plan-study plan-weeks screenshots night example-month console-night console-interface

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

setup: $(STAMP) ## a virtual environment with what is needed

$(STAMP): pyproject.toml constraints.txt
	@sh .ci/install-debian python3-venv
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed, found " + sys.version) if sys.version_info < (3, 11) else 0'
	$(PYTHON) -m venv $(VENV)
	$(PIP) --editable '.[fast,report]'
	@touch $(STAMP)

$(TESTS): $(STAMP)
	@sh .ci/install-debian $(DEBIAN)
	$(PIP) --editable '.[fast,dev,package,studies,supply]'
	$(PIP) --no-deps blast-lite # its own pins clash with ours, and are for what no test asks of it
	@sh .ci/fetch-prometheus
	@touch $(TESTS)

demo: setup ## one night of a simulated depot, before your eyes
	$(PY) -m sim demo

# Four at once, on two cores too: many tests wait for a second to pass.
test: check ## everything that is promised, checked; WHOLE=1: the package under a real systemd too (make test-systemd)
	$(PY) -m pytest -n 4
	@$(if $(WHOLE),sh .ci/install-debian $(PACKAGING) && $(PY) -m tests.systemd.boot --where-possible,$(PY) -m tests.systemd.boot --told)

test-systemd: $(TESTS) ## the package under a real systemd: install, watchdog, upgrade, downgrade, purge (root)
	@sh .ci/install-debian $(PACKAGING)
	$(PY) -m tests.systemd.boot

deb: ## the Debian package of this machine's series and architecture, in dist
	@sh .ci/install-debian $(PACKAGING)
	debian/build dist

apt-repo: deb ## the same in a signed repository, in dist/repo; V2G_EDGE_KEY names the key
	debian/repository dist/repo dist/*.deb

check: $(TESTS) ## lint, types, import rules
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

docs: $(TESTS) ## the documentation as a site, in build/docs
	$(PIP) '.[docs]'
	$(VENV)/bin/mkdocs build --config-file .ci/mkdocs.yml

sim: setup ## the seeded night in virtual time
	$(PY) -m sim run --scenario night --seed 7 --report out.json

SITE ?= examples/depot.toml
night: setup ## a whole night of SITE over its own protocols, in virtual time (minutes)
	$(PY) -m sim run --site $(SITE)

example-month: $(TESTS) ## a simulated month in build/example-month: what the studies' examples in the docs read
	$(PY) -m tests.study.month build/example-month

SEEDS ?= 100
HOURS ?= 14
PURE  ?= 2000
soak: setup ## SEEDS drawn nights of HOURS hours, and PURE nights without protocols, on all cores
	$(PY) -m sim soak --seeds $(SEEDS) --hours $(HOURS) --pure $(PURE)

bench: $(TESTS) ## speed and memory, as ratios
	$(PY) -m tests.bench

torture: $(TESTS) ## 300 kill -9 and 200 power cuts of a running daemon (half an hour)
	$(PY) -m tests.torture

KILLS ?= 1000
kills: $(TESTS) ## KILLS kill -9 of a depot or its MQTT broker, some with the broker wiped (a quarter of an hour)
	$(PY) -m tests.cloud.kills $(KILLS)

upstream-hour: $(TESTS) ## a depot whose upstream central system is away for an hour, in virtual time (a minute)
	$(PY) -m tests.field.ocpp.upstream.hour

fuzz: $(TESTS) ## hostile input, for a while
	$(PY) -m tests.fuzz

lock: $(TESTS) ## .ci/requirements/*.txt anew: every package with the hashes of its wheels
	$(PY) .ci/lock.py

sbom: $(TESTS) ## what the product is made of, and the licences, in build
	$(PY) .ci/sbom.py build

audit: $(TESTS) ## known weaknesses of what is locked (exit 77: the advisory service cannot be asked)
	$(PY) .ci/audit.py

SECONDS ?= 3600
hostile: $(TESTS) ## a depot under attack for SECONDS: stations, sockets, broker, local users
	$(PY) -m tests.hostile $(SECONDS)

screenshots: $(TESTS) ## every page of the console in build/screenshots, light and dark, phone and desktop
	$(PY) -m tests.console.screenshots

console-night: $(TESTS) ## the night of the demo at its page in Chromium: each page each hour, an order, a killed daemon
	$(PY) -m tests.console.demo_night

console-interface: $(TESTS) ## requests drawn from the OpenAPI schema of the console, at a real daemon (ten minutes)
	$(PY) -m tests.console.interface

plan-study: $(TESTS) ## 300 seeded depots through both solvers of the day plan
	$(PY) -m tests.planner.study

plan-weeks: $(TESTS) ## eight weeks of four depots: what the day plan costs beside others, and beside perfect foresight
	$(PY) -m tests.planner.weeks
	$(PY) -m tests.planner.weeks.peaks

mutation: $(TESTS) ## does a test notice each seeded fault?
	$(PY) -m tests.mutation

clean: ## remove what was made
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis mutants out.json soak
