#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Tests libarena as its users get it: installs the library below a temporary directory, builds the
# example of its manual with pkg-config (in C and C++, shared and static), runs the example on a
# stock kernel, and uninstalls the library. Also runs the library's tests under sanitizers, on a
# fake of the device.
#
#   lib-test.sh [TEST...]     default: all tests that the variable TESTS lists
#   KERNEL=stock|new          stock kernel of this release, or the newest one
#   MODULES=DIR               use DIR/arena.ko; default: build it

. "$(dirname "$0")/lib.sh"

TESTS=(builds installs documented pure example threads memory asan valgrind plugins python pmr
	small_offsets uninstalls
	installs_anywhere read_only_checkout says_how_to_sign)
SKIP=4
KERNEL=${KERNEL:-stock}
PREFIX=/opt/arena
PROGRAMS=(shared static shared_cxx)

# Runs pkg-config so that it finds the installed library and no other one.
libarena()
{
	PKG_CONFIG_SYSROOT_DIR=$STAGE PKG_CONFIG_LIBDIR=$STAGE$PREFIX/lib/pkgconfig \
		pkg-config "$@" libarena
}

test_builds()
{
	make -C "$ROOT/tools/libarena" OUTPUT="$DIR/lib" CFLAGS='-O2 -g -Werror'
}

test_installs()
{
	make -C "$ROOT/tools/libarena" OUTPUT="$DIR/lib" PREFIX="$PREFIX" \
		DESTDIR="$STAGE" UAPI=y install &&
		[ "$(libarena --modversion)" != "" ] &&
		readelf -d "$STAGE$PREFIX/lib/libarena.so.1" | grep 'SONAME.*libarena.so.1' >/dev/null
}

# Prints the names of the functions and macros in libarena.h.
functions()
{
	sed -nE 's/^(.*[ *])?(arena_[a-z_]+)\((struct|const struct|const char|int).*/\2/p
		s/^#define (arena_[a-z_]+)\(.*/\1/p' "$ROOT/include/libarena.h" | sort -u
}

# Prints the symbols that a library exports, of those whose names begin with arena_.
#   exported LIBRARY
exported()
{
	nm -D --defined-only "$1" | sed -n 's/.* [TDB] \(arena_[a-z_]*\)@.*/\1/p' | sort
}

# Checks that each function has a manual page, that each page is of a function or a macro, and that
# the library exports each function, also each inline one, and nothing else.
test_documented()
{
	local pages=$DIR/pages macros=$DIR/macros

	find "$STAGE$PREFIX/share/man/man3" -name 'arena_*.3' -printf '%f\n' |
		sed 's/\.3$//' | sort >"$pages"
	diff <(functions) "$pages" || return 1
	sed -n 's/^#define \(arena_[a-z_]*\)(.*/\1/p' "$ROOT/include/libarena.h" | sort >"$macros"
	diff <(exported "$STAGE$PREFIX/lib/libarena.so.1") <(comm -23 "$pages" "$macros") ||
		return 1
	! grep '\*' "$ROOT/tools/libarena/libarena.map" | grep -vE '^	\*;$|^/\*' || return 1
	mandoc -T lint -W warning "$STAGE$PREFIX"/share/man/man3/libarena.3
}

# Checks that the library exports only names that begin with arena_ or libarena_, and that its
# header compiles alone and without warnings.
test_pure()
{
	local std

	! nm -D --defined-only "$STAGE$PREFIX/lib/libarena.so.1" | grep -v ' A ' |
		grep -vE ' (lib)?arena_' || return 1
	echo '#include <libarena.h>' >"$DIR/pure.c"
	for std in c11 gnu17; do
		# shellcheck disable=SC2046 # arguments, split at blanks
		gcc -std="$std" -Wall -Wextra -Werror -Wconversion -Wpedantic -fsyntax-only \
			$(libarena --cflags) "$DIR/pure.c" || return 1
	done
	# shellcheck disable=SC2046 # arguments, split at blanks
	g++ -x c++ -std=c++17 -Wall -Wextra -Werror -fsyntax-only $(libarena --cflags) \
		"$DIR/pure.c"
}

