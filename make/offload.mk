# offload.mk - the offload simulator, which links the product's own index and eviction, and both ends of a live replay.

SIM     := $(wildcard bench/sim/*.c)
LIVE    := $(wildcard bench/live/*.c)

$(BUILD)/obj/bench/%.o: bench/sim/%.c
	@mkdir -p $(@D)
	$(call say,cc)
	$(Q)$(CC) $(CFLAGS) $(CPPFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/obj/bench/live/%.o: bench/live/%.c
	@mkdir -p $(@D)
	$(call say,cc)
	$(Q)$(CC) $(CFLAGS) $(CPPFLAGS) -Ibench/sim -MMD -MP -c -o $@ $<

$(BUILD)/lib/bench.a: $(filter-out %/main.o,$(SIM:bench/sim/%.c=$(BUILD)/obj/bench/%.o) $(LIVE:bench/live/%.c=$(BUILD)/obj/bench/live/%.o))
	@mkdir -p $(@D) && rm -f $@
	$(Q)ar rcs $@ $^

$(BUILD)/offload-sim: $(BUILD)/obj/bench/main.o $(BUILD)/lib/bench.a $(call libs,cache)
	$(call say,link)
	$(Q)$(CC) $(CFLAGS) -fno-lto -o $@ $^ $(LDFLAGS) $(LDLIBS)

$(BUILD)/offload-live: $(BUILD)/obj/bench/live/main.o $(BUILD)/lib/bench.a $(call libs,base)
	$(call say,link)
	$(Q)$(CC) $(CFLAGS) -fno-lto -o $@ $^ $(LDFLAGS) $(LDLIBS)

$(BUILD)/unit/bench/test_%: tests/unit/bench/test_%.c tests/unit/unit.h $(BUILD)/lib/bench.a $(call libs,cache)
	@mkdir -p $(@D)
	$(call say,test)
	$(Q)$(CC) $(CFLAGS) -fno-lto $(CPPFLAGS) -Itests/unit -Ibench/sim -Ibench/live -MMD -MP -o $@ $< $(filter %.a,$^) $(LDFLAGS) -lcmocka \
	    $(LDLIBS)

-include $(SIM:bench/sim/%.c=$(BUILD)/obj/bench/%.d) $(LIVE:bench/live/%.c=$(BUILD)/obj/bench/live/%.d)
