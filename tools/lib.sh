# shellcheck shell=bash
# SPDX-License-Identifier: GPL-2.0
#
# Functions and variables that all scripts of tools/ share: paths, messages, logs, counts. Scripts
# source this file.

set -u -o pipefail

# ROOT is the folder of the sources. Symbolic links in its path are kept, so that messages show the
# path that the user knows.
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd) || exit 1
BUILD=${ARENA_BUILD:-$ROOT/build}
LOGS=$BUILD/logs
JOBS=$(nproc)
TAG=$(basename "$0" .sh)
export LC_ALL=C

say()
{
	printf '%s: %s\n' "$TAG" "$*" >&2
}

die()
{
	printf '%s: error: %s\n' "$TAG" "$*" >&2
	exit 1
}

# Fail here if there is no folder to build in: otherwise BUILD would become empty below, and scripts
# would write to the root directory. In the path of BUILD, symbolic links are resolved, because
# Kbuild records the path.
if ! mkdir -p "$LOGS" 2>/dev/null || [ ! -w "$LOGS" ]; then
	die "cannot write to $BUILD: give ARENA_BUILD=DIR, another folder to build in"
fi
BUILD=$(cd "$BUILD" && pwd -P) || exit 1
LOGS=$BUILD/logs
# Export the folder, so that scripts and makefiles that this script runs use it, too.
export ARENA_BUILD=$BUILD

# Prints the path of a Python interpreter, if possible that of the system: others in PATH may lack
# Python modules that the system has.
system_python()
{
	if [ -x /usr/bin/python3 ]; then
		echo /usr/bin/python3
	else
		command -v python3
	fi
}

# Runs a long command with its output in a log. Every 15 seconds, prints the last line
# of the log, to show that the command still runs; if the command fails, prints the end
# of the log. With OBJECTS=DIR, prints how many objects were made below DIR instead of
# the last line, for builds that hide their output.
#   quietly LOGNAME COMMAND...
quietly()
{
	local log=$LOGS/$1.log pid start=$SECONDS rc=0 next=15

	shift
	: >"$log.start"
	"$@" >"$log" 2>&1 </dev/null &
	pid=$!
	while kill -0 "$pid" 2>/dev/null; do
		sleep 0.2
		if ((SECONDS - start >= next)); then
			say "... $((SECONDS - start)) s: $(progress "$log")"
			next=$((next + 15))
		fi
	done
	wait "$pid" || rc=$?
	if [ "$rc" -ne 0 ]; then
		tail -n 25 "$log" >&2
		say "failed ($rc), the whole log: $log"
	fi
	return "$rc"
}

progress()
{
	if [ -n "${OBJECTS:-}" ]; then
		echo "$(find "$OBJECTS" -name '*.o' -newer "$1.start" \
			2>/dev/null | wc -l) objects"
		return
	fi
	tail -n 1 "$1" | tr -d '\r' | cut -c1-70
}

# Runs a command while no other script runs one with the same lock, because several scripts that
# share a part of build/ may run at the same time.
#   with_lock NAME COMMAND...
with_lock()
{
	local name=$1

	shift
	mkdir -p "$BUILD"
	(
		if ! flock -n 9; then
			say "waiting for another run that prepares $name"
			flock 9
		fi
		"$@" 9>&-
	) 9>"$BUILD/.lock-$name"
}

# Writes the numbers of a step to a file; "make test" adds them up.
#   counts STEP PASSED FAILED SKIPPED
counts()
{
	mkdir -p "$BUILD/counts"
	printf '%d %d %d\n' "$2" "$3" "$4" >"$BUILD/counts/$1"
}

