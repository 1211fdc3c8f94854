#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Converts parts of the kernel to arenas by the semantic patches of selftests/convert. Builds the
# original and the converted module against the headers of stock kernels, runs the same tests with
# both in guests, and compares what they cost. No text of the kernel is in this repository: the
# sources come from Debian's packages.
#
#   convert.sh [NAME...]         default: all folders of selftests/convert
#   convert.sh --build [NAME...] convert and build only; prints what the semantic patches change
#   convert.sh --test [NAME...]  do not measure
#   KERNEL="stock new uml"       only these kernels: the stock kernel of this release, the newest
#                                one, the sanitizer kernel of kunit.sh, in which allocations fail
#   CONVERT_TIMEOUT=1200         seconds until a guest is killed
#
# Writes the tables to build/convert/results. selftests/convert/README.md says how to add a
# conversion.

. "$(dirname "$0")/lib.sh"

CONVERT=$BUILD/convert
SELF=$ROOT/selftests/convert
TIMEOUT=${CONVERT_TIMEOUT:-1200}
KINDS=(original converted)
ONLY=

kernel_name()
{
	case $1 in
	uml) echo "the UML sanitizer kernel" ;;
	*) echo "Linux $(cat "$BUILD/$1/version")" ;;
	esac
}

# Reads selftests/convert/NAME/conf, whose variables the README there explains.
read_conf()
{
	FOLDER='' MODULE='' OBJECTS='' EXTRA='' NO_UML='' GONE='' BEFORE=''
	BESIDE='' PROGRAM=''
	[ -e "$SELF/$1/conf" ] || die "no conversion $1 in selftests/convert"
	# shellcheck disable=SC1090 # the conf of each conversion
	. "$SELF/$1/conf"
}

# Downloads the source of the stock kernel, of which extract() takes what the conversions need.
download_source()
{
	[ ! -e "$CONVERT/source.tar.xz" ] || return 0
	say "fetching linux-source-6.1"
	rm -rf "$CONVERT/part"
	"$ROOT/tools/apt-root.sh" unpack own "$CONVERT/part" linux-source-6.1 ||
		die "cannot download linux-source-6.1"
	mv "$CONVERT"/part/usr/src/linux-source-6.1.tar.xz "$CONVERT/source.tar.xz" || exit 1
	rm -rf "$CONVERT/part"
}

# Extracts files and folders of the stock kernel's source.
extract()
{
	local item missing=() top=linux-source-6.1

	for item in "$@"; do
		[ -e "$CONVERT/source/$item" ] || missing+=("$top/$item")
	done
	[ "${#missing[@]}" -gt 0 ] || return 0
	download_source
	rm -rf "$CONVERT/part"
	mkdir -p "$CONVERT/part" "$CONVERT/source"
	quietly convert-extract tar -xf "$CONVERT/source.tar.xz" -C "$CONVERT/part" \
		--strip-components=1 "${missing[@]}" || die "cannot extract ${missing[*]}"
	cp -a "$CONVERT/part/." "$CONVERT/source/"
	rm -rf "$CONVERT/part"
}

# Sets for a kernel: SOURCE, its source; DIR, where modules are built; KO, the folder of arena.ko;
# MAKE, which for the newest kernel runs in a root directory, and, by paths that it sees there: M,
# the same as DIR; ARENA, above the arena's include folder; SYMBOLS, the arena's exported symbols.
prepare()
{
	local kernel=$1

	"$ROOT/tools/setup.sh" convert || exit 1
	SOURCE=$BUILD/src/newest DIR=$CONVERT/$kernel
	case $kernel in
	stock)
		KO=$("$ROOT/tools/module.sh" stock) || exit 1
		# shellcheck disable=SC2086 # split at blanks
		extract Makefile $FOLDER $EXTRA
		SOURCE=$CONVERT/source
		M=$DIR ARENA=$BUILD/mod-stock
		MAKE=(make -C "$BUILD/stock/headers")
		;;
	new)
		"$ROOT/tools/setup.sh" source || exit 1
		KO=$("$ROOT/tools/module.sh" new) || exit 1
		DIR=$BUILD/new/root/convert M=/convert ARENA=/arena
		MAKE=(in_root "$BUILD/new/root" make -C /headers)
		;;
	uml)
		# What a converted overlayfs needs of the kernel.
		export KUNIT_CONFIG="CONFIG_TMPFS_XATTR=y CONFIG_OVERLAY_FS=m"
		"$ROOT/tools/kunit.sh" --build || exit 1
		KO='' M=$DIR ARENA=$ROOT
		MAKE=(make -C "$SOURCE" ARCH=um O="$BUILD/uml")
		;;
	*) die "unknown kernel $kernel" ;;
	esac
	SYMBOLS=$([ "$kernel" = uml ] || echo "$ARENA/Module.symvers")
	[ "$kernel" = uml ] || check_version "$kernel"
}

