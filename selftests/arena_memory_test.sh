#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tests from which NUMA node the memory of arenas comes, the pools of memory that the module keeps
# for new arenas, memory pressure, and which memory cgroup is charged. The module arena_memory
# (selftests/memory) makes the arenas. Prints TAP.

. "$(dirname "$0")/arena_tap.sh"

file=/sys/kernel/debug/arena_memory
groups=/sys/fs/cgroup
group=$groups/arena_memory
pressure=/tmp/arena_pressure
megabyte=1048576
page=$(($(awk '$1 == "KernelPageSize:" { print $2; exit }' /proc/self/smaps) * 1024))

# Prints the number in the line $1 of the debugfs file of arena_memory.
value()
{
	awk -v name="$1" '$1 == name { print $2 }' $file
}

make()
{
	echo "$*" >$file
}

drop()
{
	echo drop >$file
}

pool()
{
	cat $arena/pool_bytes
}

# Succeeds if all memory of the arena lies on node $1.
lies_on()
{
	[ "$(value "node$1")" -eq $((megabyte / page)) ] && return 0
	show $file
	false
}

node_asked_for()
{
	for node in 0 1 0 1; do
		make node $node $megabyte && lies_on $node && drop || return 1
	done
	! make node 17 $megabyte 2>/dev/null
}

# Succeeds if an arena lies on the node of the CPU on which a task makes the arena.
node_of_the_cpu()
{
	for node in 0 1; do
		mask=$(tr -d , <"/sys/devices/system/node/node$node/cpumap")
		taskset "0x$mask" sh -c "echo 'local $megabyte' >$file" &&
			lies_on $node && drop || return 1
	done
}

# Succeeds if memory that an arena has given to the pool goes only to arenas of the same node.
pool_of_the_node()
{
	echo 2 >/proc/sys/vm/drop_caches
	make node 0 $megabyte && drop || return 1
	make node 1 $megabyte && lies_on 1 && [ "$(value pool_hits)" -eq 0 ] && drop || return 1
	for node in 0 1; do
		make node $node $megabyte && lies_on $node && [ "$(value page_allocs)" -eq 0 ] &&
			[ "$(value pool_hits)" -eq $((megabyte / 65536)) ] && drop || return 1
	done
	[ "$(pool)" -ge $((2 * megabyte)) ]
}

# Succeeds if writing to drop_caches empties the pools of all nodes.
dropped()
{
	make node 0 $megabyte && drop && make node 1 $megabyte && drop &&
		[ "$(pool)" -ge $((2 * megabyte)) ] &&
		echo 2 >/proc/sys/vm/drop_caches && [ "$(pool)" -eq 0 ]
}

meminfo()
{
	awk -v name="$1:" '$1 == name { print int($2 / 1024) }' /proc/meminfo
}

# Succeeds if memory pressure empties most of the pool. Sets the memory that the kernel keeps free
# to 160 MiB, so that the kernel reclaims memory from the pool before other programs run out of
# memory.
pressed()
{
	make node 0 $((8 * megabyte)) && drop && make node 1 $((8 * megabyte)) && drop || return 1
	before=$(pool)
	was=$(cat /proc/sys/vm/min_free_kbytes)
	echo $((160 * 1024)) >/proc/sys/vm/min_free_kbytes
	mkdir -p $pressure && mount -t tmpfs -o size=90% tmpfs $pressure || return 1
	for i in $(seq 200); do
		if [ "$(pool)" -eq 0 ] || [ "$(meminfo MemFree)" -lt 100 ]; then
			break
		fi
		dd if=/dev/zero of="$pressure/$i" bs=1M count=8 2>/dev/null
	done
	echo "# $(meminfo MemFree) MiB are free"
	umount $pressure && rmdir $pressure
	echo "$was" >/proc/sys/vm/min_free_kbytes
	echo "# $before bytes in the pool before, $(pool) under pressure"
	[ "$before" -ge $((16 * megabyte)) ] && [ "$(pool)" -lt $((before / 4)) ]
}

