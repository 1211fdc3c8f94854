#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Run steps of the test suite and add up what they counted. Each step is a
# script of this directory that leaves its numbers in build/counts/ and ends
# with a verdict of its own.
#
#   test.sh STEP...      kunit selftest litmus readme-examples check
#
# Two steps joined by a plus run side by side: one waits for grace periods while
# the other computes. What the second says follows when the first has ended.

. "$(dirname "$0")/lib.sh"

# A step that ends badly without a failed test has a failure nonetheless.
count_step()
{
	local step=$1 start=$2 rc=$3 p f s

	[ -e "$BUILD/counts/$step" ] || counts "$step" 0 0 0
	read -r p f s <"$BUILD/counts/$step"
	[ "$rc" -eq 0 ] || [ "$f" -gt 0 ] || f=1
	PASSED=$((PASSED + p)) FAILED=$((FAILED + f)) SKIPPED=$((SKIPPED + s))
	say "==== $step took $((SECONDS - start)) s: $p passed, $f failed, $s skipped"
	[ "$f" -eq 0 ] || BROKEN="$BROKEN $step"
}

run_step()
{
	local step=$1 start=$SECONDS rc=0

	rm -f "$BUILD/counts/$step"
	say "==== $step"
	"$ROOT/tools/$step.sh" || rc=$?
	count_step "$step" "$start" "$rc"
}

run_pair()
{
	local second=$2 start=$SECONDS rc=0 pid

	rm -f "$BUILD/counts/$second"
	mkdir -p "$LOGS"
	# Once, not from both at the same time.
	"$ROOT/tools/setup.sh" kernel programs vm module source stock || exit 1
	say "==== $second, beside the next"
	"$ROOT/tools/$second.sh" >"$LOGS/beside" 2>&1 &
	pid=$!
	run_step "$1"
	wait "$pid" || rc=$?
	cat "$LOGS/beside"
	count_step "$second" "$start" "$rc"
}

main()
{
	local step

	PASSED=0 FAILED=0 SKIPPED=0 BROKEN=
	[ $# -gt 0 ] || die "usage: test.sh STEP..."
	for step in "$@"; do
		case $step in
		*+*) run_pair "${step%+*}" "${step#*+}" ;;
		*) run_step "$step" ;;
		esac
	done
	if [ -z "$BROKEN" ] && [ "$PASSED" -gt 0 ]; then
		echo "Everything passed: $*."
	else
		echo "FAILED:${BROKEN:- no test ran}; logs are in build/logs."
	fi
	echo "$PASSED passed, $FAILED failed, $SKIPPED skipped"
	[ -z "$BROKEN" ] && [ "$PASSED" -gt 0 ]
}

main "$@"; exit
