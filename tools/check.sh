#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs gates, checks of the sources for which no virtual machine is needed: each gate is one tool or
# one script. If a gate fails, its complaints are shown. A gate does not run again on sources on
# which it has passed; "rm -r build/passed" lets it.
#
#   check.sh [GATE...]   checkpatch kernel-doc shellcheck programs manuals clauses
#                        planted series dkms w1-stock walls w1-new w1-kunit sparse; default: all
#
# A tool that checks each file by itself does not check a file again until the file changes:
# build/check contains a stamp for each version of a file that was found clean.

. "$(dirname "$0")/lib.sh"

SRC=$BUILD/src/newest
SEEN=$BUILD/check
TOOLS=(sparse shellcheck mandoc kmod)
GATES=(checkpatch kernel-doc shellcheck programs manuals clauses planted series dkms w1-stock walls
	w1-new w1-kunit sparse)

# Prints all C files of this project, also files that git does not know yet, so that new files are
# checked before they are committed.
c_files()
{
	(cd "$ROOT" && find module include kunit selftests tools -name '*.[ch]' \
		! -name '*.mod.c' 2>/dev/null | sort)
}

# Reads names of files, and prints those of files that TOOL has not found clean as they are now.
#   unseen TOOL
unseen()
{
	local tool=$1 file sum

	mkdir -p "$SEEN/$tool"
	while read -r file; do
		sum=$(sha256sum <"$ROOT/$file")
		[ -e "$SEEN/$tool/${sum%% *}" ] || echo "$file"
	done
}

remember()
{
	local sum

	sum=$(sha256sum <"$ROOT/$2")
	: >"$SEEN/$1/${sum%% *}"
}

# Runs FUNCTION on each file of standard input that TOOL has not found clean yet. On a machine with N
# CPUs, xargs runs the function on N files at the same time.
#   per_file TOOL FUNCTION
per_file()
{
	local tool=$1 check=$2

	# shellcheck disable=SC2163 # the function that the variable names
	export -f "$check"
	export -f remember
	export SRC ROOT SEEN
	unseen "$tool" | xargs -r -P "$JOBS" -I{} bash -c \
		"$check {} && remember $tool {}"
}

# Runs checkpatch on a file. Some files have to break some of its rules: compat headers test the
# kernel's version, headers have macros that take a type or define functions, arena_handle_t is an
# opaque typedef, and DEFINE_FREE() takes a statement.
checkpatch_file()
{
	local ignore=

	case $1 in
	*/compat.h) ignore=--ignore=LINUX_VERSION_CODE,CONSTANT_COMPARISON ;;
	*/trace.h) ignore=--ignore=OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT ;;
	# shim.h defines macros of the kernel anew, in ways that checkpatch refuses; libFuzzer calls
	# functions by names in mixed case.
	kunit/user/shim.h) return 0 ;;
	kunit/user/*) ignore=--ignore=CAMELCASE ;;
	# The libraries that these programs use have names in mixed case.
	selftests/bench/programs/*) ignore=--ignore=CAMELCASE,SPACING,PREFER_DEFINED_ATTRIBUTE_MACRO ;;
	# Programs cannot use the kernel's macros for attributes, and fake.c declares the functions
	# that it wraps.
	tools/*.c) ignore=--ignore=PREFER_DEFINED_ATTRIBUTE_MACRO,AVOID_EXTERNS ;;
	# A macro lists the names of an enum.
	*/torture.h) ignore=--ignore=COMPLEX_MACRO,MACRO_ARG_REUSE ;;
	*/linux/arena*.h)
		ignore=--ignore=MACRO_ARG_REUSE,MACRO_ARG_PRECEDENCE
		ignore+=,NEW_TYPEDEFS,SUSPECT_CODE_INDENT
		;;
	# arena_scope() is followed by a block, and therefore ends with "else".
	*/libarena.h)
		ignore=--ignore=MACRO_ARG_REUSE,MACRO_ARG_PRECEDENCE,PREFER_DEFINED_ATTRIBUTE_MACRO
		ignore+=,COMPLEX_MACRO,UNNECESSARY_ELSE,BRACES
		;;
	esac
	cd "$ROOT" && perl "$SRC/scripts/checkpatch.pl" --no-tree --strict \
		--show-types --terse --no-summary --quiet --color=never \
		--max-line-length=100 ${ignore:+"$ignore"} --file "$1"
}