# Prints the Nth display, a block of literal text, in the section EXAMPLES of the manual.
#   display N
display()
{
	awk -v n="$1" '/^\.Sh EXAMPLES/ { on = 1 } /^\.Sh ERRORS/ { on = 0 }
		on && /^\.Ed/ { show = 0 } show { gsub(/\\e/, "\\"); print }
		on && /^\.Bd/ { show = ++seen == n }' "$STAGE$PREFIX/share/man/man3/libarena.3"
}

# shellcheck disable=SC2046 # arguments, split at blanks
build_example()
{
	local warn=(-Wall -Wextra -Werror -O2)

	display 1 >"$DIR/example.c"
	gcc "${warn[@]}" -o "$DIR/shared" "$DIR/example.c" $(libarena --cflags --libs) &&
		gcc "${warn[@]}" -static -o "$DIR/static" "$DIR/example.c" \
			$(libarena --cflags --libs --static) &&
		g++ "${warn[@]}" -x c++ -o "$DIR/shared_cxx" "$DIR/example.c" \
			$(libarena --cflags --libs)
}

# Prints the libraries and the loader that the shared programs need, as HOST:GUEST.
libraries()
{
	LD_LIBRARY_PATH=$STAGE$PREFIX/lib ldd "$DIR/shared" "$DIR/shared_cxx" |
		grep -oE '/[^ :]+\.so[^ :]*' | sort -u | while read -r file; do
		case $file in
		*/ld-linux*) echo "$file:$file" ;;
		*) echo "$file:/lib/$(basename "$file")" ;;
		esac
	done
}

test_example()
{
	local files=() program file

	build_example || return 1
	display 2 >"$DIR/expected"
	[ -s "$DIR/expected" ] || return 1
	while read -r file; do
		files+=(--file "$file")
	done < <(libraries)
	for program in "${PROGRAMS[@]}"; do
		files+=(--file "$DIR/$program:/st/$program")
	done
	"$ROOT/tools/vm.sh" --kernel "$KERNEL" --name lib-test "${files[@]}" \
		--modules "$MODULES" \
		--file "$DIR/expected:/st/expected" -- "
		insmod /ko/arena.ko || exit 1
		export LD_LIBRARY_PATH=/lib
		for p in ${PROGRAMS[*]}; do
			/st/\$p >/tmp/\$p && cmp /tmp/\$p /st/expected || exit 1
			echo \$p: as the manual says
		done
		rmmod arena"
}

# Builds a test of the library with a sanitizer and runs it on the fake of the device. The test must
# not start threads in a forked child of a process with threads: ThreadSanitizer refuses that.
#   on_fake PROGRAM NAME FLAGS
on_fake()
{
	local program=$DIR/$1-$2 rc=0 still=()

	# Switch off randomised addresses: sanitizers need certain ranges of addresses.
	! setarch -R true 2>/dev/null || still=(setarch -R)
	# shellcheck disable=SC2086 # arguments, split at blanks
	gcc -g -O1 -fno-sanitize-recover=undefined $3 -DFAKE -std=gnu11 -D_GNU_SOURCE \
		-isystem "$BUILD/src/newest/tools/testing/selftests" \
		-I"$ROOT/include/uapi" -I"$ROOT/include" -pthread \
		-Wl,--wrap=open,--wrap=open64,--wrap=ioctl -o "$program" \
		"$ROOT/selftests/$1.c" "$ROOT/tools/libarena/libarena.c" \
		"$ROOT/tools/libarena/fake.c" &&
		NO_THREADS_AFTER_FORK=1 timeout -s KILL 300 \
			${still[@]+"${still[@]}"} "$program" >"$program.out" 2>&1 &&
		grep -q '^# PASSED' "$program.out" && ! grep -q 'SKIP' "$program.out" || rc=1
	cat "$program.out"
	return "$rc"
}

all_on_fake()
{
	local program

	for program in arena_lib_test arena_lib_threads_test arena_lib_fork_test; do
		on_fake "$program" "$@" || return 1
	done
}

test_threads()
{
	all_on_fake threads -fsanitize=thread
}

# This test is to check leases, which the library does not use if it finds AddressSanitizer. So
# LIBARENA_UNCHECKED tells the library not to look for a sanitizer.
test_memory()
{
	all_on_fake memory "-fsanitize=address,undefined -DLIBARENA_UNCHECKED"
}

