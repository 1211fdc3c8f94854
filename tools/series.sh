#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Writes the arena as a series of patches against the newest kernel source, for its mailing lists.
#
#   series.sh            write build/series/0000-cover-letter.patch and the patches
#   series.sh --style    also run checkpatch.pl on each patch
#   series.sh --check    also apply patch after patch to a kernel tree, build each for User-Mode
#                        Linux with W=1, and in the end for x86-64; run kunit.py, Sphinx, and the
#                        build and installation of kselftest as developers of the kernel do; and run
#                        the installed tests on that tree's kernel
#
# The messages of the patches, and the files that only a kernel tree has, are in tools/series. All
# other files are those of the project; copy() says what is left out of them.

# shellcheck disable=SC2016 # make expands what is in single quotes
. "$(dirname "$0")/lib.sh"

SRC=$BUILD/src/newest
SERIES=$BUILD/series
TEXTS=$ROOT/tools/series
# A repository that has only those files of the kernel that the series changes, and its own.
REPO=$SERIES/repo
ARENA=$REPO/lib/arena
# A whole kernel tree, to apply the patches to.
TREE=$SERIES/tree
CONTRACT=Documentation/core-api/arena-contract.rst
INSTALLED=$SERIES/installed
SELFTESTS=tools/testing/selftests/arena
PATCHES=(core private typed kunit device ioctl-number selftests litmus documentation maintainers)
CHANGED=(MAINTAINERS lib/Kconfig lib/Makefile Documentation/core-api/index.rst
	Documentation/litmus-tests/README Documentation/userspace-api/index.rst
	Documentation/userspace-api/ioctl/ioctl-number.rst tools/testing/selftests/Makefile)

# What checkpatch.pl may say of a patch: that MAINTAINERS might need a change, which the last patch
# makes; what tools/check.sh permits for single files; a test that prints fdinfo twice; and, in the
# patch of the suites, "static inline const", where it takes "inline" for a type.
IGNORED=FILE_PATH_CHANGES,MACRO_ARG_REUSE,MACRO_ARG_PRECEDENCE,NEW_TYPEDEFS,SUSPECT_CODE_INDENT
IGNORED+=,OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT,REPEATED_WORD,STATIC_CONST

# Prints a file of the kernel without what graft() has added to it.
pristine()
{
	case $1 in
	lib/Kconfig) grep -v '^source "lib/arena/module/Kconfig"$' "$SRC/$1" ;;
	lib/Makefile) grep -v '^obj-$(CONFIG_ARENA) += arena/$' "$SRC/$1" ;;
	*) cat "$SRC/$1" ;;
	esac | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}'
}

# Copies files of the project to a folder of the kernel tree, without the header for older kernels
# and what is only for modules that carry a copy, and with the names that other files have in a
# kernel tree.
#   copy TO FILE...
copy()
{
	local to=$REPO/$1 file files=()

	shift
	mkdir -p "$to"
	for file in "$@"; do
		[ "${file##*/}" = compat.h ] || files+=("$to/${file##*/}")
	done
	(cd "$ROOT" && cp "$@" "$to/") || die "cannot copy to $to"
	rm -f "$to/compat.h"
	sed -i -E -e '/^#include "compat\.h"$/d' \
		-e "s,(include/CONTRACT|module/README)\.md,$CONTRACT," \
		-e 's,kunit/litmus/,Documentation/litmus-tests/arena/,' \
		-e "s,selftests/(arena_[a-z]+_test),$SELFTESTS/\\1," "${files[@]}"
	grep -l ARENA_PRIVATE_ALONE "${files[@]}" | while read -r file; do
		# The exit status is 1 if there was something to take out.
		"$SERIES/unifdef" -B -UARENA_PRIVATE_ALONE "$file" >"$SERIES/new"
		[ $? -le 1 ] && cat "$SERIES/new" >"$file" || die "unifdef fails on $file"
	done || [ "${PIPESTATUS[0]}" -ne 0 ] || exit 1
}

