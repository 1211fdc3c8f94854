#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Clause 29: private arenas alone in the module of another author. The module arena_alone
# (selftests/alone) carries them inside itself, and checks them beside the arena module and without
# it. Prints TAP.

. "$(dirname "$0")/arena_tap.sh"

run=/sys/module/arena_alone/parameters/run
group=/sys/fs/cgroup/arena_alone
megabyte=1048576
log=$(mktemp)

# Makes arena_alone run the checks in the arguments. If one fails, writes to $log what is not true.
run()
{
	for word; do
		echo "$word" >$run && continue
		dmesg | grep 'arena_alone: line' | tail -n 3 >"$log"
		return 1
	done
}

run_all()
{
	run objects buffer arguments kept marks actions resize atomic
}

# Succeeds if the kernel has found that arena_alone uses nothing of the arena module, which was
# loaded before.
depends_on_nothing()
{
	[ -e /sys/module/arena/holders ] && ! [ -e /sys/module/arena/holders/arena_alone ] &&
		[ "$(cat /sys/module/arena/refcnt)" = 0 ]
}

# Succeeds if each function of private.c that other files can call has a name that ends in the one
# of the module: otherwise two such modules could not be built into one kernel.
names_are_its_own()
{
	grep -w '\[arena_alone\]' /proc/kallsyms | awk '$3 ~ /^_*arena_(private|scratch)_/' >"$log"
	[ "$(wc -l <"$log")" -gt 10 ] && ! grep -vE '_arena_alone(\..*)?[[:space:]]' "$log"
}

without_arena()
{
	rmmod arena && ! [ -e /sys/module/arena ] && run_all && rmmod arena_alone &&
		load_module arena_alone && run_all
}

arena_comes_again()
{
	load_module arena && run_all
}

used()
{
	cat $group/memory.current
}

little_used()
{
	[ "$(used)" -lt $((4 * megabyte)) ]
}

# Waits until the cgroup is charged for less than 4 MiB: the kernel charges some memory in advance
# for each CPU.
uncharged()
{
	until_true little_used
	rc=$?
	echo "# $(used) bytes charged"
	return $rc
}

filled()
{
	echo "# $(used) bytes charged"
	[ "$(used)" -ge $((16 * megabyte)) ]
}

# Succeeds if the cgroup in which the arena was made is charged for its memory, also where a task
# outside of the cgroup lets the arena grow, and no longer when that memory is given back.
group_pays()
{
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control && mkdir $group || return 1
	sh -c "echo \$\$ >$group/cgroup.procs && echo fill >$run" && filled && run trim &&
		uncharged && run fill && filled && run drop && uncharged && rmdir $group
}

[ -e /sys/module/arena ] || load_module arena || skip_all "no module arena"
[ "$(cat /sys/module/arena/refcnt 2>/dev/null)" = 0 ] || skip_all "the module is in use"
load_module arena_alone || skip_all "no module arena_alone"
echo "TAP version 13"
echo "1..7"
check "it does not depend on the arena module" depends_on_nothing
check "its functions have names of their own" names_are_its_own
check "private arenas work beside the arena module" run_all
check "private arenas work without the arena module" without_arena
check "the arena module loads beside it" arena_comes_again
if grep -qw memory /sys/fs/cgroup/cgroup.controllers 2>/dev/null; then
	check "a memory cgroup is charged" group_pays
else
	skip "a memory cgroup is charged" "no memory cgroups"
fi
check "it unloads" rmmod arena_alone
rm "$log"
