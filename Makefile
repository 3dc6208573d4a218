# trainwatt: `make demo` shows a measured training, `make test` runs the tests.
# Needs Python 3.11 to 3.13 with venv, and make. Everything is installed into .venv.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo serve test test-browser test-container test-hazards check format docs docs-reference docs-images \
	lock bench bench-faults clean

demo: .venv/.run                ## one measured training from nothing, then everything is stopped
	$(BIN)/trainwatt run --throwaway --model-type cnn --size base --epochs 3 --country FRA

serve: .venv/.run               ## the service on http://127.0.0.1:8000
	$(BIN)/trainwatt serve

test: .venv/.dev                ## the tests that need Python alone, two files at a time
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-browser: .venv/.dev        ## the pages in the installed Chromium
	$(BIN)/python -m pytest -m browser tests/browser

docs-images: .venv/.dev         ## the pictures in docs/, taken by the browser's tests
	TRAINWATT_SCREENSHOTS=docs/images $(BIN)/python -m pytest -m browser tests/browser/test_pages.py

test-container:                 ## the image and the compose stack, on a Docker engine if there is one
	$(PYTHON) tests/container/check.py

test-hazards: .venv/.dev        ## takes each guard away in a copy and sees that its test notices
	$(BIN)/python tests/hazards/check.py

check: .venv/.dev               ## format, lint, types, the import ladder
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/.dev              ## put every file into the house's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: .venv/.dev                ## the documentation as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

docs-reference: .venv/.dev      ## the parts of docs/ that are made from the code
	$(BIN)/python docs/generate.py

bench: .venv/.dev               ## every figure of bench/, written to bench/results/
	$(BIN)/python -m bench

bench-faults: .venv/.dev        ## kills at random moments of a job; goes on where faults.jsonl ends
	$(BIN)/python -m bench.faults

lock:                           ## new versions into constraints.txt (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --extra dev --extra gpu --upgrade \
		--no-header --no-annotate pyproject.toml -o constraints.txt

clean:                          ## remove the environment
	rm -rf .venv

.venv/.run: pyproject.toml constraints.txt
	@$(PYTHON) -c "import platform, sys; \
	sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) and platform.system() in ('Linux', 'Darwin') else \
	'trainwatt needs Python 3.11 to 3.13 on Linux or macOS; this is Python %s on %s. On Windows use WSL 2 or Docker; elsewhere set PYTHON=python3.12 or the like.' \
	% (platform.python_version(), platform.system()))"
	$(PYTHON) -m venv .venv
	@echo "installing into .venv: TensorFlow alone is about 600 MB to download"
	$(PIP) --editable .
	@touch $@

.venv/.dev: .venv/.run
	$(PIP) --editable '.[dev]'
	@touch $@
