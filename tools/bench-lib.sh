#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Measures libarena beside malloc(), mimalloc and jemalloc in a program, tools/libarena/bench.c. On
# the stock kernel, QEMU counts instructions exactly, those of the kernel included. On User-Mode
# Linux, on the host's CPUs, the results are nanoseconds, medians of several runs.
#
#   bench-lib.sh             measure instructions and nanoseconds
#   ONLY=icount              measure instructions only; ONLY=uml: nanoseconds only
#   ROUNDS=100               batches in a run
#   RUNS=7                   runs for nanoseconds
#   MODULES=DIR              use DIR/arena.ko; default: build it
#
# Writes build/bench/lib.csv, with the columns machine,kind,mode,workers,all,first,rest.

. "$(dirname "$0")/lib.sh"

OUT=$BUILD/bench/lib
CSV=$BUILD/bench/lib.csv
ROUNDS=${ROUNDS:-100}
RUNS=${RUNS:-7}
ONLY=${ONLY:-}
LIBS=/usr/lib/x86_64-linux-gnu
KINDS="bump cursor arena mimalloc jemalloc glibc"

build()
{
	"$ROOT/tools/setup.sh" module bench-lib || exit 1
	mkdir -p "$OUT"
	make -s -C "$ROOT/tools/libarena" OUTPUT="$OUT" || die "no library"
	gcc -O2 -g -Wall -Wextra -Werror -std=gnu11 -I"$ROOT/include/uapi" \
		-I"$ROOT/include" -pthread -o "$OUT/bench" "$ROOT/tools/libarena/bench.c" \
		-L"$OUT" -larena || die "the benchmark does not build"
}

# Prints the libraries that the program needs in the guest, which has no libraries, as lines
# HOST:GUEST.
carried()
{
	{
		LD_LIBRARY_PATH=$OUT ldd "$OUT/bench" "$LIBS/libmimalloc.so.2" \
			"$LIBS/libjemalloc.so.2" | grep -oE '/[^ :]+\.so[^ :]*'
		echo "$LIBS/libmimalloc.so.2"
		echo "$LIBS/libjemalloc.so.2"
	} | sort -u | while read -r file; do
		case $file in
		*/ld-linux*) echo "$file:$file" ;;
		*) echo "$file:/lib/$(basename "$file")" ;;
		esac
	done
}

# Prints the commands for the guest. The allocators take turns, so that other load of the host
# disturbs all of them.
guest_commands()
{
	local runs=$1 modes=$2

	cat <<END
[ -e /dev/arena ] || insmod /ko/arena.ko || exit 1
export LD_LIBRARY_PATH=/lib
bench() {
	kind=\$1; shift
	case \$kind in
	glibc) /st/bench malloc "\$@" ;;
	mimalloc) LD_PRELOAD=/lib/libmimalloc.so.2 /st/bench malloc "\$@" ;;
	jemalloc) LD_PRELOAD=/lib/libjemalloc.so.2 /st/bench malloc "\$@" ;;
	*) /st/bench \$kind "\$@" ;;
	esac >/tmp/line || return 1
	sed "s/^bench,[a-z]*/bench,\$kind/" /tmp/line
}
for run in \$(seq $runs); do
	for mode in $modes; do
		for kind in $KINDS; do
			bench \$kind \${mode#*:} \${mode%:*} $ROUNDS || exit 1
		done
	done
done
END
}

# Prints the median of each figure over all runs.
medians()
{
	sort | awk -F, -v OFS=, -v machine="$1" '
	function flush(	i, j, n) {
		if (!nr) return
		printf "%s,%s", machine, key
		for (i = 5; i <= 7; i++) {
			n = split(values[i], v, " ")
			asort_small(v, n)
			printf ",%.1f", v[int((n + 1) / 2)]
			values[i] = ""
		}
		printf "\n"; nr = 0
	}
	function asort_small(v, n,	i, j, t) {
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && v[j - 1] + 0 > v[j] + 0; j--) {
				t = v[j]; v[j] = v[j - 1]; v[j - 1] = t
			}
	}
	{ this = $2 "," $3 "," $4 }
	this != key { flush(); key = this }
	{ nr++; for (i = 5; i <= 7; i++) values[i] = values[i] " " $i }
	END { flush() }'
}

