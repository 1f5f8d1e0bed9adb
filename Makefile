# The only entry points of the project. Everything is installed into .venv/; nothing else is touched.
# AIRFLOW=3.1, 3.2 or 3.3 chooses the lane, PYTHON=python3.12 the interpreter.

PYTHON ?= python3
MINUTES ?= 20
SEED ?= 1
AIRFLOW ?= 3.3
PYTHON_VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
VENV := .venv/airflow-$(AIRFLOW)-python-$(PYTHON_VERSION)
READY := $(VENV)/.ready
IN_LANE := TOLOKA_AIRFLOW_LANE=$(AIRFLOW) $(VENV)/bin
# Tests that start no Airflow components share nothing, so they run in several processes.
AT_ONCE := --numprocesses=logical --maxprocesses=4 --dist=worksteal
# An example DAG mostly waits, so more of them than there are cores go on at once.
MOSTLY_IDLE := --numprocesses=4 --dist=worksteal
# Airflow starts hundreds of processes, each of which would compile thousands of modules anew.
unexport PYTHONDONTWRITEBYTECODE
CODE := toloka_airflow airflow_toloka.py setup.py dags_examples demo fleet release tests benchmarks constraints docs schemas
# pyenv's shims are there for versions that are not chosen, too: ask each whether it really runs.
OTHER_PYTHONS := $(foreach version,$(filter-out $(PYTHON_VERSION),3.11 3.12 3.13),$(shell \
    for python in python$(version) $$HOME/.pyenv/versions/$(version).*/bin/python; do \
    if $$python -c '' 2>/dev/null; then echo $$python; break; fi; done))

FIDELITY := .venv/fidelity-python-$(PYTHON_VERSION)
CROWD_KIT := .venv/crowd-kit-python-$(PYTHON_VERSION)
DOCS := .venv/docs-python-$(PYTHON_VERSION)
WAITING := .venv/waiting-python-$(PYTHON_VERSION)
RELEASE := .venv/release-python-$(PYTHON_VERSION)
FLEET := .venv/fleet-$(AIRFLOW)-python-$(PYTHON_VERSION)

.PHONY: help install demo fleet fleet-down test-fleet fleet-short chaos test lint unit coverage contract system live-short \
    test-kills kills-in-shared-airflow kills-in-own-airflow test-fidelity test-matrix bench \
    bench-attempts bench-checks bench-emulator bench-fleet bench-label bench-page bench-quality bench-rehearsal \
    bench-transfer bench-wait bench-worker docs site test-site schemas constraints wheel release clean
.DEFAULT_GOAL := help

help:  ## show this list
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## /\t/' | expand -t 16

install: $(READY)  ## install everything into .venv/

$(READY): setup.cfg pyproject.toml constraints/airflow-$(AIRFLOW).txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	@echo "Installing Airflow $(AIRFLOW) and what it is tested with into $(VENV)/ (a minute or two) ..."
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints/airflow-$(AIRFLOW).txt uv
	$(VENV)/bin/uv pip install --quiet --system-certs --compile-bytecode --python $(VENV)/bin/python \
	    -c constraints/airflow-$(AIRFLOW).txt -e '.[dev]'
	touch $(READY)

demo: $(READY)  ## label images in a real Airflow with a local Toloka
	$(VENV)/bin/python -m demo

test: lint unit contract system  ## everything that must pass

lint: $(READY)  ## style and types, also of the examples and of what README and docs/ show
	$(VENV)/bin/ruff format --check $(CODE)
	$(VENV)/bin/ruff check $(CODE)
	$(VENV)/bin/mypy
	$(VENV)/bin/mypy dags_examples
	$(VENV)/bin/python -m docs.snippets

unit: $(READY)  ## fast tests, without a running Airflow
	$(IN_LANE)/python -m pytest tests/unit tests/test_lane.py -m 'not long' $(AT_ONCE)

# Not in unit: it takes longer, and while lines are counted, Python 3.11 now and then fails to start a thread.
coverage: $(READY)  ## which lines the fast tests run through
	$(IN_LANE)/python -m pytest tests/unit -m 'not long' $(AT_ONCE) --cov --cov-report=term:skip-covered

