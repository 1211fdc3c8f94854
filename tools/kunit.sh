#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds a User-Mode Linux kernel of the newest source, with the arena built in and every sanitizer
# that UML has, and runs the arena's KUnit suites on it.
#
#   kunit.sh              run all suites without init_on_alloc; then run suites in which zeroing
#                         matters with init_on_alloc and without the device; then run some with
#                         KASAN's redzones, and one with memory allocation profiling
#   kunit.sh GLOB         run suites (or suite.case) that match, without init_on_alloc
#   kunit.sh --build      build the kernel only
#   KUNIT_ARGS="a=1 b=2"  more arguments for the kernel's command line
#   KUNIT_CONFIG="CONFIG_A=y CONFIG_B=m"  more options for the kernel's configuration
#   KUNIT_TIMEOUT=3000    seconds until the kernel is killed

. "$(dirname "$0")/lib.sh"

SRC=$BUILD/src/newest
UML=$BUILD/uml
TIMEOUT=${KUNIT_TIMEOUT:-3000}

# Options that UML of kernel 6.1 does not have. write_config() leaves them out, because kunit.py
# refuses to run if the kernel does not accept an option.
NOT_IN_6_1='SMP|NR_CPUS|PREEMPT|DEBUG_ATOMIC_SLEEP|FAULT_INJECTION_USERCOPY|SHMEM'
NOT_IN_6_1+='|MEM_ALLOC_PROFILING|MEM_ALLOC_PROFILING_ENABLED_BY_DEFAULT'

is_old()
{
	[ "$(readlink "$SRC")" = linux-source-6.1 ]
}

# Writes the kernel's configuration, but only if that has changed: a new time stamp of the file
# would cost a rebuild.
write_config()
{
	local new=$UML/kunitconfig.new

	mkdir -p "$UML"
	grep -v '^#' "$ROOT/kunit/.kunitconfig" >"$new"
	! grep -q 'config ARENA_DEBUG' "$ROOT/module/Kconfig" ||
		echo CONFIG_ARENA_DEBUG=y >>"$new"
	tr ' ' '\n' <<<"${KUNIT_CONFIG:-}" >>"$new"
	if is_old; then
		sed -i -E "/^CONFIG_($NOT_IN_6_1)=/d" "$new"
	fi
	if cmp -s "$new" "$UML/arena.kunitconfig"; then
		rm "$new"
	else
		mv "$new" "$UML/arena.kunitconfig"
	fi
}

kunit_py()
{
	local verb=$1

	shift
	(cd "$SRC" && "$(system_python)" tools/testing/kunit/kunit.py "$verb" \
		--arch=um --build_dir="$UML" --kunitconfig="$UML/arena.kunitconfig" "$@")
}

# Prints the contents of the files that the configuration depends on.
config_inputs()
{
	cat "$UML/arena.kunitconfig" "$ROOT/module/Kconfig"
}

# Prints names and checksums of all that the kernel is built from, so that build() can tell whether
# any of it has changed. The kernel's own source is left out, as only tools/patches change it: after
# a change of that source by hand, remove build/uml/built.
kernel_inputs()
{
	config_inputs
	readlink "$SRC"
	gcc --version
	(cd "$ROOT" && find Kbuild module include kunit tools/patches -type f \
		-exec sha256sum {} + | sort)
}

# Uses kunit.py only for the configuration, because kunit.py builds more than is needed. Runs make
# only if something has changed: make looks at each of the kernel's objects, which takes a minute on
# a busy machine, and several steps of a test run call this function. UBSAN checks only the arena,
# because the rest of the kernel compiles faster without it.
build()
{
	# shellcheck disable=SC2016 # make expands it
	local inputs ubsan='UBSAN_SANITIZE=$(if $(filter lib/arena%,$(obj)),,n)'

	inputs=$(kernel_inputs)
	if [ -e "$UML/linux" ] && cmp -s - "$UML/built" <<<"$inputs"; then
		return 0
	fi
	rm -f "$UML/built"
	if ! config_inputs | cmp -s - "$UML/configured"; then
		rm -f "$UML/configured"
		kunit_py config && config_inputs >"$UML/configured" || return 1
	fi
	make -C "$SRC" ARCH=um O="$UML" -j"$JOBS" "$ubsan" all && echo "$inputs" >"$UML/built"
}

kernel_version()
{
	make -s -C "$SRC" kernelversion 2>/dev/null
}

# Prints warnings of the compiler about files of the arena; main() fails if there are any.
build_warnings()
{
	grep -E 'lib/arena/.*(warning|error):' "$LOGS/kunit-build.log" >&2
}

# Prints the options of kunit.py for the kernel's command line.
#   kernel_args ARGUMENT...
kernel_args()
{
	local arg args=()

	is_old || args+=(seccomp=on ncpus=2)
	# Use a periodic tick: without it, UML sometimes sleeps for ever with timers pending.
	args+=(mem=1G nohz=off highres=off)
	# The suite arena_kasan provokes reports and counts them, so KASAN must print more than one.
	args+=(kasan_multi_shot)
	# shellcheck disable=SC2206 # split at blanks on purpose
	args+=("$@" ${KUNIT_ARGS:-})
	for arg in "${args[@]}"; do
		echo "--kernel_args=$arg"
	done
}

