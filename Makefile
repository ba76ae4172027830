# make lab          install on the first run, then open the lessons in JupyterLab
# make test         every unit test, every notebook's stored output, lesson 1 in a real browser
# make notebooks    execute the worked lessons and derive the learner's versions (LESSON=01 for one)
# make lesson       start a new lesson from the template (NAME=12_verb_noun)
# make glossary     sort the glossary and link each term to its first use
# make libraries    run the page on PyTorch, NumPyro and TFP, with all of them installed
# make web          build the web edition into build/web
# make test-web     try every page of the web edition in a real browser
# make portability  the notebooks under old and new NumPy, two BLAS code paths, one and two threads
# make colab        the lessons in a replica of Google Colab's runtime (LESSON=01 for one; Linux)
# make gpu          every test, lesson and benchmark that uses the GPU, on a machine that has one
# make release      write address and release into badges and set-up cells (TAG=v0.2.0, REPOSITORY=URL)
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

.PHONY: lab test notebooks lesson glossary libraries web test-web portability colab gpu release install python clean

lab: install
	$(BIN)/jupyter lab notebooks/ $(AS_ROOT)

test: install
	$(BIN)/python -m pytest -n auto

notebooks: install
	$(BIN)/python packaging/notebooks.py $(LESSON)

lesson: install
	@$(BIN)/python packaging/new_lesson.py $(NAME)

glossary: install
	$(BIN)/python packaging/glossary.py

libraries: python
	$(PYTHON) -m venv build/libraries-env
	$(subst .venv,build/libraries-env,$(BIN))/python -m pip install -r packaging/libraries.txt
	$(subst .venv,build/libraries-env,$(BIN))/python -m pytest -rs -o addopts=--import-mode=importlib \
		tests/notebooks/test_other_libraries.py

web: python
	@$(PYTHON) packaging/web/website.py

test-web: install web
	COURSE_REQUIRE_WEB=1 $(BIN)/python -m pytest tests/web

portability: install
	$(BIN)/python packaging/portability.py

colab: install
	$(BIN)/python packaging/replica.py $(LESSON)

gpu: install
	$(BIN)/python benchmarks/gpu.py

release: install
	$(BIN)/python packaging/release.py $(if $(TAG),--tag $(TAG)) $(if $(REPOSITORY),--repository $(REPOSITORY))

install: python
	@$(PYTHON) packaging/install.py

python:
ifeq ($(PYTHON),)
	@echo 'The course needs Python 3.11 or newer, and none is on the PATH: install one from https://www.python.org/downloads/ and run the same command again.' >&2; exit 1
endif

clean:
	rm -rf .venv build .pytest_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +
