#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Measures libarena beside malloc(), mimalloc and jemalloc in a program, tools/libarena/bench.c. On
# the stock kernel, QEMU counts instructions exactly, those of the kernel included. On User-Mode
# Linux, on the host's CPUs, the results are nanoseconds, medians of several runs.
#
# Then measures it in the programs of selftests/bench/programs: three libraries of Debian, whose
# hooks allocate in an arena or in a region of another kind, and two processes that share a table.
#
#   bench-lib.sh             measure all of that
#   ONLY=icount              measure instructions only; ONLY=uml: nanoseconds only
#   ONLY=programs            measure only the programs
#   MB=50                    megabytes that the programs read on the host; Lua reads a fifth
#   ROUNDS=100               batches in a run
#   RUNS=7                   runs for nanoseconds
#   MODULES=DIR              use DIR/arena.ko; default: build it
#
# Writes build/bench/lib.csv, with the columns machine,kind,mode,workers,all,first,rest, and
# build/bench/programs.csv, with the columns machine,program,shape,kind,bytes,cost,kib,faults,sum.

. "$(dirname "$0")/lib.sh"

OUT=$BUILD/bench/lib
CSV=$BUILD/bench/lib.csv
ROUNDS=${ROUNDS:-100}
RUNS=${RUNS:-7}
ONLY=${ONLY:-}
LIBS=/usr/lib/x86_64-linux-gnu
KINDS="bump cursor arena mimalloc jemalloc glibc"

PROGRAMS=$BUILD/bench/programs
PROGRAMS_CSV=$BUILD/bench/programs.csv
MB=${MB:-50}
# Each client is a program, the library that it uses, the megabytes that it reads where instructions
# are counted, which makes it slow, and by what the megabytes are divided that it reads on the host.
CLIENTS=(json:libcjson:4:1 xml:libxml-2.0:4:1 lua:lua5.4:1:5)
NODES=1000000
REGIONS=(arena bump talloc apr obstack)
MALLOCS=(glibc mimalloc jemalloc)
SHARED=(arena handle memfd boost)
# iso_3166-2.xml is left out, because it is not well-formed.
ISO=/usr/share/iso-codes/json/iso_
JSON=("$ISO"{3166-2,639-3,639-2,3166-1,4217,15924,639-5}.json)
ISO=/usr/share/xml/iso-codes/iso_
XML=(/usr/share/mime/packages/freedesktop.org.xml "$ISO"{639-3,639-2,3166-1,4217,15924,639-5}.xml)

build()
{
	"$ROOT/tools/setup.sh" module bench-lib || exit 1
	mkdir -p "$OUT"
	make -s -C "$ROOT/tools/libarena" OUTPUT="$OUT" || die "no library"
	gcc -O2 -g -Wall -Wextra -Werror -std=gnu11 -I"$ROOT/include/uapi" \
		-I"$ROOT/include" -pthread -o "$OUT/bench" "$ROOT/tools/libarena/bench.c" \
		-L"$OUT" -larena || die "the benchmark does not build"
}

