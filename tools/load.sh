#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# The module on the running kernel: load.sh load|unload|demo [FILE]

. "$(dirname "$0")/lib.sh"

need_root()
{
	[ "$(id -u)" -eq 0 ] || die "needs root: sudo make $1"
}

loaded()
{
	grep -q '^arena ' /proc/modules
}

load()
{
	need_root load
	! loaded || { say "already loaded" && return 0; }
	[ -e "$BUILD/arena.ko" ] || die "build it first: make"
	PATH=$PATH:/usr/sbin:/sbin insmod "$BUILD/arena.ko" ||
		die "the kernel refused the module, see dmesg; is it built for" \
			"$(uname -r)?"
	say "loaded: /dev/arena is there"
}

unload()
{
	need_root unload
	loaded || { say "not loaded" && return 0; }
	PATH=$PATH:/usr/sbin:/sbin rmmod arena ||
		die "the module is in use: close what has /dev/arena open"
	say "unloaded"
}

demo()
{
	need_root demo
	[ -e /dev/arena ] || die "no /dev/arena: sudo make load first"
	make -s -C "$ROOT/selftests" OUTPUT="$BUILD/selftests-host" \
		"$BUILD/selftests-host/arena_demo" ||
		die "the demonstration does not build"
	if [ -n "${1:-}" ]; then
		"$BUILD/selftests-host/arena_demo" "$1"
	else
		cat /proc/kallsyms >"$BUILD/symbols"
		"$BUILD/selftests-host/arena_demo" "$BUILD/symbols"
	fi
}

case ${1:-} in
load | unload | demo) "$@" ;;
*) die "usage: load.sh load|unload|demo [FILE]" ;;
esac
exit
