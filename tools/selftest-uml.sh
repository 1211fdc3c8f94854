#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# A step of test.sh: the kselftests that need what only the sanitizer kernel
# can do, which is to make the nth allocation of a call fail. The others run
# there, too: KERNEL=uml tools/selftest.sh PROGRAM...

KERNEL=uml TEST_TIMEOUT=${TEST_TIMEOUT:-600} \
	exec "$(dirname "$0")/selftest.sh" arena_fault_test
