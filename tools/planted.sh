#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Checks that kselftests find bugs: with each bug of selftests/planted.txt in the module, the test
# that the table names must fail, and without a bug it must pass. One module contains all bugs, and
# its parameter "planted" enables one of them, so that one machine can run all of these tests.
#
#   planted.sh [NUMBER...]       try these bugs; default: all that the table lists for KERNEL
#   planted.sh --build           build the module with the bugs only, and print the folder
#   KERNEL=stock|new             stock kernel of this release, or the newest one

. "$(dirname "$0")/lib.sh"

KERNEL=${KERNEL:-stock}
TABLE=$ROOT/selftests/planted.txt
SOURCE=$BUILD/planted
OUT=$BUILD/selftests
STEP=planted
LIMIT=100

# Prints field $2 of the line $1 of the table.
field()
{
	awk -v n="$2" '{ split($0, f, / \| /); print f[n] }' <<<"$1"
}

# Prints "NUMBER TEST" for each bug that is to be tried.
list_bugs()
{
	local line number

	grep -v '^#' "$TABLE" | while read -r line; do
		number=$(field "$line" 1)
		[ "$(field "$line" 7)" = "$KERNEL" ] || continue
		[ $# -eq 0 ] || [[ " $* " == *" $number "* ]] || continue
		echo "$number $(field "$line" 6)"
	done
}

# Copies the module to $1 with all bugs in it, and with a parameter that enables one of them.
plant()
{
	mkdir -p "$SOURCE/module" "$1/module"
	"$ROOT/kunit/user/plant.sh" "$ROOT/module" "$SOURCE/module" "$TABLE" || return 1
	cp "$ROOT"/module/{Kconfig,Kbuild} "$SOURCE/module/" &&
		mirror "$SOURCE/module" "$1/module" && mirror "$ROOT/include" "$1/include" &&
		cp "$ROOT/Kbuild" "$1/" || return 1
	cat >>"$1/module/main.c" <<'END'

unsigned int arena_planted;
module_param_named(planted, arena_planted, uint, 0444);
END
	cat >"$1/planted.h" <<'END'
extern unsigned int arena_planted;
#define planted(number) (arena_planted == (number))
END
}

# Builds the module; warnings are allowed, because the bugs cause some.
build()
{
	local root=$BUILD/new/root

	if [ "$KERNEL" = stock ]; then
		KO=$BUILD/mod-planted
		plant "$KO" && quietly mod-planted make -C "$BUILD/stock/headers" M="$KO" \
			-j"$JOBS" KCFLAGS="-include $KO/planted.h" modules
	else
		KO=$root/arena-planted
		plant "$KO" && quietly mod-planted in_root "$root" make -C /headers \
			M=/arena-planted -j"$JOBS" \
			KCFLAGS="-include /arena-planted/planted.h" modules
	fi
}

prepare()
{
	"$ROOT/tools/setup.sh" module "$KERNEL" || exit 1
	with_lock mod-planted build || die "the module does not build with the bugs"
	[ "$KERNEL" = stock ] && KO=$BUILD/mod-planted || KO=$BUILD/new/root/arena-planted
}

build_programs()
{
	local programs

	mapfile -t programs < <(cut -d ' ' -f 2 <<<"$1" | sort -u)
	build_selftests "${programs[@]}"
}

# Prints the commands for the guest. First each test runs without a bug, then once with each of its
# bugs. For each run, the guest prints a line "tried: NUMBER RESULT TEST"; NUMBER is 0 without a
# bug.
guest_script()
{
	local bug

	cat <<'END'
# With some bugs, a test leaves processes behind, which must end before the module can be unloaded.
unload() {
	for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
		rmmod arena 2>/dev/null && return 0
		killall -9 "$1" 2>/dev/null
		sleep 1
	done
	rmmod arena
}
try() {
	number=$1
	shift
	insmod /planted/arena.ko planted="$number" || exit 1
	(cd /st && timeout -s KILL "$LIMIT" "./$@") >/tmp/output 2>&1
	rc=$?
	unload "$1" || exit 1
	grep -q '^not ok' /tmp/output && rc=failed
	grep -qE '^ok .*# SKIP|^1\.\.0' /tmp/output && rc=skipped
	echo "tried: $number $rc $*"
}
END
	echo "LIMIT=$LIMIT"
	cut -d ' ' -f 2- <<<"$1" | sort -u | sed 's/^/try 0 /'
	while read -r bug; do
		echo "try $bug"
	done <<<"$1"
	echo 'exit 0'
}

# Reports which of $1 bugs were found, and fails if one was not. A bug that was not tried counts as
# not found.
judge()
{
	local number rc program found=0 bad=0 missed

	while read -r _ number rc program; do
		if [ "$number" -eq 0 ]; then
			[ "$rc" = 0 ] && continue
			say "$program does not pass without a bug: $rc"
			bad=$((bad + 1))
		elif [ "$rc" = failed ]; then
			say "bug $number: found by $program"
			found=$((found + 1))
		else
			say "bug $number: NOT FOUND by $program: $rc"
		fi
	done < <(grep '^tried: ' "$LOGS/$STEP.output")
	missed=$(($1 - found))
	counts "$STEP" "$found" $((missed + bad)) 0
	say "$found found, $missed not found"
	[ $((missed + bad)) -eq 0 ]
}

main()
{
	local bugs nodes=2

	if [ "${1:-}" = --build ]; then
		prepare && echo "$KO"
		exit
	fi
	counts "$STEP" 0 1 0
	bugs=$(list_bugs "$@")
	[ -n "$bugs" ] || die "no such bug on this kernel"
	prepare
	build_programs "$bugs" || die "the selftests do not build"
	[ "$KERNEL" != uml ] || nodes=1
	"$ROOT/tools/vm.sh" --kernel "$KERNEL" --nodes "$nodes" --name "$STEP" --timeout 1500 \
		--file "$OUT:/st" --file "$KO/arena.ko:/planted/arena.ko" \
		-- "$(guest_script "$bugs")" || true
	judge "$(wc -l <<<"$bugs")"
}

main "$@"; exit
