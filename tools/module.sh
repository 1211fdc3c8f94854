#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Build arena.ko in a directory of its own per kernel, so that objects never
# litter the source tree. Prints the directory; modules lie at its top.
#
#   module.sh host  [MAKE-ARGS]   against KDIR=, default the running kernel
#   module.sh stock [MAKE-ARGS]   against the stock kernel of this release
#   module.sh new   [MAKE-ARGS]   against the newest stock kernel (as root)
#   module.sh core  [MAKE-ARGS]   as stock, but without the device
#   module.sh kunit [MAKE-ARGS]   suites too, against the newest source; only to
#                                 compile them, the modules fit no kernel
#
# stock and new also build the modules of the tests (selftests/), as an outside
# author would. All but host are built with W=1 -Werror: a warning must not hide
# in an object that the next build finds made. WERROR=0 is for work in progress.

. "$(dirname "$0")/lib.sh"

KDIR=${KDIR:-/lib/modules/$(uname -r)/build}
OUTSIDE="consumer context memory"
STRICT=(W=1 KCFLAGS=-Werror)
[ "${WERROR:-1}" -ne 0 ] || STRICT=()

# Copies the sources, because Kbuild puts objects beside them.
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

# Builds the module and, against its exports, the test modules. DIR is where the copy is, and M
# its path for MAKE.
#   make_with_tests DIR M MAKE...
make_with_tests()
{
	local dir=$1 m=$2 name

	shift 2
	"$@" M="$m" modules || return 1
	for name in $OUTSIDE; do
		mirror "$ROOT/selftests/$name" "$dir/selftests/$name" || return 1
		# Kbuild looks up the versions of the arena's symbols anew: they may have
		# changed, and the kernel refuses a module that was linked with others.
		rm -f "$dir/selftests/$name/Module.symvers"
		"$@" M="$m/selftests/$name" \
			KBUILD_EXTRA_SYMBOLS="$m/Module.symvers" modules ||
			return 1
		cp -p "$dir/selftests/$name"/*.ko "$dir/" || return 1
	done
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

build_stock()
{
	"$ROOT/tools/setup.sh" module stock || exit 1
	copy_sources "$BUILD/mod-stock"
	quietly mod-stock make_with_tests "$BUILD/mod-stock" "$BUILD/mod-stock" \
		make -C "$BUILD/stock/headers" -j"$JOBS" \
		${STRICT[@]+"${STRICT[@]}"} "$@"
}

build_core()
{
	"$ROOT/tools/setup.sh" module stock || exit 1
	copy_sources "$BUILD/mod-core"
	quietly mod-core make_modules "$BUILD/stock/headers" "$BUILD/mod-core" \
		CONFIG_ARENA_DEVICE=n ${STRICT[@]+"${STRICT[@]}"} "$@"
}

# The headers of the newest kernel bring host programs that need the newest
# C library: they run in a root directory extracted for them.
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

# A configured kernel tree is enough to compile against, so none is built.
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

# Complaints of modpost are not covered by -Werror. Its output is removed, so that the next
# build complains again.
modpost_warnings()
{
	[ "$1" != kunit ] && grep -E '^(WARNING|ERROR): modpost' \
		"$LOGS/mod-$1.log" | grep -v 'vmlinux.o is missing' >&2 || return 1
	rm -f "$BUILD/mod-$1"/*.ko "$BUILD/mod-$1/Module.symvers"
}

main()
{
	local kernel=${1:-}

	[ $# -ge 1 ] || die "usage: module.sh host|stock|core|new|kunit [MAKE-ARGS]"
	shift
	case $kernel in
	host | stock | core | new | kunit) ;;
	*) die "unknown kernel $kernel" ;;
	esac
	[ -e "$ROOT/Kbuild" ] || die "no Kbuild in $ROOT"
	with_lock "mod-$kernel" "build_$kernel" "$@" || exit 1
	[ "$kernel" = host ] || ! modpost_warnings "$kernel" ||
		die "modpost complained, see above"
	echo "$BUILD/mod-$kernel"
}

main "$@"; exit
