# Everything needs Python 3.11 or newer and make; the lab also root and Docker. `make demo` and `make test` set up what they need.
.DEFAULT_GOAL := help
BIN := .venv/bin
READY := .venv/.ready
WORKERS ?= 4

# The first interpreter that is new enough and able to make an environment.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11 python3.14; do \
	"$$p" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$p"; break; }; done)

.PHONY: help demo test check audit litellm lab lab-down bench matrix soak bring-up chaos snapshots

help:
	@sed -n 's/^\([a-z-]*\):.*## /  make \1	/p' $(MAKEFILE_LIST) | expand -t 18

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with venv is needed (on Debian: python3-venv)" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY) ## open the cockpit on a simulated fleet
	@$(BIN)/vpai-tui --demo

test: $(READY) ## run every test; the lab's are skipped where there is no root or Docker
	$(BIN)/python -m pytest -m 'not soak' -n $(WORKERS) --dist loadgroup --durations 15

check: $(READY) ## format, lint, types, imports, dead code, shell scripts, then the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vulture
	@if command -v shellcheck >/dev/null; then set -ex; shellcheck .ci/run; \
	shellcheck -s sh $$(find src tests -name '*.sh' ! -path '*/deploy/*.sh'); \
	shellcheck $$(find stacks -name "*.sh"); \
	shellcheck -s sh src/vpai_tui/deploy/common.sh src/vpai_tui/deploy/probe.sh src/vpai_tui/deploy/env.sh src/vpai_tui/deploy/hold.sh src/vpai_tui/deploy/chronicle.sh; \
	$(BIN)/python -c 'import sys; from vpai_tui.deploy.host import runner_script; sys.stdout.buffer.write(runner_script())' | shellcheck -s sh -; \
	$(BIN)/python -c 'import sys; from vpai_tui.deploy.pull import pull_script; sys.stdout.buffer.write(pull_script())' | shellcheck -s sh -; \
	else echo "shellcheck is not installed: shell scripts are not checked"; fi
	$(MAKE) --no-print-directory test

audit: $(READY) ## ask for known holes in the pinned dependencies (needs pip-audit and the network); fails when it cannot
	@PATH="$(abspath $(BIN)):$$PATH"; command -v pip-audit >/dev/null || { \
	echo "not checked: pip-audit is not installed here (pip install pip-audit, or pipx install pip-audit)" >&2; exit 3; }; \
	pip-audit --strict --no-deps --disable-pip -r constraints.txt

# asyncpg carries the stand-in for the database's driver (tests/contract/prisma_stub).
# prometheus_client is in the image, and a callback of the stack needs it.
litellm: $(patsubst tests/contract/eco/%.txt,.litellm/%/.ready,$(wildcard tests/contract/eco/*.txt)) ## LiteLLM in environments of its own below .litellm/, for the tests of caps and eco mode (redis-server, PostgreSQL too)

.litellm/%/.ready: tests/contract/eco/%.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with venv is needed (on Debian: python3-venv)" >&2; exit 1; }
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install --quiet --disable-pip-version-check -c $< "litellm[proxy]==$*" asyncpg prometheus_client
	@touch $@

lab: ## start three real hosts on this machine (root, Docker)
	$(if $(PYTHON),$(PYTHON),python3) tests/lab/lab.py up

lab-down: ## remove them
	$(if $(PYTHON),$(PYTHON),python3) tests/lab/lab.py down

bench: $(READY) ## print the figures as ratios against the tool an operator would use instead (needs the lab)
	$(BIN)/python tests/bench/logs_bench.py
	$(BIN)/python tests/bench/logs_screen_bench.py
	$(BIN)/python tests/bench/many_hosts.py
	$(BIN)/python tests/bench/bench.py

LAB_TEST = VPAI_LAB=require $(BIN)/python -m pytest -n 3 --dist loadgroup -q -rP

matrix: $(READY) ## every step of a deploy × every fault on the lab's hosts, as a table (half an hour)
	rm -f .lab/$(VPAI_LAB_OCTET)/matrix.jsonl
	VPAI_MATRIX=whole $(LAB_TEST) tests/lab/test_faults.py; status=$$?; $(BIN)/python tests/lab/fault_table.py; exit $$status

soak: $(READY) litellm ## RACES=200 of two deployers and KILLS=300 at random milliseconds (SEED=4), long link cuts, long property tests, more of LiteLLM
	HYPOTHESIS_PROFILE=long $(BIN)/python -m pytest -n 3 -q -m hypothesis tests/unit tests/ui
	RACES=$(or $(RACES),200) KILLS=$(or $(KILLS),300) $(LAB_TEST) tests/lab/test_soak.py -k 'not random_walk'
	$(LAB_TEST) -m soak tests/lab/test_links.py
	VPAI_LITELLM=require $(BIN)/python -m pytest -n 2 --dist loadgroup -q -m soak tests/contract/test_budget_contract.py

bring-up: $(READY) ## the shipped stacks of all three hosts brought up in the lab from blank (ten minutes; CI has two hosts)
	$(LAB_TEST) -m "soak or not soak" tests/lab/test_bring_up.py

chaos: $(READY) ## MINUTES=60 of random deploys, faults and edits by hand in the lab (SEED=4)
	MINUTES=$(or $(MINUTES),60) $(LAB_TEST) tests/lab/test_soak.py -k random_walk

snapshots: $(READY) ## take the pictures of the screens anew
	$(BIN)/python -m pytest tests/ui --snapshot-update
