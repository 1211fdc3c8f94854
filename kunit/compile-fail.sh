#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Checks that the compiler refuses code whose types do not match: compiles each case of
# compile-fail/cases.c against a kernel, and compares the message of the compiler with the message
# that the case expects. The compiler must accept case 0, which is correct.
#
#   compile-fail.sh KDIR [MAKE-ARGS...]

set -u -o pipefail

KDIR=${1:?usage: compile-fail.sh KDIR [MAKE-ARGS...]}
shift
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd -P)
CASES=$HERE/compile-fail/cases.c
DIR=$(mktemp -d) || exit 1
trap 'rm -rf "$DIR"' EXIT

# Prints a line for each case: its number, and the pattern that the compiler's message must match.
cases()
{
	sed -nE 's,^/\* case ([0-9]+): (.*) \*/$,\1 \2,p' "$CASES"
}

# Writes a source file for each case, so that one make builds all cases that compile.
write_sources()
{
	local n words

	{
		echo "ccflags-y := -I$HERE/../include"
		echo "ccflags-y += -Werror=incompatible-pointer-types"
		echo "ccflags-y += -Werror=format -Werror=discarded-qualifiers"
		# FORTIFY_SOURCE causes warnings. Make them errors, even without CONFIG_WERROR.
		echo "ccflags-y += -Werror=unused-result -Werror=attribute-warning"
	} >"$DIR/Kbuild"
	while read -r n words; do
		echo "obj-m += case$n.o" >>"$DIR/Kbuild"
		printf '#define CASE %d\n#include "%s"\n' "$n" "$CASES" \
			>"$DIR/case$n.c"
	done < <(cases)
}

# Builds all cases by one make, which goes on after a failure. The flags of an outer make are
# removed, as a silent make would not print the CC lines that said() looks for.
build()
{
	local objects

	mapfile -t objects < <(cases | sed -E 's/^([0-9]+) .*/case\1.o/')
	env -u MAKEFLAGS -u MFLAGS make -C "$KDIR" M="$DIR" -k "$@" "${objects[@]}" >"$DIR/log" 2>&1
}

# Prints what the compiler said about case $1: from the CC line of the case to the next CC line.
said()
{
	awk -v object="(^|/)case$1[.]o\$" \
		'/^ *CC / { on = $NF ~ object } on' "$DIR/log"
}

check()
{
	local n=$1 words=$2 built=0

	[ ! -e "$DIR/case$n.o" ] || built=1
	if [ "$n" -eq 0 ]; then
		[ "$built" -eq 0 ] || return 0
		echo "compile-fail: case 0, which is right, does not compile:" >&2
	elif [ "$built" -eq 1 ]; then
		echo "compile-fail: case $n compiles" >&2
	elif said "$n" | grep -E "error: .*$words" >/dev/null; then
		return 0
	else
		echo "compile-fail: case $n fails, but not for \"$words\":" >&2
	fi
	said "$n" >&2
	return 1
}

main()
{
	local n words failed=0 passed=0

	write_sources
	build "$@"
	while read -r n words; do
		if check "$n" "$words"; then
			passed=$((passed + 1))
		else
			failed=$((failed + 1))
		fi
	done < <(cases)
	[ "$failed" -eq 0 ] || tail -n 5 "$DIR/log" >&2
	echo "compile-fail: $passed as expected, $failed not"
	[ "$failed" -eq 0 ] && [ "$passed" -gt 1 ]
}

main "$@"
