#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Build arena.ko in a directory of its own per kernel, so that objects never
# litter the source tree. Prints the directory; modules lie at its top.
#
#   module.sh host  [MAKE-ARGS]   against KDIR=, default the running kernel
#   module.sh stock [MAKE-ARGS]   against the stock kernel of this release
#   module.sh new   [MAKE-ARGS]   against the newest stock kernel (as root)

. "$(dirname "$0")/lib.sh"

KDIR=${KDIR:-/lib/modules/$(uname -r)/build}
# What the compiler says about our files fails the build.
WERROR=${WERROR:-0}

# A copy, not links: Kbuild puts objects beside the sources. Time stamps are
# kept, so the next build compiles what changed and nothing else. What lies
# in the copy only is left alone if Kbuild made it.
copy_sources()
{
	local dir=$1

	mkdir -p "$dir"
	rsync -rlt --delete --delete-excluded \
		--filter='P *.o' --filter='P *.ko' --filter='P *.mod' \
		--filter='P *.mod.c' --filter='P *.cmd' --filter='P *.symvers' \
		--filter='P modules.order' --filter='P .*.d' \
		--filter='P built-in.a' --exclude='*.o' --exclude='*.cmd' \
		"$ROOT/Kbuild" "$ROOT/module" "$ROOT/include" "$ROOT/kunit" \
		"$dir/" || die "cannot copy the sources to $dir"
}

make_modules()
{
	local kdir=$1 dir=$2

	shift 2
	make -C "$kdir" M="$dir" -j"$JOBS" "$@" modules
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
	quietly mod-stock make_modules "$BUILD/stock/headers" \
		"$BUILD/mod-stock" "$@"
}

# objtool reads /proc; the mount goes away with the name space.
in_root()
{
	local root=$1

	shift
	# shellcheck disable=SC2016 # expanded by the inner shell
	unshare -m sh -c 'mount -t proc proc "$0/proc" && exec chroot "$0" \
		/usr/bin/env -i PATH=/usr/bin:/usr/sbin "$@"' "$root" "$@"
}

# The headers of the newest kernel bring host programs that need the newest
# C library: they run in a root directory extracted for them.
build_new()
{
	local root=$BUILD/new/root

	"$ROOT/tools/setup.sh" module new || exit 1
	copy_sources "$root/arena"
	quietly mod-new in_root "$root" make -C /headers M=/arena -j"$JOBS" \
		"$@" modules || return 1
	ln -sfn new/root/arena "$BUILD/mod-new"
}

warnings()
{
	grep -E '(warning|error):|WARNING: modpost' "$LOGS/mod-$1.log" >&2
}

main()
{
	local kernel=${1:-}

	[ $# -ge 1 ] || die "usage: module.sh host|stock|new [MAKE-ARGS]"
	shift
	case $kernel in
	host | stock | new) ;;
	*) die "unknown kernel $kernel" ;;
	esac
	[ -e "$ROOT/Kbuild" ] || die "no Kbuild in $ROOT"
	with_lock "mod-$kernel" "build_$kernel" "$@" || exit 1
	if warnings "$kernel" && [ "$WERROR" -ne 0 ]; then
		die "the compiler warned, see above"
	fi
	echo "$BUILD/mod-$kernel"
}

main "$@"
