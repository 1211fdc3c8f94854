#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs the demonstration, selftests/demo, in a throwaway QEMU machine: loads the module and
# arena_consumer, which uses it, on a stock kernel, stores the words of a file, and unloads both.
#
#   demo.sh [FILE]      default: the symbol table of the guest's kernel
#   KERNEL=stock|new    stock kernel of this release, or the newest one

. "$(dirname "$0")/lib.sh"

KERNEL=${KERNEL:-stock}
OUT=$BUILD/selftests

build_demo()
{
	"$ROOT/tools/setup.sh" module || exit 1
	mkdir -p "$OUT"
	quietly demo-build make -C "$ROOT/selftests" -j"$JOBS" OUTPUT="$OUT" \
		LDFLAGS=-static "$OUT/arena_demo" ||
		die "the demonstration does not build"
}

guest_script()
{
	cat <<'END'
set -e
insmod /ko/arena.ko
insmod /ko/arena_consumer.ko
[ -e /input ] || { cat /proc/kallsyms >/tmp/symbols; ln -s /tmp/symbols /input; }
/st/arena_demo /input
rmmod arena_consumer
rmmod arena
END
}

main()
{
	local input=${1:-} files=()

	[ -z "$input" ] || [ -r "$input" ] || die "cannot read $input"
	[ -z "$input" ] || files=(--file "$input:/input")
	build_demo
	say "booting a QEMU machine with the stock kernel (a few seconds)"
	if "$ROOT/tools/vm.sh" --kernel "$KERNEL" --name demo \
		--file "$OUT/arena_demo:/st/arena_demo" \
		${files[@]+"${files[@]}"} -- "$(guest_script)"; then
		say "passed: the module loaded, the demonstration ran, the kernel is well"
	else
		say "FAILED: see above"
		exit 1
	fi
}

main "$@"; exit
