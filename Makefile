# make lab          install on the first run, then open the lessons in JupyterLab
# make test         every unit test, every notebook's stored output, lesson 1 in a real browser
# make notebooks    execute the worked lessons and derive the learner's versions (LESSON=01 for one)
# make portability  the notebooks under old and new NumPy, two BLAS code paths, one and two threads
# make clean        remove what these made

PYTHON ?= $(shell for p in python3.13 python3.12 python3.11 python3.14 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; \
	done)
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
# In a container one is often root, whom Jupyter otherwise refuses.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)
endif

.PHONY: lab test notebooks portability install clean

lab: install
	$(BIN)/jupyter lab notebooks/ $(AS_ROOT)

test: install
	$(BIN)/python -m pytest -n auto

notebooks: install
	$(BIN)/python packaging/notebooks.py $(LESSON)

portability: install
	$(BIN)/python packaging/portability.py

install:
ifeq ($(PYTHON),)
	@echo 'The course needs Python 3.11 or newer, and none is on the PATH: install one from https://www.python.org/downloads/ and run the same command again.' >&2; exit 1
else
	@$(PYTHON) packaging/install.py
endif

clean:
	rm -rf .venv build .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