gate_checkpatch()
{
	c_files | per_file checkpatch checkpatch_file
}

kernel_doc_file()
{
	# In newer kernels, kernel-doc is a Python script. In 6.1 it is in Perl and lacks -Wall.
	cd "$ROOT" && if grep -q perl "$SRC/scripts/kernel-doc"; then
		perl "$SRC/scripts/kernel-doc" -none -Werror "$1"
	else
		/usr/bin/python3 "$SRC/scripts/kernel-doc" -none -Wall -Werror "$1"
	fi
}

gate_kernel-doc()
{
	c_files | grep -E '^(module|include)/' | per_file kernel-doc kernel_doc_file
}

shellcheck_file()
{
	cd "$ROOT" && shellcheck "$1"
}

gate_shellcheck()
{
	(cd "$ROOT" && find tools selftests .ci -name '*.sh' -o -path .ci/run) |
		per_file shellcheck shellcheck_file
}

# Compiles the programs that users install. The tests are compiled by the scripts that run them.
gate_programs()
{
	local file

	for file in "$ROOT"/tools/*.c; do
		gcc -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Wshadow -Werror \
			-I"$ROOT/include/uapi" -c -o /dev/null "$file" || return 1
	done
	make -s -C "$ROOT/tools/libarena" OUTPUT="$BUILD/lib" CFLAGS='-O2 -Werror' || return 1
	# Compiles the demonstration without a kernel source, as "make run" does on a new
	# machine.
	rm -f "$SEEN/demo/arena_demo"
	make -s -C "$ROOT/selftests" OUTPUT="$SEEN/demo" KSELFTEST_DIR= LDFLAGS=-static \
		"$SEEN/demo/arena_demo"
}

gate_manuals()
{
	"$ROOT/tools/man-check.sh"
}

gate_clauses()
{
	"$ROOT/tools/clauses.sh" --check
}

# Checks that the tables of planted bugs fit the sources.
gate_planted()
{
	local to table

	to=$(mktemp -d) || return 1
	for table in kunit/user selftests; do
		"$ROOT/kunit/user/plant.sh" "$ROOT/module" "$to" "$ROOT/$table/planted.txt" ||
			{ rm -r "$to" && return 1; }
	done
	rm -r "$to"
}

# Checks that the series of patches for a kernel tree can be written, and its style.
gate_series()
{
	"$ROOT/tools/series.sh" --style
}

# The folders that each folder of module/ may use besides itself. "." stands for private.c.
declare -A BELOW=([mem]="" [core]=mem [device]="core mem" [.]="core mem")

# Prints the object files of the stock build for the folders of module/ in the arguments.
objects_of()
{
	local dir

	for dir in "$@"; do
		if [ "$dir" = . ]; then
			echo "$BUILD/mod-stock/module/private.o"
		else
			compgen -G "$BUILD/mod-stock/module/$dir/*.o"
		fi
	done
}

# Prints headers that an object of module/$1 includes from folders that module/$1 may not use.
upward_includes()
{
	local object own=$1 allowed

	allowed=$(tr ' ' '|' <<<"$own ${BELOW[$own]}")
	for object in $(objects_of "$own"); do
		tr ' ' '\n' <"${object%/*}/.${object##*/}.cmd" |
			grep -oE 'module/(mem|core|device)/[a-z]+\.h' | sort -u |
			grep -vE "^module/(${allowed%|})/" |
			sed "s,^,${object##*mod-stock/} includes ,"
	done
}

# Prints the symbols arena_* that objects of module/$1 use although no object of this folder or of
# those below it defines them.
upward_calls()
{
	local own=$1 lower

	# shellcheck disable=SC2086 # words on purpose
	mapfile -t lower < <(objects_of "$own" ${BELOW[$own]})
	objects_of "$own" | xargs nm -u | awk '$1 == "U" && $2 ~ /arena_/ { print $2 }' |
		sort -u | grep -vxFf <(nm --defined-only "${lower[@]}" | awk '{ print $3 }') |
		sed "s,^,module/$own calls ,"
}

