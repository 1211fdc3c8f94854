#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Prints a line for each clause of the contract, with the tests that name the clause.
#
#   clauses.sh            print the tests by clause
#   clauses.sh --check    compare them with the table in include/CONTRACT.md
#   clauses.sh --write    write them into that table

. "$(dirname "$0")/lib.sh"

CONTRACT=$ROOT/include/CONTRACT.md

# Prints the numbers in phrases such as "clause 4" and "Clauses 1, 2 and 10" of a file, even if a
# phrase is divided between two lines of a comment.
clauses_of()
{
	perl -0777 -ne '
		while (/\bclauses?(?:[\s*#]+\d+(?:,|\s+and\b)?)+/gi) {
			print "$_\n" for $& =~ /\d+/g
		}' "$1" | sort -un
}

# Prints the name that a test has in the table; the names of KUnit suites are in italics.
name_of()
{
	local name=${1##*/arena_}

	case $1 in
	kunit/arena_*) echo "*${name%_kunit.c}*" ;;
	selftests/arena_*) echo "${name%_test.*}" ;;
	kunit/user/*) echo user ;;
	kunit/compile-fail/*) echo compile-fail ;;
	selftests/*) basename "${1%/*}" ;;
	esac
}

# Prints "CLAUSE NAME" for each test and each clause that it names.
pairs()
{
	local file name clause

	cd "$ROOT" || exit 1
	for file in kunit/arena_*_kunit.c kunit/user/*.[ch] kunit/compile-fail/*.c \
		selftests/arena_*_test.* selftests/context/*.[ch] selftests/consumer/*.[ch]; do
		[ -e "$file" ] || continue
		name=$(name_of "$file")
		for clause in $(clauses_of "$file"); do
			echo "$clause $name"
		done
	done
}

table()
{
	pairs | sort -k1,1n -k2,2 -u | awk '
		{ names[$1] = names[$1] (names[$1] ? ", " : "") $2 }
		END { for (i = 1; i <= 30; i++) print i ": " (names[i] ? names[i] : "none yet") }'
}

written_table()
{
	sed -n 's/^| \([0-9]*\) | \([^|]*\) |$/\1: \2/p' "$CONTRACT"
}

write_table()
{
	local clause names

	while IFS=: read -r clause names; do
		sed -i "s/^| $clause | [^|]* |\$/| $clause |$names |/" "$CONTRACT"
	done < <(table)
}

case ${1:-} in
--check)
	diff <(written_table) <(table) ||
		die "the table of include/CONTRACT.md is not that of the tests: tools/clauses.sh --write"
	;;
--write) write_table ;;
*) table ;;
esac
