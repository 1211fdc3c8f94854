#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Measures arenas beside kmalloc() in a module of an outside author, the JSON parser of
# selftests/consumer, by documents of many shapes. On the stock kernel, QEMU counts the instructions
# that it takes to build a tree and to free it, with init_on_alloc and without it. In a machine with
# eight CPUs, up to eight programs parse at the same time.
#
#   bench-consumer.sh        measure both
#   ONLY=icount              measure instructions only; ONLY=cpus: several CPUs only
#   ROUNDS=50                rounds of each program, on several CPUs
#   MODULES=DIR              use DIR/arena.ko and DIR/arena_consumer.ko; default: build them
#
# Prints tables in which a figure is how many times as much kmalloc() takes. Where the arena loses,
# it is below 1, and bold. Writes build/bench/consumer.csv, with the columns
# machine,programs,document,kind,objects,bytes,held,first,build,clear,mean.

. "$(dirname "$0")/lib.sh"

OUT=$BUILD/bench/consumer
CSV=$BUILD/bench/consumer.csv
ROUNDS=${ROUNDS:-50}
ONLY=${ONLY:-}
ISO=/usr/share/iso-codes/json
CPUS="1 2 4 8"
# The documents for several CPUs.
SHARED="countries numbers"

# Writes the documents. Each has at most 256 KiB, which is as much as the module accepts.
make_documents()
{
	rm -rf "$OUT"
	mkdir -p "$OUT"
	cp "$ISO/iso_3166-1.json" "$OUT/countries"
	cp "$ISO/iso_639-5.json" "$OUT/families"
	perl -e 'my ($out, $iso) = @ARGV;
		sub text { open my $file, ">", "$out/$_[0]" or die; print $file $_[1]; close $file }
		open my $file, "<", "$iso/iso_639-3.json" or die;
		read $file, my $languages, 250000;
		# Ends behind the last whole record.
		$languages =~ s/.*\K\},.*$/}]}/s;
		text("languages", $languages);
		text("tiny", "{\"a\": 1}");
		text("deep", "[" x 100000 . "]" x 100000);
		text("wide", "[" . join(",", map { $_ % 10 } 1 .. 100000) . "]");
		text("numbers", "[" . join(",", map { -$_ * 1000.5 . "e-12" } 1 .. 15000) . "]");
		text("empty", "[" . join(",", ("{}", "\"\"") x 40000) . "]");
		text("strings", "[" . join(",", map { "\"" . "x" x 4000 . "\"" } 1 .. 60) . "]");
		text("string", "\"" . "x" x 250000 . "\"");
		text("escapes", "[" . join(",", ("\"\\u00fc\\n\\ud83d\\ude00\"") x 10000) . "]");
		text("cut", substr($languages, 0, 125000));
		text("unclosed", "[" x 200000);
		text("nothing", "x");' "$OUT" "$ISO" || die "no documents"
}

documents()
{
	(cd "$OUT" && wc -c -- * | sort -n | awk '$2 != "total" { print $2 }')
}

# Prints the commands for the guest: a function that lets the module compare its kinds of memory
# by a document, and prints a line for each of them. The module refuses a broken document, but has
# compared, too.
#   compare PROGRAMS DOCUMENT
guest_commands()
{
	cat <<'END'
insmod /ko/arena.ko || exit 1
insmod /ko/arena_consumer.ko rounds=$rounds || exit 1
i=0 broken=" cut unclosed nothing "
compare() {
	{
		dd if=/documents/$2 bs=1M 2>/tmp/error.$i >&4
		rc=$?
		case $broken in *" $2 "*) grep -q "Invalid argument" /tmp/error.$i; rc=$? ;; esac
		[ $rc -eq 0 ] || { cat /tmp/error.$i; return 1; }
		sed "1d; s/^/$1 $2 /" <&4
	} 4<>/sys/kernel/debug/arena_consumer/compare
}
END
}

