#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs the litmus tests of kunit/litmus against the kernel's memory model, and compares each result
# with the result that a comment in the test's file promises: Never, Sometimes or Always, as in
# (* Result: Never *).
#
#   litmus.sh [FILE...]   default: all, unless they have passed on these sources before

. "$(dirname "$0")/lib.sh"

HERD=$BUILD/herd
MODEL=$BUILD/src/newest/tools/memory-model

# Fetches herd7 and its C library from a newer Debian suite, unless the machine has herd7.
fetch_herd()
{
	! command -v herd7 >/dev/null || return 0
	[ ! -e "$HERD/usr/bin/herd7" ] || return 0
	say "fetching herd7"
	rm -rf "$HERD.part" "$HERD"
	"$ROOT/tools/apt-root.sh" unpack forky "$HERD.part" herdtools7 libc6 \
		libgmp10 && mv "$HERD.part" "$HERD"
}

herd()
{
	local lib=$HERD/usr/lib/x86_64-linux-gnu

	cd "$MODEL" || return 1
	if [ -e "$HERD/usr/bin/herd7" ]; then
		"$lib/ld-linux-x86-64.so.2" --library-path "$lib" \
			"$HERD/usr/bin/herd7" -set-libdir \
			"$HERD/usr/share/herdtools7/herd" \
			-conf linux-kernel.cfg "$1"
	else
		herd7 -conf linux-kernel.cfg "$1"
	fi
}

# Runs a test and prints a line with its result. The test fails, whatever the result, if the model
# raises a flag, for a data race, say.
run_test()
{
	local file=$1 want got out

	want=$(sed -nE 's/.*\(?\* *Result: *(Never|Sometimes|Always).*/\1/p' \
		"$file" | head -n 1)
	out=$(herd "$file" 2>&1)
	got=$(sed -nE 's/^Observation [^ ]+ ([A-Za-z]+) .*/\1/p' <<<"$out")
	if [ -n "$want" ] && [ "$want" = "$got" ] &&
		! grep -q '^Flag ' <<<"$out"; then
		say "ok: $(basename "$file" .litmus): $got"
		return 0
	fi
	say "FAILED: $file promises ${want:-nothing}, herd7 says:"
	printf '%s\n' "$out" | tail -n 15 >&2
	return 1
}

# Runs the tests in FILE..., on a machine with N CPUs N of them at the same time. Test n writes its
# lines to DIR/n, so that the lines of two tests do not mix. If the test passes, this function makes
# the file DIR/n.passed.
#   run_all DIR FILE...
run_all()
{
	local dir=$1 n=0 file

	shift
	for file in "$@"; do
		while [ "$(jobs -rp | wc -l)" -ge "$JOBS" ]; do wait -n; done
		n=$((n + 1))
		{ ! run_test "$(realpath "$file")" 2>"$dir/$n" || : >"$dir/$n.passed"; } &
	done
	wait
	for ((n = 1; n <= $#; n++)); do
		cat "$dir/$n" >&2
	done
}

main()
{
	local dir passed failed sum all=$#

	counts litmus 0 0 0
	[ $# -gt 0 ] || set -- "$ROOT"/kunit/litmus/*.litmus
	[ -e "$1" ] || { say "no litmus tests yet" && exit 0; }
	counts litmus 0 1 0
	"$ROOT/tools/setup.sh" source || exit 1
	sum=$(tree_sum)
	if [ "$all" -eq 0 ] && passed=$(passed_before litmus "$sum"); then
		counts litmus "$passed" 0 0
		say "passed: $passed litmus tests, on these sources before"
		exit 0
	fi
	fetch_herd || die "cannot fetch herd7"
	dir=$(mktemp -d) || exit 1
	run_all "$dir" "$@"
	passed=$(find "$dir" -name '*.passed' | wc -l)
	rm -r "$dir"
	failed=$(($# - passed))
	counts litmus "$passed" "$failed" 0
	if [ "$failed" -eq 0 ]; then
		[ "$all" -gt 0 ] || note_passed litmus "$sum" "$passed"
		say "passed: $passed litmus tests"
	else
		say "FAILED: $failed litmus tests, $passed passed"
	fi
	[ "$failed" -eq 0 ]
}

main "$@"; exit