# Prints the libraries that programs need in the guest, which has no libraries, as lines
# HOST:GUEST.
#   carried PROGRAM...
carried()
{
	{
		LD_LIBRARY_PATH=$OUT ldd "$@" "$LIBS/libmimalloc.so.2" \
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
	done < <(carried "$OUT/bench")
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
			printf "\n%s an object of 64 bytes, %s %s\n\n", unit[part[1]],
				part[3], part[3] == 1 ? "thread" : part[2]
			print "| | all | first | rest | x arena |"
			print "|---|--:|--:|--:|--:|"
			for (k = 1; k <= nr; k++)
				printf "| %s | %.1f | %.1f | %.1f | %.2f |\n", kind[k],
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

PROGRAM_FLAGS=(-O2 -g -Wall -Wextra -Werror -D_GNU_SOURCE -I"$ROOT/include/uapi"
	-I"$ROOT/include" -pthread)

# Builds the program of a client.
#   build_client NAME LIBRARY OUT OBJECTS...
build_client()
{
	local name=$1 library=$2 out=$3 dir=$ROOT/selftests/bench/programs

	shift 3
	# shellcheck disable=SC2046 # arguments, split at blanks
	gcc "${PROGRAM_FLAGS[@]}" -std=gnu11 -o "$out" "$dir"/{program,region,"$name"}.c "$@" \
		$(pkg-config --cflags --libs apr-1 talloc "$library")
}

# Builds each program twice: with libarena.so, and as NAME-fake with libarena on the fake of the
# device, which takes its memory from a memfd.
build_programs()
{
	local out=$PROGRAMS client name library _
	local fake=("$out"/{libarena,fake}.o "-Wl,--wrap=open,--wrap=open64,--wrap=ioctl")

	mkdir -p "$out"
	for name in libarena fake; do
		gcc "${PROGRAM_FLAGS[@]}" -std=gnu11 -c -o "$out/$name.o" \
			"$ROOT/tools/libarena/$name.c" || return 1
	done
	for client in "${CLIENTS[@]}"; do
		IFS=: read -r name library _ <<<"$client"
		build_client "$name" "$library" "$out/$name" "$OUT/libarena.so" &&
			build_client "$name" "$library" "$out/$name-fake" "${fake[@]}" || return 1
	done
	g++ "${PROGRAM_FLAGS[@]}" -std=gnu++17 -c -o "$out/shared.o" \
		"$ROOT/selftests/bench/programs/shared.cc" &&
		g++ -o "$out/shared" "$out/shared.o" "$OUT/libarena.so" -pthread &&
		g++ -o "$out/shared-fake" "$out/shared.o" "${fake[@]}" -pthread
}

# Makes a document of at least MEGABYTES, which has the others one after another.
#   make_whole MEGABYTES TYPE DOCUMENT...
make_whole()
{
	local bytes=$(($1 * 1000000)) type=$2 out=$PROGRAMS/whole-$1.$2

	shift 2
	perl -0777 -e 'my ($bytes, $type, @files) = @ARGV;
		print $type eq "json" ? "[" : "<all>";
		for (my $i = 0; $bytes > 0; $i++) {
			open my $file, "<", $files[$i % @files] or die;
			my $text = <$file>;
			print $i ? "," : "" if $type eq "json";
			# A document within another one has no declarations before its root.
			$text =~ s/^.*?(?=<(mime-info|iso_\w+_entries)\b)//s if $type eq "xml";
			print $text;
			$bytes -= length $text;
		}
		print $type eq "json" ? "]" : "</all>"' "$bytes" "$type" "$@" >"$out"
}

# Prints what a program gets after the allocator. The shape is many, for the documents one after
# another until MEGABYTES are read, or whole, for a document that has all of them.
#   arguments PROGRAM SHAPE MEGABYTES FOLDER-OF-WHOLE-DOCUMENTS
arguments()
{
	case $1,$2 in
	shared,*) echo "$NODES" ;;
	xml,many) echo "$3" "${XML[@]}" ;;
	xml,whole) echo 1 "$4/whole-$3.xml" ;;
	*,many) echo "$3" "${JSON[@]}" ;;
	*,whole) echo 1 "$4/whole-$3.json" ;;
	esac
}

# Prints a command for each program, shape and allocator, after a line "@ PROGRAM SHAPE KIND". The
# allocators take turns, so that other load of the host disturbs all of them. Without a number of
# megabytes, it is the one of the client.
#   program_commands FOLDER SUFFIX MEGABYTES FOLDER-OF-LIBRARIES FOLDER-OF-WHOLE-DOCUMENTS
program_commands()
{
	local client shape kind way mb divisor _

	for client in "${CLIENTS[@]}" shared; do
		IFS=: read -r client _ mb divisor <<<"$client"
		[ -z "$3" ] || mb=$(($3 / ${divisor:-1}))
		for way in $(ways "$client"); do
			shape=${way%:*} kind=${way#*:}
			echo "echo @ $client $shape $kind"
			case $kind in
			mimalloc | jemalloc) printf 'LD_PRELOAD=%s ' "$4/lib$kind.so.2" ;;
			esac
			echo "\$RUN $1/$client$2 $([[ " ${MALLOCS[*]} " = *" $kind "* ]] && echo malloc ||
				echo "$kind") $(arguments "$client" "$shape" "$mb" "$5") || exit 1"
		done
	done
}

# Prints SHAPE:KIND for each way to run a program.
ways()
{
	[ "$1" != shared ] || { printf 'both:%s\n' "${SHARED[@]}" && return; }
	printf 'many:%s\n' "${REGIONS[@]}" "${MALLOCS[@]}"
	printf 'whole:%s\n' "${REGIONS[@]}" "${MALLOCS[@]}"
}

# Adds to the results what the commands have printed. The shape of the two processes that share a
# table is what a process does, which its line begins with: build or read.
#   results MACHINE
results()
{
	awk -v OFS=, -v machine="$1" -v nodes="$NODES" '
	/^@ / { way = $2 OFS $3; program = $2; kind = $4; next }
	/^(build|read),/ { sub(",", OFS kind OFS nodes OFS); print machine, program, $0; next }
	/^[0-9]/ { print machine, way, kind, $0 }' >>"$PROGRAMS_CSV"
}

