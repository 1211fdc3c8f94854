#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Compares arenas with other allocators, the rivals. Counts instructions in QEMU, where the counts
# are exact: on the stock kernel of the machine's Debian release, and on the newest one, from
# Debian's backports. Measures nanoseconds on User-Mode Linux, on the host's CPUs, and reports the
# medians of several boots.
#
#   bench.sh             measure everything, some twenty minutes the first time
#   bench.sh --quick     measure the main figures, some two minutes
#   bench.sh --growth    measure how cost grows with possible CPUs, capacity and number of arenas,
#                        two minutes; with BENCHES="create growth" only these two benchmarks of it
#   bench.sh --gate      measure some instructions, and compare them with selftests/bench/gate
#   bench.sh --record    measure what --gate does, and write the instructions of the fast paths to
#                        selftests/bench/gate
#   bench.sh --report    make tables and plots of what was measured last
#   bench.sh --plots     do what --report does, and copy the plots to selftests/bench/plots
#   bench.sh --build     build the modules for the stock kernel of this release
#   ONLY=icount          measure instructions only; ONLY=uml: nanoseconds only. The report shows
#                        earlier figures of the other kind.
#   RUNS=5               boots of User-Mode Linux, default 3
#   BENCHES="batch mix"  only these benchmarks
#   REV=COMMIT           measure the module of that commit instead of the working tree
#
# Writes results.csv, results.json, report.txt and *.svg to build/bench.

. "$(dirname "$0")/lib.sh"

BENCH=$BUILD/bench
RAW=$BENCH/raw
STOCK=$BENCH/stock
NEW=$BUILD/new/root/bench
GATE=$ROOT/selftests/bench/gate
TOOLS=(qemu-system-x86)
UML=$BUILD/uml-bench
RUNS=${RUNS:-3}
ONLY=${ONLY:-}
CPUS=$((JOBS < 16 ? JOBS : 16))
PLOTS=$ROOT/selftests/bench/plots

# The benchmark "growth" comes before those that fill the pool of slabs: with a full pool, the slabs
# of large arenas would come from the page allocator.
ALL="machine growth memory batch bulk pingpong mix hardirq create steady full latency reset seed"
ALL="$ALL ioctl threads once many"
# The benchmarks that depend on the number of possible CPUs, and the numbers to try.
GROWTH="create growth many ioctl"
POSSIBLE=(64 240)

# Prints the folder of the module's sources to measure. The sources of the benchmarks are always
# those of the working tree.
#   tree DIR
tree()
{
	[ -n "${REV:-}" ] || { echo "$ROOT"; return; }
	rm -rf "$1"
	mkdir -p "$1"
	git -C "$ROOT" archive "$REV" Kbuild module include kunit |
		tar -x -C "$1" || die "no such commit: $REV"
	echo "$1"
}

copy_sources()
{
	local dir=$1 tree

	tree=$(tree "$dir.tree") || exit 1
	mirror_module "$tree" "$dir" || die "cannot copy the sources to $dir"
	mirror "$ROOT/selftests/bench" "$dir/selftests/bench" ||
		die "cannot copy the benchmarks to $dir"
}

# Builds arena.ko and arena_bench.ko in a directory of their own, so that other builds do not
# disturb a measurement.
#   make_modules DIR PATH-OF-DIR-FOR-MAKE MAKE...
make_modules()
{
	local dir=$1 m=$2

	shift 2
	# Remove the old Module.symvers, so that Kbuild reads the versions of the arena's symbols
	# again, which may have changed.
	rm -f "$dir/selftests/bench/Module.symvers"
	"$@" -j"$JOBS" M="$m" modules &&
		"$@" -j"$JOBS" M="$m/selftests/bench" W=1 KCFLAGS=-Werror \
			KBUILD_EXTRA_SYMBOLS="$m/Module.symvers" modules &&
		mkdir -p "$dir/ko" &&
		cp "$dir/arena.ko" "$dir/selftests/bench/arena_bench.ko" "$dir/ko/" &&
		gcc -O2 -static -Wall -Wextra -Werror -Wno-unused-parameter \
			-Wno-missing-field-initializers -I"$ROOT/include/uapi" \
			-o "$dir/user_ioctl" "$ROOT/selftests/bench/user_ioctl.c"
}

