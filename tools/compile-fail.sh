#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# A step of test.sh: checks that wrong uses of the API in kunit/compile-fail do not compile against
# the headers of the stock kernel.

. "$(dirname "$0")/lib.sh"

main()
{
	local out numbers passed failed rc=0

	counts compile-fail 0 0 0
	"$ROOT/tools/setup.sh" module || exit 1
	out=$("$ROOT/kunit/compile-fail.sh" "$BUILD/stock/headers" 2>&1) || rc=$?
	echo "$out"
	numbers=$(sed -nE 's/.*: ([0-9]+) as expected, ([0-9]+) not$/\1 \2/p' <<<"$out")
	read -r passed failed <<<"${numbers:-0 1}"
	counts compile-fail "$passed" "$failed" 0
	return "$rc"
}

main "$@"; exit