# Builds misuse, the program that misuses memory, with the library on the fake device. The library
# is compiled without sanitizers, as users get it.
#   make_misuse FLAGS...
make_misuse()
{
	make_plugins "$DIR/misuse" gcc >"$DIR/misuse.log" 2>&1 || { cat "$DIR/misuse.log"; return 1; }
	gcc -g -O1 -Wall -Wextra -Werror -std=gnu11 -D_GNU_SOURCE "$@" -I"$ROOT/include/uapi" \
		-I"$ROOT/include" -o "$DIR/misuse/misuse" "$ROOT/tools/libarena/misuse.c" \
		-L"$DIR/misuse" -larena -Wl,-rpath,"$DIR/misuse"
}

# Prints LINE:HOW for each line of misuse.c that ends in a comment HOW, such as after_reset: an
# access that a checker must report.
misuses()
{
	sed -nE 's,.*/\* (after_[a-z_]+|beyond_[a-z_]+) \*/$,\1,;T;=;p' \
		"$ROOT/tools/libarena/misuse.c" | paste -d: - -
}

# Checks that COMMAND reports each misuse at the line that a comment marks, and reports nothing for
# the argument "not".
#   reports PATTERN COMMAND...
reports()
{
	local pattern=$1 line how out=$DIR/report nr=0

	shift
	while IFS=: read -r line how; do
		if timeout -s KILL 300 "$@" "$DIR/misuse/misuse" "$how" >"$out" 2>&1 ||
			! grep -A2 -E "$pattern" "$out" | grep "misuse.c:$line\b" >/dev/null; then
			cat "$out"
			echo "$how: no report of line $line"
			return 1
		fi
		sed -n '1,6p' "$out"
		nr=$((nr + 1))
	done < <(misuses)
	[ "$nr" -gt 5 ] && timeout -s KILL 300 "$@" "$DIR/misuse/misuse" not
}

test_asan()
{
	local still=()

	echo 'int main(void) { return 0; }' >"$DIR/empty.c"
	gcc -fsanitize=address -o "$DIR/empty" "$DIR/empty.c" ||
		{ echo "no AddressSanitizer here"; return "$SKIP"; }
	! setarch -R true 2>/dev/null || still=(setarch -R)
	make_misuse -fsanitize=address &&
		reports use-after-poison ${still[@]+"${still[@]}"}
}

test_valgrind()
{
	if ! command -v valgrind || [ ! -e /usr/include/valgrind/memcheck.h ]; then
		echo "no valgrind here"
		return "$SKIP"
	fi
	make_misuse && reports 'Invalid (read|write)' valgrind -q --error-exitcode=9
}

# Copies the sources to a folder whose name has a blank.
checkout()
{
	[ -e "$DIR/check out" ] || { mkdir "$DIR/check out" &&
		cp -r "$ROOT"/{Makefile,dkms.conf,include,tools} "$DIR/check out/"; }
}

# Prints files and folders that other users cannot read.
unreadable()
{
	find "$1" \( -type d ! -perm -0755 \) -o \( -type f ! -perm -0644 \)
}

# Checks that "make install" works with umask 077, with blanks in all paths, and below a relative
# DESTDIR, and that it refuses a relative PREFIX.
test_installs_anywhere()
{
	checkout && cd "$DIR/check out" || return 1
	(umask 077 && env -u ARENA_BUILD make install DESTDIR="st age" PREFIX=/opt/arena) &&
		(! unreadable "st age" | grep .) && [ -e "st age/opt/arena/lib/libarena.so" ] &&
		[ -e "st age/opt/arena/sbin/arenactl" ] &&
		grep -qx prefix=/opt/arena "st age/opt/arena/lib/pkgconfig/libarena.pc" &&
		env -u ARENA_BUILD make uninstall DESTDIR="st age" PREFIX=/opt/arena &&
		(! find "st age" ! -type d | grep .) || return 1
	! env -u ARENA_BUILD make install DESTDIR="$DIR/wrong" PREFIX=opt && [ ! -e "$DIR/wrong" ]
}

# Runs a command for which a folder is read-only, even if root runs it.
#   read_only DIR COMMAND...
read_only()
{
	local dir=$1

	shift
	# shellcheck disable=SC2016 # expanded by the inner shell
	unshare -rm sh -c 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" &&
		exec "$@"' "$dir" "$@"
}