contract: $(READY)  ## our client against our emulator
	$(IN_LANE)/python -m pytest tests/contract

system: $(READY)  ## example DAGs, and those of the documentation; then live-short
	$(IN_LANE)/python -m pytest tests/system tests/docs -m 'not live and not long' $(MOSTLY_IDLE)
	$(MAKE) --no-print-directory live-short

live-short: $(READY)  ## the short tests in a real Airflow, which tests/system/conftest.py lists
	$(IN_LANE)/python -m pytest tests/system -m 'live and not long'

test-kills: $(READY)  ## what takes long: thousands of cases, and a real Airflow whose processes are killed
	$(IN_LANE)/python -m pytest tests/unit tests/system tests/docs -m 'long and not live' $(AT_ONCE)
	$(MAKE) --no-print-directory --jobs=2 --output-sync=target kills-in-shared-airflow kills-in-own-airflow

kills-in-shared-airflow: $(READY)
	$(IN_LANE)/python -m pytest tests/system -m 'long and live and not own_airflow'

kills-in-own-airflow: $(READY)
	$(IN_LANE)/python -m pytest tests/system -m 'long and live and own_airflow'

test-fidelity: $(FIDELITY)/.ready $(READY)  ## the official client, the documented bodies and made-up requests (PAGE_REQUESTS=20000 to the page)
	AIRFLOW_PYTHON=$(abspath $(VENV))/bin/python $(FIDELITY)/bin/python -m pytest --confcutdir=tests/fidelity tests/fidelity

# An environment of its own: the official client does not install beside Airflow.
$(FIDELITY)/.ready: constraints/fidelity.txt
	$(PYTHON) -m venv --clear $(FIDELITY)
	$(FIDELITY)/bin/python -m pip install --quiet --disable-pip-version-check -r constraints/fidelity.txt
	touch $@

fleet: $(FLEET)/.ready  ## a whole deployment on this machine: Celery, PostgreSQL, Redis (OPTIONS='--speed 1 ...', --help)
	$(FLEET)/bin/python -m fleet up $(OPTIONS)

fleet-down:  ## end it and remove everything of it (OPTIONS='--keep FOLDER' for logs and files)
	@if [ -e $(FLEET)/bin/python ]; then $(FLEET)/bin/python -m fleet down $(OPTIONS); fi

test-fleet: $(FLEET)/.ready  ## examples, disturbed rounds and killed supervisors in a fleet of its own; half an hour
	$(FLEET)/bin/python -m pytest tests/fleet -m fleet

fleet-short: $(FLEET)/.ready  ## the short form of test-fleet; 5 minutes
	$(FLEET)/bin/python -m pytest tests/fleet -m 'fleet and not long'

# make chaos MINUTES=20 SEED=1
chaos: $(FLEET)/.ready  ## rounds in a fleet that is disturbed for MINUTES, by SEED; judged and drawn in .chaos/
	$(FLEET)/bin/python -m fleet.chaos --minutes $(MINUTES) --seed $(SEED) $(OPTIONS)

# An environment of its own, in which the product is not installed: a fleet runs any checkout of it.
$(FLEET)/.ready: $(READY) constraints/fleet.in constraints/fleet-$(AIRFLOW).txt
	@echo "Installing Airflow $(AIRFLOW) with Celery and PostgreSQL's drivers into $(FLEET)/ ..."
	$(PYTHON) -m venv --clear $(FLEET)
	$(VENV)/bin/uv pip install --quiet --system-certs --compile-bytecode --python $(FLEET)/bin/python \
	    -c constraints/airflow-$(AIRFLOW).txt -c constraints/fleet-$(AIRFLOW).txt \
	    -r setup.cfg --extra dev -r constraints/fleet.in
	touch $@