# Adds a line to a file of the kernel, behind the first line that matches a pattern.
#   add_line FILE PATTERN LINE
add_line()
{
	LINE=$3 awk -v pattern="$2" '
		{ print }
		!done && $0 ~ pattern { print ENVIRON["LINE"]; done = 1 }
		END { exit !done }' "$REPO/$1" >"$REPO/new" || die "$1 has no line $2"
	cat "$REPO/new" >"$REPO/$1"
	rm "$REPO/new"
}

# Writes lib/arena/Makefile and Kconfig as they are when the files of a patch are in place: without
# objects whose source is missing, and without options for what is missing.
write_makefiles()
{
	local without=

	{
		sed -n 1p "$ROOT/module/Kbuild"
		printf '\nsubdir-ccflags-y += -I$(src)\n\n'
		sed 1d "$ROOT/module/Kbuild" | present_objects
		[ ! -e "$ARENA/kunit" ] || printf '\nobj-$(CONFIG_ARENA_KUNIT_TEST) += kunit/\n'
	} >"$ARENA/Makefile"
	[ -e "$ARENA/private.c" ] || without+=' ARENA_DEBUG'
	[ -e "$ARENA/device" ] || without+=' ARENA_DEVICE ARENA_HUGE'
	[ -e "$ARENA/kunit" ] || without+=' ARENA_KUNIT_TEST'
	awk -v without="$without " '
		/^config / { skip = index(without, " " $2 " ") }
		skip { next }
		NF { printf "%s%s\n", blank, $0; blank = ""; next }
		{ blank = "\n" }' "$ROOT/module/Kconfig" >"$ARENA/Kconfig"
}

present_objects()
{
	local line word kept

	while IFS= read -r line; do
		kept=$line
		if [[ $line == arena-* ]]; then
			kept=
			for word in $line; do
				[[ $word == *.o && ! -e $ARENA/${word%.o}.c ]] || kept+=" $word"
			done
			[[ $kept == *.o ]] || continue
		fi
		printf '%s\n' "${kept# }"
	done
}

# Prints what is below a heading of a Markdown file of the project as reStructuredText. Tables of
# two columns become lists of definitions.
#   insert_section FILE HEADING
insert_section()
{
	awk -v heading="$2" '
	/^#/ { text = $0; sub(/^#+ /, "", text); inside = text == heading; next }
	!inside { next }
	/^\|[-: |]*$/ { rows = 1; next }
	/^\|/ {
		found = 1
		if (!rows) next
		split($0, cell, / *\| */)
		printf "%s\n    %s\n", cell[2], cell[3]
		next
	}
	{ rows = 0; found = found || NF; print }
	END { exit !found }' "$ROOT/$1" | sed -E 's/`+/``/g; s/\[([^]]*)\]\([^)]*\)/\1/g' | trim ||
		die "$1 has no section $2"
}

# Removes blank lines at the start and at the end.
trim()
{
	awk 'NF { printf "%s%s\n", some ? blank : "", $0; blank = ""; some = 1; next }
		{ blank = blank "\n" }'
}

# Prints the first example of a kind in a Markdown file of the project.
#   insert_example FILE KIND
insert_example()
{
	printf '.. code-block:: c\n\n'
	awk -v kind="$2" '
	/^```/ { if (inside) exit; inside = $0 == "```c " kind; next }
	inside { found = 1; print NF ? "    " $0 : "" }
	END { exit !found }' "$ROOT/$1" || die "$1 has no example of kind $2"
}

