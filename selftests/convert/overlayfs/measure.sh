#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Measures how overlayfs reads directories, in a guest in which an instruction takes a nanosecond.
# Prints lines of a name and a number.

# shellcheck source=layers.sh
. ./layers.sh

tracing=/sys/kernel/tracing

# Prints how often a reader of the directory $1 makes overlayfs call kmalloc(), or an arena take
# pages.
calls()
{
	echo 0 >$tracing/tracing_on
	echo >$tracing/trace
	echo 'p:arena_block arena_block_alloc' >$tracing/kprobe_events
	echo 1 >$tracing/events/kmem/kmalloc/enable
	echo 1 >$tracing/events/kprobes/arena_block/enable
	echo 1 >$tracing/tracing_on
	readdir time "$1" 1 >/dev/null
	echo 0 >$tracing/tracing_on
	grep -c '\[overlay\] \|arena_block:' $tracing/trace
	echo 0 >$tracing/events/kmem/kmalloc/enable
	echo 0 >$tracing/events/kprobes/arena_block/enable
	echo >$tracing/kprobe_events
}

# Prints names and numbers of a program: instructions of all of it, and its system time.
program()
{
	name=$1
	shift
	"$@" >/dev/null
	readdir run "$@" | {
		read -r instructions time
		echo "$name: instructions $instructions"
		echo "$name: system time in microseconds $time"
	}
}

fresh || exit 1
echo 8000 >$tracing/buffer_size_kb
for nr in 10 1000 10000; do
	fill d$nr $nr
	readdir time merged/d$nr 1 >/dev/null
	echo "open, read and close a directory of $nr names: instructions" \
		"$(readdir time merged/d$nr 7)"
	echo "the same of $nr names: allocator calls of overlayfs $(calls merged/d$nr)"
done
for nr in 10 100 1000 10000; do
	for i in $(seq $((20000 / nr > 200 ? 200 : 20000 / nr))); do
		fill "keep$nr/$i" $nr
	done
	echo "an open directory of $nr names: bytes $(readdir kept merged/keep$nr/*)"
done
mkdir -p lower/tree upper/tree
for i in $(seq 100); do
	fill "tree/$i" 100
done
program "find in 100 directories of 100 names" find merged/tree
program "ls of a directory of 10000 names" ls merged/d10000
clean
