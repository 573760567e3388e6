# The front door. Meson builds; this file names what people ask for.
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=
NINJA = ninja -C
PYTHON = /usr/bin/python3

.DEFAULT_GOAL := all
.PHONY: agents all attack floods deps programs demo check check-long check-vm test bench asan lint fuzz install uninstall clean help need image-context deb

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 14

# A build without its packages ends in a page of Meson; this says what is missing and what to do.
need:
	@missing=$$(build-aux/deps.sh --list build) || { echo "missing packages:" $$missing; echo "run: make deps"; exit 1; }

deps: ## install what building, the demo and the tests need (apt, npm)
	@build-aux/deps.sh build demo check

$(BUILD)/dynamic/build.ninja:
	@mkdir -p $(BUILD)
	@meson setup $(BUILD)/dynamic . --prefix=$(PREFIX) >$(BUILD)/setup.log 2>&1 || { cat $(BUILD)/setup.log; exit 1; }

$(BUILD)/static/build.ninja:
	@mkdir -p $(BUILD)
	@meson setup $(BUILD)/static . -Dpart=static --native-file build-aux/musl.ini -Dbuildtype=plain --prefix=$(PREFIX) >$(BUILD)/setup.log 2>&1 || { cat $(BUILD)/setup.log; exit 1; }

programs = static/src/shim/clawrden-shim static/src/mirror/clawrden-mirror static/src/gate/clawrden-gate \
	dynamic/src/warden/clawrden-warden dynamic/src/cli/clawrden

programs: need ## build what is installed, without the tests' programs
	@$(MAKE) -s $(BUILD)/dynamic/build.ninja $(BUILD)/static/build.ninja
	@$(NINJA) $(BUILD)/static --quiet $(patsubst static/%,%,$(filter static/%,$(programs)))
	@$(NINJA) $(BUILD)/dynamic --quiet $(patsubst dynamic/%,%,$(filter dynamic/%,$(programs)))
	@mkdir -p bin
	@for p in $(programs); do [ ! -e $(BUILD)/$$p ] || ln -sf "$$(realpath --relative-to=bin $(BUILD)/$$p)" bin/; done
	@[ ! -e bin/clawrden ] || ln -sf clawrden bin/clawrden-cli

all: programs ## build everything, the programs into bin/
	@$(NINJA) $(BUILD)/static --quiet
	@$(NINJA) $(BUILD)/dynamic --quiet

demo: ## the main job on real tools; INTERACTIVE=1 leaves you in a governed shell
	@build-aux/deps.sh build demo
	@$(MAKE) -s all
	@INTERACTIVE=$(INTERACTIVE) scripts/demo.sh

check: ## every test; ends with "N passed, N failed"
	@build-aux/deps.sh build demo check
	@$(MAKE) -s all
	@build-aux/check.sh check

check-long: ## check, and what takes long: sanitizers, lint of every file, sanitizers on whole programs, fuzzing
	@build-aux/deps.sh build demo check
	@$(MAKE) -s all
	@build-aux/check.sh check-long

check-vm: ## tests with a real engine in an emulated Debian 13 and 12 (SUITES): cgroup version 2 alone, systemd, AppArmor
	@build-aux/vm.sh "$(or $(SUITES),trixie bookworm)"

test: all ## unit tests and corpora only: no root, under a minute
	@meson test -C $(BUILD)/dynamic --no-rebuild --suite unit --suite fuzz --print-errorlogs

floods: all ## what 25 floods cost another caller, against a control
	@$(PYTHON) -B tests/system/floods.py --rounds $(or $(ROUNDS),5)

attack: all ## races against the gate, 1,000 rounds each (ROUNDS): what is denied never runs
	@$(PYTHON) tests/system/attacks.py $(or $(ROUNDS),1000)

agents: all ## three real agents from npm, governed, led by a scripted model (a gigabyte into the build directory)
	@build-aux/deps.sh build demo check
	@build-aux/agents.sh

bench: all ## medians and ratios of us and the alternatives
	@tests/bench/run

asan: need ## unit tests, corpora and whole programs under address and undefined-behaviour sanitizers
	@build-aux/check.sh asan

deb: all ## a Debian package, BUILD/clawrden_VERSION_amd64.deb
	@build-aux/deb.sh $(VERSION)

image-context: all ## what docker-compose build needs, in BUILD/image
	@build-aux/image-context.sh $(BUILD)/image

lint: all ## layers, format, clang-tidy, cppcheck, gcc -fanalyzer on every file
	@build-aux/lint.sh all

fuzz: need ## every fuzz target for FUZZ_SECONDS (60) each
	@build-aux/fuzz.sh

install: all ## DESTDIR and PREFIX are honoured
	@build-aux/install.sh install '$(DESTDIR)' '$(PREFIX)'

uninstall: ## removes what install wrote, never configuration, state or logs
	@build-aux/install.sh uninstall '$(DESTDIR)' '$(PREFIX)'

clean: ## remove what was built
	@rm -rf $(BUILD) bin
