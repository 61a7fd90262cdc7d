# make demo   set up once, edit a picture with the embedded miniature, print where the result lies
# make test   set up once, run all tests
# make check  format, lint, types, floors, tests
# make clean  remove the virtual environment and what the commands above made

PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin
export HF_HUB_OFFLINE ?= 1
test check: export OMP_NUM_THREADS ?= 1

.PHONY: demo test check clean

demo: .venv/ready
	@mkdir -p demo
	@$(BIN)/pentimento edit examples/cat-and-dog.png "change the cat to a tiger" \
		-o demo/tiger.png --sheet demo/sheet.png
	@echo "Before, plan, mask and after side by side: $(CURDIR)/demo/sheet.png"

test: .venv/ready-for-tests
	$(BIN)/python -m pytest -n 2 -q

check: .venv/ready-for-tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_floors.py
	$(BIN)/python -m pytest -n 2 -q

clean:
	rm -rf .venv demo

.venv/bin/python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "error: Python 3.11 or newer is needed: name one with 'make $(MAKECMDGOALS) PYTHON=/path/to/python3'"; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "error: $(PYTHON) cannot make virtual environments: install its venv module first" \
		"(on Debian and Ubuntu: apt install python3-venv)"; exit 1; }
	@echo "Setting up .venv (once; about 1.4 GB, a few minutes)"
	@"$(PYTHON)" -m venv .venv || { rm -rf .venv; exit 1; }

.venv/ready: pyproject.toml constraints.txt | .venv/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

.venv/ready-for-tests: pyproject.toml constraints.txt | .venv/bin/python
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	@touch .venv/ready $@
