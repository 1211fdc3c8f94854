#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# A step of test.sh: runs the fuzzers, and checks that they find planted bugs, which are put into
# the code on purpose.
#
#   fuzz.sh [PART...]     default: both parts
#                         user: fuzz the core as a program, under sanitizers, and compare it with
#                         a model; then look for the planted bugs
#                         device: fuzz /dev/arena
#   KERNEL=uml            fuzz the device on the sanitizer kernel; or stock, new
#   FUZZ_SECONDS=15       how long each of the two fuzzers runs
#   FUZZ_SEED=1           seed of the random choices of both fuzzers
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
TOOLS=(clang-14)
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
	quietly fuzz-build make -C "$USER_DIR" OUTPUT="$OUT" -j"$JOBS" \
		fuzz-asan fuzz-planted race-tsan race-planted race-asan points-asan ||
		die "the core does not build as a program"
}

# Writes each seed of seeds.txt to a file: a line there has the seed's name and its bytes in
# hexadecimal. Seeds are inputs that earlier runs have found.
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

# Runs a fuzzer, which begins with the seeds. libFuzzer adds inputs that reach new code to CORPUS.
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

# Succeeds if the fuzzer finds planted bug NUMBER. A seed triggers the bug at once, unless a change
# of the model has made that seed useless. Then it depends on chance how soon the fuzzer finds the
# bug, so there are three tries.
#   find_planted NUMBER
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

# Looks for the planted bugs that make the core differ from the model; on a machine with N CPUs, for
# N bugs at a time. If the fuzzer does not find a planted bug, it would miss real bugs, too. (Bugs
# with the numbers 20 to 29 are races, which plant_for_threads() looks for.)
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

# Runs a program that interrupts operations of the core, at each place of an operation in turn.
points()
{
	if "$OUT/points-asan" >"$LOGS/fuzz-points.log" 2>&1; then
		ok "points-asan: an interrupt at each place"
	else
		tail -n 40 "$LOGS/fuzz-points.log" >&2
		bad "points-asan"
	fi
}

# Looks for each planted race. Whether a race happens depends on chance, so each has several tries.
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

# Looks for all planted bugs, unless they were found before with the same sources and seeds. The
# programs were built from the sources of SUM.
#   look_for_planted SUM
look_for_planted()
{
	local name=planted-$SEED-$PLANTED_RUNS sum=$1 before=$PASSED failed=$FAILED found

	if found=$(passed_before "$name" "$sum"); then
		say "ok: $found planted bugs were found on these sources before"
		PASSED=$((PASSED + found))
		return
	fi
	plant_for_model
	plant_for_threads
	[ "$FAILED" -ne "$failed" ] || note_passed "$name" "$sum" "$((PASSED - before))"
}

part_user()
{
	local sum

	"$ROOT/tools/setup.sh" fuzz || exit 1
	sum=$(tree_sum)
	build_user
	write_seeds
	fuzz_model
	race race-tsan
	race race-asan
	points
	look_for_planted "$sum"
}

build_device()
{
	build_selftests arena_fuzz || die "arena_fuzz does not build"
}

# Fuzzes the device. vm.sh fails if the kernel's log reports a bug.
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
