# targets.mk - what a person types: tests, lint, demo, installation.
#
# The Makefile knows how to build; this file knows what to do with what was built.  Every target that needs a package
# asks tools/deps for it first, so that each of them works on a machine that has git and make and nothing else.

JOBS      ?= $(shell nproc 2>/dev/null || echo 2)
PREFIX    ?= /usr/local
PYTHON    := /usr/bin/python3
RESULTS   := $(BUILD)/results
ASAN      := -fsanitize=address,undefined -fno-sanitize-recover=undefined
TSAN      := -fsanitize=thread
# seconds for each fuzz target; tools/fuzz shares FUZZ_TOTAL among them when that is less
FUZZ_SECONDS ?= $(if $(filter true,$(CI)),30,2)
FUZZ_TOTAL   ?= 240
# what make run listens on, and the origin it stands before (empty: a demo origin)
LISTEN    ?= 127.0.0.1:8080
ORIGIN    ?=
ADMIN     ?= 127.0.0.1:9180

export BUILD JOBS PYTHON RESULTS

.PHONY: help run test check check-bench e2e e2e-long asan tsan fuzz fuzz-programs unit-programs lint format conformance bench offload \
        model image install uninstall clean deps-%

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' make/targets.mk

deps-%:
	@tools/deps $(subst +, ,$*)

run: deps-build+run ## build and show it working: ORIGIN=https://example.net LISTEN=:8080 for a real origin
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@ORIGIN='$(ORIGIN)' LISTEN='$(LISTEN)' ADMIN='$(ADMIN)' $(PYTHON) tools/demo $(BUILD)/breakwater

test: deps-build+run+test ## everything that proves it, ending with one line of results
	@$(PYTHON) tools/test check check-bench bench-short e2e fuzz conformance

check: deps-build+test ## unit tests
	@$(MAKE) --no-print-directory -k -j$(JOBS) unit-programs || true
	@tools/unit $(UNIT:tests/unit/%.c=$(BUILD)/unit/%)

check-bench: deps-test+bench ## tests of the benchmark harness: what it makes of figures and of scenarios
	@mkdir -p $(RESULTS) && rm -f $(RESULTS)/check-bench
	@PYTHONPATH=tests COUNT=check-bench $(PYTHON) -m pytest -q -p no:cacheprovider -p count --rootdir tests/bench tests/bench

unit-programs: $(UNIT:tests/unit/%.c=$(BUILD)/unit/%)

e2e: deps-build+run+test ## scenarios over real sockets; E2E='-k crowd' chooses, E2E=-x stops at the first failure
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@tools/e2e $(E2E)

e2e-long: ## the scenarios that take minutes: gigabytes, fifty kills, budgets under load
	@$(MAKE) --no-print-directory e2e E2E='--long -m long $(E2E)'

asan: ## unit and end to end under AddressSanitizer and UBSan
	@$(MAKE) --no-print-directory BUILD=build/asan SANITIZE='$(ASAN)' OPT='-O1 -g' check
	@$(MAKE) --no-print-directory BUILD=build/asan SANITIZE='$(ASAN)' OPT='-O1 -g' e2e

tsan: ## unit and end to end under ThreadSanitizer
	@$(MAKE) --no-print-directory BUILD=build/tsan SANITIZE='$(TSAN)' OPT='-O1 -g' check
	@$(MAKE) --no-print-directory BUILD=build/tsan SANITIZE='$(TSAN)' OPT='-O1 -g' e2e

fuzz: deps-build+test ## every parser under libFuzzer; FUZZ_SECONDS=30 for each
	@$(MAKE) --no-print-directory -k -j$(JOBS) BUILD=$(BUILD)/fuzz CC=clang OPT='-O1 -g' \
	    SANITIZE='$(ASAN) -fsanitize=fuzzer-no-link' RESULTS=$(RESULTS) fuzz-programs || true
	@FUZZ_SECONDS=$(FUZZ_SECONDS) FUZZ_TOTAL=$(FUZZ_TOTAL) tools/fuzz $(FUZZ:tests/fuzz/%.c=$(BUILD)/fuzz/bin/%)

