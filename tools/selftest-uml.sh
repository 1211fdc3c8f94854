#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# A step of test.sh: the kselftests on the sanitizer kernel, which can also make the
# nth allocation of a call fail. Those that it cannot run are left out: programs of
# 32 bits, and what needs modules, as the arena is built in.

mapfile -t PROGRAMS < <(make -s -C "$(dirname "$0")/../selftests" list | tr -s ' ' '\n' |
	grep -vE '32$|^arena_(consumer|hold|context|memory|unload)_test')

KERNEL=uml TEST_TIMEOUT=${TEST_TIMEOUT:-600} \
	exec "$(dirname "$0")/selftest.sh" "${PROGRAMS[@]}"
