# Breakwater: `make run` shows it working, `make test` proves it.  `make help` lists the rest.
#
# Each module is an archive of its own, and a unit test links only its module and those below it:
# an include or a call that points up the layers does not link (tools/check-layers says why).

BUILD   ?= build
CC      ?= gcc
OPT     ?= -O2 -g
WERROR  ?=
WARN    := -Wall -Wextra -Wshadow -Wconversion -Wswitch-enum -Wstrict-prototypes \
           -Wmissing-prototypes -Wcast-qual -Wwrite-strings -Wformat=2 -Wundef -Wvla $(WERROR)
DEFS    := -D_GNU_SOURCE -DH2O_USE_LIBUV=0 -DH2O_USE_EPOLL=1
CFLAGS  += -std=gnu11 $(OPT) -fvisibility=hidden -fno-strict-aliasing $(WARN) $(DEFS) \
           $(if $(SANITIZE),-fno-omit-frame-pointer $(SANITIZE))
CPPFLAGS += -Iinclude -isystem /usr/include
LDLIBS  := -lh2o-evloop -lnghttp2 -llmdb -lxxhash -lyaml -ljansson -lcares -lpcre2-8 -lssl -lcrypto -lz -lpthread -lm
LDFLAGS += $(SANITIZE)
# The hit path crosses modules, so the product is optimised as a whole (docs/decisions/0018); tests
# link the same objects as they are (-fno-lto).
LTO     ?= $(if $(SANITIZE)$(findstring clang,$(CC)),,-flto=auto -ffat-lto-objects)

# from the bottom of the layers to the top
MODULES := base http cache origin config admin server cli
below    = $(filter-out _,$(shell for m in $(MODULES); do echo $$m; [ $$m = $(1) ] && break; done))
# archives of a module and all below it, top first
libs     = $(foreach m,$(call reverse,$(call below,$(1))),$(BUILD)/lib/$(m).a)
reverse  = $(if $(1),$(call reverse,$(wordlist 2,$(words $(1)),$(1))) $(firstword $(1)))

SRC     := $(wildcard src/*/*.c)
OBJ     := $(SRC:src/%.c=$(BUILD)/obj/%.o)
UNIT    := $(wildcard tests/unit/*/test_*.c)
FUZZ    := $(wildcard tests/fuzz/fuzz_*.c)
VERSION := $(shell cat VERSION 2>/dev/null || echo 0.1.0)

# make V=1 shows the commands
Q       := $(if $(V),,@)
say      = $(if $(V),@:,@printf '  %-5s %s\n' $(1) $@)

all: $(BUILD)/breakwater
	@:
.PHONY: all
-include make/targets.mk

$(BUILD)/breakwater: $(foreach m,$(MODULES),$(BUILD)/lib/$(m).a)
	$(call say,link)
	$(Q)$(CC) $(CFLAGS) $(LTO) -o $@ -Wl,--start-group $^ -Wl,--end-group $(LDFLAGS) $(LDLIBS)

$(BUILD)/obj/%.o: src/%.c
	@mkdir -p $(@D)
	$(call say,cc)
	$(Q)$(CC) $(CFLAGS) $(LTO) $(CPPFLAGS) -DBW_VERSION='"$(VERSION)"' -MMD -MP -c -o $@ $<

define archive
$(BUILD)/lib/$(1).a: $$(filter $(BUILD)/obj/$(1)/%,$$(OBJ))
	@mkdir -p $$(@D) && rm -f $$@
	$$(Q)ar rcs $$@ $$^
$(BUILD)/unit/$(1)/test_%: tests/unit/$(1)/test_%.c tests/unit/unit.h $$(call libs,$(1))
	@mkdir -p $$(@D)
	$$(call say,test)
	$$(Q)$$(CC) $$(CFLAGS) -fno-lto $$(CPPFLAGS) -Itests/unit -MMD -MP -o $$@ $$< -Wl,--start-group $$(filter %.a,$$^) -Wl,--end-group $$(LDFLAGS) -lcmocka $$(LDLIBS)
endef
$(foreach m,$(MODULES),$(eval $(call archive,$(m))))

-include make/offload.mk
-include $(OBJ:.o=.d)