# Prints the version that a Makefile of the kernel states, such as 6.1.150.
makefile_version()
{
	awk '$2 == "=" && /^(VERSION|PATCHLEVEL|SUBLEVEL) / { printf "%s%s", dot, $3; dot = "." }' \
		"$1/Makefile"
}

# The headers have another version than the source if one of them was downloaded at another time.
check_version()
{
	local headers

	headers=$(find "$BUILD/$1" -maxdepth 4 -path '*/usr/src/linux-headers-*-common')
	headers=$(makefile_version "$headers")
	[ "$(makefile_version "$SOURCE")" = "$headers" ] ||
		say "note: the source is Linux $(makefile_version "$SOURCE")," \
			"the headers are those of Linux $headers"
}

# Copies the files of a conversion to a folder, where they lie as in the kernel, and adds a Kbuild.
# Without OBJECTS, the module has all C files of the folder.
copy_source()
{
	local to=$1 item objects=$OBJECTS

	for item in $FOLDER $EXTRA; do
		mkdir -p "$to/$(dirname "$item")"
		cp -r "$SOURCE/$item" "$to/$item" || return 1
	done
	find "$to" '(' -name Kbuild -o -name Makefile -o -name '*.[oa]' -o -name '.*' ')' -type f \
		-exec rm {} +
	[ -n "$objects" ] || objects=$(cd "$to" && find . -name '*.c' -printf '%P\n' | sort | tr '\n' ' ')
	cat >"$to/Kbuild" <<-END
	# Headers of the kernel that are converted come before those of the package.
	LINUXINCLUDE := -I\$(src)/include \$(LINUXINCLUDE)
	ccflags-y += -I$ARENA/include
	obj-m := $MODULE.o
	$MODULE-y := ${objects//.c/.o}
	END
}

apply_patch()
{
	spatch --sp-file "$SELF/$1/convert.cocci" --include-headers --no-includes --in-place \
		--dir "$2"
}

# Prints lines that the semantic patch had to remove or change.
left_over()
{
	[ -n "$GONE" ] && grep -rnE "$GONE" "$1" --include='*.[ch]'
}

# Makes the original and the converted source of a module.
convert()
{
	local name=$1 dir=$DIR/$1 part=$DIR/$1/part

	rm -rf "$part"
	mkdir -p "$part"
	{ copy_source "$part" && mirror "$part" "$dir/original"; } || die "cannot copy $FOLDER"
	quietly "convert-$name" apply_patch "$name" "$part" ||
		die "the semantic patch of $name does not apply"
	! left_over "$part" >&2 || die "the semantic patch of $name left the lines above"
	mirror "$part" "$dir/converted" && rm -rf "$part"
	diff -ru -x Kbuild -x '*.o' -x '*.ko' -x '*.mod*' -x '.*' -x '*.symvers' -x modules.order \
		"$dir/original" "$dir/converted" >"$dir/diff"
	[ -s "$dir/diff" ] || die "the semantic patch of $name changes nothing"
}

# Counts the lines of a diff that begin with a sign, + or -.
lines()
{
	grep -c "^[$1]" "$2" | awk -v heads="$(grep -c '^diff ' "$2")" '{ print $1 - heads }'
}

# Builds both modules of a conversion to DIR/NAME/ko.
build()
{
	local kernel=$1 name=$2 kind dir=$DIR/$2

	mkdir -p "$dir/ko"
	for kind in "${KINDS[@]}"; do
		# Kbuild reads the versions of the arena's symbols again.
		rm -f "$dir/$kind/Module.symvers"
		quietly "convert-$kernel-$name-$kind" "${MAKE[@]}" -j"$JOBS" \
			M="$M/$name/$kind" KBUILD_EXTRA_SYMBOLS="$SYMBOLS" modules ||
			die "the $kind $MODULE does not build"
		cp "$dir/$kind/$MODULE.ko" "$dir/ko/$kind.ko" || exit 1
	done
	! grep 'warning:' "$LOGS/convert-$kernel-$name-converted.log" >&2 ||
		die "the compiler warned, see above"
	if [ "$kernel" != uml ]; then
		cp "$KO/arena.ko" "$dir/ko/" || exit 1
		build_fail "$dir/ko"
	fi
	[ -z "$BEFORE$BESIDE" ] || stock_modules "$kernel" "$dir/ko"
	[ -z "$PROGRAM" ] || copy_program "$name"
}

# Builds the module that makes allocations fail on kernels without fault injection.
build_fail()
{
	mirror "$SELF/fail" "$DIR/fail" || die "cannot copy $SELF/fail"
	quietly convert-fail "${MAKE[@]}" M="$M/fail" modules ||
		die "arena_fail_nth does not build"
	cp "$DIR/fail/arena_fail_nth.ko" "$1/"
}

# Copies a program of a package, its libraries and their loader: the guest has no others.
copy_program()
{
	local root=$CONVERT/$1-root to=$CONVERT/$1-programs

	[ ! -e "$to" ] || return 0
	rm -rf "$root" "$to.part"
	mkdir -p "$to.part"
	"$ROOT/tools/apt-root.sh" closure own "$root" "${PROGRAM%%:*}" ||
		die "cannot download ${PROGRAM%%:*}"
	find "$root/" '(' -name gconv -o -name lib64 ')' -prune -o -name '*.so.[0-9]*' \
		-exec cp -L -t "$to.part" {} +
	cp "$root/${PROGRAM#*:}" "$to.part/" || die "cannot copy ${PROGRAM#*:}"
	mv "$to.part" "$to"
	rm -rf "$root"
}

# Copies the modules of BEFORE and BESIDE from the package of a stock kernel. Where one is missing,
# it is built in, or the converted module does not load.
stock_modules()
{
	local kernel=$1 to=$2 name file all=$CONVERT/modules-$1 version

	version=$(cat "$BUILD/$kernel/version")
	if [ ! -e "$all" ]; then
		rm -rf "$all.part"
		case $kernel in
		stock) "$ROOT/tools/apt-root.sh" unpack own "$all.part" "linux-image-$version" ;;
		*) "$ROOT/tools/apt-root.sh" unpack trixie-backports "$all.part" \
			"linux-modules-$version" ;;
		esac || die "cannot download the modules of $version"
		mv "$all.part" "$all"
	fi
	for name in $BEFORE $BESIDE; do
		file=$(find "$all" -name "$name.ko*" | head -n 1)
		case $file in
		'') say "$name is not a module of $version" ;;
		*.xz) xz -dc "$file" >"$to/$name.ko" ;;
		*) cp "$file" "$to/$name.ko" ;;
		esac
	done
}