# Runs the suites whose names match GLOB.
#   run GLOB KERNEL-ARGUMENTS
run()
{
	local glob=$1 args

	mapfile -t args < <(kernel_args "$2")
	say "running $glob on two CPUs under KASAN, lockdep and UBSAN, $2" \
		"(at most $TIMEOUT s)"
	rm -f "$UML/test.log"
	quietly kunit-run kunit_py exec --timeout="$TIMEOUT" "${args[@]}" "$glob"
}

# Prints how many tests had one of the results WORD..., from the last line such as
# "Testing complete. Ran 5 tests: passed: 4, failed: 1".
count_of()
{
	local n=0 word

	for word in "$@"; do
		n=$((n + $(sed -nE "s/.*Testing complete\..*[ ,]$word: ([0-9]+).*/\1/p" \
			"$LOGS/kunit-run.log" | tail -n 1 | grep . || echo 0)))
	done
	echo "$n"
}

suites()
{
	sed -E 's/^\[[0-9:]+\] //' "$LOGS/kunit-run.log" |
		grep -E '^=+ .*(\[(PASSED|FAILED|CRASHED|SKIPPED)\]|subtests?)' |
		grep -F '[' | tr -d '=' || true
}

complaints()
{
	sed -E 's/^\[[0-9:]+\] //' "$LOGS/kunit-run.log" |
		grep -E -A 4 'FAILED at|^\[(FAILED|CRASHED|ERROR)\]' | head -n 60
}

# Prints the results of a run and adds its numbers to PASSED, FAILED and SKIPPED.
report()
{
	local passed failed skipped

	passed=$(count_of passed) skipped=$(count_of skipped)
	failed=$(count_of failed crashed errors)
	suites
	[ "$failed" -eq 0 ] || complaints >&2
	if [ -e "$UML/test.log" ] && splats "$UML/test.log" >&2; then
		say "the kernel's log has splats (above), see $UML/test.log"
		failed=$((failed + 1))
	fi
	if [ "$1" -ne 0 ] && [ "$failed" -eq 0 ]; then
		say "the run did not complete, see $LOGS/kunit-run.log"
		failed=1
	fi
	[ $((passed + failed)) -gt 0 ] || { say "no test ran" && failed=1; }
	PASSED=$((PASSED + passed))
	FAILED=$((FAILED + failed))
	SKIPPED=$((SKIPPED + skipped))
}

verdict()
{
	counts kunit "$PASSED" "$FAILED" "$SKIPPED"
	if [ "$FAILED" -eq 0 ]; then
		say "passed: the KUnit suites under UML, $PASSED tests, $SKIPPED skipped"
	else
		say "FAILED: $FAILED of the KUnit tests under UML, $PASSED passed"
	fi
	[ "$FAILED" -eq 0 ]
}

# Runs suites and reports their results, one run after the other, because all runs write to the same
# log in the build directory.
#   run_and_report [GLOB KERNEL-ARGUMENTS]...
run_and_report()
{
	local rc

	while [ $# -gt 0 ]; do
		rc=0
		run "$1" "$2" || rc=$?
		report "$rc"
		# Stop at a failed run, so that its logs remain.
		[ "$FAILED" -eq 0 ] || break
		shift 2
	done
	verdict
}

build_kernel()
{
	graft "$SRC"
	mend_kernel "$SRC"
	write_config
	say "building the UML sanitizer kernel $(kernel_version)" \
		"(first time: 6 minutes, then seconds)"
	OBJECTS=$UML quietly kunit-build build || die "the UML kernel does not build"
}

main()
{
	local runs layout=arena.kasan_redzones=0

	PASSED=0 FAILED=0 SKIPPED=0
	[ "${1:-}" = --build ] || counts kunit 0 1 0
	"$ROOT/tools/setup.sh" kernel source || exit 1
	with_lock uml build_kernel || exit 1
	! build_warnings || die "the compiler warned, see above"
	[ "${1:-}" != --build ] || exit 0
	# The module looks at init_on_alloc in three places: to zero objects of private arenas, to
	# know whether a new slab is zero, and to set the flag of an arena that ARENA_ZERO sets,
	# too. The first run tests the flag by ARENA_ZERO. So the second run, with init_on_alloc,
	# needs only the suites lifetime, pool, private, rcu, reserve, reset_race and zero. It runs
	# without the device, because the core and its suites must not need one.
	#
	# With redzones, fewer objects fit into an arena, which many suites count, and arenas do not
	# use their fast paths. So these two runs are without redzones. Two more runs, with
	# redzones, are of the suites that do not count objects.
	[[ ${1:-} != arena_kasan* ]] || layout=
	runs=("${1:-arena*}" "init_on_alloc=0 $layout")
	[ $# -gt 0 ] || runs+=("arena_[lprz]*" "init_on_alloc=1 arena.device=0 $layout"
		"arena_[adfhikotz]*" init_on_alloc=0 "arena_r*c*" init_on_alloc=0)
	# Only this run has memory allocation profiling on, because arenas do not use the pool then.
	[ $# -gt 0 ] || runs+=("arena_profile*" "init_on_alloc=0 sysctl.vm.mem_profiling=1")
	with_lock uml-run run_and_report "${runs[@]}"
}

main "$@"; exit
