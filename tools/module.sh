#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds arena.ko in a directory for each kernel, so that there are no objects in the source tree.
# Prints the directory, at whose top the modules lie.
#
#   module.sh host  [MAKE-ARGS]   for the headers in KDIR=, default: for the running kernel
#   module.sh NAME  [MAKE-ARGS]   for a kernel of KERNEL_TABLE (lib.sh), such as stock, that of
#                                 this release
#   module.sh new   [MAKE-ARGS]   for the newest stock kernel (as root)
#   module.sh core  [MAKE-ARGS]   for the kernel of "stock", but without the device
#   module.sh kunit [MAKE-ARGS]   with the KUnit suites, for the newest source; only to compile
#                                 them, because no kernel is built that could load them
#
# NAME and new also build the test modules of selftests/, out of tree. All but host are built with
# W=1 -Werror: a warning that is no error would be seen only once, because the next build does not
# compile the file again. With WERROR=0, warnings are no errors.

. "$(dirname "$0")/lib.sh"

KDIR=${KDIR:-/lib/modules/$(uname -r)/build}
OUTSIDE="consumer context memory torture"
ALONE="selftests/alone/Kbuild selftests/alone/alone.c module/private.c
	include/linux/arena_private.h"
STRICT=(W=1 KCFLAGS=-Werror)
[ "${WERROR:-1}" -ne 0 ] || STRICT=()

# Copies the sources to a folder to build in, because Kbuild puts objects beside them.
copy_sources()
{
	case $1 in
	*[[:space:]:]*) die "the kernel's build system takes no blank and no colon in $1:" \
		"give ARENA_BUILD=DIR, another folder to build in" ;;
	esac
	mirror_module "$ROOT" "$1" || die "cannot copy the sources to $1"
}

make_modules()
{
	local kdir=$1 dir=$2

	shift 2
	make -C "$kdir" M="$dir" -j"$JOBS" "$@" modules
}

# Builds the module, and the test modules against its exported symbols. DIR is the folder of the
# copied sources, and M the path of DIR in the root directory in which MAKE runs.
#   make_with_tests DIR M MAKE...
make_with_tests()
{
	local dir=$1 m=$2 name

	shift 2
	"$@" M="$m" modules || return 1
	for name in $OUTSIDE; do
		mirror "$ROOT/selftests/$name" "$dir/selftests/$name" || return 1
		# Remove the old Module.symvers, so that Kbuild reads the versions of the arena's
		# symbols again: they may have changed, and the kernel refuses a module with wrong
		# versions.
		rm -f "$dir/selftests/$name/Module.symvers"
		"$@" M="$m/selftests/$name" ARENA="$m" \
			KBUILD_EXTRA_SYMBOLS="$m/Module.symvers" modules ||
			return 1
		cp -p "$dir/selftests/$name"/*.ko "$dir/" || return 1
	done
	make_alone "$dir/selftests/alone" "$m/selftests/alone" "$@" &&
		cp -p "$dir/selftests/alone"/*.ko "$dir/"
}

# Builds the test module that carries private arenas inside itself: in a folder that has, of the
# arena, only the two files that an author copies, and without the symbols that the arena exports.
#   make_alone DIR M MAKE...
make_alone()
{
	local dir=$1 m=$2 file

	shift 2
	mkdir -p "$dir" || return 1
	for file in $ALONE; do
		cmp -s "$ROOT/$file" "$dir/${file##*/}" || cp "$ROOT/$file" "$dir/" || return 1
	done
	"$@" M="$m" modules
}

check_host()
{
	[ -e "$KDIR/Makefile" ] ||
		die "no kernel headers at $KDIR: install linux-headers-$(uname -r)," \
			"or give KDIR=, or use 'make test' and 'make run'," \
			"which bring their own kernel"
}

build_host()
{
	check_host
	copy_sources "$BUILD/mod-host"
	quietly mod-host make_modules "$KDIR" "$BUILD/mod-host" "$@"
}

# Builds for a kernel of KERNEL_TABLE.
build_kernel()
{
	local kernel=$1 dir=$BUILD/mod-$1

	shift
	"$ROOT/tools/setup.sh" module "$kernel" || exit 1
	if [ "$ARCH" != amd64 ]; then
		"$ROOT/tools/setup.sh" "$ARCH-cc" || exit 1
		OUTSIDE="consumer memory"	# arena_context is for x86-64
	fi
	copy_sources "$dir"
	quietly "mod-$kernel" make_with_tests "$dir" "$dir" kernel_make "$kernel" \
		${STRICT[@]+"${STRICT[@]}"} "$@"
}

build_core()
{
	"$ROOT/tools/setup.sh" module stock || exit 1
	copy_sources "$BUILD/mod-core"
	quietly mod-core make_modules "$BUILD/stock/headers" "$BUILD/mod-core" \
		CONFIG_ARENA_DEVICE=n ${STRICT[@]+"${STRICT[@]}"} "$@"
}

# Builds in a root directory that setup.sh has extracted: the headers of the newest kernel contain
# programs that need a newer C library than the machine has.
build_new()
{
	local root=$BUILD/new/root

	"$ROOT/tools/setup.sh" module new || exit 1
	copy_sources "$root/arena"
	quietly mod-new make_with_tests "$root/arena" /arena \
		in_root "$root" make -C /headers -j"$JOBS" \
		${STRICT[@]+"${STRICT[@]}"} "$@" || return 1
	ln -sfn new/root/arena "$BUILD/mod-new"
}

# Configures a kernel tree, but does not build the kernel: to compile modules, the configuration
# suffices.
prepare_kunit_tree()
{
	local prep=$BUILD/prep

	[ ! -e "$prep/ready" ] || return 0
	say "preparing a kernel tree to compile the suites against (a minute)"
	mkdir -p "$prep"
	printf 'CONFIG_%s=y\n' 64BIT KUNIT MODULES DEBUG_FS CGROUPS MEMCG NET SMP \
		PROVE_LOCKING DEBUG_KERNEL FAULT_INJECTION \
		>"$prep/mini.config"
	quietly prep make -C "$BUILD/src/newest" ARCH=um O="$prep" \
		KCONFIG_ALLCONFIG="$prep/mini.config" allnoconfig \
		modules_prepare && touch "$prep/ready"
}

build_kunit()
{
	"$ROOT/tools/setup.sh" kernel source || exit 1
	prepare_kunit_tree || exit 1
	copy_sources "$BUILD/mod-kunit"
	quietly mod-kunit make_modules "$BUILD/src/newest" "$BUILD/mod-kunit" \
		ARCH=um O="$BUILD/prep" CONFIG_ARENA_KUNIT_TEST=m \
		KBUILD_MODPOST_WARN=1 ${STRICT[@]+"${STRICT[@]}"} "$@"
}

# Prints warnings of modpost and objtool, which -Werror does not turn into errors. If there are any,
# removes what modpost has made, so that the next build warns again.
modpost_warnings()
{
	[ "$1" != kunit ] && grep -E '^(WARNING|ERROR): modpost|objtool:' \
		"$LOGS/mod-$1.log" | grep -v 'vmlinux.o is missing' >&2 || return 1
	rm -f "$BUILD/mod-$1"/*.ko "$BUILD/mod-$1/Module.symvers"
}

main()
{
	local kernel=${1:-}

	[ $# -ge 1 ] || die "usage: module.sh host|core|new|kunit|NAME [MAKE-ARGS]"
	shift
	case $kernel in
	host | core | new | kunit) set -- "build_$kernel" "$@" ;;
	*)
		kernel_facts "$kernel" || die "unknown kernel $kernel"
		set -- build_kernel "$kernel" "$@"
		;;
	esac
	[ -e "$ROOT/Kbuild" ] || die "no Kbuild in $ROOT"
	with_lock "mod-$kernel" "$@" || exit 1
	[ "$kernel" = host ] || ! modpost_warnings "$kernel" ||
		die "modpost complained, see above"
	echo "$BUILD/mod-$kernel"
}

main "$@"; exit
