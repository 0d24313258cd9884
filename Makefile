# The ways to work on Haizea. 'make' alone lists them; CONTRIBUTING.md explains.
#
# PYTHON is what the environment is made with, VENV where it is:
#     make setup PYTHON=python3.13 VENV=.venv-3.13

PYTHON ?= python3
VENV ?= .venv
PYTEST = $(VENV)/bin/python -m pytest
EVERYWHERE = -n auto --dist worksteal

# What is run while working: the scheduler, what is plugged into it, its stories, options. None
# of that waits for anything.
QUICK = -n logical --dist worksteal -m 'not slow' tests/core tests/policies tests/golden tests/config

.DEFAULT_GOAL := help
.PHONY: help setup quick fast test lint docs bench coverage clean

help: ## list these
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make the environment, with all that development needs
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/pip install -q -e '.[test]'

quick: ## test the core, policies, goldens and configuration: half a minute
	$(PYTEST) $(QUICK)

fast: ## run all tests but those marked slow
	$(PYTEST) $(EVERYWHERE) -m 'not slow'

test: ## run all tests, with types, lint and format
	$(PYTEST) $(EVERYWHERE)

lint: ## check types, lint and format alone
	$(PYTEST) tests/test_quality.py tests/test_tidy.py

docs: ## build the documentation site in build/site, strictly
	$(VENV)/bin/python -m sphinx -q -W --keep-going -n -c docs/site -d build/doctrees . build/site

bench: ## measure, in one or two minutes; CONTRIBUTING.md has the whole of it
	$(VENV)/bin/python -m bench --quick

coverage: ## run all tests and show which lines none of them reaches, in build/coverage
	$(PYTEST) $(EVERYWHERE) --cov --cov-report=term:skip-covered --cov-report=html:build/coverage

clean: ## delete what was built and what the tools keep
	rm -rf build dist .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis
