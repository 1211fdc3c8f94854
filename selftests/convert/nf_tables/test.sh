#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tests batches of nf_tables. The same tests run with the original module and with the converted
# one, whose outputs must be the same in the lines that begin with "# same: ". Prints TAP.

# shellcheck source=../../arena_tap.sh
. ../arena_tap.sh
# shellcheck source=../guest.sh
. ../guest.sh
# shellcheck source=nft.sh
. ./nft.sh

# Succeeds if the set has exactly the elements $1 to $2, and the chain $3 rules.
has()
{
	{ seq "$1" "$2"; echo "rules $3"; } >/tmp/want
	batch list >/tmp/have && cmp -s /tmp/want /tmp/have && return 0
	diff /tmp/want /tmp/have | sed 's/^/# /' | head -n 5
	return 1
}

# Succeeds if a batch fails with the error $1.
fails()
{
	error=$1
	shift
	batch "$@" 2>/tmp/error && return 1
	grep -q "$error" /tmp/error || { sed 's/^/# /' /tmp/error; return 1; }
}

add()
{
	batch make && has 1 0 0 || return 1
	for last in 1 2 5 10 100 10000; do
		batch add elements 1 $last && has 1 $last 0 || return 1
	done
	batch add rules 1 500 && has 1 10000 500 && batch delete table
}

# The batch adds 9999 elements before it comes to one that exists.
fail_in_the_end()
{
	batch make && batch add elements 10000 10000 && batch add rules 1 3 || return 1
	for _ in 1 2 3; do
		fails 'File exists' add new 1 10000 && has 10000 10000 3 || return 1
	done
	fails 'File exists' add new 9999 10001 && has 10000 10000 3 &&
		batch add new 1 9999 && has 1 10000 3 && batch delete table
}

exist_already()
{
	batch make && batch add elements 1 10000 && batch add elements 1 10000 &&
		batch add elements 5000 15000 && has 1 15000 0 && batch delete table
}

delete()
{
	batch make && batch add elements 1 10000 && batch delete elements 101 10000 && has 1 100 0 &&
		fails 'No such file' delete elements 50 101 && has 1 100 0 &&
		batch delete all && has 1 0 0 && batch add elements 1 5000 && batch delete all &&
		batch add elements 1 100 && has 1 100 0 && batch delete table &&
		fails 'No such file' list
}

replace()
{
	batch make || return 1
	for nr in 1 3 10 100 1000 3; do
		batch mixed $nr && has 1 $nr $nr || return 1
	done
	batch delete table
}

# A memory cgroup reaches its limit: the kernel kills the task, whose batch is aborted.
limited()
{
	group=/sys/fs/cgroup/limited
	echo +memory >/sys/fs/cgroup/cgroup.subtree_control
	batch make && batch add elements 1 10 && mkdir -p $group &&
		echo $((3 << 20)) >$group/memory.max || return 1
	echo "arena-test: expect splat" >/dev/kmsg
	(echo 0 >$group/cgroup.procs && exec batch add elements 11 60000) 2>/dev/null
	result=$?
	echo "arena-test: end of splat" >/dev/kmsg
	until_true rmdir $group
	echo "# ended with $result"
	[ $result -ne 0 ] && has 1 10 0 && batch add elements 11 60000 && has 1 60000 0 &&
		batch delete table
}

replace_4_times()
{
	for nr in 5000 1000 5000 1000; do
		batch mixed $nr && has 1 $nr $nr || return 1
	done
}

pressure()
{
	batch make && while_short 48 replace_4_times && batch delete table
}

# The elements of a batch take more than half a MiB: what a batch leaves would be seen after a
# hundred.
nothing_lost()
{
	batch make && batch time again 10000 1 >/dev/null && before=$(available) || return 1
	for what in elements delete abort again; do
		batch time $what 10000 25 >/dev/null || return 1
	done
	after=$(available)
	echo "# available: $before MiB before, $after after"
	[ "$after" -gt $((before - 50)) ]
}

# Loads modules of the kernel that need nf_tables, and a rule set as people write it,
# which is then changed.
rule_set()
{
	for ko in nft_objref nft_limit; do
		[ ! -e /ko/$ko.ko ] || insmod /ko/$ko.ko || return 1
	done
	nft -f rules.nft && nft list ruleset >/tmp/rules && same "rule set" </tmp/rules &&
		! nft -f bad.nft 2>/dev/null && nft list ruleset | cmp - /tmp/rules &&
		nft -f change.nft && nft list ruleset | tee /tmp/changed | same "changed rule set" &&
		! cmp -s /tmp/rules /tmp/changed && nft flush ruleset && [ -z "$(nft list ruleset)" ] &&
		nft -f /tmp/rules && nft list ruleset | cmp - /tmp/rules
	result=$?
	nft flush ruleset
	# Until the objects are destroyed, they use the modules.
	until_true rmmod nft_limit 2>/dev/null || result=1
	[ ! -e /ko/nft_objref.ko ] || until_true rmmod nft_objref 2>/dev/null || result=1
	return $result
}

# The module unloads, so no batch waits; and no memory of arenas is left.
unload()
{
	rmmod nf_tables && nothing_held
}

echo "TAP version 13"
echo "1..14"
check "batches of all sizes add elements and rules" add
check "a batch that fails in the end changes nothing" fail_in_the_end
check "elements that exist already are added again" exist_already
check "elements and tables are deleted" delete
check "a batch replaces a table" replace
check "batches follow before the objects of others are destroyed" batch many 100
check "tasks in four network namespaces send batches that succeed and fail" batch race 4 40
if [ "$(uname -r | cut -d. -f1)" -gt 6 ]; then
	check "a hook is removed" batch hook
else
	skip "a hook is removed" "this kernel removes only whole chains"
fi
if [ -x $programs/nft ]; then
	check "nft loads, lists, changes and flushes rules" rule_set
else
	skip "nft loads, lists, changes and flushes rules" "no nft in this guest"
fi
check "a batch is aborted when its memory cgroup is at the limit" limited
check "batches succeed under memory pressure" pressure
check "a hundred batches leave no memory behind" nothing_lost
if [ -e /ko/arena_fail_nth.ko ] && insmod /ko/arena_fail_nth.ko; then
	check "each allocation fails, and the old table remains" batch fail 20
	rmmod arena_fail_nth
else
	skip "each allocation fails, and the old table remains" "no arena_fail_nth.ko"
fi
check "the module unloads and leaves nothing behind" unload
