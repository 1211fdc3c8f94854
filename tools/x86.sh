#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds an x86-64 kernel of the newest source, and runs the KUnit suites on it in QEMU, to check
# what User-Mode Linux cannot: data races, leaks, real interrupts and NMIs.
#
#   x86.sh KIND [SUITE]            a kernel with KASAN, KCSAN or KMSAN: KIND is kasan, kcsan or
#                                  kmsan. SUITE is a pattern such as arena_core*, default: all
#                                  suites, but with KMSAN only arena_kmsan
#   x86.sh KIND --build            build the kernel only, and the module of torture.sh
#   SMP=2                          number of CPUs
#   X86_TIMEOUT=1500               seconds until the machine is killed

. "$(dirname "$0")/lib.sh"

SRC=$BUILD/src/newest
LLVM=()
SMP=${SMP:-2}
TIMEOUT=${X86_TIMEOUT:-1500}

write_config()
{
	mkdir -p "$OBJ"
	cat "$ROOT/kunit/x86.config" "$ROOT/kunit/$VARIANT.config" |
		grep -v '^#' >"$OBJ/mini.new"
	! grep -q 'config ARENA_DEBUG' "$ROOT/module/Kconfig" ||
		echo CONFIG_ARENA_DEBUG=y >>"$OBJ/mini.new"
	cat "$OBJ/mini.new" "$ROOT/module/Kconfig" >"$OBJ/inputs.new"
	cmp -s "$OBJ/inputs.new" "$OBJ/inputs" && [ -e "$OBJ/.config" ]
}

# Prints options that Kconfig has dropped without a message. Without them, the kernel would lack
# some of the checks that the suites are to run under.
missing_options()
{
	grep '^CONFIG_.*=[ym]' "$OBJ/mini.new" | sort -u |
		grep -vxFf "$OBJ/.config" || true
}

configure()
{
	local missing

	! write_config || return 0
	quietly "$VARIANT-config" make -C "$SRC" ARCH=x86_64 "${LLVM[@]}" O="$OBJ" \
		KCONFIG_ALLCONFIG="$OBJ/mini.new" allnoconfig || return 1
	missing=$(missing_options)
	[ -z "$missing" ] || say "not taken by this kernel:" "$missing"
	mv "$OBJ/inputs.new" "$OBJ/inputs"
}

compile()
{
	make -C "$SRC" ARCH=x86_64 "${LLVM[@]}" O="$OBJ" -j"$JOBS" bzImage modules
}

build()
{
	"$ROOT/tools/setup.sh" kernel source ${LLVM[0]:+clang} || exit 1
	graft "$SRC"
	say "building the $VARIANT kernel (first time: 5 minutes)"
	with_lock "$VARIANT" configure || die "cannot configure"
	OBJECTS=$OBJ with_lock "$VARIANT" quietly "$VARIANT-build" compile ||
		die "the $VARIANT kernel does not build"
	rm -rf "$OBJ/ko" && mkdir -p "$OBJ/ko"
	find "$OBJ/lib/arena" -name '*.ko' -exec cp {} "$OBJ/ko/" \;
}

# Builds the module of torture.sh, out of tree.
build_torture()
{
	local dir=$OBJ/outside name

	for name in include selftests/context selftests/torture; do
		mirror "$ROOT/$name" "$dir/$name" || return 1
	done
	make -C "$SRC" ARCH=x86_64 "${LLVM[@]}" O="$OBJ" -j"$JOBS" M="$dir/selftests/torture" modules &&
		cp "$dir/selftests/torture/arena_torture.ko" "$OBJ/ko/"
}