# Checks that a script in a read-only checkout asks for ARENA_BUILD and does not write to another
# folder instead; and that a build works if ARENA_BUILD is given.
test_read_only_checkout()
{
	local said=$DIR/said

	checkout && rm -rf "$DIR/check out/build" && [ ! -e /logs ] || return 1
	! read_only "$DIR/check out" env -u ARENA_BUILD \
		"$DIR/check out/tools/load.sh" nonsense 2>"$said" || return 1
	cat "$said"
	grep -q 'give ARENA_BUILD=DIR' "$said" && [ ! -e /logs ] &&
		read_only "$DIR/check out" make -C "$DIR/check out" ARENA_BUILD="$DIR/el se" \
			lib arenactl &&
		[ -e "$DIR/el se/lib/libarena.so" ] && [ -e "$DIR/el se/arenactl" ]
}

# Checks that "make load" explains how to sign the module if the kernel requires signed modules. The
# guest needs bash and its libraries, because "make load" runs a bash script.
test_says_how_to_sign()
{
	local bash files=() file

	bash=$(command -v bash)
	for file in $(ldd "$bash" | grep -oE '/[^ ]+') "$bash"; do
		files+=(--file "$file:$file")
	done
	"$ROOT/tools/vm.sh" --kernel "$KERNEL" --name lib-test-sign "${files[@]}" \
		--append module.sig_enforce=1 --modules "$MODULES" \
		--file "$ROOT/tools/load.sh:/src/load.sh" --file "$ROOT/tools/lib.sh:/src/lib.sh" -- "
		export ARENA_BUILD=/build
		mkdir /build && cp /ko/arena.ko /build/
		! $bash /src/load.sh load >/tmp/said 2>&1 || exit 1
		cat /tmp/said
		grep -q 'mokutil --import' /tmp/said && grep -q 'sign-file sha256' /tmp/said"
}

# Succeeds if a 32-bit program that maps the status page compiles.
#   status_page_compiles MMAP OFFSET FLAGS...
status_page_compiles()
{
	local call=$1 offset=$2

	shift 2
	gcc -m32 -idirafter "/usr/include/$(gcc -dumpmachine)" -I"$ROOT/include/uapi" \
		-Wall -Werror -fsyntax-only "$@" -x c - <<-END
		#include <sys/mman.h>
		#include <linux/arena.h>
		void *map(int fd);
		void *map(int fd)
		{
			return $call(0, 4096, PROT_READ, MAP_SHARED, fd, $offset);
		}
	END
}

# Checks that a program whose off_t has 32 bits does not compile if it maps the status page: the
# offset of the status page would be truncated to that of the first page.
test_small_offsets()
{
	status_page_compiles mmap ARENA_STATUS_OFFSET -D_FILE_OFFSET_BITS=64 &&
		status_page_compiles mmap64 ARENA_STATUS_OFFSET64 -D_GNU_SOURCE &&
		! status_page_compiles mmap ARENA_STATUS_OFFSET -Wno-overflow
}

# Builds, with the fake of the device: the library, a plugin linked with the shared library, a
# plugin that contains the static library, and a program that loads plugins. /usr/include, which has
# the kernel's headers, comes last, because it also has headers of glibc: musl-gcc must find those
# of musl first.
#   make_plugins DIR CC
make_plugins()
{
	local dir=$1 cc=$2 headers=(-idirafter /usr/include
		-idirafter "/usr/include/$(gcc -dumpmachine)")
	local wrap=-Wl,--wrap=open,--wrap=open64,--wrap=ioctl
	local flags=(-O2 -Wall -Wextra -Werror -std=gnu11 -D_GNU_SOURCE -fPIC
		-I"$ROOT/include/uapi" -I"$ROOT/include" "${headers[@]}")

	mkdir -p "$dir" &&
		"$cc" "${flags[@]}" -c -o "$dir/fake.o" "$ROOT/tools/libarena/fake.c" &&
		make -C "$ROOT/tools/libarena" OUTPUT="$dir" CC="$cc" \
			CFLAGS="-O2 -Werror ${headers[*]}" LDFLAGS="$dir/fake.o $wrap" &&
		"$cc" "${flags[@]}" -shared -o "$dir/plugin_shared.so" \
			"$ROOT/tools/libarena/plugin.c" -L"$dir" -larena -Wl,-rpath,"$dir" &&
		"$cc" "${flags[@]}" -shared -o "$dir/plugin_static.so" \
			"$ROOT/tools/libarena/plugin.c" "$dir/libarena.a" "$dir/fake.o" \
			"$wrap" -pthread &&
		"$cc" "${flags[@]}" -o "$dir/plugin_host" "$ROOT/tools/libarena/plugin_host.c" \
			-pthread -ldl &&
		"$cc" "${flags[@]}" -o "$dir/by_name" "$ROOT/tools/libarena/by_name.c" -ldl
}

