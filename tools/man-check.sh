#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Checks that mandoc has no complaint about the manuals, and that they are complete: arena(4) names
# every ioctl, right, flag, reset mode and errno of the ABI header, and every tracepoint and module
# parameter; arenactl(8) names every option and column of the program; and each manual of this
# project to which a manual refers exists.

. "$(dirname "$0")/lib.sh"

MAN=$ROOT/tools/man
UAPI=$ROOT/include/uapi/linux/arena.h
MISSING=0

# Fails for each word of standard input that the manual lacks.
#   named_in PAGE
named_in()
{
	local word

	while read -r word; do
		grep -qE "(^|[^A-Za-z_])$word([^A-Za-z_]|\$)" "$MAN/$1" && continue
		echo "$1 says nothing about $word"
		MISSING=1
	done
}

abi_words()
{
	grep -oE '^#define ARENA_(IOC_[A-Z]+|RIGHT_[A-Z]+|SETUP_[A-Z]+|SEALED|ALLOC_[A-Z]+|COMMIT_[A-Z]+|STORE_MAX|BATCH_MAX|STATUS_OFFSET)' \
		"$UAPI" | sed 's/#define //' | grep -v ARENA_IOC_MAGIC
	grep -oE '^	ARENA_RESET_[A-Z]+' "$UAPI" | tr -d '\t'
	grep -oE '^struct arena_[a-z_]+' "$UAPI" | sed 's/struct //'
	# The errnos that the header's comments name.
	grep -oE '\bE[A-Z0-9]{3,}\b' "$UAPI" | grep -vE '^(ENOTE)$' | sort -u
}

# Prints the names of tracepoints and module parameters, which arena(4) must contain, too.
module_words()
{
	sed -n 's/^TRACE_EVENT(\([a-z_]*\),/\1/p' "$ROOT/module/core/trace.h"
	grep -ohE '^module_param\([a-z_]+' "$ROOT"/module/*.c "$ROOT"/module/*/*.c | sed 's/.*(//'
}

arenactl_words()
{
	sed -n 's/.*getopt_long(argc, argv, "\([A-Za-z:]*\)".*/\1/p' "$ROOT/tools/arenactl.c" |
		tr -d ':' | sed 's/./Fl &\n/g' | grep .
	sed -n 's/^	{ "\([a-z]*\)", [a-z]*_argument,.*/\1/p' "$ROOT/tools/arenactl.c" |
		sed 's/^/-/'
	sed -n 's/^	{ "[a-z]*",	*"\([A-Z]*\)",.*/\1/p' "$ROOT/tools/arenactl.c" |
		grep -v ALLOCS
}

lint()
{
	local page

	for page in "$MAN"/*.[0-9]; do
		mandoc -T lint -W warning "$page" || MISSING=1
	done
}

references()
{
	local name section

	grep -ohE '^\.Xr (arena|libarena|arenactl) [0-9]' "$MAN"/* | sort -u |
		while read -r _ name section; do
			[ -e "$MAN/$name.$section" ] || echo "no $name($section)"
		done
}

main()
{
	"$ROOT/tools/setup.sh" static || exit 1
	lint
	named_in arena.4 < <(abi_words; module_words)
	named_in arenactl.8 < <(arenactl_words)
	[ -z "$(references)" ] || { references; MISSING=1; }
	[ "$MISSING" -eq 0 ]
}

main; exit
