#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tests the tracepoints through tracefs: when a program makes calls on its arena, the kernel must
# record events with the arguments of the calls. Prints TAP.

. "$(dirname "$0")/arena_tap.sh"

trace=/sys/kernel/tracing
[ -e $trace/events ] || trace=/sys/kernel/debug/tracing
events=$trace/events/arena
log=$(mktemp)

listen()
{
	echo "$1" >$events/enable
}

# Runs arena_play with the events of arenas enabled, and writes the events to $log, without times
# and tasks. Sets $id to the number of the arena, which must have the name "traced".
record()
{
	echo >$trace/trace
	listen 1
	./arena_play "$@" >/dev/null
	listen 0
	sed -n 's/^.*: \(arena_[a-z_]*: .*\)/\1/p' $trace/trace >"$log"
	id=$(sed -n 's/^arena_create: id=\([0-9]*\) .*name=traced$/\1/p' "$log")
	[ -n "$id" ] && return
	echo "# no arena was made"
	return 1
}

# Prints how many events of the kind $1 of arena $id have arguments that match $2.
seen()
{
	grep -c "^arena_$1: id=$id $2" "$log"
}

# Succeeds if exactly NUMBER events of the kind EVENT have arguments that match PATTERN.
#   expect NUMBER EVENT PATTERN
expect()
{
	[ "$(seen "$2" "$3")" -eq "$1" ] && return
	echo "# not $1 times arena_$2 with $3"
	return 1
}

all_there()
{
	for event in create destroy grow alloc alloc_fail reset; do
		[ -e $events/arena_$event/format ] || return 1
	done
}

lifetime()
{
	record setup=traced,0x100000,0x10000 alloc=100 || return 1
	expect 1 create 'capacity=1048576 slab_size=65536 flags=.*account.*name=traced$' &&
		expect 1 destroy 'generation=4 resets=0 committed_peak=65536 name=traced$'
}

# Checks sizes, alignments and offsets; $1 is ",spans" for an arena with spans, or empty.
allocations()
{
	record "setup=traced,0x100000,0x10000$1" alloc=100,64 alloc=24,4096 store=hello || return 1
	expect 3 alloc 'generation=4 ' &&
		expect 1 alloc 'generation=4 offset=0 bytes=100 align=64 gfp=.*GFP_KERNEL' &&
		expect 1 alloc 'generation=4 offset=4096 bytes=24 align=4096 ' &&
		expect 1 alloc 'generation=4 offset=4120 bytes=5 align=8 '
}

growth()
{
	record setup=traced,0x100000,0x10000 alloc=60000 alloc=60000 alloc=200000 || return 1
	expect 1 grow 'offset=0 bytes=65536 committed=65536 gfp=.*GFP_USER' &&
		expect 1 grow 'offset=65536 bytes=65536 committed=131072 ' &&
		expect 6 grow 'offset=[0-9]* bytes=65536 ' &&
		expect 1 alloc 'generation=4 offset=131072 bytes=200000 '
}

# Checks the errnos in events of failed calls: EINVAL is 22, and ENOSPC is 28.
failures()
{
	record setup=traced,0x100000,0x10000 alloc=0 alloc=8,3 alloc=0x100001 || return 1
	expect 3 alloc_fail 'bytes=' &&
		expect 1 alloc_fail 'bytes=0 align=8 error=-22 ' &&
		expect 1 alloc_fail 'bytes=8 align=3 error=-22 ' &&
		expect 1 alloc_fail 'bytes=1048577 align=8 error=-28 ' && expect 0 alloc ''
}

resets()
{
	record setup=traced,0x100000,0x10000 alloc=8 reset=keep alloc=8 reset=zero alloc=8 \
		reset=release alloc=8 || return 1
	expect 1 reset 'mode=keep generation=8 kept=65536' &&
		expect 1 reset 'mode=zero generation=12 kept=65536' &&
		expect 1 reset 'mode=release generation=16 kept=0' &&
		expect 1 alloc 'generation=16 offset=0 bytes=8 '
}

silence()
{
	record setup=traced,0x100000,0x10000 || return 1
	echo >$trace/trace
	./arena_play alloc=8 reset=keep
	! grep -q arena_ $trace/trace
}

[ -d $trace/events ] || skip_all "this kernel has no tracing"
[ -e /dev/arena ] || skip_all "no /dev/arena"
echo "TAP version 13"
echo "1..8"
check "every event has a format" all_there
check "arenas come and go" lifetime
check "allocations: where, how much" allocations
check "allocations with spans" allocations ,spans
check "growth, slab by slab" growth
check "failures and their causes" failures
check "resets: how, and what generation begins" resets
check "silence when off" silence
rm "$log"