# Prints a directive for each source file in a folder of lib/arena that exports functions.
insert_exports()
{
	local file blank=

	for file in $(cd "$REPO" && grep -l '^EXPORT_SYMBOL' "lib/arena/$1"/*.c); do
		printf '%s.. kernel-doc:: %s\n   :export:\n' "$blank" "$file"
		blank=$'\n'
	done
}

# Prints the instructions for each object on the newest kernel, from the table of the benchmarks.
insert_numbers()
{
	awk -F' *[|] *' '
	/^#/ { inside = $0 == "## The newest stock kernel" }
	!inside || !/^\|/ || /^\|[-: |]*$/ { next }
	!columns {
		for (i = 3; i < NF; i++)
			printf "  %s: %s\n", ++columns, $i
		print ""
		printf "  %-22s", ""
		for (i = 1; i <= columns; i++)
			printf "%9s", i
		print ""
		next
	}
	{
		gsub(/`/, "")
		printf "  %-22s", $2
		for (i = 3; i < NF; i++) {
			sub(/ \/.*/, "", $i)
			printf "%9s", $i
		}
		print ""
	}
	END { exit !columns }' "$ROOT/selftests/bench/README.md" ||
		die "selftests/bench/README.md has no table for the newest kernel"
}

# Prints the lists of test programs for the makefile of the selftests: those that selftests/Makefile
# lists, but for those that need the library, arenactl, or a test module: none of these is in the
# tree.
insert_programs()
{
	local all

	mapfile -t all < <(make -s -C "$ROOT/selftests" list | tr -s ' ' '\n' |
		grep -vE '^arena_(lib|ctl|alone|consumer|context|hold|memory|overrun|unload)_')
	list TEST_GEN_PROGS 'test$' "${all[@]}"
	list TEST_GEN_PROGS32 '32$' "${all[@]}"
	list TEST_PROGS 'sh$' "${all[@]}"
	echo 'TEST_GEN_PROGS_EXTENDED := arena_play'
}

# Prints an assignment of the words that match a pattern to a variable of make.
#   list VARIABLE PATTERN WORD...
list()
{
	printf '%s := \\\n' "$1"
	printf '%s\n' "${@:3}" | grep "$2" | sort | sed 's/.*/\t& \\/; $s/ \\$//'
}

# Prints a file of tools/series. A line "%NAME ARGUMENT..." stands for what insert_NAME prints.
expand()
{
	local line name first rest

	while IFS= read -r line; do
		if [[ $line == %* ]]; then
			read -r name first rest <<<"${line#%}"
			"insert_$name" ${first:+"$first"} ${rest:+"$rest"} || exit 1
		else
			printf '%s\n' "$line"
		fi
	done <"$TEXTS/$1"
}

