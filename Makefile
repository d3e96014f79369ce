# The only commands that a newcomer needs. `make` alone is `make run`.

SHELL := /bin/bash
# Every job is offline: what comes from outside is fetched by rules that say so.
ACTIVE := PATH="$(CURDIR)/.venv/bin:$$PATH" HF_HUB_OFFLINE=1
export PYTHON

.PHONY: run setup test lint bench lock envs

# The default run of config.yaml: results/<experiment>/.
run: setup
	$(ACTIVE) snakemake --cores all

# .venv from requirements.txt; nothing to do where it is up to date. PYTHON=/path/to/python3.12 chooses the interpreter.
setup:
	@workflow/tools/make_venv.sh

test: setup
	$(ACTIVE) python -m pytest

lint: setup
	$(ACTIVE) ruff check
	$(ACTIVE) ruff format --check
	$(ACTIVE) snakefmt --check Snakefile workflow
	$(ACTIVE) snakemake --lint

# Speed and memory against audiocraft and the audio metrics' peers: benchmarks/results/*.json and the tables of docs/performance.md. Half an hour on two
# cores, which should be quiet; `python -m benchmarks.generation default` is one part. The report page needs `make run` and Chromium.
bench: setup
	$(ACTIVE) python -m benchmarks.startup
	$(ACTIVE) python -m benchmarks.generation
	$(ACTIVE) python -m benchmarks.training_step
	$(ACTIVE) python -m benchmarks.unlearning
	$(ACTIVE) python -m benchmarks.metrics
	$(ACTIVE) python -m benchmarks.large
	$(ACTIVE) python -m benchmarks.page
	$(ACTIVE) python -m benchmarks.table

# requirements.txt from requirements.in; pins stay where they can (delete the file to renew them all).
lock:
	@command -v uv > /dev/null || { echo "error: no uv on the PATH; install it: pip install uv" >&2; exit 1; }
	uv pip compile requirements.in --override overrides.txt --quiet --no-header --no-emit-index-url \
	    --generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_28 -o requirements.txt
	python3 workflow/tools/make_envs.py

# envs/*.yaml from requirements.txt.
envs: setup
	$(ACTIVE) python workflow/tools/make_envs.py