# Prints the files of the core that call each other in a circle. tsort finds them: it gets one line
# for each call, which names the file that calls and the file that defines what is called.
core_circles()
{
	objects_of core | xargs nm -A | awk '
		{ file = $1; sub(/:.*/, "", file); sub(/.*\//, "", file) }
		$(NF - 1) == "U" { call[++n] = file " " $NF }
		$(NF - 1) ~ /^[TDBRV]$/ { has[$NF] = file }
		END {
			for (i = 1; i <= n; i++) {
				split(call[i], word, " ")
				if (word[2] in has)
					print word[1], has[word[2]]
			}
		}' | { tsort >/dev/null; } 2>&1
}

# Checks the order of the folders mem, core and device: no folder includes or calls a later one,
# only device has user pointers, and the module can be built without device. Also checks that files
# of the core do not call each other in a circle.
gate_walls()
{
	local dir upward=

	"$ROOT/tools/module.sh" stock >/dev/null || return 1
	for dir in "${!BELOW[@]}"; do
		upward+=$(upward_includes "$dir"; upward_calls "$dir")
	done
	upward+=$(cd "$ROOT" && grep -n '__user' -r module/mem module/core module/private.c)
	upward+=$(core_circles)
	[ -z "$upward" ] || printf '%s\n' "$upward"
	[ -z "$upward" ] || return 1
	"$ROOT/tools/module.sh" core
}

gate_dkms()
{
	"$ROOT/tools/dkms-check.sh"
}

gate_w1-stock()
{
	"$ROOT/tools/module.sh" stock
}

gate_w1-new()
{
	"$ROOT/tools/module.sh" new
}

# Compiles the suites against the newest source, because stock kernels do not have KUnit.
gate_w1-kunit()
{
	"$ROOT/tools/module.sh" kunit
}

# Runs sparse on the module against the stock kernel's headers, and on the module with its KUnit
# suites against the newest source. Complaints about the kernel's own headers are ignored.
gate_sparse()
{
	local kernel

	for kernel in stock kunit; do
		"$ROOT/tools/module.sh" "$kernel" C=2 CF=-D__CHECK_ENDIAN__ \
			>/dev/null || return 1
		! grep -E '^([^ ]*/mod-stock/)?(module|kunit|include)/.*(warning|error):' \
			"$LOGS/mod-$kernel.log" || return 1
	done
}

# Runs a gate, unless it has passed on these sources, which have the checksum SUM.
#   run_gate GATE SUM
run_gate()
{
	local gate=$1 sum=$2 start=$SECONDS log=$LOGS/check-$1.log

	if passed_before "check-$gate" "$sum" >/dev/null; then
		say "ok: $gate, which has passed on these sources before"
		PASSED=$((PASSED + 1))
		return
	fi
	if "gate_$gate" >"$log" 2>&1 </dev/null; then
		say "ok: $gate ($((SECONDS - start)) s)"
		note_passed "check-$gate" "$sum"
		PASSED=$((PASSED + 1))
	else
		grep -vE '^(make|  (CC|LD|CHECK|MODPOST))' "$log" | tail -n 40 >&2
		say "FAILED: $gate, all of it in $log"
		FAILED=$((FAILED + 1))
	fi
}

main()
{
	local gate sum

	PASSED=0 FAILED=0
	counts check 0 1 0
	"$ROOT/tools/setup.sh" kernel static source stock new || exit 1
	[ $# -gt 0 ] || set -- "${GATES[@]}"
	sum=$(tree_sum)
	for gate in "$@"; do
		run_gate "$gate" "$sum"
	done
	counts check "$PASSED" "$FAILED" 0
	if [ "$FAILED" -eq 0 ]; then
		say "passed: all $PASSED static gates"
	else
		say "FAILED: $FAILED static gates, $PASSED passed"
	fi
	[ "$FAILED" -eq 0 ]
}

main "$@"; exit