# Runs commands in a machine, and adds the lines that they print to the results.
#   measure MACHINE ROUNDS COMMANDS VM-ARGS...
measure()
{
	local machine=$1 rounds=$2 commands=$3

	shift 3
	say "$machine"
	"$ROOT/tools/vm.sh" --name "bench-consumer-$machine" --timeout 1800 "$@" \
		${MODULES:+--modules "$MODULES"} --file "$OUT:/documents" -- "rounds=$rounds
		$(guest_commands)
		$commands" >"$CSV.$machine" || die "the benchmark failed"
	awk -v OFS=, -v machine="$machine" 'NF == 10 { $1 = $1; print machine, $0 }' \
		"$CSV.$machine" >>"$CSV"
	rm "$CSV.$machine"
}

measure_icount()
{
	local init

	for init in 0 1; do
		measure "init_on_alloc=$init" 5 "
			for d in $(documents | xargs); do compare 1 \$d || exit 1; done" \
			--icount --append "init_on_alloc=$init"
	done
}

# Each program is bound to a CPU.
measure_cpus()
{
	measure cpus "$ROUNDS" "
		for d in $SHARED; do
			for n in $CPUS; do
				i=0 pids=
				while [ \$i -lt \$n ]; do
					(taskset -pc \$i \$(exec sh -c 'echo \$PPID') >/dev/null &&
						compare \$n \$d >/tmp/out.\$i) &
					pids=\"\$pids \$!\"
					i=\$((i + 1))
				done
				for p in \$pids; do wait \$p || exit 1; done
				cat /tmp/out.*
				rm /tmp/out.*
			done
		done" --smp 8 --mem 2G
}

# Prints the tables, and in which figures arenas lose.
tables()
{
	awk -F, '
	BEGIN { nr_kinds = split("dense spans private", kind, " ") }
	{
		row = $2 " " $3
		if (!(($1, row) in seen)) { seen[$1, row] = 1; rows[$1, ++nr[$1]] = row }
		objects[row] = $5
		cost[$1, row, $4] += $9 + $10
		mean[$1, row, $4] += $11
		first[$1, row, $4] += $8
		held[$1, row, $4] = $7
	}
	function ratio(a, b) {
		if (!b)
			return " - |"
		cells++
		if (a / b >= 0.99)
			return sprintf(" %.2f |", a / b)
		lost++
		return sprintf(" **%.2f** |", a / b)
	}
	function ratios(what, m, r,	k) {
		for (k = 1; k <= nr_kinds; k++)
			printf "%s", ratio(what[m, r, "kmalloc"], what[m, r, kind[k]])
	}
	function begin(title, first, heads,	k, h, nr_heads, head) {
		printf "\n%s\n\n| %s |", title, first
		nr_heads = split(heads, head, ",")
		for (h = 1; h <= nr_heads; h++)
			for (k = 1; k <= nr_kinds - (head[h] == "memory"); k++)
				printf " %s, %s |", head[h], kind[k]
		printf "\n|---|--:|"
		for (h = 1; h <= nr_heads; h++)
			for (k = 1; k <= nr_kinds - (head[h] == "memory"); k++)
				printf "--:|"
		print ""
	}
	END {
		for (init = 0; init <= 1; init++) {
			m = "init_on_alloc=" init
			if (!nr[m])
				continue
			begin(m, "document | objects", "instructions,first tree,memory")
			for (i = 1; i <= nr[m]; i++) {
				r = rows[m, i]
				split(r, part, " ")
				printf "| %s | %d |", part[2], objects[r]
				ratios(cost, m, r)
				ratios(first, m, r)
				for (k = 1; k < nr_kinds; k++)
					printf "%s", ratio(held[m, r, "kmalloc"], held[m, r, kind[k]])
				print ""
			}
		}
		if (nr["cpus"])
			begin("several CPUs", "document | programs", "shortest,mean")
		for (i = 1; i <= nr["cpus"]; i++) {
			r = rows["cpus", i]
			split(r, part, " ")
			printf "| %s | %d |", part[2], part[1]
			ratios(cost, "cpus", r)
			ratios(mean, "cpus", r)
			print ""
		}
		printf "\nconsumer: all trees equal; arenas lose in %d of %d figures\n", lost, cells
		exit !cells
	}' "$CSV"
}

main()
{
	"$ROOT/tools/setup.sh" bench-consumer || exit 1
	make_documents
	: >"$CSV"
	[ "$ONLY" = cpus ] || measure_icount
	[ "$ONLY" = icount ] || measure_cpus
	tables
}

main "$@"; exit
