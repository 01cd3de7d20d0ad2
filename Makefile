# Antiphon. `make play` to hear it, `make test` to check it, `make help` for the rest.
#
# What a target needs is installed into .venv the first time, and again when pyproject.toml changes.
# PYTHON=/path/to/python3.12 chooses the interpreter; ARGS="…" goes on to the command a target runs.

.DEFAULT_GOAL := help
SHELL := /bin/sh
# an emptied environment has no PATH to find apt-get and python3 in
PATH := $(or $(PATH),/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
export PATH
# without the bytecode of the last time every process that a test starts compiles all of it again
unexport PYTHONDONTWRITEBYTECODE

VENV := .venv
PY := $(VENV)/bin/python
PROJECTS := pyproject.toml $(wildcard plugins/*/pyproject.toml) models/pyproject.toml
READY := $(VENV)/.ready
DEV := $(VENV)/.ready-dev
EXTRAS := $(VENV)/.ready-extras
ARGS ?=
# two for tests of live servers, which wait most of the time, and one for each core
PROCESSES ?= $(shell expr $$(nproc) + 2)
# the rooms of the kernel, and what of their tests goes beyond it: whole servers and the command line, librosa, which is
# compiled for ten seconds, every plugin that ships
KERNEL := kernel contract graph engine workers native session control io wire runtime supervisor plugins synth signal
BEYOND := plugins/test_hooks.py plugins/test_instruments.py plugins/test_stranger.py signal/test_features.py engine/test_block_path.py
NAME ?= engine
NPM_CI := npm ci --silent --no-audit --no-fund --ignore-scripts

.PHONY: play test alone test-kernel test-real hostile lint types format bench cases findings guard judge docs site page pictures lessons third-party wheels wheel release containers models clean help

play: $(READY)  ## set everything up and play the demo: on the sound card, or on a loop
	@sh tools/system_packages.sh play
	@$(PY) -m antiphon play $(ARGS)

test: $(DEV)  ## set everything up and run the fast tests; ARGS=--slow: the slow ones too, whatever changed
	@sh tools/system_packages.sh play
	@$(PY) -m pytest -q -n $(PROCESSES) --dist loadfile $(ARGS)

alone: $(DEV)  ## run the tests of one distribution with what it depends on alone: make alone DIST=antiphon-sound; turn: of another one each day
	@$(PY) tools/alone.py $(or $(DIST),antiphon) -n $(PROCESSES) --dist loadfile $(ARGS)

test-kernel: $(DEV)  ## run the tests of the kernel alone
	@$(PY) -m pytest -q -n $(PROCESSES) --dist loadfile $(KERNEL:%=tests/%) $(BEYOND:%=--ignore=tests/%) $(ARGS)

test-real: $(DEV) $(EXTRAS)  ## run the tests on real parts (jackd, PortAudio over it); a skipped one fails
	@sh tools/system_packages.sh real
	@if command -v npm >/dev/null && ! [ -d page/node_modules/axe-core ]; then cd page && $(NPM_CI); fi
# a disk that still writes what was installed makes a machine miss blocks
	@sync
# what keeps no time in two processes, then what does, alone; 5: ARGS names no test of that kind
	@a=0; ANTIPHON_NO_SKIPS=1 $(PY) -m pytest -q -m "real and not live" -n 2 --dist loadfile $(ARGS) || a=$$?; \
	b=0; ANTIPHON_NO_SKIPS=1 $(PY) -m pytest -q -m "real and live" $(ARGS) || b=$$?; \
	case "$$a $$b" in "0 0" | "0 5" | "5 0") ;; *) exit 1 ;; esac

hostile: $(DEV)  ## attack servers in twenty minutes: floods at every port, kills, full disks, many clients; figures in build/hostile.txt
	@mkdir -p build && rm -f build/hostile.txt
	@HOSTILE_FIGURES=build/hostile.txt $(PY) -m pytest -q -m "standing or not real" tests/hostile $(ARGS); code=$$?; \
	cat build/hostile.txt 2>/dev/null; exit $$code

lint: $(DEV)  ## check style, format, which room imports which, that THIRD_PARTY.md is current, and that no test file is slow without the mark
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(VENV)/bin/lint-imports --no-logo --no-cache
	@$(PY) tools/third_party.py --check
	@$(PY) tools/slow_tests.py
	@$(PY) tools/names.py

types: $(DEV)  ## check types: mypy, strict, on server/, plugins/, models/, bench/, tools/ and deploy/
	@$(PY) -m mypy && $(PY) -m mypy tools deploy/warm.py

format: $(DEV)  ## bring the code into its format and mend what can be mended
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

bench: $(DEV)  ## measure: make bench NAME=engine, events, osc, live, swap, plan, soak or effects
	@$(PY) -m antiphon bench $(NAME) $(ARGS)

judge: $(DEV)  ## pasted programs beside Tidal (ARGS=tidal) or Strudel ("strudel --folder FOLDER"); --half 0 shows what differs
	@$(PY) tools/judge $(ARGS)

cases: $(DEV)  ## try public trouble of other projects again, over a folder of inputs: make cases ARGS=FOLDER, or ARGS="FOLDER NAME"
	@$(PY) tools/cases.py $(ARGS)

findings:  ## run what surprised us about others, each in a temporary folder, and name what changed; outside CI, with a network
	@sh tools/findings.sh

guard: $(DEV)  ## one figure of every card beside the committed table: names what fell; ARGS=--write renews it
	@$(PY) tools/guard.py $(ARGS)

docs: $(DEV)  ## write again what declarations and folders say: docs/osc.md, the list of docs/http.md, lists of plugins, of parameters in cards; and build/api.md and api-backends.md, the reference of antiphon.api, which git ignores
	@$(PY) tools/plugin_lists.py --write
	@$(PY) tools/lists.py
	@$(PY) tools/osc_reference.py > docs/osc.md.part && mv docs/osc.md.part docs/osc.md
	@mkdir -p build && $(PY) tools/api_reference.py authors > build/api.md.part && mv build/api.md.part build/api.md
	@$(PY) tools/api_reference.py backends > build/api.md.part && mv build/api.md.part build/api-backends.md

site: docs  ## build the pages as a site with search, into build/site; a link that leads nowhere fails
	@$(PY) -m pip install --quiet "sphinx>=8" "myst-parser>=4" "furo>=2024.8"
	@$(PY) -m sphinx --quiet --fail-on-warning --keep-going -b html -c docs . build/site

page: $(READY)  ## build the page in the browser of page/ again, with Node 20 or later, linted and tested; ARGS=check compares only, ARGS=format formats
	@$(PY) tools/page_types.py $(if $(filter check,$(ARGS)),--check)
	@$(PY) tools/lists.py $(if $(filter check,$(ARGS)),--check)
	@cd page && $(NPM_CI) && npm run --silent $(or $(ARGS),build)

pictures: $(DEV)  ## draw every room of the page in Chromium, empty, full and failed, into build/pictures/sheet.png; ARGS="Files Code" draws these alone
	@$(PY) tools/page_pictures.py $(ARGS)

lessons: $(DEV)  ## prove every lesson, and play each through in Chromium, in ten minutes; ARGS="-k files" plays those of a path
	@$(PY) -m antiphon lessons check
	@$(PY) -m pytest -q -m "" tests/serve/test_learn.py $(ARGS)

third-party: $(DEV)  ## write THIRD_PARTY.md again
	@$(PY) tools/third_party.py

release: site  ## build and check what is published, a wheel for each platform too, into dist/ and build/site, with notes out of CHANGELOG.md
	@$(PY) -m pip install --quiet "ziglang>=0.13"
	@$(PY) tools/release.py

wheels: $(DEV)  ## build the wheels of the workspace for this machine into dist/, to install from
	@$(PY) -m pip install --quiet "ziglang>=0.13"
	@for part in . $(dir $(wildcard plugins/*/pyproject.toml)) models; do $(PY) -m build --wheel --outdir dist $$part >/dev/null || exit 1; done
	@$(PY) tools/prebuilt.py dist/antiphon-[0-9]*-py3-none-any.whl here
	@ls dist