prepare_stock()
{
	"$ROOT/tools/setup.sh" module vm stock || exit 1
	copy_sources "$STOCK"
	quietly "bench-$(basename "$STOCK")" make_modules "$STOCK" "$STOCK" \
		make -C "$BUILD/stock/headers" || die "the modules do not build"
}

prepare_new()
{
	"$ROOT/tools/setup.sh" module vm new || exit 1
	copy_sources "$NEW"
	quietly bench-new make_modules "$NEW" "/$(basename "$NEW")" \
		in_root "$BUILD/new/root" make -C /headers || die "the modules do not build"
}

make_uml()
{
	cp "$ROOT/selftests/bench/uml.config" "$UML/wanted.config"
	make -C "$BUILD/src/newest" ARCH=um O="$UML" \
		KCONFIG_ALLCONFIG="$UML/wanted.config" allnoconfig &&
		make -C "$BUILD/src/newest" ARCH=um O="$UML" -j"$JOBS" linux modules
}

# Builds the UML kernel, unless it is built already. Prints options that Kconfig did not accept.
prepare_uml_kernel()
{
	local line

	mkdir -p "$UML"
	cmp -s "$ROOT/selftests/bench/uml.config" "$UML/wanted.config" &&
		[ -x "$UML/linux" ] && return
	say "building a plain UML kernel (the first time: some minutes)"
	# Remove the modules: make does not notice that options of their kernel have changed.
	rm -rf "$BENCH/uml"
	OBJECTS=$UML quietly bench-uml-kernel make_uml || {
		rm -f "$UML/wanted.config"
		die "the UML kernel does not build"
	}
	while read -r line; do
		grep -qx "$line" "$UML/.config" || say "not taken: $line"
	done < <(grep '=y$' "$UML/wanted.config")
}

prepare_uml()
{
	"$ROOT/tools/setup.sh" kernel vm source || exit 1
	with_lock uml-bench prepare_uml_kernel || exit 1
	copy_sources "$BENCH/uml"
	quietly bench-uml make_modules "$BENCH/uml" "$BENCH/uml" make -C "$BUILD/src/newest" \
		ARCH=um O="$UML" || die "the modules do not build"
}

# Prints the commands for the guest.
#   guest_commands UNIT ROUNDS MAX_MB BENCH...
guest_commands()
{
	local unit=$1 rounds=$2 args="rounds=$2 max_mb=$3"

	shift 3
	if [ "$unit" = insn ]; then
		args="$args instructions=1"
		# Wait until the boot is over, or some of its work would be counted, too.
		echo "sleep 20"
	fi
	cat <<END
insmod /ko/arena.ko max_total_mb=2000 || exit 1
insmod /ko/arena_bench.ko $args || exit 1
cd /sys/kernel/debug/arena_bench
for b in $*; do
	echo "progress,\$b"
	# The benchmarks memory and many measure what allocators take from the page allocator, so
	# switch the arenas' pool off for them.
	mb=32
	case \$b in memory | many) mb=0 ;; esac
	echo \$mb >/sys/module/arena/parameters/pool_mb
	if [ \$b = ioctl ]; then
		/user_ioctl $unit $rounds || { echo "failed,\$b"; bad=1; }
		continue
	fi
	echo \$b >run || { echo "failed,\$b"; bad=1; }
	cat results
done
cd /
rmmod arena_bench && rmmod arena && [ -z "\$bad" ]
END
}

# Runs the benchmarks in a machine. Writes the results to a file, and shows the progress.
#   collect NAME VM-ARGS...
collect()
{
	local name=$1 line kind rest rc

	shift
	rm -f "$RAW/$name" "$RAW/$name.part"
	"$ROOT/tools/vm.sh" --name "bench-$name" "$@" | while read -r line; do
		kind=${line%%,*} rest=${line#*,}
		case $kind in
		bench) echo "$name,$rest" >>"$RAW/$name.part" ;;
		progress) say "$name: $rest" ;;
		failed) say "$name: $rest FAILED" ;;
		*) say "$name: $line" ;;
		esac
	done
	rc=${PIPESTATUS[0]}
	[ "$rc" -eq 0 ] && mv "$RAW/$name.part" "$RAW/$name" && return
	rm -f "$RAW/$name.part"
	return 1
}

