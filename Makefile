# SPDX-License-Identifier: GPL-2.0-or-later
# What can be made here. How it is done stands in the scripts; everything that is made stands in build/.
#
#	make help

MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := all

VERSION := $(shell cat VERSION)
BUILD := $(CURDIR)/build
PREFIX ?= /usr/local
SBINDIR ?= $(PREFIX)/sbin
MANDIR ?= $(PREFIX)/share/man

# --- the kernel module

RELEASE ?= $(shell uname -r)
KDIR ?= /lib/modules/$(RELEASE)/build
# a kernel of selftests/vm/kernels.list
KERNEL ?=
# name of the folder below build/kmod/ for a module that is not for a kernel of the list
KMOD ?= running
# y: named fault points are compiled in. Test builds only.
FERRY_FAULT ?=

# Built in a copy of the sources, so that several kernels can be built side by side.
MODULE_SOURCES := Kbuild VERSION kmod uapi

# $(call build_module,FOLDER,KDIR,MAKE)
define build_module
	@mkdir -p $(1)
	@rsync -a --delete --include='*/' --include='*.c' --include='*.h' --include='*.S' --include='Kbuild*' \
		--include=VERSION --exclude='*' $(MODULE_SOURCES) $(1)/
	+@flock $(1) $(3) -s -C $(2) M=$(1) FERRY_FAULT=$(FERRY_FAULT) $(MODULE_FLAGS) modules
endef

.PHONY: all
all: module agent ## the module for the running kernel (if its headers are installed) and the agent

.PHONY: module
module: ## the module for the kernel RELEASE or KDIR, the running one if not given
	@if [ -e "$(KDIR)/Makefile" ]; then $(MAKE) module-running; \
	else echo "no headers in $(KDIR): the module is not built (make modules KERNEL=6.1 needs none)"; fi

.PHONY: module-running
module-running:
	$(call build_module,$(BUILD)/kmod/$(KMOD),$(KDIR),$(MAKE))

.PHONY: modules
modules: FERRY_FAULT = y
modules: ## the module for tests: KERNEL=NAME of selftests/vm/kernels.list, all of them if not given
ifeq ($(KERNEL),)
	@for name in $$(selftests/vm/kernel.sh list --ready); do $(MAKE) modules KERNEL=$$name || exit 1; done
else
	$(call build_module,$(BUILD)/kmod/$(KERNEL),$(shell selftests/vm/kernel.sh kdir $(KERNEL)),\
		selftests/vm/kernel.sh make $(KERNEL))
endif

# --- the agent

CC := gcc
export AGENT_PKGS := jansson liblz4 libzstd zlib libssl libcrypto libseccomp libcap-ng libsystemd libxml-2.0
CFLAGS ?= -O2 -g
AGENT_CFLAGS := -std=gnu11 -Wall -Wextra -Werror -D_GNU_SOURCE -DKVMFERRY_VERSION='"$(VERSION)"' \
	-Iuapi -Iuserspace-agent -pthread $(shell pkg-config --cflags $(AGENT_PKGS))
AGENT_LIBS := $(shell pkg-config --libs $(AGENT_PKGS)) -lm
AGENT_OBJECTS := $(patsubst userspace-agent/%.c,$(BUILD)/agent/%.o,$(wildcard userspace-agent/*.c))

.PHONY: agent
agent: $(BUILD)/kvmferry ## the agent, build/kvmferry

$(BUILD)/kvmferry: $(AGENT_OBJECTS)
	@echo "  LD  $(notdir $@)"
	@$(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $^ $(AGENT_LIBS)

$(BUILD)/agent/%.o: userspace-agent/%.c Makefile VERSION | $(BUILD)/agent
	@echo "  CC  $<"
	@$(CC) $(AGENT_CFLAGS) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# with the named fault points of fault.h: what has none is that of the agent itself
FAULT_SOURCES := $(shell grep -l '"fault.h"' userspace-agent/*.c)
FAULT_OBJECTS := $(patsubst userspace-agent/%.c,$(BUILD)/agent/fault/%.o,$(FAULT_SOURCES))
PLAIN_OBJECTS := $(filter-out $(patsubst userspace-agent/%.c,$(BUILD)/agent/%.o,$(FAULT_SOURCES)),$(AGENT_OBJECTS))

.PHONY: agent-fault
agent-fault: $(BUILD)/kvmferry-fault ## the agent for tests of crashes, build/kvmferry-fault

$(BUILD)/kvmferry-fault: $(PLAIN_OBJECTS) $(FAULT_OBJECTS)
	@echo "  LD  $(notdir $@)"
	@$(CC) $(CFLAGS) $(LDFLAGS) -pthread -o $@ $^ $(AGENT_LIBS)

$(BUILD)/agent/fault/%.o: userspace-agent/%.c Makefile VERSION | $(BUILD)/agent/fault
	@echo "  CC  $< (fault points)"
	@$(CC) $(AGENT_CFLAGS) -DFERRY_FAULT $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/agent $(BUILD)/agent/fault:
	@mkdir -p $@

-include $(AGENT_OBJECTS:.o=.d) $(FAULT_OBJECTS:.o=.d)

# --- tests: every folder below selftests/ that has programs to build has a Makefile

TEST_FOLDERS := $(filter-out unit fuzz,$(patsubst selftests/%/Makefile,%,$(wildcard selftests/*/Makefile)))
in_folder = +@$(MAKE) -C selftests/$(1) TOP=$(CURDIR) BUILD=$(BUILD)