# Counts the instructions of a program with callgrind, without those of the kernel, and prints them
# in place of nanoseconds. Each process has a log. A process that has started another one prints its
# line first, but ends later.
count()
{
	local log=$PROGRAMS/callgrind.log

	rm -f "$log".*
	valgrind --tool=callgrind --trace-children=yes --toggle-collect='*measured*' \
		--callgrind-out-file=/dev/null --log-file="$log.%p" "$@" >"$log" &&
		stat -c '%.9Y %n' "$log".* | sort -rn | cut -d' ' -f2- | xargs -d '\n' \
			sed -n 's/.*Collected : //p' | paste -d, "$log" - |
		awk -F, -v OFS=, '$NF { $2 = $NF; NF--; print; next } { exit 1 }'
}

make_wholes()
{
	local client small divisor mb

	for client in "${CLIENTS[@]}"; do
		IFS=: read -r _ _ small divisor <<<"$client"
		echo "$small" "$((MB / divisor))"
	done | xargs -n 1 | sort -u | while read -r mb; do
		make_whole "$mb" json "${JSON[@]}" && make_whole "$mb" xml "${XML[@]}" || return 1
	done
}

# Prints what the programs need in the guest, as HOST:GUEST.
program_files()
{
	local file

	carried "$PROGRAMS"/{json,xml,lua,shared}
	printf '%s\n' "${JSON[@]}" "${XML[@]}" /usr/share/lua/5.4/dkjson.lua | sed 's/.*/&:&/'
	for file in "$PROGRAMS"/{json,xml,lua,shared,whole-?.*}; do
		echo "$file:/st/${file##*/}"
	done
}

# Writes what the commands of a machine print to a file, and adds it to the results.
#   on_machine MACHINE COMMAND...
on_machine()
{
	local machine=$1

	shift
	"$@" >"$PROGRAMS/$machine.raw" || die "a program failed on $machine"
	results "$machine" <"$PROGRAMS/$machine.raw"
}

# Runs the programs here, with libarena on the fake device, below a command.
#   here MEGABYTES [COMMAND]
here()
(
	RUN=${2:-}
	eval "$(program_commands "$PROGRAMS" -fake "$1" "$LIBS" "$PROGRAMS")"
)

measure_programs()
{
	local run file files=()

	make_wholes || die "no document"
	: >"$PROGRAMS_CSV"
	while read -r file; do
		files+=(--file "$file")
	done < <(program_files)
	say "the programs in a guest, whose instructions QEMU counts"
	on_machine icount "$ROOT/tools/vm.sh" --name bench-programs --timeout 3600 --icount \
		--mem 3G "${files[@]}" ${MODULES:+--modules "$MODULES"} -- "
		insmod /ko/arena.ko max_total_mb=2048 max_device_mb=2048 max_user_mb=2048 || exit 1
		export LD_LIBRARY_PATH=/lib
		RUN=
		$(program_commands /st '' '' /lib /st)"
	say "the programs on the host, whose instructions callgrind counts"
	on_machine callgrind here '' count
	for ((run = 1; run <= RUNS; run++)); do
		say "the programs on the host, $MB MB, run $run of $RUNS"
		on_machine host here "$MB"
	done
}

# Prints the verdict: whether all allocators gave the same checksum, and the reader of a table the
# one of the builder; and whether the arena takes fewer instructions than glibc, those of the kernel
# included, and the table fewer than with Boost.
program_verdict()
{
	awk -F, '
	{ what = $2 " " ($2 == "shared" ? "" : $3 " ") $5 }
	!(what in sum) { sum[what] = $9 }
	sum[what] != $9 { printf "%s, %s, %s: another checksum\n", $1, what, $4; wrong++ }
	$1 == "icount" { cost[$2 ", " $3, $4] = $6; if ($4 == "arena") tables[$2 ", " $3] = 1 }
	END {
		for (t in tables) {
			nr++
			rival = (t, "boost") in cost ? "boost" : "glibc"
			if (cost[t, "arena"] < cost[t, rival])
				continue
			printf "%s: no fewer instructions than %s\n", t, rival
			more++
		}
		printf "programs: %d results, %d wrong; fewer instructions than glibc or Boost in" \
			" %d of %d tables\n", NR, wrong, nr - more, nr
		exit !nr || wrong > 0 || more > 0
	}' "$PROGRAMS_CSV"
}