# Runs the benchmarks once in QEMU, which counts instructions exactly. Leaves out the benchmark
# "threads", because the machine has one CPU. If NAME begins with "new", the machine runs the newest
# stock kernel.
#   icount NAME INIT_ON_ALLOC POSSIBLE-CPUS MAX_MB BENCH...
icount()
{
	local name=$1 init=$2 possible=$3 mb=$4 kernel=stock dir=$STOCK

	shift 4
	[ "${name#new}" = "$name" ] || kernel=new dir=$NEW
	set -- "${@/threads/}"
	collect "$name" --kernel "$kernel" --icount --possible "$possible" \
		--modules "$dir/ko" --mem 3G --file "$dir/user_ioctl:user_ioctl" \
		--timeout 1500 --append "init_on_alloc=$init" -- \
		"$(guest_commands insn 5 "$mb" "$@")"
}

# Runs the benchmarks once on User-Mode Linux, where they measure nanoseconds.
#   native NAME INIT_ON_ALLOC CPUS BENCH...
native()
{
	local name=$1 init=$2 cpus=$3

	shift 3
	collect "$name" --kernel uml --vmlinuz "$UML/linux" --smp "$cpus" \
		--modules "$BENCH/uml/ko" --mem 4G --timeout 1800 \
		--file "$BENCH/uml/user_ioctl:user_ioctl" \
		--append "init_on_alloc=$init" -- \
		"$(guest_commands ns 51 1100 "$@")"
}

# Measures with init_on_alloc and without it, in two machines at the same time.
#   measure_icount icount|new
measure_icount()
{
	local started

	icount "$1-0" 0 1 64 "${LIST[@]}" &
	started=$!
	icount "$1-1" 1 1 16 "${LIST[@]}" &
	wait_for "$started" $!
}

measure_instructions()
{
	local rc=0

	say "instructions, stock kernels $(cat "$BUILD/new/version") and" \
		"$(cat "$BUILD/stock/version")"
	measure_icount new || rc=1
	measure_icount icount || rc=1
	[[ " ${LIST[*]} " != *" growth "* ]] || measure_growth || rc=1
	return "$rc"
}

# Waits for the processes PID..., and fails if one of them fails. Machines that count instructions
# may run at the same time: a count is exact however busy the host is.
#   wait_for PID...
wait_for()
{
	local pid rc=0

	for pid in "$@"; do
		wait "$pid" || rc=1
	done
	return "$rc"
}

# Runs the benchmarks in machines in which one CPU runs, and further CPUs are possible.
measure_growth()
{
	local cpus list started=()

	read -ra list <<<"${BENCHES:-$GROWTH}"
	for cpus in "${POSSIBLE[@]}"; do
		icount "icount$cpus-0" 0 "$cpus" 64 "${list[@]}" &
		started+=($!)
	done
	wait_for "${started[@]}"
}

# Runs the benchmarks RUNS times, each time without init_on_alloc and then with it.
measure_native()
{
	local run init rc=0

	say "nanoseconds, User-Mode Linux on $CPUS CPUs"
	for ((run = 1; run <= RUNS; run++)); do
		for init in 0 1; do
			native "uml-$init-$run" "$init" "$CPUS" "${LIST[@]}" || rc=1
		done
	done
	# Run "full" with eight CPUs, even on a host with fewer: it measures bytes, not time.
	[[ " ${LIST[*]} " != *" full "* ]] || native uml8-0-1 0 8 full || rc=1
	return "$rc"
}

module_version()
{
	local rev changed=""

	rev=$(git -C "$ROOT" rev-parse --short "${REV:-HEAD}" 2>/dev/null) || return 0
	[ -n "${REV:-}" ] || git -C "$ROOT" diff --quiet HEAD -- Kbuild module include ||
		changed=" with changes"
	echo "module: commit $rev$changed"
}

