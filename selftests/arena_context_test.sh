#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Allocation from timers, irq_work, NMIs and probes, and while a CPU goes and
# comes. The module arena_context does the work (see selftests/context); this
# runs it and prints TAP.

debug=/sys/kernel/debug/arena_context
arena=/sys/kernel/debug/arena
cpu=/sys/devices/system/cpu/cpu1/online
number=0

skip_all()
{
	echo "1..0 # SKIP $*"
	exit 4
}

load()
{
	for file in /ko/arena_context.ko ./arena_context.ko; do
		[ -e "$file" ] && insmod "$file" && return 0
	done
	modprobe arena_context 2>/dev/null
}

# Name, and a command that decides.
check()
{
	name=$1
	number=$((number + 1))
	shift
	if "$@"; then
		echo "ok $number $name"
	else
		echo "not ok $number $name"
	fi
}

went_well()
{
	grep '^#' $debug/result
	[ "$(head -n 1 $debug/result)" = ok ]
}

run()
{
	echo "$1" >$debug/run && went_well
}

# A CPU comes and goes as long as the test runs.
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
	# Neither the CPU's absence nor its presence was only imagined.
	grep -q ' 0 began' $debug/result && verdict=1
	return $verdict
}

stays()
{
	! rmmod arena 2>/dev/null
}

unload()
{
	rmmod arena_context || return 1
	total=$(cat $arena/total_bytes)
	pool=$(cat $arena/pool_bytes)
	echo "# $total bytes held, $pool of them in the pool"
	[ "$total" -eq "$pool" ] && [ "$(wc -l <$arena/arenas)" -eq 1 ]
}

load || skip_all "no module arena_context"
tests=$(grep -v hotplug $debug/list)
echo "TAP version 13"
echo "1..$(($(echo "$tests" | wc -l) + 3))"
for test in $tests; do
	check "$test" run "$test"
done
if [ -w $cpu ]; then
	check "CPU hotplug" hotplug
else
	number=$((number + 1))
	echo "ok $number CPU hotplug # SKIP no CPU can be taken down"
fi
check "arena stays while a module uses it" stays
check "nothing is left behind" unload