# Prints the number in the cgroup's file $1 or, if $2 is given, the number in the line $2 of the
# file.
group_value()
{
	if [ $# -gt 1 ]; then
		awk -v name="$2" '$1 == name { print $2 }' "$group/$1"
	else
		cat "$group/$1"
	fi
}

in_group()
{
	sh -c "echo \$\$ >$group/cgroup.procs && echo '$1' >$file"
}

open_group()
{
	echo +memory >$groups/cgroup.subtree_control && mkdir $group &&
		echo "$1" >$group/memory.max && echo 0 >$group/memory.swap.max 2>/dev/null
	[ -e $group/memory.max ]
}

# Clause 21: a task in a cgroup with a limit creates an arena, and a kernel thread fills it.
# Succeeds if the cgroup of the task is charged, and if, at the limit, an allocation fails and the
# kernel kills no process.
group_limit()
{
	limit=$((24 * megabyte))
	before=$(pool)
	open_group $limit && in_group "account $((64 * megabyte))" || return 1
	show $file
	echo "# the group has $(group_value memory.current) of $limit"
	committed=$(value committed)
	[ "$committed" -le $limit ] && [ "$committed" -ge $((limit / 2)) ] &&
		[ "$(value fail_memory)" -ge 1 ] && [ "$(value fail_space)" -eq 0 ] &&
		[ "$(group_value memory.current)" -ge "$committed" ] &&
		[ "$(group_value memory.events oom_kill)" -eq 0 ] || return 1
	drop
	# None of the charged memory went to the pool, from which other arenas could get it.
	[ "$(pool)" -le "$before" ] && uncharged
}

# Waits until the cgroup is charged for less than 4 MiB: the kernel charges some memory in advance
# for each CPU, and may keep that charge when the arena is gone.
uncharged()
{
	for _ in $(seq 50); do
		[ "$(group_value memory.current)" -lt $((4 * megabyte)) ] && return 0
		usleep 100000
	done
	echo "# still charged: $(group_value memory.current)"
	false
}

# Succeeds if, without a limit, the arena gets memory for all of its capacity, and the cgroup is
# charged for it.
group_pays()
{
	echo max >$group/memory.max && in_group "account $((16 * megabyte))" || return 1
	[ "$(value committed)" -eq $((16 * megabyte)) ] && [ "$(value fail_space)" -ge 1 ] &&
		[ "$(group_value memory.current)" -ge $((16 * megabyte)) ] &&
		drop && uncharged
}

# Clause 21: a task in the cgroup makes a private arena, and a kernel thread fills the arena.
# Succeeds if the cgroup is charged for the memory, at most up to its limit, and if none of the
# memory enters the pool.
private_pays()
{
	limit=$((24 * megabyte))
	before=$(pool)
	echo $limit >$group/memory.max && in_group "private $((64 * megabyte))" || return 1
	show $file
	[ "$(value private)" -le $limit ] && [ "$(value private)" -ge $((limit / 2)) ] &&
		[ "$(group_value memory.current)" -ge "$(value private)" ] &&
		[ "$(group_value memory.events oom_kill)" -eq 0 ] || return 1
	drop && [ "$(pool)" -le "$before" ] && uncharged && echo max >$group/memory.max
}

# Succeeds if the cgroup can be removed while it is charged for an arena.
group_gone()
{
	in_group "account $((8 * megabyte))" && rmdir $group && drop
}

# Clause 25: when an arena with ARENA_SHRINK has been idle for a second, the kernel's shrinkers free
# the slabs that a reset has kept.
idle_gives_back()
{
	make idle $((8 * megabyte)) || return 1
	[ "$(value committed)" -eq $((8 * megabyte)) ] || return 1
	reclaimed=$(cat $arena/reclaimed_bytes)
	echo 2 >/proc/sys/vm/drop_caches
	sleep 2
	echo 2 >/proc/sys/vm/drop_caches
	[ "$(value committed)" -eq 0 ] &&
		[ $(($(cat $arena/reclaimed_bytes) - reclaimed)) -ge $((8 * megabyte)) ] && drop
}

# Clause 25: the kernel's shrinkers free no slab of an arena without ARENA_SHRINK.
idle_keeps()
{
	make local $((8 * megabyte)) || return 1
	echo 2 >/proc/sys/vm/drop_caches
	sleep 2
	echo 2 >/proc/sys/vm/drop_caches
	[ "$(value committed)" -eq $((8 * megabyte)) ] && drop
}

# Clause 2: an arena with slabs of 64 KiB grows although no 64 KiB in a row are free.
fragmented()
{
	echo 3 >/proc/sys/vm/drop_caches
	make fragment
	free=$(meminfo MemFree)
	echo "# $(value fragments) pages are in the way of $free MiB that are free"
	make local $((16 * megabyte))
	committed=$(value committed)
	pieced=$(value pieced)
	failed=$(value fail_memory)
	drop
	make mend
	echo "# $committed bytes, of these $((pieced * 4096)) in slabs of single pages"
	[ "$free" -ge 32 ] && [ "$committed" -eq $((16 * megabyte)) ] && [ "$failed" -eq 0 ] &&
		[ "$pieced" -ge $((8 * megabyte / 4096)) ] || return 1
	# Once there are such blocks again, no slab is made of single pages.
	make local $((16 * megabyte)) && [ "$(value pieced)" -eq 0 ] && drop
}

load_module arena_memory || skip_all "no module arena_memory"
echo "TAP version 13"
echo "1..13"
if [ -e /sys/devices/system/node/node1 ]; then
	check "memory of the node that was asked for" node_asked_for
	check "memory of the CPU's own node" node_of_the_cpu
	check "a pool for each node" pool_of_the_node
	check "the pools are dropped with the caches" dropped
	check "the pools give way under pressure" pressed
else
	for name in "memory of a node" "memory of the CPU's node" "a pool for each node" \
		"the pools are dropped" "the pools give way"; do
		skip "$name" "one node"
	done
fi
if grep -qw memory $groups/cgroup.controllers 2>/dev/null; then
	check "a limited group gets ENOMEM and stays alive" group_limit
	check "a kernel thread's use is charged to the group" group_pays
	check "a private arena's use is charged to the group" private_pays
	check "the group may go first" group_gone
else
	skip "a limited group" "no memory cgroups"
	skip "a kernel thread's use" "no memory cgroups"
	skip "a private arena's use" "no memory cgroups"
	skip "the group may go first" "no memory cgroups"
fi
check "an idle arena gives back what it kept" idle_gives_back
check "an arena without ARENA_SHRINK keeps its memory" idle_keeps
check "an arena grows in fragmented memory" fragmented
check "nothing is left behind" rmmod arena_memory
