# SPDX-License-Identifier: GPL-2.0-or-later
# Objects of tests that run in the emulated host: from the folder itself, from lib/, and from the agent. Included
# by their Makefiles after the first target; OUT is where they build.

CC := gcc
CFLAGS ?= -O2 -g
ALL_CFLAGS := -std=gnu11 -Wall -Wextra -Werror -D_GNU_SOURCE -pthread \
	-I$(TOP)/uapi -I$(TOP)/userspace-agent -I../lib $(CFLAGS)

vpath %.c . ../lib $(TOP)/userspace-agent
vpath %.S ../lib

$(OUT)/obj/%.o: %.c Makefile ../lib/objects.mk | $(OUT)/obj
	@echo "  CC  $<"
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(OUT)/obj/%.o: %.S Makefile ../lib/objects.mk | $(OUT)/obj
	@echo "  AS  $<"
	@$(CC) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<

$(OUT)/obj:
	@mkdir -p $@

-include $(wildcard $(OUT)/obj/*.d)

.PHONY: all
.SECONDARY:
