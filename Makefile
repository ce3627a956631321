# Two commands do everything on a fresh machine with Python 3.11+, git and make: `make demo` and `make test`.
# Each target does its own set-up.

# The first that really runs and is new enough: a name on the path may be a version manager's empty promise.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV   ?= .venv
BIN     = $(VENV)/bin
ARGS   ?=

.PHONY: help demo test lint docs bench clean
.DEFAULT_GOAL := help

help:  ## show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST)

$(BIN)/python:
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; type: make PYTHON=/path/to/python3.11 …"; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[cli]'
	@touch $@

$(VENV)/.dev: pyproject.toml development-requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r development-requirements.txt
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo  ## a web site, six providers and the inspector on this machine; ARGS=--once ends by itself
	$(BIN)/python -m analytical demo $(ARGS)

test: $(VENV)/.dev  ## the whole test suite and its coverage; ARGS=tests/test_hit.py for a part of it
ifeq ($(ARGS),)
	@rm -f .coverage .coverage.*
	$(BIN)/python -m coverage run -m pytest -n 2
	@$(BIN)/python -m coverage combine --quiet
	$(BIN)/python -m coverage report --fail-under=95 --skip-covered --format=total
else
	$(BIN)/python -m pytest $(ARGS)
endif

lint: $(VENV)/.dev  ## ruff, mypy --strict, spelling
	$(BIN)/python -m ruff check .
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m mypy
	$(BIN)/codespell analytical docs tests benchmarks examples scripts README.rst CHANGELOG.rst CONTRIBUTING.rst SECURITY.md

docs: $(VENV)/.dev  ## the documentation, in docs/_build/html
	$(BIN)/python -m sphinx -n -W --keep-going -b html docs docs/_build/html

$(VENV)/.bench: pyproject.toml benchmarks/requirements.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[redis,kafka]' -r benchmarks/requirements.txt
	@touch $@

bench: $(VENV)/.bench  ## what a user would want to check: peers side by side, in one run; ARGS=--quick for a minute
	$(BIN)/python -m benchmarks $(ARGS)

clean:  ## remove what was built
	rm -rf $(VENV) build dist docs/_build .mypy_cache .ruff_cache .pytest_cache .coverage* *.egg-info
