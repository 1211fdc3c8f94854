# SPDX-License-Identifier: GPL-2.0
#
# Targets for people; the kernel's build system reads Kbuild instead.

KDIR ?= /lib/modules/$(shell uname -r)/build
export KDIR

# ARENA_BUILD=DIR: another folder to build in, if the sources are read-only. Make passes the
# variable to the scripts and makefiles that it runs.
build := $(or $(ARENA_BUILD),build)

.PHONY: all help module build-stock build-new run load unload demo test kunit
.PHONY: selftest litmus readme-examples check kasan kcsan kmsan clean distclean
.PHONY: bench bench-quick bench-plots bench-lib bench-consumer lib lib-test install uninstall arenactl
.PHONY: fuzz fuzz-user fuzz-device planted series series-check deb deb-test torture convert

all: module

help:
	@echo 'On this kernel (KDIR=$(KDIR)):'
	@echo '  make              build/arena.ko, needs kernel headers'
	@echo '  sudo make load    load it; unload, demo likewise'
	@echo 'In a throwaway machine (no kernel headers, no change to the system;'
	@echo 'installs missing tools by apt when run as root):'
	@echo '  make run          load the module on a stock kernel, show it at work'
	@echo '                    (INPUT=FILE: on a text of your own)'
	@echo '  make test         every test that must pass: the next four, and the library, the examples,'
	@echo '                    what must not compile, allocations that fail'
	@echo '  make kunit        KUnit suites under sanitizers (SUITE=GLOB)'
	@echo '  make selftest     kselftests on a stock kernel (KERNEL=new, uml)'
	@echo '  make litmus       memory-model tests'
	@echo '  make fuzz         fuzz the core beside a model, and /dev/arena (SECONDS=60);'
	@echo '                    fuzz-user, fuzz-device: either'
	@echo '  make planted      negative controls: bugs that the kselftests must find (KERNEL=new)'
	@echo '  make convert      parts of the kernel, converted to arenas by semantic patches: the same tests before'
	@echo '                    and after, and what they cost (KERNEL=stock, new, uml)'
	@echo '  make kasan        suites on an x86-64 kernel that reports memory errors and leaks;'
	@echo '                    kcsan: data races, kmsan: uninitialized objects'
	@echo '  make torture      all calls at once, CPUs that come and go, little memory (SECONDS=60, SEED=1,'
	@echo '                    KERNEL=stock, new, kasan, kcsan, SMP=4)'
	@echo '  make bench        arenas and their rivals: tables, plots (bench-quick: short; bench-plots: keep them)'
	@echo '  make bench-consumer  arenas and kmalloc() in a JSON parser, by shapes of documents'
	@echo '  make check        style, sparse, W=1, kernel-doc, shellcheck, manuals, dkms.conf'
	@echo '  make series       the arena as patches for the newest kernel tree, build/series'
	@echo '                    (series-check: build and test each of them, half an hour)'
	@echo '  make arenactl     the program that shows arenas, build/arenactl'
	@echo '  make lib          the library of user programs, build/lib; needs no kernel'
	@echo '  sudo make install, uninstall  library, arenactl, headers, manuals (PREFIX, DESTDIR)'
	@echo '  make lib-test     install it aside, build and run programs with it'
	@echo '  make bench-lib    it beside other allocators: objects, programs of Debian, two processes'
	@echo '                    (ONLY=programs: without the objects)'
	@echo '  make build-stock, build-new   the module for either stock kernel'
	@echo '  make deb          Debian packages in build/deb: arena-dkms, arena-tools, libarena1, libarena-dev'
	@echo '  sudo make deb-test  install, use, upgrade and remove them in a root directory of Debian 12'
	@echo '  make clean        remove objects; distclean: downloads too'
	@echo 'ARENA_BUILD=DIR: build there, not in build/ (where the sources are read-only)'

module:
	@dir=$$(tools/module.sh host) && cp "$$dir/arena.ko" "$(build)/arena.ko" && \
		echo "built $(build)/arena.ko"

build-stock build-new: build-%:
	@dir=$$(tools/module.sh $*) && \
		echo "built for Linux $$(cat "$(build)/$*/version"): $$dir/arena.ko"

run:
	@tools/demo.sh $(if $(INPUT),'$(INPUT)')

# "load" must not be the first target: make would take the line for its directive "load".
unload load demo:
	@tools/load.sh $@ $(if $(INPUT),'$(INPUT)')

test:
	@tools/test.sh $(or $(STEPS),kunit selftest selftest-uml litmus readme-examples compile-fail fuzz lib-test)

kunit:
	@tools/kunit.sh $(if $(SUITE),'$(SUITE)')

selftest planted convert litmus readme-examples check:
	@tools/$@.sh

fuzz fuzz-user fuzz-device:
	@FUZZ_SECONDS=$(or $(SECONDS),15) tools/fuzz.sh $(patsubst fuzz-%,%,$(filter-out fuzz,$@))

torture:
	@TORTURE_SECONDS=$(or $(SECONDS),60) TORTURE_SEED=$(or $(SEED),1) tools/$@.sh

kasan kcsan kmsan:
	@tools/x86.sh $@

series:
	@tools/series.sh

series-check:
	@tools/series.sh --check

bench:
	@tools/bench.sh

bench-quick:
	@tools/bench.sh --quick

bench-plots:
	@tools/bench.sh --plots

# Make runs these makefiles in this folder, without -C, so that a relative DESTDIR starts here.
lib:
	@$(MAKE) -s -f tools/libarena/Makefile

install uninstall:
	@$(MAKE) -f tools/libarena/Makefile $@
	@$(MAKE) -f tools/Makefile $@

arenactl:
	@$(MAKE) -s -f tools/Makefile && echo "built $(build)/arenactl"

lib-test bench-lib bench-consumer deb deb-test:
	@tools/$@.sh

clean:
	@cd "$(build)" 2>/dev/null || exit 0; \
		rm -rf mod-* new/root/arena selftests selftests-* lib \
		counts arena.ko bench bench-growth new/root/bench readme dkms user arenactl planted \
		series new/root/arena-planted convert new/root/convert deb deb-newer deb-again

distclean:
	@rm -rf "$(build)"
