#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tests allocation in timers, irq_work, NMIs and kprobes, and while a CPU goes offline and comes
# back. The module arena_context (selftests/context) does the work; this script runs its tests and
# prints TAP.

. "$(dirname "$0")/arena_tap.sh"

debug=/sys/kernel/debug/arena_context
cpu=/sys/devices/system/cpu/cpu1/online

went_well()
{
	grep '^#' $debug/result
	[ "$(head -n 1 $debug/result)" = ok ]
}

run()
{
	echo "$1" >$debug/run && went_well
}

# Runs the module's test $1 and prints its result, which is "skip" if the module says that this
# machine cannot run the test.
run_or_skip()
{
	if ! echo "$1" >$debug/run; then
		check "$1" false
	elif [ "$(head -n 1 $debug/result)" = skip ]; then
		skip "$1" "$(tail -n 1 $debug/result | sed 's/^# //')"
	else
		check "$1" went_well
	fi
}

# Takes a CPU offline and online again, until killed.
toggle()
{
	while :; do
		echo 0 >$cpu
		usleep 300000
		echo 1 >$cpu
		usleep 300000
	done
}

hotplug()
{
	toggle &
	run hotplug
	verdict=$?
	kill $!
	wait
	echo 1 >$cpu
	# At least one round must have begun while the CPU was offline.
	grep -q ' 0 began' $debug/result && verdict=1
	return $verdict
}

stays()
{
	! rmmod arena 2>/dev/null
}

unload()
{
	rmmod arena_context && nothing_held
}

# arena_context finds the arena's functions by the name of the arena's module, so it cannot test an
# arena that is built into the kernel.
grep -q '^arena ' /proc/modules || skip_all "arena is not a module here"
load_module arena_context || skip_all "no module arena_context"
tests=$(grep -v hotplug $debug/list)
echo "TAP version 13"
echo "1..$(($(echo "$tests" | wc -l) + 3))"
for test in $tests; do
	run_or_skip "$test"
done
if [ -w $cpu ]; then
	check "CPU hotplug" hotplug
else
	skip "CPU hotplug" "no CPU can be taken down"
fi
check "arena stays while a module uses it" stays
check "nothing is left behind" unload
