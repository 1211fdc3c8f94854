#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Compiles the examples of README.md and include/EXAMPLES.md as a reader would, and fails at any
# warning. Blocks that begin with "```c kernel" become modules for the stock kernel, and blocks that
# begin with "```c user" become programs.

. "$(dirname "$0")/lib.sh"

DIR=$BUILD/readme

# Writes the examples to DIR/kernelN.c and DIR/userN.c.
extract()
{
	rm -rf "$DIR"
	mkdir -p "$DIR"
	awk -v dir="$DIR" '
	/^```c[ ,]+(kernel|user)/ {
		kind = /kernel/ ? "kernel" : "user"
		out = dir "/" kind (++n[kind]) ".c"
		next
	}
	/^```/ { out = "" }
	out { print >out }' "$ROOT/README.md" "$ROOT/include/EXAMPLES.md"
}

# Builds the examples for the kernel as modules that use symbols of the arena, by the arena's
# Module.symvers.
build_modules()
{
	local mod

	mod=$("$ROOT/tools/module.sh" stock) || return 1
	basename -s .c -a "$DIR"/kernel*.c | sed 's/.*/obj-m += &.o/' >"$DIR/Kbuild"
	make -k -C "$BUILD/stock/headers" M="$DIR" KCFLAGS="-Werror -I$ROOT/include" \
		KBUILD_EXTRA_SYMBOLS="$mod/Module.symvers" modules
}

compile_kernel()
{
	[ -e "${1%.c}.ko" ] || { cat "$LOGS/readme-modules.log" && return 1; }
}

compile_user()
{
	local library=

	! grep -q '<libarena.h>' "$1" || library=$ROOT/tools/libarena/libarena.c
	gcc -Wall -Wextra -Werror -std=gnu11 -O2 -I"$ROOT/include/uapi" \
		-I"$ROOT/include" -o "${1%.c}" "$1" ${library:+"$library"} -pthread
}

try()
{
	local kind=$1 file=$2 name

	name=$(basename "$file" .c)
	if "compile_$kind" "$file" >"$LOGS/readme-$name.log" 2>&1; then
		say "ok: the example $name compiles"
		return 0
	fi
	say "FAILED: the example $name does not compile"
	tail -n 20 "$LOGS/readme-$name.log" >&2
	return 1
}

main()
{
	local file kind sum passed=0 failed=0

	counts readme-examples 0 0 0
	"$ROOT/tools/setup.sh" module stock || exit 1
	sum=$(tree_sum)
	if passed=$(passed_before readme-examples "$sum"); then
		counts readme-examples "$passed" 0 0
		say "passed: $passed examples compile, on these sources before"
		exit 0
	fi
	passed=0
	extract
	build_modules >"$LOGS/readme-modules.log" 2>&1 || say "a module does not build"
	for file in "$DIR"/*[0-9].c; do
		[ -e "$file" ] || { say "there is no example" && exit 1; }
		kind=$(basename "$file" | sed 's/[0-9].*//')
		if try "$kind" "$file"; then
			passed=$((passed + 1))
		else
			failed=$((failed + 1))
		fi
	done
	counts readme-examples "$passed" "$failed" 0
	[ "$failed" -eq 0 ] || exit 1
	note_passed readme-examples "$sum" "$passed"
	say "passed: $passed examples compile"
}

main "$@"; exit