# Builds what all guests get: the programs, and a folder for each conversion.
build_guest()
{
	local guest=$CONVERT/guest file

	rm -rf "$guest"
	mkdir -p "$guest"
	for file in "$SELF"/*.c; do
		gcc -O2 -static -Wall -Wextra -Werror -Wno-unused-parameter -D_FILE_OFFSET_BITS=64 \
			-o "$guest/$(basename "$file" .c)" "$file" ||
			die "$(basename "$file") does not compile"
	done
	cp -r "$SELF"/*/ "$SELF/guest.sh" "$ROOT/selftests/arena_tap.sh" "$guest/"
}

# Prints the commands for the guest: they run a script of a conversion with each of its modules.
#   guest_script NAME SCRIPT
guest_script()
{
	cat <<-END
	export PATH=/convert:\$PATH
	cd /convert/$1
	[ ! -e /ko/arena.ko ] || insmod /ko/arena.ko || exit 1
	for ko in $BEFORE; do [ ! -e /ko/\$ko.ko ] || insmod /ko/\$ko.ko || exit 1; done
	for kind in ${KINDS[*]}; do
		echo "# program: \$kind"
		insmod /ko/\$kind.ko || { echo "Bail out! \$kind: insmod failed"; exit 1; }
		sh ./$2 \$kind
		echo "# ended: \$kind \$?"
		! grep -q '^$MODULE ' /proc/modules || rmmod $MODULE ||
			{ echo "Bail out! \$kind: rmmod failed"; exit 1; }
	done
	END
}

# Runs a script of a conversion in a guest.
#   run_guest KERNEL NAME SCRIPT VM-ARGS...
run_guest()
{
	local kernel=$1 name=$2 script=$3 files=()

	shift 3
	[ ! -e "$CONVERT/$name-programs" ] || files=(--file "$CONVERT/$name-programs:/programs")
	"$ROOT/tools/vm.sh" --kernel "$kernel" --modules "$DIR/$name/ko" --timeout "$TIMEOUT" \
		--file "$CONVERT/guest:/convert" ${files[@]+"${files[@]}"} \
		--name "convert-$kernel-$name-${script%.sh}" "$@" \
		-- "${WAIT:-}$(guest_script "$name" "$script")"
}

# Prints the lines by which the two modules must be alike, of one of them.
#   same_lines OUTPUT KIND
same_lines()
{
	sed -n "/^# program: $2/,/^# ended: $2/s/^# same: //p" "$1"
}

