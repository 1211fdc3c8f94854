#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Copies the source of the module and puts the bugs of a table into the copy. A bug has an effect
# only if the program or module that is built from the copy is told the number of the bug.
#
#   plant.sh MODULE-DIRECTORY TO [TABLE]		default: planted.txt

set -eu -o pipefail

FROM=$1
TO=$2
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TABLE=${3:-$HERE/planted.txt}

# Prints field number $2 of line $1. Fields are separated by " | ".
field()
{
	awk -v n="$2" '{ split($0, f, / \| /); print f[n] }' <<<"$1"
}

# Replaces text in a file. The text must be there exactly once, or the bug could get a wrong place.
plant()
{
	local number=$1 file=$2 old=$3 new=$4 text rest

	text=$(cat "$TO/$file")
	rest=${text/"$old"/}
	if [ "$rest" = "$text" ] || [[ $rest == *"$old"* ]]; then
		echo "plant.sh: bug $number: not exactly once in $file: $old" >&2
		exit 1
	fi
	printf '%s\n' "${text/"$old"/"$new"}" >"$TO/$file"
}

main()
{
	local dir line

	for dir in . mem core device; do
		mkdir -p "$TO/$dir"
		rm -f "$TO/$dir"/*.[ch]
		cp "$FROM/$dir"/*.[ch] "$TO/$dir"
	done
	grep -v '^#' "$TABLE" | while read -r line; do
		plant "$(field "$line" 1)" "$(field "$line" 2)" "$(field "$line" 3)" \
			"$(field "$line" 4)"
	done
}

main
