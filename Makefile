# RCM lakehouse. `make` lists what there is. Needs Python 3.10 or newer, Java 17 or newer, GNU make.

PYTHON ?= python3
SIZE ?= small
N ?= 20
ARGS ?=
WORKERS ?= 2

# Relative, so that a folder with a space in its name works.
VENV := .venv
PY := $(VENV)/bin/python
PACKAGES := $(VENV)/.rcm-packages

# Another Spark's or Python's settings would be mixed into ours.
unexport SPARK_HOME SPARK_CONF_DIR PYSPARK_PYTHON PYSPARK_DRIVER_PYTHON PYTHONHOME PYTHONPATH VIRTUAL_ENV
# The environment as if activated, so that spark-submit finds its Python.
ACTIVE = PATH="$(CURDIR)/$(VENV)/bin:$$PATH"

# Java and Python read paths as the locale says: in plain ASCII (cron, containers) they do not find folders with other letters. `locale` is asked, for
# the variables may name a locale that is not installed. Then LC_ALL has to be set, no less goes before it. macOS has en_US.UTF-8, often no C.UTF-8.
ifneq ($(shell locale charmap 2>/dev/null),UTF-8)
export LC_ALL := $(firstword $(filter C.UTF-8 C.utf8 en_US.UTF-8 en_US.utf8,$(shell locale -a 2>/dev/null)) C.UTF-8)
endif
# For systems without any such locale: what Python reads and prints is UTF-8 there too.
export PYTHONUTF8 := 1

.DEFAULT_GOAL := help
.PHONY: help install demo run status drill soak notebook test wide deep check clean lock preflight

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' Makefile

install: $(PACKAGES) ## the environment in .venv: Python packages, JARs, Spark's local profile (again: changes nothing)
	@$(PY) -m rcm_lakehouse.lake.install

demo: install ## two hospitals made, loaded, changed, loaded again, numbers shown (SIZE=small or base)
	$(ACTIVE) spark-submit jobs/run_demo.py --size $(SIZE)

run: install ## the whole pipeline (ARGS="--dry-run", ARGS=--help)
	$(ACTIVE) spark-submit jobs/run_pipeline.py $(ARGS)

status: install ## what the audit says: late feeds, failures, anomalies, slowest loads (ARGS="--only late_feeds")
	$(ACTIVE) spark-submit jobs/show_status.py $(ARGS)

drill: install ## kill runs at every named point and at N random moments (default 20), run again, compare with a clean run
	$(PY) -m rcm_lakehouse.drill --n $(N) $(ARGS)

soak: install ## a year of daily loads, then the slow tests: full disks, hanging servers, grants, two million rows
	RCM_SOAK_DAYS=365 $(ACTIVE) $(PY) -m pytest tests/delta/test_table_age.py -m deep --timeout 14400 $(ARGS)
	$(ACTIVE) $(PY) -m pytest -m slow --timeout 14400 $(ARGS)

notebook: install ## run the tour again over the present lakehouse and keep its output
	$(ACTIVE) $(PY) -m nbconvert --to notebook --execute --inplace notebooks/rcm_tour.ipynb

test: install ## the tests but the wide, deep and slow ones (ARGS="tests/unit -k words"), a file at a time in two processes with a Spark session each (WORKERS=1)
	$(ACTIVE) $(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder $(ARGS)

wide: install ## half an hour more: what costs many runs and is no scenario of its own (ARGS as there); CI runs both
	$(ACTIVE) $(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m 'wide and not deep and not slow' $(ARGS)

deep: install ## an hour of further cases of what these two prove (ARGS as there): run it before a release, or after work on what they are about
	$(ACTIVE) $(PY) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m 'deep and not slow' $(ARGS)

check: install ## lint, types and import contracts
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(VENV)/bin/lint-imports

lock: $(PACKAGES) ## resolve requirements.lock anew from setup.py, for all Pythons at once
	$(PYTHON) -m venv $(VENV)/lock && $(VENV)/lock/bin/python -m pip install --quiet uv==0.13.9
	$(VENV)/lock/bin/uv pip compile setup.py --extra local --extra dev --universal --python-version 3.10 \
	  --generate-hashes --no-header --no-annotate --quiet --output-file requirements.lock

clean: ## remove the environment and caches; the lakehouse stays
	rm -rf $(VENV) build dist lib/*.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find jobs lib tests -name __pycache__ -type d -prune -exec rm -rf {} +

# Asked each time, before anything is installed or started.
preflight:
	@command -v "$(PYTHON)" >/dev/null 2>&1 || { printf '%s\n' \
	  "There is no $(PYTHON) on PATH. Install Python 3.10 or newer, or name one: make PYTHON=/path/to/python3" \
	  "  Debian, Ubuntu  sudo apt-get install python3 python3-venv" \
	  "  Fedora, RHEL    sudo dnf install python3" \
	  "  macOS           brew install python" \
	  "  Windows         winget install Python.Python.3.12 (and run make in WSL)" >&2; exit 2; }
	@said="$$(exec 2>&1; "$(PYTHON)" -c '')" || { printf '%s\n' \
	  "$(PYTHON) is on PATH but cannot start: $$(printf '%s\n' "$$said" | sed -n '/./{p;q;}')" \
	  "Name one that does: make PYTHON=/path/to/python3" \
	  "  pyenv           choose a version: pyenv versions, then pyenv global 3.12" \
	  "  macOS           xcode-select --install, or brew install python" \
	  "  others          try it: $(PYTHON) --version" >&2; exit 2; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { printf '%s\n' \
	  "$$("$(PYTHON)" --version 2>&1) is too old: Python 3.10 or newer is needed. Name a newer one: make PYTHON=python3.12" >&2; exit 2; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { printf '%s\n' \
	  "This Python has no venv module. Debian, Ubuntu: sudo apt-get install python3-venv" >&2; exit 2; }
	@PYTHONPATH=lib "$(PYTHON)" -m rcm_lakehouse.lake.java
# Without site (-S): a path file that cannot be read in this locale is no reason to remove an environment. After an upgrade of the system's Python
# its packages lie in the folder of the older one.
	@if [ -d $(VENV) ] && ! { [ "$$(cat $(VENV)/.rcm-folder)" = "$(CURDIR)" ] && \
	  $(PY) -S -c 'import os, sys; sys.exit(not os.path.isdir("$(VENV)/lib/python%d.%d" % sys.version_info[:2]))'; } 2>/dev/null; then \
	  echo "The environment in $(VENV) is not of this folder, incomplete or without its Python: it is made anew."; rm -rf $(VENV); fi

# preflight may have just removed what make saw here before it: this recipe runs each time and looks itself. $? are the files newer than the target.
$(PACKAGES): requirements.lock requirements-build.lock setup.py pyproject.toml preflight
	@if [ -z "$(filter-out preflight,$?)" ] && [ -e $(PACKAGES) ]; then exit 0; fi; \
	[ -d $(VENV) ] || { echo "Making $(VENV) ..."; "$(PYTHON)" -m venv $(VENV) && printf '%s' "$(CURDIR)" > $(VENV)/.rcm-folder; } && \
	echo "Installing Python packages; the first time this takes minutes, for Spark is 450 MB ..." && \
	$(PY) -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-build.lock && \
	$(PY) -m pip install --quiet --disable-pip-version-check --no-build-isolation --require-hashes -r requirements.lock && \
	$(PY) -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps -e . && \
	touch $(PACKAGES)
