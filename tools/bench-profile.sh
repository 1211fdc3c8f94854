#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Counts the instructions of one allocation by function. While a benchmark runs on a stock kernel,
# QEMU logs each instruction for a moment.
#
#   bench-profile.sh batch ALLOCATOR   one object of a batch
#   bench-profile.sh once ALLOCATOR    one object and a reset
#   bench-profile.sh create ALLOCATOR  an arena that is made for 100 objects
#   bench-profile.sh ioctl ALLOCATOR   a call from a program; ALLOCATOR is arena_spans,
#                                      arena_dense, nothing or getppid
#   INIT=1                             boot with init_on_alloc
#   KERNEL=new                         run the newest stock kernel
#   REV=COMMIT                         measure the module of that commit
#
# With the other benchmarks, ALLOCATOR is one of those in selftests/bench/rivals.c, such as
# arena_spans.

. "$(dirname "$0")/lib.sh"

BENCH=$BUILD/bench
DIR=$BENCH/profile
KERNEL=${KERNEL:-stock}

guest_commands()
{
	local bench=$1 rival=$2 run

	run="cd /sys/kernel/debug/arena_bench"
	run="$run; for i in \$(seq 300); do echo $bench >run || exit 1; done"
	[ "$bench" != ioctl ] || run="/user_ioctl insn 500 $rival"
	cat <<END
# Wait until the boot is over: the log is to show the benchmark, and no work of the boot.
sleep 20
insmod /ko/arena.ko || exit 1
insmod /ko/arena_bench.ko instructions=1 rounds=5 only=$rival || exit 1
grep -i ' t ' /proc/kallsyms | gzip | base64 | sed 's/^/symbols /'
echo ready
$run
END
}

# Makes QEMU log instructions for a moment: sends commands to QEMU's monitor, with a pause after
# each.
look()
{
	local command

	for command in "singlestep on" "log exec,nochain" "" "" "log none" "singlestep off"; do
		[ -z "$command" ] || echo "$command"
		sleep 0.5
	done | timeout 30 tee "$DIR/monitor.in" >/dev/null
}

# Boots the guest and runs the benchmark in it.
#   machine MODULE-DIR BENCH ALLOCATOR
machine()
{
	"$ROOT/tools/vm.sh" --name bench-profile --kernel "$KERNEL" --icount --modules "$1/ko" \
		--file "$1/user_ioctl:user_ioctl" --timeout 400 \
		--append "init_on_alloc=${INIT:-0}" \
		--qemu "-monitor pipe:$DIR/monitor -D $DIR/log" -- \
		"$(guest_commands "$2" "$3")" >"$DIR/output"
}

main()
{
	local guest reader build=--build modules=$BENCH/stock

	case $#-${1:-} in
	2-batch | 2-once | 2-create | 2-ioctl) ;;
	*) die "usage: bench-profile.sh batch|once|create|ioctl ALLOCATOR" ;;
	esac
	[ "$KERNEL" = stock ] || build=--build-new modules=$BUILD/new/root/bench
	"$ROOT/tools/bench.sh" "$build" || exit 1
	rm -rf "$DIR"
	mkdir -p "$DIR"
	mkfifo "$DIR/monitor.in" "$DIR/monitor.out"
	cat "$DIR/monitor.out" >/dev/null &
	reader=$!
	: >"$DIR/output"
	say "the guest starts and tells its symbols"
	machine "$modules" "$@" &
	guest=$!
	while kill -0 "$guest" 2>/dev/null && ! grep -q '^ready' "$DIR/output"; do
		sleep 0.5
	done
	kill -0 "$guest" 2>/dev/null && look
	say "waiting for its end"
	wait "$guest" || { kill "$reader" 2>/dev/null; die "the guest failed"; }
	"$(system_python)" "$ROOT/tools/bench-profile.py" "$DIR" "$@"
}

main "$@"; exit