test-matrix:  ## all tests on Airflow 3.1, 3.2 and 3.3, and make test on every other Python 3.11 to 3.13 found
	@set -e; for airflow in 3.1 3.2 3.3; do \
	    echo "== Airflow $$airflow, $(PYTHON)"; $(MAKE) unit contract system test-kills AIRFLOW=$$airflow; \
	done
	@set -e; for python in $(OTHER_PYTHONS); do \
	    echo "== Airflow $(AIRFLOW), $$python"; $(MAKE) test PYTHON=$$python; \
	done

bench: $(READY)  ## what importing costs
	$(VENV)/bin/python -m benchmarks.imports

bench-checks: $(READY)  ## what checking takes: 100,000 tasks beside jsonschema, and a DAG that is parsed
	$(VENV)/bin/python -m benchmarks.checks
	$(VENV)/bin/python -m benchmarks.check_parsing

bench-emulator: $(READY)  ## how fast the emulator is, and how much memory it takes
	$(VENV)/bin/python -m benchmarks.emulator_start
	$(VENV)/bin/python -m benchmarks.emulator

bench-label: $(READY)  ## what labels of some accuracy cost, by the way answers are bought; writes the figures of docs/quality.md
	$(VENV)/bin/python -m benchmarks.label --write

bench-page: $(READY)  ## the page in Airflow's UI beside the list of DAGs: 2,000 pools in 40 DAGs, 20 people
	$(VENV)/bin/python -m benchmarks.page $(OPTIONS)

bench-quality: $(READY) $(CROWD_KIT)/.ready  ## aggregating beside crowd-kit, and what a confidence means (OPTIONS='--write')
	$(VENV)/bin/python -m benchmarks.quality --kit-python $(CROWD_KIT)/bin/python $(OPTIONS)

$(CROWD_KIT)/.ready: constraints/crowd-kit.txt
	$(PYTHON) -m venv --clear $(CROWD_KIT)
	$(CROWD_KIT)/bin/python -m pip install --quiet --disable-pip-version-check -r constraints/crowd-kit.txt
	touch $@

bench-rehearsal: $(READY)  ## how long 20 runs of 1,000 tasks take; writes the figures of docs/estimates.md
	$(VENV)/bin/python -m benchmarks.rehearsal --write

bench-transfer: $(READY) $(FIDELITY)/.ready  ## upload and download beside others (BEFORE=another checkout, OPTIONS='--write ...')
	$(VENV)/bin/python -m benchmarks.transfer --kit-python $(FIDELITY)/bin/python \
	    $(if $(BEFORE),--before $(BEFORE)) $(OPTIONS)

bench-wait: $(READY) $(FIDELITY)/.ready $(WAITING)/.ready  ## waiting beside the triggers of two providers and toloka-kit
	$(VENV)/bin/python -m benchmarks.waiting --write \
	    --providers-python $(WAITING)/bin/python --kit-python $(FIDELITY)/bin/python

bench-worker: $(READY) $(FLEET)/.ready  ## what a deferred step costs the workers, also those of Celery (BEFORE=another checkout)
	$(VENV)/bin/python -m benchmarks.worker_runs
	$(FLEET)/bin/python -m benchmarks.worker_celery $(if $(BEFORE),--before $(BEFORE))

bench-fleet: $(FLEET)/.with-http  ## many waits in a whole deployment, beside Airflow's own trigger (OPTIONS='--write ...', --help)
	$(FLEET)/bin/python -m benchmarks.fleet $(OPTIONS)

# The provider that ours is compared with.
$(FLEET)/.with-http: $(FLEET)/.ready constraints/waiting.txt
	$(VENV)/bin/uv pip install --quiet --system-certs --compile-bytecode --python $(FLEET)/bin/python \
	    -c constraints/waiting.txt -c constraints/airflow-$(AIRFLOW).txt apache-airflow-providers-http
	touch $@

bench-attempts: $(READY)  ## what a task takes that waits for a second, in a busy Airflow
	$(VENV)/bin/python -m benchmarks.attempts

$(WAITING)/.ready: constraints/waiting.txt
	$(PYTHON) -m venv --clear $(WAITING)
	$(WAITING)/bin/python -m pip install --quiet --disable-pip-version-check -r constraints/waiting.txt
	touch $@