# Prints the commands for the guest. A suite runs when its module is loaded. The guest prints the
# results of each suite right after it, because the next suite may crash the machine; it reads them
# from debugfs, which has them without the rest of the kernel's log. At the end, kmemleak looks for
# memory that was not freed. kmemleak reports an object only in a second scan, and only if the
# object is some seconds old.
suites_script()
{
	echo "SUITES='/ko/${1:-*}_kunit.ko'"
	# Switch KASAN's redzones off, which would change what most suites count; arena_kasan, which
	# needs redzones, is loaded without LAYOUT.
	echo "LAYOUT=$([ "$VARIANT" != kasan ] || echo kasan_redzones=0)"
	cat <<'END'
# Run arena_kasan last: at the first report that it provokes, the kernel switches lockdep off.
for m in $(ls -d $SUITES | grep -v kasan) $(ls -d $SUITES | grep kasan); do
	echo "suite module: $m" >/dev/kmsg
	# Switch the pool off: fault injection cannot make allocations from the pool fail.
	pool=
	[ "$m" != /ko/arena_fault_kunit.ko ] || pool=pool_mb=0
	layout=$LAYOUT
	[ "$m" != /ko/arena_kasan_kunit.ko ] || layout=
	insmod /ko/arena.ko $pool $layout || exit 1
	insmod "$m" || exit 1
	cat /sys/kernel/debug/kunit/arena*/results
	rmmod "$(basename "$m" .ko)" || exit 1
	rmmod arena || exit 1
done
leaks=/sys/kernel/debug/kmemleak
if [ -e $leaks ]; then
	echo scan >$leaks; sleep 6; echo scan >$leaks; sleep 1
	cat $leaks >/tmp/leaks
	while read -r line; do echo "$line" >/dev/kmsg; done </tmp/leaks
fi
exit 0
END
}

run_suites()
{
	local rc=0

	say "running the suites on the $VARIANT kernel (at most $TIMEOUT s)"
	"$ROOT/tools/vm.sh" --vmlinuz "$OBJ/arch/x86/boot/bzImage" \
		--modules "$OBJ/ko" --smp "$SMP" --mem 2G --name "$VARIANT" \
		--append "kasan_multi_shot log_buf_len=16M" --timeout "$TIMEOUT" \
		-- "$(suites_script "$1")" >/dev/null || rc=1
	grep -E '^ *(not )?ok ' "$LOGS/$VARIANT.output"
	return "$rc"
}

# Counts the results of test cases, which are indented by four blanks.
count_cases()
{
	local rc=$1 pass fail skip

	skip=$(grep -cE '^    ok .*# SKIP' "$LOGS/$VARIANT.output")
	pass=$(grep -cE '^    ok ' "$LOGS/$VARIANT.output")
	fail=$(grep -cE '^    not ok ' "$LOGS/$VARIANT.output")
	pass=$((pass - skip))
	[ "$rc" -eq 0 ] || [ "$fail" -gt 0 ] || fail=1
	[ $((pass + fail)) -gt 0 ] || fail=1
	counts "$VARIANT" "$pass" "$fail" "$skip"
	if [ "$fail" -eq 0 ]; then
		say "passed: $pass tests on the $VARIANT kernel, $skip skipped"
	else
		say "FAILED: $fail tests on the $VARIANT kernel, $pass passed"
	fi
	[ "$fail" -eq 0 ]
}

main()
{
	local rc=0

	VARIANT=${1:-}
	case $VARIANT in
	kasan | kcsan) ;;
	# Only clang has KMSAN, and the newest source needs a newer one than the package clang.
	kmsan) LLVM=(LLVM=-19) ;;
	*) die "usage: x86.sh kasan|kcsan|kmsan [--build | SUITE]" ;;
	esac
	OBJ=$BUILD/$VARIANT TAG=$VARIANT
	counts "$VARIANT" 0 1 0
	build
	if [ "${2:-}" = --build ]; then
		with_lock "$VARIANT" quietly "$VARIANT-torture" build_torture ||
			die "arena_torture does not build for the $VARIANT kernel"
		exit 0
	fi
	# Most suites read memory that they have not written to.
	[ "$VARIANT" != kmsan ] || set -- kmsan "${2:-arena_kmsan}"
	run_suites "${2:-}" || rc=1
	count_cases "$rc"
}

main "$@"; exit
