#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Clause 22: unloads the arena module many times, each time right after arena_unload has reset
# arenas by arena_reset_rcu() and has destroyed them or dropped the last references to them. The
# unloading must wait for the RCU callbacks of these arenas and for the worker that destroys them:
# otherwise the kernel would crash, because the code that they run is gone. Prints TAP.

. "$(dirname "$0")/arena_tap.sh"

file=/sys/kernel/debug/arena_unload
rounds=12
arenas=20

unload_arena()
{
	for _ in $(seq $rounds); do
		load_arena && echo $arenas >$file && rmmod arena || return 1
	done
}

load_arena()
{
	[ -e /sys/module/arena ] || load_module arena
}

# Succeeds if arena_unload refuses to run because the arena module, whose functions it looks up, is
# not loaded.
nothing_to_call()
{
	! echo 1 2>/dev/null >$file
}

# Clause 29: succeeds if the module, loaded without the device, serves kernel code, and can be
# loaded with the device again afterwards.
without_device()
{
	rmmod arena && load_module arena device=0 || return 1
	[ ! -e /dev/arena ] && [ ! -e /sys/class/misc/arena ] || return 1
	load_module arena_unload && echo $arenas >$file && rmmod arena_unload &&
		[ "$(wc -l <$arena/arenas)" -eq 1 ] && rmmod arena &&
		load_arena && [ -e /sys/class/misc/arena ]
}

load_arena || skip_all "no module arena"
[ "$(cat /sys/module/arena/refcnt 2>/dev/null)" = 0 ] || skip_all "the module is in use"
load_module arena_unload || skip_all "no module arena_unload"
echo "TAP version 13"
echo "1..5"
check "the module goes with callbacks just over" unload_arena
check "nothing of it is left" nothing_to_call
check "it comes again" load_arena
check "the test's module goes" rmmod arena_unload
check "kernel code has arenas without the device" without_device