docs: $(READY)  ## write the tables and the picture of a week in docs/ anew from the code; then site
	$(VENV)/bin/python -m docs.coverage
	$(VENV)/bin/python -m docs.checks
	$(VENV)/bin/python -m docs.week
	$(MAKE) --no-print-directory site

site: $(DOCS)/.ready  ## build the documentation site into build/site/; warnings are errors
	rm -rf docs/_reference
	AIRFLOW_HOME=$(CURDIR)/build/site-airflow $(DOCS)/bin/python -m sphinx --quiet --fail-on-warning --keep-going --fresh-env \
	    --jobs auto --builder html docs build/site
	@echo "The site is in build/site/index.html."

test-site: $(READY) site  ## its links, its search, and its pages in a headless Chromium
	$(IN_LANE)/python -m pytest tests/site

# The API reference imports the package, and so Airflow; Sphinx is nothing that the tests need.
$(DOCS)/.ready: $(READY) setup.cfg constraints/docs.in constraints/docs.txt
	@echo "Installing what builds the site into $(DOCS)/ ..."
	$(PYTHON) -m venv --clear $(DOCS)
	$(VENV)/bin/uv pip install --quiet --system-certs --python $(DOCS)/bin/python \
	    -c constraints/airflow-3.3.txt -c constraints/docs.txt -e '.[emulator,parquet,quality]' -r constraints/docs.in
	touch $@

# make schemas API=toloka-openapi.json
schemas: $(READY)  ## write the schemas of configurations anew from API, the public API document
	@test -f '$(API)' || { echo 'make schemas API=...: the public API document, OpenAPI 3.0 in JSON'; exit 2; }
	$(VENV)/bin/python -m schemas.make '$(API)'

constraints: $(READY)  ## write constraints/ anew from the newest versions
	$(VENV)/bin/python constraints/compile.py
	$(VENV)/bin/uv pip compile --quiet --system-certs --upgrade --universal --python-version=3.11 --no-annotate \
	    --custom-compile-command='make constraints' --output-file=constraints/fidelity.txt constraints/fidelity.in
	$(VENV)/bin/uv pip compile --quiet --system-certs --upgrade --universal --python-version=3.11 --no-annotate \
	    --custom-compile-command='make constraints' --output-file=constraints/crowd-kit.txt constraints/crowd-kit.in
	$(VENV)/bin/uv pip compile --quiet --system-certs --upgrade --universal --python-version=3.11 --no-annotate \
	    --custom-compile-command='make constraints' --output-file=constraints/release.txt constraints/release.in
	$(VENV)/bin/uv pip compile --quiet --system-certs --upgrade --universal --python-version=3.11 --no-annotate \
	    -c constraints/airflow-3.3.txt \
	    --custom-compile-command='make constraints' --output-file=constraints/waiting.txt constraints/waiting.in
	$(VENV)/bin/uv pip compile --quiet --system-certs --upgrade --universal --python-version=3.11 --no-annotate \
	    -c constraints/airflow-3.3.txt \
	    --custom-compile-command='make constraints' --output-file=constraints/docs.txt constraints/docs.in
	for airflow in 3.1 3.3; do $(VENV)/bin/uv pip compile --quiet --system-certs --upgrade --universal \
	    --python-version=3.11 --no-annotate -c constraints/airflow-$$airflow.txt \
	    --custom-compile-command='make constraints' --output-file=constraints/fleet-$$airflow.txt \
	    constraints/fleet.in || exit 1; done

wheel: $(READY)  ## build the distribution into dist/
	$(VENV)/bin/python -m build

release: $(RELEASE)/.ready  ## build wheel and sdist, check them, install both on every Airflow, run the demo; publish nothing
	$(RELEASE)/bin/python -m release

$(RELEASE)/.ready: constraints/release.txt
	$(PYTHON) -m venv --clear $(RELEASE)
	$(RELEASE)/bin/python -m pip install --quiet --disable-pip-version-check -r constraints/release.txt
	touch $@

clean: fleet-down  ## remove everything that was installed or made
	rm -rf .venv .demo .fleet .fleet-bench .chaos build dist docs/_reference *.egg-info