span_sizes()
{
	awk '$2 == "ARENA_SPAN_MIN" { min = $3 } $2 == "ARENA_SPAN_MAX" { max = $3 }
		END { sub("SZ_", "", min); sub("SZ_", "", max)
		      print "spans: a CPU takes " min " at first, then twice as much" \
			    " each time, up to " max }' "$1/module/core/cursor.h"
}

# Prints on which machine, and of which revision of the module, one kind of figures was measured.
# The other kind may have been measured at another time.
#   describe icount|uml MODULE-DIR
describe()
{
	local model kernel

	model=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
	if [ "$1" = icount ]; then
		kernel="instructions: Linux $(cat "$BUILD/new/version" 2>/dev/null) and $(
			cat "$BUILD/stock/version") under QEMU $(
			qemu-system-x86_64 --version |
				sed -n 's/.*version \([0-9.]*\).*/\1/p'), -icount shift=0, one CPU"
	else
		kernel="nanoseconds: Linux $(cat "$UML/include/config/kernel.release")$(
			), User-Mode Linux, $CPUS CPUs, boots: $RUNS"
	fi
	echo "$kernel"
	echo "host: $(nproc) CPUs, ${model:-$(uname -m)};" \
		"load before: $(cut -d ' ' -f 1-3 /proc/loadavg)"
	module_version
	span_sizes "$2"
}

# Removes earlier results of this kind (icount or uml), and notes the machine that will be measured.
# Results of the other kind stay.
#   begin icount|uml MODULE-DIR
begin()
{
	rm -f "$RAW/$1"*
	[ "$1" != icount ] || rm -f "$RAW/new"*
	describe "$1" "$2" >"$BENCH/machine-$1.txt"
}