fuzz-programs: $(FUZZ:tests/fuzz/%.c=$(BUILD)/bin/%)

# the module of fuzz_UNIT.c is the folder of src/*/UNIT.c; what tests more than one unit may use all of them
fuzzed = $(firstword $(notdir $(patsubst %/,%,$(dir $(wildcard src/*/$(1).c)))) server)
.SECONDEXPANSION:
$(BUILD)/bin/fuzz_%: tests/fuzz/fuzz_%.c $$(call libs,$$(call fuzzed,$$*))
	@mkdir -p $(@D)
	$(call say,fuzz)
	$(Q)$(CC) $(CFLAGS) $(CPPFLAGS) -fsanitize=fuzzer -MMD -MP -o $@ $< -Wl,--start-group $(filter %.a,$^) \
	    -Wl,--end-group $(LDFLAGS) $(LDLIBS)
-include $(FUZZ:tests/fuzz/%.c=$(BUILD)/bin/%.d) $(UNIT:tests/unit/%.c=$(BUILD)/unit/%.d)

lint: deps-build+lint ## layers, formatting, clang-tidy, cppcheck, sizes
	@tools/lint

format: deps-lint ## write the formatting that lint wants
	@find src include tests bench -name '*.[ch]' | xargs clang-format -i

conformance: deps-build+run+test ## the public HTTP cache tests (npm http-cache-tests)
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@$(PYTHON) tests/conformance/run $(BUILD)/breakwater

bench: deps-build+bench ## compare with nginx, Varnish and others on this machine; BENCH='hit-1k crowd' chooses
	@$(MAKE) --no-print-directory -j$(JOBS) all
	@$(PYTHON) bench/run --binary $(BUILD)/breakwater $(BENCH)

bench-quick: ## every scenario once and small, every response checked, no time judged; three minutes
	@$(MAKE) --no-print-directory bench BENCH='--quick $(BENCH)'

# what make test has time for: each kind of scenario, each product, each protocol
BENCH_SHORT := hit-1k h2-1k conditional-1k miss-pass miss-store revalidate crowd expiry-wave start-1m
bench-short: ## the part of bench-quick that make test runs
	@mkdir -p $(RESULTS) && rm -f $(RESULTS)/bench-quick
	@if [ "$$(nproc)" -ge 2 ]; then $(MAKE) --no-print-directory bench-quick BENCH='$(BENCH_SHORT)'; \
	else echo "bench-short: needs two cores, skipped"; echo "0 0 1" >$(RESULTS)/bench-quick; fi

offload: deps-build ## what the cache spares its origin, simulated; OFFLOAD='--quick', '--live', a trace or a CSV file
	@$(MAKE) --no-print-directory -j$(JOBS) all $(BUILD)/offload-sim $(BUILD)/offload-live
	@$(PYTHON) bench/offload --build $(BUILD) $(OFFLOAD)

model: deps-build ## explore the fill protocol completely, then with each rule taken out (five minutes, 3 GB)
	@mkdir -p $(BUILD)/model
	@$(CC) -std=gnu11 -O2 -Wall -Wextra -o $(BUILD)/model/fill tests/model/fill.c
	@tests/model/run $(BUILD)/model/fill

image: ## build the container image and try it, where root and buildah are to be had
	@tools/test-image

install: ## into $(DESTDIR)$(PREFIX), default /usr/local
	@$(MAKE) --no-print-directory -j$(JOBS) all
	install -D -m 755 $(BUILD)/breakwater $(DESTDIR)$(PREFIX)/bin/breakwater
	install -D -m 644 conf/breakwater.yaml $(DESTDIR)$(PREFIX)/share/breakwater/breakwater.yaml
	install -D -m 644 conf/full.yaml $(DESTDIR)$(PREFIX)/share/breakwater/full.yaml

uninstall: ## undo install
	rm -f $(DESTDIR)$(PREFIX)/bin/breakwater
	rm -rf $(DESTDIR)$(PREFIX)/share/breakwater

clean: ## remove everything that was built
	rm -rf build