# Prints tables of the programs, with a row for each allocator and a column for each program and
# shape. What is at least a hundredth less than with libarena is bold.
program_tables()
{
	awk -F, -v runs="$RUNS" '
	function median(list,	v, n, i, j, t) {
		n = split(list, v, " ")
		for (i = 2; i <= n; i++)
			for (j = i; j > 1 && v[j - 1] + 0 > v[j] + 0; j--) {
				t = v[j]; v[j] = v[j - 1]; v[j - 1] = t
			}
		return v[int((n + 1) / 2)]
	}
	{
		where = $2 "," $3 SUBSEP $4 SUBSEP $1
		bytes[$2 "," $3, $1] = $5
		costs[where] = costs[where] " " $6
		kib[where] = kib[where] " " $7
		faults[where] = faults[where] " " $8
	}
	# A measure is a figure of one or two machines.
	function figure(what, c, k, machine) {
		if (what == "instructions")
			return median(costs[c, k, machine]) / bytes[c, machine]
		if (what == "ms")
			return median(costs[c, k, machine]) / 1e6
		if (what == "MiB")
			return median(kib[c, k, machine]) / 1024
		return median(faults[c, k, machine])
	}
	function cell(what, c, k,	i, nr, machine, value, text, bold) {
		nr = split(machines[what], machine, " ")
		for (i = 1; i <= nr; i++) {
			value = figure(what, c, k, machine[i])
			bold = value < 0.99 * figure(what, c, "arena", machine[i]) ? "**" : ""
			text = text sprintf("%s%s%.*f%s", i > 1 ? " / " : "", bold, value < 1000 && \
				(what == "instructions" || what == "MiB"), value, bold)
		}
		return text
	}
	# Print a table, whose columns are those of @columns for each of @whats.
	function table(whats, columns, rows,	w, c, k, nr_w, nr_c, nr_k, what, column, row, line) {
		nr_w = split(whats, what, " ")
		nr_c = split(columns, column, " ")
		nr_k = split(rows, row, " ")
		printf "\n"
		for (w = 1; w <= nr_w; w++)
			printf "%s%s", (w > 1 ? "; " : ""), title[what[w]]
		printf "\n\n| |"
		line = "|---|"
		for (w = 1; w <= nr_w; w++)
			for (c = 1; c <= nr_c; c++) {
				printf " %s%s |", (nr_w > 1 ? what[w] ", " : ""), name[column[c]]
				line = line "--:|"
			}
		printf "\n%s\n", line
		for (k = 1; k <= nr_k; k++) {
			printf "| %s |", name[row[k]]
			for (w = 1; w <= nr_w; w++)
				for (c = 1; c <= nr_c; c++)
					printf " %s |", cell(what[w], column[c], row[k])
			printf "\n"
		}
	}
	END {
		n = split("json,many=cJSON, many;json,whole=cJSON, whole;xml,many=libxml2, many;" \
			"xml,whole=libxml2, whole;lua,many=Lua, many;lua,whole=Lua, whole;" \
			"shared,build=build;shared,read=read;arena=libarena;bump=plain bump;" \
			"handle=libarena, handles;memfd=memfd, cursor of the program;" \
			"boost=Boost.Interprocess;glibc=glibc;mimalloc=mimalloc;" \
			"jemalloc=jemalloc;talloc=talloc pool;apr=APR pool;obstack=GNU obstack",
			pair, ";")
		for (i = 1; i <= n; i++) {
			split(pair[i], part, "=")
			name[part[1]] = part[2]
		}
		machines["instructions"] = "callgrind icount"; machines["ms"] = "host"
		machines["MiB"] = machines["faults"] = "icount host"
		title["instructions"] = "instructions for a byte or a node, of the program / with the kernel"
		title["ms"] = "milliseconds on the host, medians of " runs
		title["MiB"] = "peak memory in MiB, in the guest / on the host"
		title["faults"] = "page faults, in the guest / on the host"
		clients = "json,many json,whole xml,many xml,whole lua,many lua,whole"
		kinds = "arena glibc mimalloc jemalloc talloc apr obstack bump"
		table("instructions", clients, kinds)
		table("ms", clients, kinds)
		table("MiB", clients, kinds)
		table("faults", clients, kinds)
		table("instructions ms MiB faults", "shared,build shared,read",
			"arena handle memfd boost")
	}' "$PROGRAMS_CSV"
}

programs()
{
	build_programs || die "a program does not build"
	measure_programs
	program_tables
	echo
	program_verdict
}

main()
{
	local init

	build
	if [ "$ONLY" = programs ]; then
		programs
		return
	fi
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
	[ -n "$ONLY" ] || programs
}

main "$@"; exit
