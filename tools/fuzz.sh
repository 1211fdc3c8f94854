#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# A step of test.sh: fuzzers, and planted bugs that they must find.
#
#   fuzz.sh [PART...]     user: the core as a program, under the sanitizers of
#                         programs, beside a model, and with bugs planted in it
#                         device: /dev/arena on the sanitizer kernel; default: both
#   FUZZ_SECONDS=15       how long each of the two fuzzers runs
#   KERNEL=uml            or stock, new: where the device is fuzzed
#   FUZZ_SEED=1           seed of the random choices of both
#   PLANTED_RUNS=60000    inputs after which a planted bug counts as not found

. "$(dirname "$0")/lib.sh"

SECONDS_EACH=${FUZZ_SECONDS:-15}
SEED=${FUZZ_SEED:-1}
KERNEL=${KERNEL:-uml}
PLANTED_RUNS=${PLANTED_RUNS:-60000}
USER_DIR=$ROOT/kunit/user
OUT=$BUILD/user
INPUT_MAX=800
RACE_TRIES=12
PASSED=0 FAILED=0

ok()
{
	say "ok: $*"
	PASSED=$((PASSED + 1))
}

bad()
{
	say "FAILED: $*"
	FAILED=$((FAILED + 1))
}

build_user()
{
	"$ROOT/tools/setup.sh" fuzz || exit 1
	quietly fuzz-build make -C "$USER_DIR" OUTPUT="$OUT" -j"$JOBS" \
		fuzz-asan fuzz-planted race-tsan race-planted race-asan points-asan ||
		die "the core does not build as a program"
}

# Writes the seeds, inputs that earlier runs found worth keeping: a name and bytes in
# hexadecimal.
write_seeds()
{
	local name hex

	rm -rf "$OUT/seeds" "$OUT/corpus"
	mkdir -p "$OUT/seeds" "$OUT/corpus" "$OUT/found"
	while read -r name hex; do
		# shellcheck disable=SC2001,SC2059 # the bytes are the format
		printf "$(sed 's/../\\x&/g' <<<"$hex")" >"$OUT/seeds/$name"
	done < <(grep -v '^#' "$USER_DIR/seeds.txt")
}

# Run libFuzzer from the seeds; what it adds goes to CORPUS.
#   fuzzer PROGRAM LOG CORPUS ARGUMENTS...
fuzzer()
{
	local program=$1 log=$LOGS/$2.log corpus=$3

	shift 3
	"$OUT/$program" -seed="$SEED" -len_control=0 -max_len="$INPUT_MAX" \
		-artifact_prefix="$OUT/found/" -timeout=60 "$@" "$corpus" \
		"$OUT/seeds" >"$log" 2>&1 </dev/null
}

fuzz_model()
{
	local covered

	if ! fuzzer fuzz-asan fuzz-model "$OUT/corpus" -max_total_time="$SECONDS_EACH"; then
		grep -aE '^/|ERROR: |WARNING: |runtime error|Test unit written' \
			"$LOGS/fuzz-model.log" | head -n 20 >&2
		bad "the core and the model differ; again: $OUT/fuzz-asan FILE"
		return
	fi
	covered=$(sed -nE 's/^#([0-9]+)\s+DONE\s+cov: ([0-9]+).*/\2 places in \1 runs/p' \
		"$LOGS/fuzz-model.log")
	ok "the core does what the model says, $SECONDS_EACH s: $covered"
}

planted_bugs()
{
	grep -E "$1" "$USER_DIR/planted.txt" | awk -F ' [|] ' '!seen[$1]++ { print $1, $5 }'
}

# Each bug has a seed that shows it. Where a change of the model has made a seed stale, the fuzzer
# looks for the bug itself. How soon it meets one depends on chance, so it has three tries.
find_planted()
{
	local number=$1 corpus=$OUT/corpus-$1 try

	for try in 0 1 2; do
		rm -rf "$corpus" && mkdir -p "$corpus"
		PLANTED_BUG=$number SEED=$((SEED + try)) \
			fuzzer fuzz-planted "fuzz-planted-$number" "$corpus" -runs="$PLANTED_RUNS" \
			-artifact_prefix="$OUT/found/planted-" || return 0
	done
	return 1
}