# The functions add_PATCH() put the files of a patch in place.
add_core()
{
	cd "$ROOT" || exit 1
	copy lib/arena module/main.c
	copy lib/arena/mem module/mem/*.[ch]
	copy lib/arena/core module/core/*.[ch]
	rm "$ARENA/core/typed.c"
	copy include/linux include/linux/arena.h
	# The patch "typed" adds the last part of the header.
	sed -i '/^\/\* Typed arenas/,/^#endif/{/^#endif/!d}' "$REPO/include/linux/arena.h"
	! grep -q arena_typed_ "$REPO/include/linux/arena.h" || die "arena.h has typed arenas"
	add_line lib/Makefile '^obj-.*genalloc\.o' 'obj-$(CONFIG_ARENA) += arena/'
	add_line lib/Kconfig '^source "lib/math/Kconfig"' 'source "lib/arena/Kconfig"'
}

add_private()
{
	copy include/linux include/linux/arena_private.h include/linux/arena_buf.h
	copy lib/arena module/private.c module/buf.c
}

add_typed()
{
	copy include/linux include/linux/arena.h
	copy lib/arena/core module/core/typed.c
}

add_kunit()
{
	copy lib/arena/kunit kunit/*.[ch] kunit/Kbuild
	mv "$ARENA/kunit/Kbuild" "$ARENA/kunit/Makefile"
	grep -E '^CONFIG_(KUNIT|ARENA.*)=' kunit/.kunitconfig >"$ARENA/.kunitconfig"
}

add_device()
{
	copy lib/arena/device module/device/*.[ch]
	copy include/linux include/linux/arena_device.h
	copy include/uapi/linux include/uapi/linux/arena.h
}

add_ioctl-number()
{
	add_line Documentation/userspace-api/ioctl/ioctl-number.rst 'mailto:surenb@google.com' \
		"$(printf '%-6s%-7s%-58s%s\n%-71s<mailto:%s>' 0xA8 00-1F uapi/linux/arena.h \
			'Arenas of programs' '' "$GIT_AUTHOR_EMAIL")"
}

add_selftests()
{
	local to=$REPO/$SELFTESTS

	mkdir -p "$to"
	expand selftests.mk >"$to/Makefile" || exit 1
	# shellcheck disable=SC2046 # the names have no blanks
	copy "$SELFTESTS" selftests/{config,arena_tap.sh,arena_play.c} selftests/arena_*.h \
		$(sed -nE 's,.*(arena_[a-z]+_test\.sh).*,selftests/\1,p' "$to/Makefile") \
		$(sed -nE 's,^.(arena_[a-z]+_test)( .*)?$,selftests/\1.c,p' "$to/Makefile")
	rm "$to/arena_lib.h"
	echo timeout=600 >"$to/settings"
	printf '%s\n' '# SPDX-License-Identifier: GPL-2.0' '/arena_*_test' '/arena_*_test32' \
		/arena_play >"$to/.gitignore"
	add_line tools/testing/selftests/Makefile '^TARGETS \+= alsa' 'TARGETS += arena'
}

add_litmus()
{
	copy Documentation/litmus-tests/arena kunit/litmus/*.litmus
	cat >>"$REPO/Documentation/litmus-tests/README" <<'END'

ARENA (/arena directory)
------------------------

PAIR.litmus
    A pair of barriers of "DOC: generations" in lib/arena/core/core.h: the bad
    outcome never happens.

PAIR-no-BARRIER.litmus and PAIR-relaxed.litmus
    The same with that barrier taken out or weakened: the bad outcome is
    reachable.
END
}

add_documentation()
{
	expand core-api.rst >"$REPO/Documentation/core-api/arena.rst" || exit 1
	expand contract.rst >"$REPO/$CONTRACT" || exit 1
	expand userspace-api.rst >"$REPO/Documentation/userspace-api/arena.rst" || exit 1
	add_line Documentation/core-api/index.rst '^   genalloc' '   arena
   arena-contract'
	add_line Documentation/userspace-api/index.rst '^   accelerators/ocxl' '   arena'
}

# Writes the entry into MAINTAINERS where the alphabet wants it.
add_maintainers()
{
	awk -v name="$GIT_AUTHOR_NAME <$GIT_AUTHOR_EMAIL>" -v selftests="$SELFTESTS/" '
	/^Maintainers List/ { list = 1 }
	list && !done && /^[A-Z0-9].*/ && $0 > "ARENA" && !/^THE REST/ && !/^[A-Z]:/ && !/^Main/ {
		print "ARENA ALLOCATOR"
		print "M:\t" name
		print "S:\tMaintained"
		print "F:\tDocumentation/core-api/arena*.rst"
		print "F:\tDocumentation/litmus-tests/arena/"
		print "F:\tDocumentation/userspace-api/arena.rst"
		print "F:\tinclude/linux/arena*.h"
		print "F:\tinclude/uapi/linux/arena.h"
		print "F:\tlib/arena/"
		print "F:\t" selftests
		print ""
		done = 1
	}
	{ print }' "$REPO/MAINTAINERS" >"$SERIES/maintainers" &&
		mv "$SERIES/maintainers" "$REPO/MAINTAINERS"
}

