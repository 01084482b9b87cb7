# What there is to do here. Each target's line of help stands behind its name; `make` prints them.

DEMO_SECONDS ?= 20
MINUTES ?= 60
SCALE ?= 100

BIN := .venv/bin
PACKAGES := .venv/.packages
READY := .venv/.ready
PIP := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check
SEEDED := $(if $(SEED),BOURSE_SEED=$(SEED))

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help setup run test slow check format lint types imports docs stale manual bench bench-peers simulate \
    nightly nightly-tests lock clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: $(READY) ## start a venue with a market on it, watch it for DEMO_SECONDS, and close its books
	@$(BIN)/bourse demo --seconds $(DEMO_SECONDS)

test: $(READY) ## run the tests and the packages' doctests, but for those marked slow
	@$(SEEDED) $(BIN)/python -m tests.side_by_side -m "not slow and not nightly"

check: lint types imports stale manual test slow ## do all that must pass before a change lands; CI runs this

format: $(READY) ## lay the code out, and mend what can be mended without thought
	@$(BIN)/ruff check --fix-only --quiet
	@$(BIN)/ruff format

lint: $(READY) ## check layout and style
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check

types: $(READY) ## check the types, strictly in the four packages
	@$(BIN)/mypy

imports: $(READY) ## check that the arrows between the modules run down
	@$(BIN)/lint-imports

docs: $(READY) ## write anew what is generated: the reference pages and the standard catalogue
	@$(BIN)/python -m exchange.reference
	@$(BIN)/python -m exchange.catalogue.generate

stale: $(READY) ## check that what is generated is what `make docs` would write
	@$(BIN)/python -m exchange.reference --check
	@$(BIN)/python -m exchange.catalogue.generate --check

manual: $(READY) ## build the manual in build/manual; a link that leads nowhere is an error
	@$(BIN)/sphinx-build -c docs -d build/doctrees -W --keep-going -n -q . build/manual

slow: $(READY) ## run the tests marked slow
	@$(SEEDED) $(BIN)/python -m tests.side_by_side -m "slow and not nightly"

bench: $(READY) ## measure, and write one line of JSON a run
	@$(BIN)/python -m bench

bench-peers: ## install the matching engines that `make bench` compares with, in .venv-peers
	@for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3); do \
	    $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	        >/dev/null 2>&1 && break; \
	done; \
	$$python -m venv --clear .venv-peers && echo "Peers on $$($$python --version); all run on 3.13."
	@grep -v '^#' bench/peers.txt | while read -r peer; do \
	    [ -z "$$peer" ] || .venv-peers/bin/python -m pip install --quiet --disable-pip-version-check "$$peer" \
	        || echo "not installed: $$peer"; \
	done

simulate: $(READY) ## play a whole venue under every fault, of SEED=... or twenty seeds
	@$(BIN)/bourse simulate $(if $(SEED),--seed $(SEED))

nightly: $(READY) ## put the venue under fire for MINUTES, of SEED=... or the date's, and write docs/nightly.md
	@$(BIN)/python -m tests.nightly --minutes $(MINUTES) --page docs/nightly.md $(if $(SEED),--seed $(SEED))

nightly-tests: $(READY) ## run every test, with SCALE times the random commands, of SEED=... or the date's
	@BOURSE_SEED=$(or $(SEED),$(shell date -u +%Y%m%d)) BOURSE_TEST_SCALE=$(SCALE) $(BIN)/pytest

setup: $(READY) ## make the virtual environment in .venv, from the lock; the other targets do it unasked

$(READY): $(PACKAGES) pyproject.toml
	@$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

# The first Python that is new enough and can make environments; PYTHON=... names another.
$(PACKAGES): requirements.lock
	@for python in $(or $(PYTHON),python3.13 python3.12 python3.11 python3); do \
	    $$python -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	        >/dev/null 2>&1 && break; \
	    python=; \
	done; \
	if [ -z "$$python" ]; then \
	    echo "Tokenbourse needs Python 3.11 or newer, with its venv module. Install it" >&2; \
	    echo "(Debian: python3 and python3-venv), or name it: make setup PYTHON=..." >&2; \
	    exit 1; \
	fi; \
	echo "Making .venv with $$($$python --version): once, in a minute or two."; \
	$$python -m venv --clear .venv
	@$(PIP) --require-hashes --requirement requirements.lock
	@touch $@

LOCKED := --universal --python-version 3.11 --fork-strategy fewest --generate-hashes --no-config --no-emit-index-url \
    --no-emit-find-links --custom-compile-command "make lock" --quiet

# What a server needs is the same releases, and little more: deploy/Dockerfile builds the package there.
lock: ## choose the newest dependencies and write requirements.lock, and deploy's; needs uv
	uv pip compile pyproject.toml --extra venue --extra analyst --extra dev --output-file requirements.lock \
	    --upgrade $(LOCKED)
	echo hatchling | uv pip compile pyproject.toml - --extra venue --extra analyst --constraint requirements.lock \
	    --output-file deploy/requirements.lock --upgrade $(LOCKED)

clean: ## take away all that was made here: environment, caches, builds
	rm -rf .venv .venv-peers .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .benchmarks build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