.PHONY: selftests
selftests: agent-fault $(TEST_FOLDERS:%=selftests-%) ## the programs that the tests run

.PHONY: $(TEST_FOLDERS:%=selftests-%)
$(TEST_FOLDERS:%=selftests-%): selftests-%:
	$(call in_folder,$*)

.PHONY: unit
unit: ## the unit tests, into build/unit/
	$(if $(wildcard selftests/unit/Makefile),$(call in_folder,unit))

.PHONY: fuzz
fuzz: ## fuzz everything that others can say to the agent: [SECONDS_EACH=20]
	+@$(MAKE) -C selftests/fuzz TOP=$(CURDIR) BUILD=$(BUILD) $(if $(SECONDS_EACH),SECONDS_EACH=$(SECONDS_EACH)) run

.PHONY: check
check: setup ## build everything, run all tests: [KERNEL=NAME] [ONLY=PATTERN]
	@selftests/check.sh $(if $(KERNEL),--kernel $(KERNEL)) $(if $(ONLY),--only '$(ONLY)')

.PHONY: check-model
check-model: setup ## search the model of the switchover for ways to break it (minutes)
	@selftests/model/check.sh --long

.PHONY: fuzz-coverage
fuzz-coverage: ## how much of each source file the fuzzers' corpora reach
	+@$(MAKE) -C selftests/fuzz TOP=$(CURDIR) BUILD=$(BUILD) coverage

.PHONY: fuzz-ioctl
fuzz-ioctl: KERNEL := $(or $(KERNEL),debug)
fuzz-ioctl: setup selftests ## fuzz the kernel's ABI in an emulated host, and tell what it reached: [MINUTES=10] [SEED=N] [KERNEL=debug]
	@selftests/abi/long.sh '$(KERNEL)' $(or $(MINUTES),10) $(SEED)

.PHONY: soak
soak: KERNEL := $(or $(KERNEL),debug)
soak: setup agent selftests ## migrations with everything left to chance: [N=20] [SEED=N] [KERNEL=debug]
	+@$(MAKE) modules KERNEL=$(KERNEL)
	@selftests/vm/host.sh --kernel $(KERNEL) --timeout $$((600 + $(or $(N),20) * 180)) -- \
		env $(if $(SEED),KVMFERRY_SEED=$(SEED)) selftests/migration/soak.sh $(or $(N),20)

.PHONY: check-oracle
check-oracle: setup ## the long runs of the tracking oracle
	@selftests/check.sh $(if $(KERNEL),--kernel $(KERNEL)) --list selftests/oracle.list

.PHONY: check-stress
check-stress: setup ## the long migration runs
	@selftests/check.sh $(if $(KERNEL),--kernel $(KERNEL)) --list selftests/stress.list

.PHONY: check-kill
check-kill: setup agent selftests ## kill every part of a migration at every point of it (three quarters of an hour)
	@for name in 6.1 6.12 7.3; do $(MAKE) modules KERNEL=$$name || exit 1; done
	@selftests/kill.sh

# These measure in one kernel of the list; build/bench/ has the results.
BENCH_KERNEL = $(or $(KERNEL),6.1)

.PHONY: bench-build
bench-build: setup agent selftests
	+@$(MAKE) modules KERNEL=$(BENCH_KERNEL)

