#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Prepares a Debian 12 machine for the other scripts. Installs packages that are missing, by apt.
# Extracts kernels, headers and sources below build/, and does not install them.
#
#   setup.sh GROUP...
#     module    compiler and make
#     kernel    packages to build a kernel and to run kunit.py
#     programs  packages to link static test programs, of 64 and of 32 bits
#     vm        QEMU, busybox, cpio
#     static    sparse, shellcheck, mandoc
#     bench     gnuplot
#     fuzz      clang and its sanitizers
#     clang     a newer clang, which can compile the newest kernel source
#     lib       packages to build and check programs that use libarena
#     checkers  valgrind, with its headers; AddressSanitizer comes with gcc
#     bench-lib the allocators that libarena is compared with; the libraries of the programs that
#               compare them, and the documents that these programs read
#     convert   Coccinelle
#     bench-consumer  documents for the module that parses JSON
#     series    git
#     sphinx    Sphinx, and what kselftest needs to install its programs
#     deb       packages to build and check Debian packages
#     deb-test  mmdebstrap, which makes a root directory to install packages in
#     source    build/src/newest: the newest kernel source in Debian's backports
#     stock, stock-rt, backport, arm64
#               build/NAME: one of KERNEL_TABLE (lib.sh) and its headers
#     new       build/new: the newest kernel in Debian's backports, its headers, and a root
#               directory to build modules in
#     qemu      build/qemu: a newer QEMU than the machine's
#     arm64-cc  cross compilers, and QEMU for arm64

. "$(dirname "$0")/lib.sh"

SRC=$BUILD/src

# Takes arguments of the form PACKAGE:FILE, and prints each PACKAGE whose FILE is missing. FILE may
# come from anywhere, not only from the package.
missing_packages()
{
	local pair

	for pair in "$@"; do
		has "${pair#*:}" || echo "${pair%%:*}"
	done
}

has()
{
	case $1 in
	/*) compgen -G "$1" >/dev/null ;;
	*) PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null ;;
	esac
}

packages()
{
	[ -z "$(missing_packages "$@")" ] || with_lock packages install_missing "$@" ||
		exit 1
}

install_missing()
{
	local wanted

	mapfile -t wanted < <(missing_packages "$@")
	[ "${#wanted[@]}" -gt 0 ] || return 0
	command -v apt-get >/dev/null ||
		die "not a Debian system; please install: ${wanted[*]}"
	[ "$(id -u)" -eq 0 ] ||
		die "not root; please run: sudo apt-get install ${wanted[*]}"
	say "installing by apt: ${wanted[*]}"
	apt_install "${wanted[@]}"
}

# Installs packages; if that fails, fetches the package lists and tries again, because a new machine
# may have no lists, or lists older than the mirror.
apt_install()
{
	local wait=(-oDPkg::Lock::Timeout=600)

	export DEBIAN_FRONTEND=noninteractive
	quietly apt-install apt-get "${wait[@]}" install -y --no-install-recommends "$@" \
		2>/dev/null && return 0
	quietly apt-update apt-get "${wait[@]}" update ||
		say "apt-get update met errors, trying to go on"
	quietly apt-install apt-get "${wait[@]}" install -y --no-install-recommends "$@"
}

# This group has the package perl, because with W=1 Kbuild runs a script that needs more modules of
# Perl than Debian's perl-base has.
group_module()
{
	packages perl:/usr/share/perl/5*/Pod/Usage.pm gcc:gcc make:make \
		libc6-dev:/usr/include/stdio.h \
		xz-utils:xz kmod:modinfo
}

group_kernel()
{
	group_module
	packages flex:flex bison:bison bc:bc python3:/usr/bin/python3 \
		libelf-dev:/usr/include/libelf.h patch:patch \
		libssl-dev:/usr/include/openssl/ssl.h
}

# Installs the multilib package of gcc's version, because the package gcc-multilib conflicts with
# cross compilers.
group_programs()
{
	local major

	group_module
	[ "$(uname -m)" = x86_64 ] || return 0
	major=$(gcc -dumpversion)
	major=${major%%.*}
	packages "gcc-$major-multilib:/usr/lib/gcc/x86_64-linux-gnu/$major/32/libgcc.a" \
		libc6-dev-i386:/usr/lib32/libc.a
}

group_vm()
{
	packages qemu-system-x86:qemu-system-x86_64 \
		busybox-static:busybox cpio:cpio
}

group_static()
{
	packages sparse:sparse shellcheck:shellcheck mandoc:mandoc \
		python3:/usr/bin/python3
}

group_fuzz()
{
	group_module
	packages clang-14:clang-14 \
		libclang-rt-14-dev:/usr/lib/llvm-14/lib/clang/14*/lib/linux/libclang_rt.fuzzer-x86_64.a
}

group_clang()
{
	packages clang-19:clang-19 lld-19:ld.lld-19 llvm-19:llvm-ar-19
}