# Makes git write patches whose author is the user that its configuration names or, if it names
# none, the author of the project's last commit. The patches have the date of that commit, so that
# the same sources give the same patches.
set_author()
{
	local last=(git -c safe.directory="*" -C "$ROOT" log -1)

	GIT_AUTHOR_DATE=$("${last[@]}" --format=%aI) || die "$ROOT is no checkout of git"
	GIT_AUTHOR_NAME=$(git config user.name || "${last[@]}" --format=%an)
	GIT_AUTHOR_EMAIL=$(git config user.email || "${last[@]}" --format=%ae)
	GIT_COMMITTER_NAME=$GIT_AUTHOR_NAME GIT_COMMITTER_EMAIL=$GIT_AUTHOR_EMAIL
	GIT_COMMITTER_DATE=$GIT_AUTHOR_DATE
	export GIT_AUTHOR_{DATE,NAME,EMAIL} GIT_COMMITTER_{DATE,NAME,EMAIL}
	# Settings of the user, such as signing, do not apply to this repository.
	export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1
}

commit()
{
	git -C "$REPO" add -A -f || die "git cannot add files"
	git -C "$REPO" commit -q "$@" || die "git cannot commit"
}

# Makes the repository with the files of the kernel as they are without the arena.
start_repository()
{
	local file

	rm -rf "$REPO"
	mkdir -p "$REPO"
	git -C "$REPO" init -q -b arena || die "git cannot make a repository"
	for file in "${CHANGED[@]}"; do
		mkdir -p "$(dirname "$REPO/$file")"
		pristine "$file" >"$REPO/$file" || die "the kernel source has no $file"
	done
	commit -m "Linux $(make -s -C "$SRC" kernelversion 2>/dev/null)"
	git -C "$REPO" tag linux
}