.PHONY: bench
bench: bench-build ## all benchmarks, and what has changed since the run before (hours): [KERNEL=NAME] [QUICK=1]
	@selftests/perf/bench.sh --kernel $(BENCH_KERNEL) --quick $(or $(QUICK),0)

.PHONY: bench-group
bench-group: bench-build ## groups of pages: every policy and KVM's dirty log, a table (half an hour): [KERNEL=NAME]
	@selftests/perf/bench-group.sh --kernel $(BENCH_KERNEL)

.PHONY: bench-channel
bench-channel: bench-build ## links of several rates: every codec, what is chosen, and QEMU alone (an hour): [KERNEL=NAME]
	@selftests/perf/bench-channel.sh --kernel $(BENCH_KERNEL)

.PHONY: bench-storage
bench-storage: bench-build ## slow storage: blackouts of kvmferry and QEMU; what the target ferry costs in normal life (an hour): [KERNEL=NAME]
	@selftests/perf/bench-storage.sh --kernel $(BENCH_KERNEL)

.PHONY: bench-traces
bench-traces: bench-build ## record which pages the guests of bench-group write, for the simulator
	@selftests/perf/bench-group.sh --kernel $(BENCH_KERNEL) --traces

.PHONY: demo
demo: ## migrate a guest between two emulated hosts, and show it
	@selftests/demo/demo.sh inside

.PHONY: demo-storage
demo-storage: ## the same with storage that takes 20 s for each request
	@selftests/demo/demo.sh storage

.PHONY: transcript
transcript: KERNEL := $(or $(KERNEL),6.12)
transcript: setup selftests ## install the packages, move a guest of libvirt's, remove them, and print all of it: [KERNEL=6.12]
	@selftests/vm/host.sh --kernel $(KERNEL) --timeout 3000 -- selftests/dkms/transcript.sh

.PHONY: debug-kernel
debug-kernel: ## build the kernel with KASAN, lockdep and kmemleak (a quarter of an hour)
	@selftests/vm/kernel.sh fetch debug

.PHONY: setup
setup: ## install the Debian packages that building and testing need
	@selftests/setup.sh

.PHONY: lint
lint: ## checkpatch, sparse, W=1, kernel-doc, clang-tidy, shellcheck
	@selftests/lint.sh

# --- installing: what goes where, for a system of one's own and for the packages of packaging/debian

# $(call install,MODE,FILES,FOLDER)
install = install -d $(DESTDIR)$(3) && install -m $(1) $(2) $(DESTDIR)$(3)

.PHONY: install
install: install-agent dkms-source ## the agent into PREFIX, the module's sources for dkms

.PHONY: install-agent
install-agent: agent
	$(call install,755,$(BUILD)/kvmferry,$(SBINDIR))
	$(call install,644,$(wildcard packaging/man/*.8),$(MANDIR)/man8)
	$(call install,644,packaging/completion/kvmferry,$(PREFIX)/share/bash-completion/completions)
	$(call install,644,$(wildcard packaging/systemd/*),$(PREFIX)/lib/systemd/system)
	$(call install,644,$(wildcard packaging/udev/*),$(PREFIX)/lib/udev/rules.d)

.PHONY: install-headers
install-headers: ## the kernel ABI into PREFIX, for other programs
	$(call install,644,$(wildcard uapi/linux/*.h),$(PREFIX)/include/linux)

.PHONY: install-module
install-module: dkms-source
	$(call install,644,$(wildcard packaging/modules-load/*),$(PREFIX)/lib/modules-load.d)

DKMS_SOURCE := $(DESTDIR)/usr/src/kvmferry-$(VERSION)

.PHONY: dkms-source
dkms-source: ## put the module's sources where dkms looks for them
	mkdir -p $(DKMS_SOURCE)
	cp -r Kbuild VERSION COPYING dkms.conf kmod uapi $(DKMS_SOURCE)/

.PHONY: dkms-install
dkms-install: dkms-source ## build and install the module for the running kernel with dkms
	dkms install kvmferry/$(VERSION)

.PHONY: dkms-remove
dkms-remove: ## undo dkms-install and dkms-source
	-dkms remove kvmferry/$(VERSION) --all
	rm -rf $(DKMS_SOURCE)

.PHONY: deb
deb: ## the Debian packages, into build/deb/
	@packaging/deb.sh

.PHONY: clean
clean: ## remove build/
	rm -rf $(BUILD)

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.* ## / { printf "make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