group_arm64-cc()
{
	group_vm
	packages gcc-aarch64-linux-gnu:aarch64-linux-gnu-gcc-12 qemu-system-arm:qemu-system-aarch64 \
		libc6-dev-arm64-cross:/usr/aarch64-linux-gnu/lib/libc.a \
		gcc-arm-linux-gnueabihf:arm-linux-gnueabihf-gcc \
		libc6-dev-armhf-cross:/usr/arm-linux-gnueabihf/lib/libc.a
}

group_bench()
{
	packages python3:/usr/bin/python3 gnuplot-nox:gnuplot
}

group_lib()
{
	group_module
	packages pkg-config:pkg-config g++:g++ mandoc:mandoc binutils:readelf \
		musl-tools:musl-gcc python3:/usr/bin/python3
}

group_checkers()
{
	packages valgrind:/usr/include/valgrind/memcheck.h
}

group_bench-lib()
{
	group_vm
	group_checkers
	packages libmimalloc2.0:/usr/lib/*/libmimalloc.so.2 \
		libjemalloc2:/usr/lib/*/libjemalloc.so.2 \
		g++:g++ pkg-config:pkg-config libtalloc-dev:/usr/include/talloc.h \
		libapr1-dev:/usr/include/apr-1.0/apr_pools.h \
		libboost-dev:/usr/include/boost/interprocess/managed_shared_memory.hpp \
		libcjson-dev:/usr/include/cjson/cJSON.h libxml2-dev:/usr/include/libxml2/libxml/tree.h \
		liblua5.4-dev:/usr/include/lua5.4/lua.h lua-dkjson:/usr/share/lua/5.4/dkjson.lua \
		iso-codes:/usr/share/iso-codes/json/iso_639-3.json \
		shared-mime-info:/usr/share/mime/packages/freedesktop.org.xml
}

group_convert()
{
	group_module
	packages coccinelle:spatch
}

group_bench-consumer()
{
	group_module
	group_vm
	packages iso-codes:/usr/share/iso-codes/json/iso_639-3.json
}

group_series()
{
	packages git:git
}

group_sphinx()
{
	packages python3-sphinx:/usr/bin/sphinx-build python3-yaml:/usr/lib/python3/dist-packages/yaml \
		rsync:rsync
}

group_deb()
{
	packages debhelper:dh dh-dkms:dh_dkms dpkg-dev:dpkg-buildpackage lintian:lintian
}

group_deb-test()
{
	packages mmdebstrap:mmdebstrap
}

# The suite of Debian that has the newest kernels for users of a stable release.
NEWEST_SUITE=trixie-backports

newest_name()
{
	"$ROOT/tools/apt-root.sh" list "$NEWEST_SUITE" \
		'linux-source-[0-9]+\.[0-9]+' 2>/dev/null | tail -n 1
}

# Extracts the newest kernel source, if there is none yet. A source stays until "make distclean": a
# newer one would make the scripts build everything anew at a moment that the user has not chosen.
group_source()
{
	[ -e "$SRC/newest/Makefile" ] || with_lock source extract_source
}

extract_source()
{
	local name suite=$NEWEST_SUITE

	[ ! -e "$SRC/newest/Makefile" ] || return 0
	name=$(newest_name)
	if [ -z "$name" ]; then
		say "$NEWEST_SUITE cannot be reached: falling back to" \
			"linux-source-6.1 (one CPU, fewer checks)"
		name=linux-source-6.1 suite=own
	fi
	say "fetching $name from $suite"
	rm -rf "${SRC:?}/$name" "$SRC/part"
	mkdir -p "$SRC/part/tree"
	"$ROOT/tools/apt-root.sh" unpack "$suite" "$SRC/part" "$name" ||
		die "cannot download $name"
	quietly "extract-$name" tar -xf "$SRC/part/usr/src/$name.tar.xz" \
		-C "$SRC/part/tree" --strip-components=1 ||
		die "cannot extract $name"
	mv "$SRC/part/tree" "$SRC/$name"
	rm -rf "$SRC/part"
	ln -sfn "$name" "$SRC/newest"
}

# Prints the names of packages of SUITE on which a package depends and that match a pattern.
#   depends_on PACKAGE REGEX
depends_on()
{
	"$ROOT/tools/apt-root.sh" depends "$SUITE" "$1" | grep -xE "$2" | sort -u
}

# Prints the packages to extract for the kernel of version VER. The programs of linux-kbuild run on
# this machine.
kernel_packages()
{
	local package

	for package in "linux-image-$1" "linux-headers-$1"; do
		echo "$package"
		depends_on "$package" 'linux-headers-[0-9].*'
		depends_on "$package" 'linux-kbuild-[0-9].*' | sed 's/$/:amd64/'
	done | sort -u
	[ "$ARCH" = amd64 ] || echo busybox-static
}

group_of_kernel()
{
	[ -e "$BUILD/$1/headers/Makefile" ] || with_lock "$1" extract_kernel "$1" || return 1
	# In other suites, the headers contain what pahole needs to add BTF to the module.
	[ "$SUITE" = own ] || packages pahole:pahole
}

