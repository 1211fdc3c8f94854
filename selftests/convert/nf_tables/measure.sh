#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Measures batches of nf_tables, in a guest in which an instruction takes a nanosecond. Prints lines
# of a name and a number.

# shellcheck source=nft.sh
. ./nft.sh

tracing=/sys/kernel/tracing
nr=10000
# Elements in a batch of which each allocation is traced.
traced=1000

# Runs a command, with events in the trace: calls of the allocators by nf_tables and arenas, and the
# work that destroys objects. Removing the kprobes would empty the trace, so they remain.
trace()
{
	echo 0 >$tracing/tracing_on
	echo 10000 >$tracing/buffer_size_kb
	echo >$tracing/trace
	echo x86-tsc >$tracing/trace_clock
	echo >$tracing/kprobe_events
	cat >$tracing/kprobe_events <<-END
	p:block arena_block_alloc order=%di:u32
	p:block_free arena_block_free order=%si:u32
	r:grace synchronize_rcu
	r:destroyed nf_tables_trans_destroy_work
	END
	krealloc=$(awk '$3 ~ /^krealloc(_noprof|_node_align_noprof)?$/ { print $3; exit }' \
		/proc/kallsyms)
	echo "p:krealloc $krealloc" >>$tracing/kprobe_events
	for event in kmem/kmalloc kmem/kfree kprobes; do
		echo 1 >$tracing/events/$event/enable
	done
	echo 1 >$tracing/tracing_on
	"$@" >/dev/null
	usleep 300000
	echo 0 >$tracing/tracing_on
	for event in kmem/kmalloc kmem/kfree kprobes; do
		echo 0 >$tracing/events/$event/enable
	done
}

# Prints, of what trace() has recorded of the program batch, the number of allocator calls, and the
# most bytes that nf_tables and arenas held at a time. Reads the trace once.
allocations()
{
	sed -n '/ batch-/p' $tracing/trace | awk -v name="$1" '
	function value(key, text) {
		text = substr($0, index($0, " " key "=") + length(key) + 2)
		sub(" .*", "", text)
		return text
	}
	function block(order, bytes) {
		for (bytes = 4096; order > 0; order--)
			bytes *= 2
		return bytes
	}
	/ kmalloc: .*\[nf_tables\]/ {
		calls++
		size[value("ptr")] = value("bytes_alloc")
		held += value("bytes_alloc")
	}
	/ kfree: .*\[nf_tables\]/ {
		calls++
		held -= size[value("ptr")]
		delete size[value("ptr")]
	}
	/ krealloc: / { calls++ }
	/ block: / { calls++; held += block(value("order")) }
	/ block_free: / { calls++; held -= block(value("order")) }
	held > peak { peak = held }
	END {
		print name ": allocator calls " calls
		print name ": most bytes held " peak
	}'
}

# Prints how long the work that destroys objects took after its grace period.
destroy_work()
{
	awk -v name="$1" '
	/ grace: / { start = $4 }
	/ destroyed: / { if ($4 - start > most) most = $4 - start }
	END { print name " " most }' $tracing/trace
}

# Prints names and numbers of a program: instructions of all of it, and its system time.
program()
{
	name=$1
	shift
	for _ in 1 2 3; do
		readdir run "$@"
	done | sort -n | head -n 1 | {
		read -r instructions time
		echo "$name: instructions $instructions"
		echo "$name: system time in microseconds $time"
	}
}

# Makes a file for nft that replaces a table with 10,000 elements.
elements_file()
{
	echo "table inet t"
	echo "delete table inet t"
	echo "table inet t { set s { type ipv4_addr; elements = {"
	seq $nr | awk '{ print "10.1." int($1 / 256) "." $1 % 256 "," }'
	printf '}\n}\n}\n'
}

for size in 1 100 $nr; do
	echo "add $size elements: instructions $(batch time elements "$size" 7)"
done
for size in 1 100 1000; do
	echo "add $size rules: instructions $(batch time rules "$size" 7)"
done
for what in again delete flush abort; do
	echo "$nr elements, $what: instructions $(batch time $what $nr 5)"
done
batch make
trace batch add elements 1 $traced
allocations "add $traced elements"
trace batch add elements 1 $traced
allocations "add $traced elements again"
trace batch delete elements 1 $traced
allocations "delete $traced elements"
destroy_work "delete $traced elements: instructions of the work that destroys them"
batch delete table
echo >$tracing/kprobe_events
[ -x $programs/nft ] || exit 0
elements_file >/tmp/elements.nft
# shellcheck disable=SC2086 # a command and its arguments
program "nft -f of $nr elements" $nft -f /tmp/elements.nft
nft flush ruleset