# Runs the benchmark in a machine and adds the medians to CSV.
#   measure MACHINE RUNS MODES VM-ARGS...
measure()
{
	local machine=$1 runs=$2 modes=$3 file files=()

	shift 3
	while read -r file; do
		files+=(--file "$file")
	done < <(carried)
	say "$machine: $runs runs of $(echo "$modes" | wc -w) ways"
	"$ROOT/tools/vm.sh" --name "bench-lib-$machine" --timeout 900 "${files[@]}" \
		--file "$OUT/bench:/st/bench" "$@" -- "$(guest_commands "$runs" "$modes")" \
		>"$OUT/$machine.raw" || die "the benchmark failed"
	grep '^bench,' "$OUT/$machine.raw" | medians "$machine" >>"$CSV"
}

# Measures on the User-Mode Linux kernel that bench.sh builds. The kernel of kunit.sh has
# sanitizers, which would be measured, too.
measure_uml()
{
	"$ROOT/tools/bench.sh" --build-uml || die "no User-Mode Linux"
	measure uml "$RUNS" "threads:1 processes:2" --kernel uml \
		--vmlinuz "$BUILD/uml-bench/linux" --modules "$BUILD/bench/uml/ko" --mem 2G
}

table()
{
	awk -F, -v kinds="$KINDS" '
	BEGIN { nr = split(kinds, kind, " ")
		unit["icount-0"] = "instructions"; unit["uml"] = "ns"
		unit["icount-1"] = "instructions (init_on_alloc=1)" }
	{ way = $1 "," $3 "," $4; if (!(way in seen)) { seen[way] = 1; ways[++n] = way }
	  all[way, $2] = $5; first[way, $2] = $6; rest[way, $2] = $7 }
	END {
		for (w = 1; w <= n; w++) {
			split(ways[w], part, ",")
			printf "\n%s an object of 64 bytes, %s %s\n", unit[part[1]],
				part[3], part[3] == 1 ? "thread" : part[2]
			printf "%-10s %9s %9s %9s %9s\n", "", "all", "first", "rest",
				"x arena"
			for (k = 1; k <= nr; k++)
				printf "%-10s %9.1f %9.1f %9.1f %9.2f\n", kind[k],
					all[ways[w], kind[k]], first[ways[w], kind[k]],
					rest[ways[w], kind[k]],
					all[ways[w], kind[k]] / all[ways[w], "arena"]
		}
	}' "$CSV"
	echo
	echo "all: $ROUNDS batches of 4096, open and first touch included; first: the first batch"
}

# Prints the goals for each machine, that is, how many times faster one thread must be with the
# library than with another allocator, and whether they are met. Fails if a goal is missed, or if
# the library was not measured.
goals()
{
	awk -F, '$3 == "threads" && $4 == 1 { all[$1, $2] = $5; machines[$1] = 1 }
	function goal(m, what, ok) {
		printf "%s: %s: %s\n", m, what, ok ? "met" : "MISSED"; missed += !ok }
	END {
		for (m in machines) {
			a = all[m, "arena"]
			if (!a) {
				printf "%s: the library was not measured\n", m
				missed++
				continue
			}
			goal(m, "5 x glibc", all[m, "glibc"] >= 5 * a)
			goal(m, "2 x mimalloc", all[m, "mimalloc"] >= 2 * a)
			goal(m, "2 x jemalloc", all[m, "jemalloc"] >= 2 * a)
			goal(m, "within 2 x of a plain bump", a <= 2 * all[m, "bump"])
		}
		exit missed > 0
	}' "$CSV"
}

main()
{
	local init

	build
	echo "machine,kind,mode,workers,all,first,rest" >"$CSV.new"
	: >"$CSV"
	[ "$ONLY" = uml ] || for init in 0 1; do
		measure "icount-$init" 1 "threads:1 threads:2 processes:2" --icount \
			${MODULES:+--modules "$MODULES"} --append "init_on_alloc=$init"
	done
	[ "$ONLY" = icount ] || measure_uml
	table
	goals || true
	cat "$CSV" >>"$CSV.new"
	mv "$CSV.new" "$CSV"
}

main "$@"; exit
