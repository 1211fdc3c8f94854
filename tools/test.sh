#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs steps of the test suite and adds up their results. A step is a script of this directory, or a
# script with certain arguments. Each step writes how many tests passed, failed and were skipped to
# build/counts/STEP.
#
#   test.sh STEP...      such as kunit, selftest, litmus, readme-examples, check

. "$(dirname "$0")/lib.sh"

# Runs a step. selftest-uml runs only arena_fault_test, which needs the fault injection of the
# sanitizer kernel. All other programs may take an hour on that kernel; "KERNEL=uml make selftest"
# runs them there.
start_step()
{
	case $1 in
	selftest-uml) KERNEL=uml "$ROOT/tools/selftest.sh" arena_fault_test ;;
	selftest-*) KERNEL=${1#*-} "$ROOT/tools/selftest.sh" ;;
	bench-gate) "$ROOT/tools/bench.sh" --gate ;;
	*) "$ROOT/tools/$1.sh" ;;
	esac
}

# Prints the CPU time, in seconds, of all child processes that the process PID has waited for. On a
# busy machine a step takes longer by the clock, but its CPU time stays about the same.
#   cpu_seconds PID
cpu_seconds()
{
	local stat

	read -ra stat <"/proc/$1/stat"
	echo $(((stat[15] + stat[16]) / $(getconf CLK_TCK)))
}

# Runs a step and leaves its counts. A step that exits with an error and reports no failed test
# counts as one failure.
run_step()
{
	local step=$1 start=$SECONDS pid=$BASHPID rc=0 p f s

	rm -f "$BUILD/counts/$step"
	say "==== $step"
	start_step "$step" 2>&1 | tee "$LOGS/step-$step.log" || rc=$?
	[ -e "$BUILD/counts/$step" ] || counts "$step" 0 0 0
	read -r p f s <"$BUILD/counts/$step"
	[ "$rc" -eq 0 ] || [ "$f" -gt 0 ] || f=1
	counts "$step" "$p" "$f" "$s"
	say "==== $step took $((SECONDS - start)) s, CPU time $(cpu_seconds "$pid") s:" \
		"$p passed, $f failed, $s skipped"
}

# Runs the steps. Starts as many at the same time as the machine has CPUs, at most four, because the
# virtual machine of a step keeps about one CPU busy.
run_steps()
{
	local step lanes=$((JOBS < 4 ? JOBS : 4))

	set -m
	# shellcheck disable=SC2046 # one argument for each step
	trap 'kill -- $(jobs -p | sed s/^/-/) 2>/dev/null; exit 1' INT TERM
	for step in "$@"; do
		while [ "$(jobs -rp | wc -l)" -ge "$lanes" ]; do
			wait -n
		done
		rm -f "$BUILD/counts/$step"
		run_step "$step" </dev/null &
	done
	wait
	trap - INT TERM
	set +m
}

# Adds up the counts of the steps. A step without counts was killed, and counts as a failure.
add_up()
{
	local step p f s

	for step in "$@"; do
		p=0 f=1 s=0
		[ ! -e "$BUILD/counts/$step" ] || read -r p f s <"$BUILD/counts/$step"
		PASSED=$((PASSED + p)) FAILED=$((FAILED + f)) SKIPPED=$((SKIPPED + s))
		[ "$f" -eq 0 ] || BROKEN="$BROKEN $step"
	done
}

main()
{
	local step

	PASSED=0 FAILED=0 SKIPPED=0 BROKEN=
	[ $# -gt 0 ] || die "usage: test.sh STEP..."
	run_steps "$@"
	add_up "$@"
	if [ -z "$BROKEN" ] && [ "$PASSED" -gt 0 ]; then
		echo "Everything passed: $*."
	else
		for step in $BROKEN; do
			echo "Of the step $step:"
			grep -aE 'FAILED|^not ok|: not ok|error:| fails' "$LOGS/step-$step.log" | head -n 20
		done
		echo "FAILED:${BROKEN:- no test ran}; logs are in build/logs."
	fi
	echo "$PASSED passed, $FAILED failed, $SKIPPED skipped"
	[ -z "$BROKEN" ] && [ "$PASSED" -gt 0 ]
}

main "$@"; exit
