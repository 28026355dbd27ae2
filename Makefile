# Everything sets itself up: the first call of any target makes .venv from constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Half of the time a test waits for a server, so two workers a core keep the cores busy.
PYTEST_WORKERS ?= $(shell expr 2 \* $$(nproc))

.PHONY: sandbox test lint bench bench-audit bench-drift bench-ends bench-explain bench-lookups bench-restart simulate mutants fuzz kill soak browser screenshots constraints hashes clean

sandbox: $(VENV)/sandbox.ok
	$(BIN)/eks-access sandbox

test: $(VENV)/dev.ok
	$(BIN)/python -m pytest tests/core --confcutdir=tests/core
	$(BIN)/python -m pytest tests --ignore=tests/core --ignore=tests/kill -m "not browser" -n $(PYTEST_WORKERS) --dist worksteal
	$(BIN)/python -m pytest tests/kill/test_kill.py -m "not kill"

lint: $(VENV)/dev.ok
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/dev.ok
	$(BIN)/python -m bench

bench-audit: $(VENV)/dev.ok
	$(BIN)/python -m bench.audit

# A cluster that is as full as EKS allows, read without the pauses of a real scan.
bench-drift: $(VENV)/dev.ok
	$(BIN)/python -m bench.drift

# A thousand grants that end in the same second, against bare boto3: some minutes.
bench-ends: $(VENV)/dev.ok
	$(BIN)/python -m bench.many_ends

bench-explain: $(VENV)/dev.ok
	$(BIN)/python -m bench.explain

# A minute of an incident, and what Slack's limits leave of it for later: some five minutes.
bench-lookups: $(VENV)/dev.ok
	$(BIN)/python -m bench.lookups

# A real bot killed at every point that has a name, on both databases: some ten minutes. Not with -m,
# because each forked bot would then read the whole of that module for itself.
bench-restart: $(VENV)/dev.ok
	$(BIN)/python -c "from bench.restart import main; main()"

# Nightly: 20,000 lives, judged after each step. SEED=n or STORY=file carries one out again.
simulate: $(VENV)/dev.ok
	$(BIN)/python -m tests.simulation $(if $(SEED),--seed $(SEED)) $(if $(STORY),--story $(STORY)) \
		$(if $(LIVES),--lives $(LIVES))

# 50,000 made-up payloads through the listeners.
fuzz: $(VENV)/dev.ok
	$(BIN)/python -m tests.simulation.fuzz

# Deliberate bugs, each in a copy of the project: every one must be caught.
mutants: $(VENV)/dev.ok
	$(BIN)/python -m tests.simulation.mutants

# Every point at which a bot may be killed, on both databases, and replicas that die: some minutes.
kill: $(VENV)/dev.ok
	$(BIN)/python -m pytest tests/kill -n $$(nproc) --dist worksteal

# Three replicas on PostgreSQL, through failovers, silent connections, a mute Slack and an EKS that
# throttles: half an hour, or MINUTES=n.
soak: $(VENV)/dev.ok
	$(BIN)/python -m tests.soak $(if $(MINUTES),--minutes $(MINUTES))

# The two below need Debian's package `chromium`.
browser: $(VENV)/dev.ok
	$(BIN)/python -m pytest tests/browser -m browser

screenshots: $(VENV)/dev.ok
	$(BIN)/python docs/screenshots.py

$(VENV)/sandbox.ok: pyproject.toml constraints.txt
	@echo "Setting up $(VENV) from constraints.txt. The first time takes a minute or two."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[sandbox]'
	touch $@

$(VENV)/dev.ok: pyproject.toml constraints.txt
	@echo "Setting up $(VENV) from constraints.txt. The first time takes some minutes."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@ $(VENV)/sandbox.ok

# Pin what an empty environment resolves to now, and with hashes what the image installs of it.
UV := $(VENV)/pins/bin/uv
LOCK := pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate \
	--no-emit-index-url --generate-hashes --upgrade
constraints:
	rm -rf $(VENV)/pins && $(PYTHON) -m venv $(VENV)/pins
	$(VENV)/pins/bin/python -m pip install --quiet -e '.[dev]'
	$(VENV)/pins/bin/python -m pip freeze --exclude-editable > constraints.txt
	$(MAKE) hashes

hashes:
	$(PYTHON) -m venv $(VENV)/pins && $(VENV)/pins/bin/python -m pip install --quiet uv==0.13.9
	$(UV) $(LOCK) pyproject.toml --constraint constraints.txt --output-file requirements.txt
	$(PYTHON) -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['build-system']['requires'], sep='\n')" \
		| $(UV) $(LOCK) - --output-file requirements-build.txt

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
