# The front door. Meson builds; this file names what people ask for.
BUILD ?= build
NINJA = ninja -C

.DEFAULT_GOAL := all

$(BUILD)/dynamic/build.ninja:
	@meson setup $(BUILD)/dynamic . >$(BUILD)-setup.log 2>&1 || { cat $(BUILD)-setup.log; exit 1; }
	@rm -f $(BUILD)-setup.log

$(BUILD)/static/build.ninja:
	@meson setup $(BUILD)/static . -Dpart=static --native-file build-aux/musl.ini -Dbuildtype=plain >$(BUILD)-setup.log 2>&1 || { cat $(BUILD)-setup.log; exit 1; }
	@rm -f $(BUILD)-setup.log

all: $(BUILD)/dynamic/build.ninja $(BUILD)/static/build.ninja ## build everything into bin/
	@$(NINJA) $(BUILD)/static
	@$(NINJA) $(BUILD)/dynamic
	@mkdir -p bin
	@for p in static/src/shim/clawrden-shim static/src/mirror/clawrden-mirror dynamic/src/warden/clawrden-warden dynamic/src/cli/clawrden; do \
		[ ! -e $(BUILD)/$$p ] || ln -sf ../$(BUILD)/$$p bin/; done

.PHONY: all