# Prints the symbols of the version script.
symbols()
{
	sed -n 's/^	\([a-z_]*\);$/\1/p' "$ROOT/tools/libarena/libarena.map"
}

# Checks that a program can load a plugin that uses the library by dlopen(), and can unload it
# before threads end that have used the library. Tries that with glibc and with musl, which cannot
# load objects that have thread-local variables of the model initial-exec.
test_plugins()
{
	local cc plugin

	for cc in gcc musl-gcc; do
		make_plugins "$DIR/plugins-$cc" "$cc" || return 1
		# shellcheck disable=SC2046 # a name each
		timeout -s KILL 300 "$DIR/plugins-$cc/by_name" \
			"$DIR/plugins-$cc/libarena.so.1" $(symbols) || return 1
		for plugin in shared static; do
			plugin=$DIR/plugins-$cc/plugin_$plugin.so
			! readelf -d "$plugin" | grep STATIC_TLS || return 1
			timeout -s KILL 300 "$DIR/plugins-$cc/plugin_host" "$plugin" ||
				{ echo "$plugin: $?"; return 1; }
		done
	done
}

# Checks the output of the example in Python, with the library on the fake device.
test_python()
{
	make_plugins "$DIR/plugins-python" gcc &&
		LD_LIBRARY_PATH=$DIR/plugins-python timeout -s KILL 300 /usr/bin/python3 \
			"$ROOT/tools/libarena/example.py" >"$DIR/python.out" &&
		diff "$DIR/python.out" - <<-END
		text 999 at offset 15200
		point 1.5 3.7 and 16 bytes in all
		arena_alloc: No space left on device
		END
}

# Tests containers of C++ that lie in an arena, on the fake device.
test_pmr()
{
	make_plugins "$DIR/pmr" gcc &&
		g++ -std=c++17 -O2 -Wall -Wextra -Wpedantic -Werror \
			-I"$ROOT/include/uapi" -I"$ROOT/include" -o "$DIR/pmr/pmr" \
			"$ROOT/tools/libarena/pmr.cc" -L"$DIR/pmr" -larena -Wl,-rpath,"$DIR/pmr" &&
		timeout -s KILL 300 "$DIR/pmr/pmr"
}

test_uninstalls()
{
	make -C "$ROOT/tools/libarena" OUTPUT="$DIR/lib" PREFIX="$PREFIX" \
		DESTDIR="$STAGE" uninstall && ! find "$STAGE" ! -type d | grep .
}

run_test()
{
	local log=$LOGS/lib-test-$1.log rc=0

	("test_$1") >"$log" 2>&1 </dev/null || rc=$?
	case $rc in
	0)
		say "ok: $1"
		PASSED=$((PASSED + 1))
		;;
	"$SKIP")
		say "skipped: $1: $(tail -n 1 "$log")"
		SKIPPED=$((SKIPPED + 1))
		;;
	*)
		tail -n 25 "$log" >&2
		say "FAILED: $1, all of it in $log"
		FAILED=$((FAILED + 1))
		;;
	esac
}

main()
{
	local test

	PASSED=0 FAILED=0 SKIPPED=0
	counts lib-test 0 1 0
	"$ROOT/tools/setup.sh" lib programs source || exit 1
	"$ROOT/tools/setup.sh" checkers || true
	MODULES=${MODULES:-$("$ROOT/tools/module.sh" "$KERNEL")} || exit 1
	DIR=$(mktemp -d) || exit 1
	trap 'rm -rf "$DIR"' EXIT
	STAGE=$DIR/stage
	[ $# -gt 0 ] || set -- "${TESTS[@]}"
	for test in "$@"; do
		run_test "$test"
	done
	counts lib-test "$PASSED" "$FAILED" "$SKIPPED"
	[ "$FAILED" -eq 0 ] || { say "FAILED: $FAILED tests of the library"; exit 1; }
	say "passed: $PASSED tests of the library"
}

main "$@"; exit