write_series()
{
	local patch

	set_author
	start_repository
	gcc -O1 -w -o "$SERIES/unifdef" "$SRC/scripts/unifdef.c" || die "cannot build unifdef"
	for patch in "${PATCHES[@]}"; do
		"add_$patch"
		write_makefiles
		commit -s -F "$TEXTS/$patch.txt"
	done
	git -C "$REPO" config branch.arena.description "$(expand cover.txt)"
	rm -f "$SERIES"/*.patch
	git -C "$REPO" format-patch -q --cover-letter --cover-from-description=subject \
		--no-signature -o "$SERIES" linux ||
		die "git cannot write the patches"
}

# Runs checkpatch.pl on a patch. Prints its complaints.
style()
{
	perl "$SRC/scripts/checkpatch.pl" --no-tree --strict --show-types --terse --no-summary \
		--quiet --color=never --ignore="$IGNORED" "$1"
}

check_style()
{
	export -f style
	export SRC IGNORED
	patches | xargs -P "$JOBS" -I{} bash -c 'style {}'
}

patches()
{
	find "$SERIES" -maxdepth 1 -name '0*.patch' ! -name '0000-*' | sort
}

# Makes a kernel tree as it is without the arena. Its files are hard links to the newest source, for
# which patch and git write new files; those that graft() and mend_kernel() have changed are copies.
make_tree()
{
	local file patch

	rm -rf "$TREE"
	cp -al "$SRC/." "$TREE" || die "cannot link $SRC"
	rm -rf "$TREE/lib/arena"
	for file in "${CHANGED[@]}"; do
		rm "$TREE/$file"
		git -C "$REPO" show "linux:$file" >"$TREE/$file" || exit 1
	done
	for patch in "$ROOT"/tools/patches/*.patch; do
		! patch -d "$TREE" -p1 -sfR --dry-run <"$patch" >/dev/null ||
			patch -d "$TREE" -p1 -sR <"$patch" || exit 1
	done
}

make_in()
{
	make -C "$TREE" ARCH="$1" O="$SERIES/$1" -j"$JOBS" "${@:2}"
}

# Writes the options to build with. For x86-64, they are those of the kernels of "make kasan", but
# without lockdep, and those that the selftests want.
options()
{
	if [ "$1" = um ]; then
		printf 'CONFIG_%s=y\n' 64BIT KUNIT MODULES DEBUG_FS CGROUPS MEMCG NET SMP \
			PROVE_LOCKING DEBUG_KERNEL FAULT_INJECTION KASAN ARENA ARENA_DEBUG \
			ARENA_DEVICE ARENA_KUNIT_TEST
	else
		grep -hvE '^#|PROVE_LOCKING|ARENA_KUNIT' "$ROOT/kunit/x86.config" \
			"$TREE/$SELFTESTS/config"
		echo CONFIG_ARENA_DEVICE=y
	fi >"$SERIES/$1.config"
}

# Builds lib/arena of the tree with W=1, then other targets without.
#   compile ARCH [TARGET...]
compile()
{
	local arch=$1

	shift
	options "$arch"
	make_in "$arch" KCONFIG_ALLCONFIG="$SERIES/$arch.config" allnoconfig || return 1
	make_in "$arch" W=1 lib/arena/ || return 1
	[ $# -eq 0 ] || make_in "$arch" "$@"
}

# Prints warnings about files of the arena, and symbols of the arena that are used and not defined.
build_complaints()
{
	local symbols

	grep -E '(lib/arena/|linux/arena[a-z_]*\.h).*(warning|error):' "$LOGS/$1.log"
	[ -e "$SERIES/um/lib/arena/built-in.a" ] || return 0
	symbols=$(cd "$SERIES/um" && nm lib/arena/built-in.a 2>/dev/null)
	awk '$1 == "U" && $2 ~ /^_*arena_/ { print "undefined: " $2 }' <<<"$symbols" | sort -u |
		grep -vxFf <(awk 'NF == 3 && $2 != "U" { print "undefined: " $3 }' <<<"$symbols")
}

# Runs a check, and counts it. It has passed if it succeeds and prints nothing.
#   check NAME COMMAND...
check()
{
	local start=$SECONDS name=$1 complaints

	shift
	if complaints=$("$@") && [ -z "$complaints" ]; then
		say "ok: $name ($((SECONDS - start)) s)"
		PASSED=$((PASSED + 1))
	else
		[ -z "$complaints" ] || printf '%s\n' "$complaints" | head -n 40 >&2
		say "FAILED: $name"
		FAILED=$((FAILED + 1))
	fi
}

check_build()
{
	local log=series-$1

	OBJECTS=$SERIES/$1 quietly "$log" compile "$@" || return 1
	build_complaints "$log"
	return 0
}

# Runs the suites as a developer of the kernel does, but with time for a busy machine.
check_kunit()
{
	local log=series-kunit-$1

	cd "$TREE" || return 1
	OBJECTS=$SERIES/kunit quietly "$log" "$(system_python)" tools/testing/kunit/kunit.py run \
		--kunitconfig=lib/arena --build_dir="$SERIES/kunit" --timeout=3000 || return 1
	say "$(grep -o 'Testing complete.*' "$LOGS/$log.log")"
	grep -E 'lib/arena.*warning:' "$LOGS/$log.log"
	grep -q 'passed: [1-9]' "$LOGS/$log.log"
}

# Builds the documents of the arena, and no others, by the configuration of the kernel's
# documentation, which wants the name of their folder to begin with Documentation. That Graphviz is
# missing does not matter: they have no pictures.
check_sphinx()
{
	local doc docs=$TREE/Documentation.arena

	rm -rf "$docs" "$SERIES/html"
	mkdir -p "$docs"
	printf 'Arenas\n======\n\n.. toctree::\n\n' >"$docs/index.rst"
	for doc in core-api/arena core-api/arena-contract userspace-api/arena; do
		mkdir -p "$docs/${doc%/*}"
		cp "$TREE/Documentation/$doc.rst" "$docs/$doc.rst" || return 1
		echo "   $doc" >>"$docs/index.rst"
	done
	(cd "$TREE/Documentation" && srctree=$TREE BUILDDIR=$SERIES/html quietly series-sphinx \
		/usr/bin/python3 -m sphinx -c . -D version=0 -D release=0 -b html "$docs" \
		"$SERIES/html") || return 1
	grep -iE '(warning|error):' "$LOGS/series-sphinx.log" | grep -v 'dot(1) not found'
	grep -q 'id="c.arena_alloc"' "$SERIES/html/core-api/arena.html"
}

# Builds and installs the programs by the kernel's make, static for a guest that has no libraries.
check_selftests_build()
{
	rm -rf "$INSTALLED"
	quietly series-kselftest make -C "$TREE" O="$SERIES/kselftest" -j"$JOBS" \
		kselftest-install TARGETS=arena FORCE_TARGETS=1 USERLDFLAGS=-static \
		INSTALL_PATH="$INSTALLED" || return 1
	grep -E 'warning:' "$LOGS/series-kselftest.log"
	grep -q '^arena:arena_alloc_test$' "$INSTALLED/kselftest-list.txt"
}

# Runs the installed programs by the kernel's runner, on the kernel of the tree.
check_selftests_run()
{
	mkdir -p "$SERIES/ko"
	cp "$SERIES/x86_64/lib/arena/arena.ko" "$SERIES/ko/" || return 1
	quietly series-kselftest-run "$ROOT/tools/vm.sh" --name series \
		--vmlinuz "$SERIES/x86_64/arch/x86/boot/bzImage" --modules "$SERIES/ko" \
		--file "$INSTALLED:/st" --timeout 3600 \
		-- 'insmod /ko/arena.ko && cd /st && sh run_kselftest.sh' || return 1
	say "$(grep -cE '^ok .* selftests: arena' "$LOGS/series.output") programs passed," \
		"$(grep -cE '^# ok ' "$LOGS/series.output") of their tests"
	grep '^not ok' "$LOGS/series.output"
	grep -qE '^ok .* selftests: arena: arena_alloc_test$' "$LOGS/series.output"
}

check_series()
{
	local patch name

	make_tree
	for patch in $(patches); do
		name=$(basename "$patch" .patch)
		patch -d "$TREE" -p1 -s <"$patch" || die "$name does not apply"
		case $name in
		*MAINTAINERS* | *Documentation* | *selftests*) continue ;;
		esac
		check "$name builds with W=1" check_build um
		[[ $name != *KUnit* ]] || check "the suites up to it" check_kunit first
	done
	check "the suites with the whole series" check_kunit last
	check "Sphinx" check_sphinx
	check "kselftest builds and installs" check_selftests_build
	check "lib/arena builds for x86-64" check_build x86_64 bzImage modules
	check "kselftest runs" check_selftests_run
}

main()
{
	PASSED=0 FAILED=0
	case ${1:-} in
	'' | --style | --check) ;;
	*) die "usage: series.sh [--style|--check]" ;;
	esac
	[ "${1:-}" != --check ] || counts series 0 1 0
	"$ROOT/tools/setup.sh" kernel source series || exit 1
	mkdir -p "$SERIES"
	with_lock series write_series || exit 1
	say "wrote ${#PATCHES[@]} patches and a cover letter to $SERIES"
	[ -n "${1:-}" ] || exit 0
	check "checkpatch.pl --strict" check_style
	if [ "$1" = --check ]; then
		"$ROOT/tools/setup.sh" sphinx programs vm || exit 1
		check_series
		counts series "$PASSED" "$FAILED" 0
	fi
	if [ "$FAILED" -eq 0 ]; then
		say "passed: the series, $PASSED checks"
	else
		say "FAILED: $FAILED checks of the series, $PASSED passed"
	fi
	[ "$FAILED" -eq 0 ]
}

main "$@"; exit
