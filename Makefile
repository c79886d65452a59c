# make demo and make test need Python >= 3.11, make and a C library, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PARITY := .venv-parity

.PHONY: demo test check coverage parity clean

demo: $(VENV)/.core
	$(BIN)/keydnn demo

test: $(VENV)/.test
	$(BIN)/pytest -q -m "not parity"

check: $(VENV)/.check
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Branch coverage of what reads files of strangers, in both processes.
coverage: $(VENV)/.check
	rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -q tests/convert tests/checkpoint tests/hostile tests/transfer tests/test_npy.py
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# The same comparisons against the real Keras (TensorFlow backend) and tf-keras, in an environment of its own.
parity: $(PARITY)/.parity
	TF_CPP_MIN_LOG_LEVEL=3 CUDA_VISIBLE_DEVICES= $(PARITY)/bin/pytest -q -n 2 --dist loadfile -m parity tests/parity

$(VENV)/.core: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable .
	touch $@

$(VENV)/.test: $(VENV)/.core
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[test]"
	touch $@

$(VENV)/.check: $(VENV)/.test
	$(BIN)/pip install --quiet --disable-pip-version-check --editable ".[test,check]"
	touch $@

$(PARITY)/.parity: pyproject.toml
	test -x $(PARITY)/bin/python || $(PYTHON) -m venv $(PARITY)
	$(PARITY)/bin/pip install --quiet --disable-pip-version-check --editable ".[test,parity]"
	touch $@

clean:
	rm -rf $(VENV) $(PARITY) .pytest_cache .mypy_cache .ruff_cache .hypothesis