# This function runs the fuzzer once for each planted bug that the model must see, and runs as many
# fuzzers at a time as there are CPUs.
# If a run does not find its bug, the fuzzer would miss real bugs, too.
plant_for_model()
{
	local number words bugs

	bugs=$(planted_bugs '^[13-9]?[0-9] ')
	while read -r number words; do
		while [ "$(jobs -rp | wc -l)" -ge "$JOBS" ]; do wait -n; done
		{ ! find_planted "$number" || : >"$OUT/corpus-$number/found"; } &
	done <<<"$bugs"
	wait
	while read -r number words; do
		if [ -e "$OUT/corpus-$number/found" ]; then
			ok "planted bug $number was found: $words"
		else
			bad "planted bug $number was not found: $words"
		fi
	done <<<"$bugs"
	rm -rf "$OUT"/found/planted-* "$OUT"/corpus-*
}

race()
{
	local program=$1

	if "$OUT/$program" 1500 >"$LOGS/fuzz-$program.log" 2>&1; then
		ok "$program: threads on one arena"
	else
		head -n 40 "$LOGS/fuzz-$program.log" >&2
		bad "$program"
	fi
}

# Runs a program that interrupts operations, at each place of an operation in turn.
points()
{
	if "$OUT/points-asan" >"$LOGS/fuzz-points.log" 2>&1; then
		ok "points-asan: an interrupt at each place"
	else
		tail -n 40 "$LOGS/fuzz-points.log" >&2
		bad "points-asan"
	fi
}

# Races depend on chance, so each planted one has several tries.
plant_for_threads()
{
	local number words try

	while read -r number words; do
		for try in $(seq "$RACE_TRIES"); do
			PLANTED_BUG=$number "$OUT/race-planted" 2000 \
				>"$LOGS/fuzz-planted-$number.log" 2>&1 || break
		done
		if grep -q 'WARNING: ThreadSanitizer' "$LOGS/fuzz-planted-$number.log"; then
			ok "planted race $number was found, try $try: $words"
		else
			bad "planted race $number was not found: $words"
		fi
	done < <(planted_bugs '^2[0-9] ')
}

part_user()
{
	build_user
	write_seeds
	fuzz_model
	plant_for_model
	race race-tsan
	race race-asan
	points
	plant_for_threads
}

build_device()
{
	"$ROOT/tools/setup.sh" programs source || exit 1
	quietly fuzz-device-build make -C "$ROOT/selftests" OUTPUT="$BUILD/selftests" \
		KSELFTEST_DIR="$BUILD/src/newest/tools/testing/selftests" \
		LDFLAGS=-static "$BUILD/selftests/arena_fuzz" ||
		die "arena_fuzz does not build"
}

# vm.sh searches the kernel's log; a splat fails the machine.
part_device()
{
	local rc=0 log=$LOGS/fuzz-device.log

	build_device
	"$ROOT/tools/vm.sh" --kernel "$KERNEL" --name fuzz-device \
		--timeout $((400 + 3 * SECONDS_EACH)) \
		--file "$BUILD/selftests/arena_fuzz:/arena_fuzz" -- \
		"[ -e /dev/arena ] || insmod /ko/arena.ko
		 exec /arena_fuzz -s $SEED -t $SECONDS_EACH -p 3" >"$log" || rc=$?
	grep -E '^(arena_fuzz|BROKEN|  again|signal)' "$log" >&2
	if [ "$rc" -eq 0 ] && grep -q '^arena_fuzz: passed' "$log"; then
		ok "/dev/arena under KERNEL=$KERNEL, $SECONDS_EACH s:" \
			"$(sed -n 's/^arena_fuzz: \([0-9]* rounds.*\)/\1/p' "$log")"
	else
		bad "/dev/arena under KERNEL=$KERNEL, see $log"
	fi
}

main()
{
	local part

	counts fuzz 0 1 0
	[ $# -gt 0 ] || set -- user device
	for part in "$@"; do
		declare -F "part_$part" >/dev/null || die "no such part: $part"
		"part_$part"
	done
	counts fuzz "$PASSED" "$FAILED" 0
	[ "$FAILED" -eq 0 ] && [ "$PASSED" -gt 0 ]
}

main "$@"; exit