# Counts the results of all programs in a file of TAP output; prints how many passed, failed and
# were skipped. A program that prints no plan, prints another number of results than planned, or
# dies without a failed result counts as one failure more.
tally()
{
	awk -v tag="$TAG" '
	function settle(rc) {
		if (!planned && rc == 4) { skip++; return }
		if (!planned) bad(prog " printed no plan, exit status " rc)
		else if (results != plan)
			bad(prog " reported " results " of " plan " tests, exit status " rc)
		else if (rc != 0 && rc != 4 && !failed)
			bad(prog " ended with " rc)
	}
	function bad(why) { fail++; print tag ": " why >"/dev/stderr" }
	/^# program: / { prog = $3; planned = results = failed = 0; open = 1 }
	/^1\.\.[0-9]+/ && open { planned = 1; plan = substr($1, 4) + 0
		if (plan == 0) skip++ }
	/^ok / && open { results++; if (/# SKIP/) skip++; else pass++ }
	/^not ok / && open { results++; failed++; fail++
		print tag ": " prog ": " $0 >"/dev/stderr" }
	/^# ended: / { if (open) settle($4); open = 0 }
	/^Bail out!/ { bad($0) }
	END {
		if (open) bad(prog " did not end")
		print pass + 0, fail + 0, skip + 0
	}' "$1"
}

# Packages, besides the compiler, that decide what the checks of a script find.
TOOLS=()

# Prints a checksum of the sources, and of all else that decides what comes of them: packages, the
# kernels, and variables. To be called after setup.sh, which may install packages.
tree_sum()
{
	(
		cd "$ROOT" || exit 1
		sha256sum Kbuild Makefile README.md dkms.conf .ci/run .shellcheckrc 2>/dev/null
		for folder in include kunit module selftests tools; do
			(sources "$ROOT/$folder" | sort) |
				(cd "$folder" && xargs -d '\n' sha256sum)
		done
		dpkg-query -W gcc make perl python3 libc6-dev ${TOOLS[@]+"${TOOLS[@]}"} 2>/dev/null
		cat "$BUILD/stock/version" "$BUILD/new/version" "$BUILD/src/newest/Makefile" \
			2>/dev/null
		echo "${WERROR:-} ${LLVM:-} ${CC:-} ${CFLAGS:-} ${KCFLAGS:-} ${REV:-}" \
			"${CONFIG_ARENA_DEVICE:-}"
	) | sha256sum | cut -d' ' -f1
}

# Some checks give the same result whenever they run on the same sources. For these, build/passed
# has a file for each that has passed: it says on which sources, and what the check has counted.

# Succeeds if check NAME has passed on the sources of SUM, which tree_sum() has printed, and prints
# what it counted.
#   passed_before NAME SUM
passed_before()
{
	local sum='' counted=''

	[ -e "$BUILD/passed/$1" ] && read -r sum counted <"$BUILD/passed/$1" &&
		[ -n "$sum" ] && [ "$sum" = "$2" ] && echo "$counted"
}

# Notes that check NAME has passed, and what it has counted, unless the sources have changed since
# tree_sum() printed SUM before the check.
#   note_passed NAME SUM [COUNTED]
note_passed()
{
	[ -n "$2" ] && [ "$2" = "$(tree_sum)" ] || return 0
	mkdir -p "$BUILD/passed"
	echo "$2 ${3:-}" >"$BUILD/passed/$1"
}

# A splat is a report of a bug in the kernel's log. SPLATS matches a line in each kind of splat.
SPLATS='BUG:|WARNING:|Oops|Call Trace|KASAN:|KCSAN:|UBSAN:|kmemleak:.*suspected'
SPLATS=$SPLATS'|soft lockup|hard LOCKUP|rcu.*stall|Kernel panic|possible recursive'
SPLATS=$SPLATS'|general protection|INFO: task .* blocked|unreferenced object'
SPLATS=$SPLATS'|possible circular|suspicious RCU usage|scheduling while atomic'

# Prints the lines of a log that match SPLATS, and what follows the first of them; fails if there is
# none. Ignores lines between "arena-test: expect splat" and "arena-test: end of splat", by which a
# test announces that it provokes a splat, and races that KCSAN finds in the rest of the kernel.
splats()
{
	sed '/arena-test: expect splat/,/arena-test: end of splat/d' "$1" |
		awk -v splats="$SPLATS" '
		$0 ~ splats && (!/BUG: KCSAN:/ || /arena/) { n++; print; next }
		n && after < 60 { after++; print }
		END { exit !n }'
}

# Debian's kernels that setup.sh extracts to one layout: the name, the suite of Debian ("own" is
# that of the machine), and the flavour of the kernel there, whose last word is the architecture.
KERNEL_TABLE="
stock		own			cloud-amd64
stock-rt	own			rt-amd64
backport	bookworm-backports	cloud-amd64
arm64		own			cloud-arm64
"

# Sets SUITE, FLAVOUR and ARCH to the facts of a kernel of the table. For another one, sets ARCH to
# amd64, and fails.
kernel_facts()
{
	ARCH=amd64
	read -r SUITE FLAVOUR < <(awk -v name="$1" 'NF && $1 == name { print $2, $3 }' \
		<<<"$KERNEL_TABLE") && ARCH=${FLAVOUR##*-}
}

# Runs make with the headers of a kernel of the table.
#   kernel_make KERNEL MAKE-ARGS
kernel_make()
{
	local kernel=$1 cross=()

	shift
	kernel_facts "$kernel"
	[ "$ARCH" = amd64 ] || cross=(ARCH="$ARCH" CROSS_COMPILE=aarch64-linux-gnu-)
	make -C "$BUILD/$kernel/headers" -j"$JOBS" ${cross[@]+"${cross[@]}"} "$@"
}

# Runs a command with ROOT as its root directory. Mounts /proc there, which objtool reads, in a
# mount namespace that ends with the command.
#   in_root ROOT COMMAND...
in_root()
{
	local root=$1

	shift
	# shellcheck disable=SC2016 # expanded by the inner shell
	unshare -m sh -c 'mount -t proc proc "$0/proc" && exec chroot "$0" \
		/usr/bin/env -i PATH=/usr/bin:/usr/sbin "$@"' "$root" "$@"
}

# Builds programs of selftests/, or all if none is given, in build/selftests, or for a KERNEL of
# another architecture in build/selftests-ARCH. They are static, because the guest has no libraries,
# and the same programs run on every kernel.
#   build_selftests [PROGRAM...]
build_selftests()
{
	local name=selftests cross=() groups=programs

	if kernel_facts "${KERNEL:-}" && [ "$ARCH" != amd64 ]; then
		name=selftests-$ARCH groups=$ARCH-cc
		cross=(CC=aarch64-linux-gnu-gcc-12 CC32=arm-linux-gnueabihf-gcc)
	fi
	"$ROOT/tools/setup.sh" "$groups" source || return 1
	mkdir -p "$BUILD/$name"
	with_lock "$name" quietly "$name-build" make -C "$ROOT/selftests" -j"$JOBS" \
		OUTPUT="$BUILD/$name" LDFLAGS=-static ${cross[@]+"${cross[@]}"} \
		KSELFTEST_DIR="$BUILD/src/newest/tools/testing/selftests" \
		"${@/#/$BUILD/$name/}"
}

# Prints the files below a folder, except those that Kbuild makes.
sources()
{
	cd "$1" && find . -type f ! -name '.*' ! -name '*.o' ! -name '*.a' ! -name '*.ko' \
		! -name '*.mod' ! -name '*.mod.c' ! -name '*.symvers' ! -name modules.order
}

# Copies files whose contents differ, so that the next build compiles only what has changed, and
# removes copies of files that are gone. Compares contents and not times, because a file of another
# commit may be older than its copy.
#   mirror FROM TO
mirror()
{
	local from=$1 to=$2 file

	mkdir -p "$to" || return 1
	(sources "$from") | while read -r file; do
		cmp -s "$from/$file" "$to/$file" && continue
		mkdir -p "$(dirname "$to/$file")" && cp "$from/$file" "$to/$file" || exit 1
	done || return 1
	(sources "$to") | while read -r file; do
		[ -e "$from/$file" ] || rm -f "$to/$file"
	done
}

# Copies the sources that Kbuild needs to build the module and its KUnit suites.
#   mirror_module FROM TO
mirror_module()
{
	local folder

	for folder in module include kunit; do
		mirror "$1/$folder" "$2/$folder" || return 1
	done
	cmp -s "$1/Kbuild" "$2/Kbuild" || cp "$1/Kbuild" "$2/"
}

# Adds the arena to a kernel tree as lib/arena. Makes links to the sources, and no copies, so that
# the next build sees each file that was edited.
#   graft KERNEL-SOURCE
graft()
{
	local src=$1 d=$1/lib/arena item

	mkdir -p "$d"
	for item in Kbuild module include kunit; do
		[ "$(readlink "$d/$item")" = "$ROOT/$item" ] ||
			ln -sfnT "$ROOT/$item" "$d/$item"
	done
	# shellcheck disable=SC2016 # make expands it
	grep -q 'CONFIG_ARENA' "$src/lib/Makefile" ||
		printf '\nobj-$(CONFIG_ARENA) += arena/\n' >>"$src/lib/Makefile"
	grep -q 'lib/arena/' "$src/lib/Kconfig" ||
		printf '\nsource "lib/arena/module/Kconfig"\n' >>"$src/lib/Kconfig"
}

# Applies the patches in tools/patches to the kernel source on which the suites run. They fix bugs
# of that kernel, which the suites would report, or make it faster. A patch that neither applies nor
# is applied already is for another version, and is left out.
#   mend_kernel KERNEL-SOURCE
mend_kernel()
{
	local patch

	for patch in "$ROOT"/tools/patches/*.patch; do
		if patch -d "$1" -p1 -sfN --dry-run <"$patch" >/dev/null; then
			patch -d "$1" -p1 -sN <"$patch" || die "$patch did not apply"
		elif ! patch -d "$1" -p1 -sfR --dry-run <"$patch" >/dev/null; then
			say "not for this kernel: $(basename "$patch")"
		fi
	done
}
