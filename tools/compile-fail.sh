#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# A step of test.sh: checks that wrong uses of the API in kunit/compile-fail do not compile against
# the headers of the stock kernel.

. "$(dirname "$0")/lib.sh"

main()
{
	local out numbers passed failed sum rc=0

	counts compile-fail 0 1 0
	"$ROOT/tools/setup.sh" module stock || exit 1
	sum=$(tree_sum)
	if passed=$(passed_before compile-fail "$sum"); then
		counts compile-fail "$passed" 0 0
		say "passed: $passed cases, on these sources before"
		return
	fi
	out=$("$ROOT/kunit/compile-fail.sh" "$BUILD/stock/headers" 2>&1) || rc=$?
	echo "$out"
	numbers=$(sed -nE 's/.*: ([0-9]+) as expected, ([0-9]+) not$/\1 \2/p' <<<"$out")
	read -r passed failed <<<"${numbers:-0 1}"
	counts compile-fail "$passed" "$failed" 0
	[ "$rc" -ne 0 ] || note_passed compile-fail "$sum" "$passed"
	return "$rc"
}

main "$@"; exit