wheel: $(DEV)  ## build the wheels, install antiphon for this machine and then the others into an empty environment, and play patches
	@$(PY) -m pip install --quiet "ziglang>=0.13" || echo "wheel: pip could not install ziglang (above)"
	@$(PY) tools/wheel_check.py

containers: $(DEV)  ## build the images of the API and the workers; ARGS=try tries the API, lock pins packages anew, wheels gathers them
	@$(PY) -m pip install --quiet "ziglang>=0.13"
	@if ! [ "$(ARGS)" = wheels ] && ! [ "$(ARGS)" = lock ]; then sh tools/system_packages.sh containers; fi
	@$(PY) tools/containers.py $(ARGS)

models: $(READY)  ## install torch, CPU build, for training and networks of your own; TORCH_INDEX=address of an index of CPU builds
	@$(PY) tools/install_models.py $(TORCH_INDEX)

clean:  ## take away what was built: .venv, dist, caches (recordings stay)
	@rm -rf $(VENV) dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## this list
	@awk -F ':.*##[ ]*' '/^[a-z-]+:.*##/ { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

$(READY): $(PROJECTS) tools/setup.sh
	@sh tools/setup.sh

$(DEV): $(PROJECTS) tools/setup.sh tools/install_models.py
	@TORCH_INDEX=$(TORCH_INDEX) sh tools/setup.sh dev

# the extras that only real tests use
$(EXTRAS): $(PROJECTS) tools/install_fastai.py $(DEV)
	@$(PY) -m pip install --quiet --no-compile "antiphon-lab[pipeline,sklearn,keras]" tensorboard nbclient ipykernel
	@$(PY) tools/install_fastai.py
	@touch $@