print_report()
{
	cat "$BENCH"/machine-*.txt >"$BENCH/machine.txt" || die "nothing was measured"
	rm -f "$BENCH"/*.svg "$BENCH"/*.gnuplot "$BENCH"/*.dat
	"$(system_python)" "$ROOT/tools/bench-report.py" "$BENCH" \
		>"$BENCH/report.txt" || die "no report"
	cat "$BENCH/report.txt"
}

report()
{
	print_report
	plot
}

plot()
{
	local file

	command -v gnuplot >/dev/null || {
		say "no gnuplot: no plots"
		return
	}
	for file in "$BENCH"/*.gnuplot; do
		[ -e "$file" ] || die "nothing to plot"
		(cd "$BENCH" && gnuplot "$file") || die "$file: gnuplot failed"
	done
}

# Copies plots for the README, with the file that describes the machine: machine-icount.txt for
# instructions, machine-uml.txt for times. Does nothing if there are no figures of this kind.
#   keep_kind icount|uml PLOT...
keep_kind()
{
	local kind=$1 name

	shift
	[ -s "$BENCH/machine-$kind.txt" ] || { say "not measured: $*"; return; }
	for name in "$@"; do
		[ -s "$BENCH/$name.svg" ] || { say "not measured: $name"; return; }
	done
	cp "$BENCH/machine-$kind.txt" "$PLOTS/" || exit 1
	for name in "$@"; do
		cp "$BENCH/$name.svg" "$PLOTS/" || exit 1
		say "kept: $PLOTS/$name.svg"
	done
}

keep_plots()
{
	report
	mkdir -p "$PLOTS"
	keep_kind icount instructions reset latency growth capacity
	keep_kind uml threads
}

run_all()
{
	local rc=0

	"$ROOT/tools/setup.sh" bench || exit 1
	[ "$ONLY" = uml ] || { prepare_stock && prepare_new; }
	[ "$ONLY" = icount ] || prepare_uml
	mkdir -p "$RAW"
	if [ "$ONLY" != uml ]; then
		begin icount "$STOCK"
		measure_instructions || rc=1
	fi
	if [ "$ONLY" != icount ]; then
		begin uml "$BENCH/uml"
		measure_native || rc=1
	fi
	report
	[ "$rc" -eq 0 ] || die "a benchmark failed, see above"
}

growth()
{
	local list started rc=0

	prepare_stock
	mkdir -p "$RAW"
	begin icount "$STOCK"
	read -ra list <<<"${BENCHES:-$GROWTH once}"
	icount icount-0 0 1 64 "${list[@]}" &
	started=$!
	measure_growth || rc=1
	wait_for "$started" || rc=1
	print_report
	[ "$rc" -eq 0 ] || die "a benchmark failed, see above"
}

# Prints how many more instructions an object takes with RIVAL than with the rival cmpxchg_call, a
# naive compare-and-swap in a function that is not inlined, in the same run. Takes the shortest
# round of each rival, which no timer interrupt disturbed, so the number is exact.
#   distance RIVAL INIT_ON_ALLOC
distance()
{
	awk -F, -v rival="$1" '$2 == "batch" { cost[$3] = $9 }
		END { if (!cost[rival] || !cost["cmpxchg_call"]) exit 1
		      printf "%.2f\n", cost[rival] - cost["cmpxchg_call"] }' \
		"$RAW/gate-$2"
}

recorded()
{
	awk -v rival="$1" -v init="$2" '$1 == rival && $2 == init { print $3 }' "$GATE"
}

# Compares the number that distance() prints for a rival with the recorded number. Succeeds if the
# new number is at most 2 above the record. If it is more than 2 below, asks for a new record: with
# the old one, a later regression would pass unseen.
#   judge RIVAL INIT_ON_ALLOC
judge()
{
	local rival=$1 init=$2 now was

	now=$(distance "$rival" "$init") || { say "nothing measured"; return 1; }
	was=$(recorded "$rival" "$init")
	[ -n "$was" ] || { say "no record of $rival $init in $GATE"; return 1; }
	say "$rival, init_on_alloc=$init: $now instructions above the naive" \
		"compare-and-swap, recorded $was"
	awk -v now="$now" -v was="$was" 'BEGIN { exit !(now < was - 2) }' &&
		say "better by more than 2: make it the record (tools/bench.sh --record)"
	awk -v now="$now" -v was="$was" 'BEGIN { exit !(now <= was + 2) }'
}

# Prints the ratio of two costs of a benchmark: "possible" is the cost with 240 possible CPUs
# divided by that with one; "capacity" the cost with the largest capacity divided by that with the
# smallest; "status" the cost of a call with the status page mapped divided by that without it, both
# with 240 possible CPUs.
#   growth_ratio possible|capacity|status BENCH RIVAL
growth_ratio()
{
	local base=$2 files

	case $1 in
	possible) files=("$RAW/gate-0" "$RAW/gate240-0") ;;
	capacity) files=("$RAW/gate-0") ;;
	status) files=("$RAW/gate240-0") base=ioctl ;;
	esac
	awk -F, -v bench="$2" -v base="$base" -v rival="$3" '
		($2 == bench || $2 == base) && $3 == rival {
			first = first ? first : $9
			last = $9
			n++
		}
		END { if (!first || n < 2) exit 1
		      printf "%.2f\n", last / first }' "${files[@]}"
}

judge_growth()
{
	local kind=$1 bench=$2 limit=$3 rival now bad=0

	for rival in arena_dense arena_spans; do
		now=$(growth_ratio "$kind" "$bench" "$rival") ||
			{ say "nothing measured: $kind $bench $rival"; return 1; }
		say "$rival, $bench, by $kind: $now, at most $limit"
		awk -v now="$now" -v limit="$limit" 'BEGIN { exit !(now <= limit) }' || bad=1
	done
	return "$bad"
}

judge_all_growth()
{
	local kind bench limit bad=0

	while read -r kind bench limit; do
		judge_growth "$kind" "$bench" "$limit" || bad=1
	done < <(growth_limits)
	return "$bad"
}

# Prints how many instructions it takes to create an arena, allocate 100 objects, and destroy the
# arena.
#   create_cost RIVAL
create_cost()
{
	awk -F, -v rival="$1" '$2 == "create" && $3 == rival { print $9; found = 1 }
		END { exit !found }' "$RAW/gate-0"
}

judge_create()
{
	local _ rival limit now bad=0

	while read -r _ rival limit; do
		now=$(create_cost "$rival") || { say "nothing measured: create $rival"; return 1; }
		say "$rival, create, 100 objects, destroy: $now instructions, at most $limit"
		awk -v now="$now" -v limit="$limit" 'BEGIN { exit !(now <= limit) }' || bad=1
	done < <(grep '^create ' "$GATE")
	return "$bad"
}

growth_limits()
{
	grep -E '^(possible|capacity|status) ' "$GATE"
}

measure_gate()
{
	local started=()

	prepare_stock
	rm -rf "$RAW"
	mkdir -p "$RAW"
	icount gate-0 0 1 64 batch create growth 2>>"$LOGS/bench-gate.log" &
	started+=($!)
	icount gate240-0 0 240 64 create growth ioctl 2>>"$LOGS/bench-gate.log" &
	started+=($!)
	icount gate-1 1 1 64 batch 2>>"$LOGS/bench-gate.log" &
	wait_for "${started[@]}" $!
}

gate()
{
	local rival init bad=0 sum

	counts bench-gate 0 1 0
	"$ROOT/tools/setup.sh" module vm stock || exit 1
	sum=$(tree_sum)
	if passed_before bench-gate "$sum" >/dev/null; then
		counts bench-gate 1 0 0
		echo "ok: instructions, measured on these sources before"
		return
	fi
	: >"$LOGS/bench-gate.log"
	measure_gate || { cat "$LOGS/bench-gate.log" >&2; bad=1; }
	for rival in arena_spans arena_dense arena_private; do
		for init in 0 1; do
			judge "$rival" "$init" || bad=1
		done
	done
	judge_all_growth || bad=1
	judge_create || bad=1
	counts bench-gate $((1 - bad)) "$bad" 0
	if [ "$bad" -eq 0 ]; then
		note_passed bench-gate "$sum"
		echo "ok: instructions of the fast paths, and how cost grows"
	else
		echo "not ok: instructions of the fast paths, or how cost grows, see $GATE"
	fi
	return "$bad"
}

record()
{
	local rival init

	measure_gate || die "nothing measured"
	for rival in arena_spans arena_dense arena_private; do
		for init in 0 1; do
			printf '%s %s %s\n' "$rival" "$init" "$(distance "$rival" "$init")"
		done
	done >"$GATE.new"
	{ sed '/^#/!d' "$GATE"; growth_limits; grep '^create ' "$GATE"; cat "$GATE.new"; } \
		>"$GATE.all"
	mv "$GATE.all" "$GATE"
	rm "$GATE.new"
	cat "$GATE"
}

# Gives the gate directories of its own, so that it need not wait for a long run of the benchmarks.
gate_dirs()
{
	STOCK=$BENCH/gate
	RAW=$BENCH/gate-raw
}

growth_dirs()
{
	BENCH=$BUILD/bench-growth
	STOCK=$BENCH/stock
	RAW=$BENCH/raw
}

main()
{
	# Resolve the revision now, because a branch may move while the benchmarks run.
	[ -z "${REV:-}" ] || REV=$(git -C "$ROOT" rev-parse --verify "$REV^{commit}") ||
		die "no such commit"
	read -ra LIST <<<"${BENCHES:-$ALL}"
	case ${1:-} in
	'') with_lock bench run_all ;;
	--quick)
		RUNS=1
		read -ra LIST <<<"${BENCHES:-machine batch pingpong mix create ioctl threads}"
		with_lock bench run_all
		;;
	--growth) growth_dirs && with_lock bench-growth growth ;;
	--gate) gate_dirs && with_lock bench-gate gate ;;
	--record) gate_dirs && with_lock bench-gate record ;;
	--build) with_lock bench prepare_stock ;;
	--build-new) with_lock bench prepare_new ;;
	--build-uml) with_lock bench prepare_uml ;;
	--report) report ;;
	--plots) keep_plots ;;
	*) sed -n '4,/^$/s/^# \{0,1\}//p' "$0" >&2 && exit 2 ;;
	esac
}

main "$@"; exit
