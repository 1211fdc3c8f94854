#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds the kselftests and runs them in a virtual machine.
#
#   selftest.sh [PROGRAM...]     default: all programs that selftests/Makefile lists and the
#                                kernel can run
#   KERNEL=stock                 one of Debian's kernels: stock is that of this release, new the
#                                newest one, others are in KERNEL_TABLE (lib.sh); uml: the sanitizer
#                                kernel of kunit.sh
#   PREEMPT=none|voluntary|lazy|full   preemption of the kernel; default: what it has by itself
#   SMP=2                        number of CPUs
#   TEST_TIMEOUT=240             seconds for one program; default with KERNEL=uml: 600
#   SELFTEST_RUNS=1              how often each program runs

. "$(dirname "$0")/lib.sh"

KERNEL=${KERNEL:-stock}
SMP=${SMP:-2}
TEST_TIMEOUT=${TEST_TIMEOUT:-$([ "$KERNEL" = uml ] && echo 600 || echo 240)}
RUNS=${SELFTEST_RUNS:-1}
STEP=selftest$([ "$KERNEL" = stock ] || echo "-$KERNEL")
PREEMPT=${PREEMPT:-}

# Builds the programs in the arguments, or all if there are none.
build_programs()
{
	build_selftests "$@" || die "the selftests do not build"
	! grep -E 'selftests.*warning:|^[^ ]*: warning:' \
		"$LOGS/$(basename "$OUT")-build.log" >&2 || die "the compiler warned, see above"
}

# Prints the programs to run by default. The sanitizer kernel cannot run 32-bit programs, nor tests
# that load a module, because the arena is built in there. As its forks are slow, it does not run
# arena_ioctl_test and arena_rights_test either, which fork for each of several hundred tests: the
# fuzzer of the device tries the same arguments and rights there.
list_programs()
{
	local without='^$'

	[ "$KERNEL" != uml ] ||
		without='^$|32$|^arena_(alone|consumer|hold|context|memory|overrun|unload|ioctl|rights)_test'
	make -s -C "$ROOT/selftests" OUTPUT="$OUT" list | tr -s ' ' '\n' |
		grep -vE "$without"
}

# Prints the commands for the guest. The guest prints a line before and after each program, from
# which tally() learns that a program did not end.
guest_script()
{
	local prog

	echo "PREEMPT=$PREEMPT LIMIT=$TEST_TIMEOUT"
	cat <<'END'
leftovers() {
	[ -e /dev/arena ] && echo "# /dev/arena is still there"
	[ -e /sys/kernel/debug/arena ] && echo "# debugfs is still there"
	grep -q '^arena ' /proc/modules && echo "# the module is still there"
	grep -qw arena /proc/devices /proc/misc && echo "# still registered"
}
no_program() {
	echo "# program: $1"
	echo "1..0 # SKIP $2"
	echo "# ended: $1 4"
}
program() {
	local start rc

	echo "# program: $1"
	start=$(date +%s)
	timeout -s KILL "$LIMIT" "/st/$1"
	rc=$?
	echo "# ended: $1 $rc after $(($(date +%s) - start)) s"
}
cd /st
modes=$(cat /sys/kernel/debug/sched/preempt 2>/dev/null)
case "$PREEMPT-$modes" in
-* | *"($PREEMPT)"*) ;;
*) echo "Bail out! the kernel has not taken preempt=$PREEMPT: $modes"; exit 1 ;;
esac
[ -e /dev/arena ] || insmod /ko/arena.ko || { echo "Bail out! insmod failed"; exit 1; }
[ ! -e /ko/fuse.ko ] || insmod /ko/fuse.ko || { echo "Bail out! no FUSE"; exit 1; }
END
	for prog in "$@"; do
		case $KERNEL-$prog in
		uml-*32) echo "no_program $prog 'this kernel runs no 32 bit programs'" ;;
		*) echo "for i in \$(seq $RUNS); do program $prog; done" ;;
		esac
	done
	[ "$KERNEL" = uml ] || unload_script
	echo 'exit 0'
}

unload_script()
{
	cat <<'END'
echo "# program: unload"
echo "1..1"
if rmmod arena && [ -z "$(leftovers)" ]; then
	echo "ok 1 the module unloads and leaves nothing behind"
else
	leftovers
	echo "not ok 1 the module unloads and leaves nothing behind"
fi
echo "# ended: unload 0"
END
}

# Prints the number of NUMA nodes for the machine: two if QEMU can divide the CPUs, or one.
nodes()
{
	if [ "$KERNEL" = uml ] || [ $((SMP % 2)) -ne 0 ]; then
		echo 1
	else
		echo 2
	fi
}

# Prints what the programs run on.
kernel_name()
{
	if [ "$KERNEL" = uml ]; then
		echo "the UML sanitizer kernel"
	else
		echo "Linux $(cat "$BUILD/$KERNEL/version")${PREEMPT:+, preempt=$PREEMPT}"
	fi
}

report()
{
	local pass fail skip rc=$1 word

	read -r pass fail skip < <(tally "$LOGS/$STEP.output")
	if [ "$rc" -ne 0 ] && [ "$fail" -eq 0 ]; then
		fail=1
	fi
	[ $((pass + fail)) -gt 0 ] || fail=1
	counts "$STEP" "$pass" "$fail" "$skip"
	word="passed"
	[ "$fail" -eq 0 ] || word="FAILED ($fail)"
	say "$word: the kselftests on $(kernel_name)," \
		"$pass tests passed, $skip skipped"
	[ "$fail" -eq 0 ]
}

# Prints after how many seconds the machine is killed, if it runs N programs. The guest limits the
# time of each program; but if the guest itself stands still, that does not help. All programs
# together take 450 s on an idle machine, and have taken 2000 s on a busy one, with a stock kernel.
machine_limit()
{
	local limit=$((120 + TEST_TIMEOUT * $1 * RUNS))

	if [ "$KERNEL" != uml ] && [ "$limit" -gt $((4000 * RUNS)) ]; then
		limit=$((4000 * RUNS))
	fi
	echo "$limit"
}

main()
{
	local programs rc=0 files

	counts "$STEP" 0 1 0
	kernel_facts "$KERNEL"
	OUT=$BUILD/selftests
	[ "$ARCH" = amd64 ] || OUT=$OUT-$ARCH
	files=(--file "$OUT:/st")
	build_programs "$@"
	mapfile -t programs < <(if [ $# -gt 0 ]; then
		printf '%s\n' "$@"
	else
		list_programs
	fi)
	[ "${#programs[@]}" -gt 0 ] || die "selftests/Makefile lists no program"
	[ "$KERNEL" = uml ] || "$ROOT/tools/setup.sh" "$KERNEL" || exit 1
	[ -z "$PREEMPT" ] || files+=(--append "preempt=$PREEMPT")
	[ ! -e "$BUILD/$KERNEL/fuse.ko" ] || files+=(--file "$BUILD/$KERNEL/fuse.ko:/ko/fuse.ko")
	say "running ${#programs[@]} programs on $(kernel_name), $SMP CPUs"
	"$ROOT/tools/vm.sh" --kernel "$KERNEL" --smp "$SMP" --nodes "$(nodes)" --name "$STEP" \
		--timeout "$(machine_limit ${#programs[@]})" "${files[@]}" \
		-- "$(guest_script "${programs[@]}")" |
		grep -vE --line-buffered '^# +(RUN|OK) ' || rc=$?
	report "$rc"
}

main "$@"; exit