run_tests()
{
	local kernel=$1 name=$2 out=$LOGS/convert-$1-$2-test.output rc=0 pass fail skip

	say "testing $name on $(kernel_name "$kernel")"
	run_guest "$kernel" "$name" test.sh || rc=1
	read -r pass fail skip < <(tally "$out")
	if ! diff <(same_lines "$out" original) <(same_lines "$out" converted) >&2; then
		say "the outputs of the two modules differ, see above"
		fail=$((fail + 1))
	fi
	[ "$rc" -eq 0 ] || [ "$fail" -gt 0 ] || fail=1
	PASSED=$((PASSED + pass)) FAILED=$((FAILED + fail)) SKIPPED=$((SKIPPED + skip))
}

# Measures both modules on a guest where an instruction takes a nanosecond. Waits until the boot is
# over, or some of its work would be counted, too.
measure()
{
	local kernel=$1 name=$2 out=$LOGS/convert-$1-$2-measure.output WAIT=$'sleep 20\n'

	say "measuring $name on $(kernel_name "$kernel")"
	run_guest "$kernel" "$name" measure.sh --icount >/dev/null ||
		{ FAILED=$((FAILED + 1)) && return 1; }
	table "$kernel" "$name" "$out" >"$CONVERT/$kernel-$name.md"
}

# Prints a table in Markdown, from lines of a name and a number that both modules have printed.
table()
{
	local kernel=$1 name=$2 diff=$DIR/$2/diff

	echo "$name, $(kernel_name "$kernel"); lines removed: $(lines - "$diff")," \
		"added: $(lines + "$diff")"
	echo
	awk '
	function grouped(n) {
		for (n = sprintf("%d", n); match(n, /[0-9][0-9][0-9][0-9](,|$)/);)
			n = substr(n, 1, RSTART) "," substr(n, RSTART + 1)
		return n
	}
	/^# program: / { kind = $3 }
	/^# ended: / { kind = "" }
	kind != "" && !/^#/ && NF > 1 && $NF ~ /^[0-9]+$/ {
		key = $1
		for (i = 2; i < NF; i++) key = key " " $i
		if (!(key in seen)) { seen[key]; keys[++nr] = key }
		value[kind, key] = $NF
	}
	END {
		print "| | original | converted | change |"
		print "|---|--:|--:|--:|"
		for (i = 1; i <= nr; i++) {
			a = value["original", keys[i]]; b = value["converted", keys[i]]
			printf "| %s | %s | %s | %s |\n", keys[i], grouped(a), grouped(b),
				a ? sprintf("%+.1f %%", 100 * (b - a) / a) : ""
		}
		exit !nr
	}' "$3"
}

run_kernel()
{
	local kernel=$1 name

	shift
	for name in "$@"; do
		read_conf "$name"
		[ "$kernel" != uml ] || [ -z "$NO_UML" ] || continue
		prepare "$kernel"
		convert "$name"
		with_lock "convert-$kernel" build "$kernel" "$name" || exit 1
		if [ "$ONLY" = build ]; then
			cat "$DIR/$name/diff"
			continue
		fi
		run_tests "$kernel" "$name"
		[ "$kernel" = uml ] || [ "$ONLY" = test ] || measure "$kernel" "$name"
	done
}

report()
{
	local kernel name

	for name in "$@"; do
		for kernel in new stock; do
			[ ! -e "$CONVERT/$kernel-$name.md" ] || cat "$CONVERT/$kernel-$name.md" - <<<''
		done
	done >"$CONVERT/results"
	cat "$CONVERT/results"
	counts convert "$PASSED" "$FAILED" "$SKIPPED"
	if [ "$FAILED" -gt 0 ]; then
		say "FAILED: $FAILED of the tests of converted modules, $PASSED passed"
		return 1
	fi
	say "passed: converted modules behave as the original ones, $PASSED tests," \
		"$SKIPPED skipped; tables in $CONVERT/results"
}

main()
{
	local kernel

	PASSED=0 FAILED=0 SKIPPED=0
	case ${1:-} in
	--build | --test) ONLY=${1#--} && shift ;;
	esac
	[ $# -gt 0 ] || mapfile -t NAMES < <(cd "$SELF" && printf '%s\n' */conf | cut -d/ -f1)
	[ $# -eq 0 ] || NAMES=("$@")
	[ "$ONLY" = build ] || counts convert 0 1 0
	mkdir -p "$CONVERT"
	build_guest
	for kernel in ${KERNEL:-stock new uml}; do
		run_kernel "$kernel" "${NAMES[@]}"
	done
	[ "$ONLY" = build ] || report "${NAMES[@]}"
}

main "$@"; exit
