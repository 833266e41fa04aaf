# Everything a developer runs. `make` alone prints this list.
.DEFAULT_GOAL := help
VENV := .venv
BIN := $(VENV)/bin
CODE := rules consumers service tests benchmarks

.PHONY: help install run demo test test-long check api format bench clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

install: $(VENV)/.installed ## make .venv with the `segmentd` command in it (needs only python3 >= 3.11)

$(VENV)/.installed: pyproject.toml constraints.txt scripts/install
	@scripts/install $(VENV)
	@touch $@

run: install ## the whole service here, with sample segments and live sample traffic
	@$(BIN)/segmentd up --sample

demo: install ## play the packaged sample shop through the whole service, print the result, end
	@$(BIN)/segmentd demo

# Half of the tests wait for servers: two at a time. Those of a file stay together, for they share what is dear to start.
test: install ## all tests but the long ones
	$(BIN)/python -m pytest -q -n 2 --dist loadfile

test-long: install ## the tests that take minutes: thousands of random documents, kill -9, storms
	$(BIN)/python -m pytest -q -m long

check: install ## style, types, which way imports run, and whether docs/api says what the code says
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m tests.api --check

api: install ## write docs/api (OpenAPI, AsyncAPI) out of the code
	$(BIN)/python -m tests.api

format: install ## put the code in its one form
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

bench: install ## CPU per event, as ratios to a floor measured in the same run
	$(BIN)/python -m benchmarks

clean: ## remove what was made here (not .segmentd, which holds data)
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