# Extracts one of KERNEL_TABLE, of which other scripts use vmlinuz, headers and version in
# build/NAME. Of the kernel's modules it keeps only fuse.ko, for a test with a file system that does
# not answer; some kernels have that built in.
extract_kernel()
{
	local name=$1 dir=$BUILD/$1 part=$BUILD/$1.part ver packages

	[ ! -e "$dir/headers/Makefile" ] || return 0
	export APT_ARCH=$ARCH
	ver=$(depends_on "linux-image-$FLAVOUR" "linux-image-[0-9].*-$FLAVOUR" |
		sort -V | tail -n 1)
	ver=${ver#linux-image-}
	[ -n "$ver" ] || die "$SUITE has no kernel $FLAVOUR, or cannot be reached"
	say "fetching Linux $ver and its headers"
	mapfile -t packages < <(kernel_packages "$ver")
	rm -rf "$part" "$dir"
	mkdir -p "$part"
	"$ROOT/tools/apt-root.sh" unpack "$SUITE" "$part" "${packages[@]}" ||
		die "cannot download Linux $ver"
	# The makefiles of the headers have absolute paths: change them to paths below build/.
	find "$part/usr/src" -maxdepth 2 -name Makefile -type f -exec \
		sed -i "s,/usr/src/,$dir/usr/src/,g" {} +
	find "$part" -mindepth 2 -type f \( -name 'vmlinuz*' -o -name 'fuse.ko*' \) \
		-exec mv {} "$part" \;
	mv "$part"/vmlinuz?* "$part/vmlinuz" 2>/dev/null
	[ -e "$part/vmlinuz" ] || die "no kernel image in ${packages[*]}"
	[ ! -e "$part/fuse.ko.xz" ] || xz -d "$part/fuse.ko.xz"
	rm -rf "${part:?}/usr/share" "$part"/{usr/,}lib/modules/*/kernel
	ln -sfn "usr/src/linux-headers-$ver" "$part/headers"
	echo "$ver" >"$part/version"
	mv "$part" "$dir"
}

# A QEMU that runs Linux 6.12, which QEMU 7.2 crashes in half of the boots.
group_qemu()
{
	group_vm
	[ -e "$BUILD/qemu" ] || with_lock qemu extract_qemu
}

extract_qemu()
{
	[ ! -e "$BUILD/qemu" ] || return 0
	say "fetching a newer QEMU (150 MB)"
	rm -rf "$BUILD/qemu.part"
	"$ROOT/tools/apt-root.sh" closure trixie "$BUILD/qemu.part" qemu-system-x86 ||
		die "cannot download QEMU of trixie"
	mv "$BUILD/qemu.part" "$BUILD/qemu"
}

group_new()
{
	[ -e "$BUILD/new/vmlinuz" ] || with_lock new extract_new
}

# The programs that run when a module is built against the newest headers. They are extracted, too,
# because they need a newer C library than the machine has.
NEW_TOOLS=(gcc-14 make pahole kmod coreutils dash bash sed grep mawk findutils
	diffutils perl-base xz-utils libc-bin)

extract_new()
{
	local ver part=$BUILD/new.part

	[ ! -e "$BUILD/new/vmlinuz" ] || return 0
	ver=$("$ROOT/tools/apt-root.sh" list "$NEWEST_SUITE" \
		'linux-binary-[0-9].*-cloud-amd64' | tail -n 1)
	ver=${ver#linux-binary-}
	[ -n "$ver" ] || die "$NEWEST_SUITE cannot be reached"
	say "fetching the stock kernel $ver, headers and compiler (300 MB)"
	rm -rf "$part" "$BUILD/new"
	mkdir -p "$part"
	"$ROOT/tools/apt-root.sh" unpack "$NEWEST_SUITE" "$part/kernel" \
		"linux-binary-$ver" || die "cannot download the kernel $ver"
	"$ROOT/tools/apt-root.sh" closure "$NEWEST_SUITE" "$part/root" \
		"linux-headers-$ver" "${NEW_TOOLS[@]}" ||
		die "cannot download the headers of $ver"
	mv "$part"/kernel/usr/lib/modules/*/vmlinuz "$part/vmlinuz" ||
		die "no kernel image in linux-binary-$ver"
	rm -rf "$part/kernel"
	ln -sfn "usr/src/linux-headers-$ver" "$part/root/headers"
	finish_root "$part/root"
	echo "$ver" >"$part/version"
	mv "$part" "$BUILD/new"
}

# Makes the links and the device node in a root directory that maintainer scripts would have made.
finish_root()
{
	local root=$1

	[ -e "$root/usr/bin/sh" ] || ln -s dash "$root/usr/bin/sh"
	[ -e "$root/usr/bin/awk" ] || ln -s mawk "$root/usr/bin/awk"
	mkdir -p "$root/dev" "$root/tmp" "$root/proc" "$root/arena"
	[ -e "$root/dev/null" ] || mknod -m 666 "$root/dev/null" c 1 3 ||
		die "the newest stock kernel needs root (a root directory to build in)"
}

main()
{
	local group

	[ $# -gt 0 ] || set -- kernel vm static source stock
	for group in "$@"; do
		if kernel_facts "$group"; then
			group_of_kernel "$group" || exit 1
			continue
		fi
		declare -F "group_$group" >/dev/null ||
			die "unknown group $group"
		"group_$group" || exit 1
	done
}

main "$@"; exit
