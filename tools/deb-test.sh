#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Tests the packages of deb.sh with the apt and the dkms of Debian 12, in a root directory that is
# made of Debian's packages: installs them, lets dkms build the module for two kernels, builds a
# module and a program of an outside author, upgrades, removes and purges the packages. Then boots a
# guest, which loads what dkms has built, runs the programs, and is upgraded while an arena is open.
# Prints TAP.
#
#   deb-test.sh          (as root)
#
# The outside author's module is selftests/consumer with the dkms.conf that tools/README.md shows,
# and the program is the example in README.md.

. "$(dirname "$0")/lib.sh"

BASE=$BUILD/deb-root
AUTHOR=acme-json
KO=arena_consumer
# What the guest checks, by the words that guest_commands() prints.
GUEST=("modprobe loads the arena before the module that uses it"
	"arenactl shows the arena of that module"
	"the programs allocate"
	"an arena that is open keeps the loaded module through an upgrade"
	"the previous module serves programs until it is unloaded"
	"without an open arena the new module takes its place"
	"the outside author's module of before loads with the new module")

# Runs a command in the test's root directory.
chrooted()
{
	in_root "$DIR/root" DEBIAN_FRONTEND=noninteractive "$@"
}

# Prints the code name of the machine's Debian release, such as bookworm.
codename()
{
	sed -n 's/^VERSION_CODENAME=//p' /etc/os-release
}

# Prints the newest kernel of this release's backports or, if they have none, the newest kernel of
# this release that is not the first one.
second_kernel()
{
	local suite

	for suite in own "$(codename)-backports"; do
		"$ROOT/tools/apt-root.sh" list "$suite" 'linux-headers-[0-9].*[0-9]-cloud-amd64'
	done | sed 's/^linux-headers-//' | grep -vx "$FIRST" | sort -V | tail -n 1
}

# Makes the root directory: Debian's minimal system, dkms, a compiler, and the headers of the first
# kernel. The packages of the second kernel and its headers are in the folder /second, and are not
# installed; what these depend on is.
make_base()
{
	local sources=$BUILD/deb-root.list second

	[ "$(head -n 1 "$BASE/kernels" 2>/dev/null)" != "$FIRST" ] || return 0
	second=$(second_kernel)
	[ -n "$second" ] || die "there is no second kernel in this machine's apt sources"
	say "making a root directory with dkms and headers of $FIRST, $second (200 MB)"
	cat "$BUILD"/apt/{own,"$(codename)"-backports}/sources.list | sort -u >"$sources"
	rm -rf "$BASE" "$BASE.part"
	# shellcheck disable=SC2016 # expanded by the hook's shell
	quietly deb-root mmdebstrap --mode=root --variant=apt \
		--include="dkms,linux-headers-$FIRST,libc6-dev,pkg-config,initramfs-tools,udev" \
		--customize-hook='chroot "$1" apt-get clean' \
		--customize-hook='chroot "$1" apt-get -y -d --no-install-recommends \
			install linux-headers-'"$second" \
		--customize-hook='mkdir "$1/second" &&
			mv "$1"/var/cache/apt/archives/*.deb "$1/second/"' \
		"$(codename)" "$BASE.part" "$sources" ||
		die "cannot make the root directory"
	printf '%s\n' "$FIRST" "$second" >"$BASE.part/kernels"
	mv "$BASE.part" "$BASE"
}

# Makes a copy of the sources with another version, and builds its packages, in DIR/build/deb.
#   build_copy DIR VERSION
build_copy()
{
	local items=(Kbuild Makefile README.md dkms.conf include kunit module selftests tools)

	(cd "$1" 2>/dev/null && rm -rf "${items[@]}")
	mkdir -p "$1" && (cd "$ROOT" && cp -r "${items[@]}" "$1/") &&
		sed -i "s/\"$VERSION\"/\"$2\"/" "$1/dkms.conf" "$1/module/main.c" &&
		ARENA_BUILD=$1/build SOURCE_DATE_EPOCH=$DATE "$1/tools/deb.sh"
}

# Prints a line of TAP that says whether a command succeeds. If it fails, its output follows.
#   check NAME COMMAND...
check()
{
	local name=$1

	shift
	NR=$((NR + 1))
	if quietly "deb-test-$NR" "$@"; then
		echo "ok $NR $name"
		PASSED=$((PASSED + 1))
	else
		echo "not ok $NR $name"
	fi
}

same_packages()
{
	local deb

	rm -rf "$BUILD/deb-again/build/deb"
	(umask 077 && build_copy "$BUILD/deb-again" "$VERSION") || return 1
	for deb in "$BUILD"/deb/*_"${VERSION}"_*.deb; do
		cmp "$deb" "$BUILD/deb-again/build/deb/${deb##*/}" || return 1
	done
}

# Prints the files of the root directory that packages write, with checksums of those in /etc.
# Leaves out the databases and caches of apt, dpkg and the loader, backups of the user database, the
# indices of depmod, and the key by which dkms signs all modules.
snapshot()
{
	(
		cd "$DIR/root" && find etc usr boot opt var home root srv \
			'(' -path var/cache -o -path var/lib/apt -o -path var/lib/dpkg \
			-o -path var/log ')' -prune -o -printf '%p %y %m %l\n' |
			grep -vE '^(etc/[a-z]*- |etc/ld.so.cache |var/lib/dkms/mok\.)' |
			grep -vE '^usr/lib/modules/[^/]*/modules\.'
		find etc -type f ! -name '*-' ! -name ld.so.cache -exec sha256sum {} +
	) | sort
}

# Installs the packages of a folder by apt, all at once.
#   apt_install FOLDER
apt_install()
{
	cp "$1"/*.deb "$DIR/root/debs/" && chrooted sh -c 'apt-get -y --no-install-recommends \
		-oDPkg::Use-Pty=0 install /debs/*.deb && rm /debs/*.deb'
}

# Succeeds if dkms has installed a package's module for a kernel, and nothing is wrong with it.
#   installed PACKAGE VERSION KERNEL MODULE
installed()
{
	chrooted dkms status "$1/$2" -k "$3" | grep ': installed$' &&
		chrooted modinfo -k "$3" -n "$4" | grep /updates/dkms/ &&
		chrooted modinfo -k "$3" -F vermagic "$4" | grep "^$3 "
}

# Succeeds if the programs, the library and the module of a version are installed, and no other.
#   all_installed VERSION KERNEL...
all_installed()
{
	local version=$1 kernel

	shift
	for kernel in "$@"; do
		installed arena "$version" "$kernel" arena &&
			[ "$(chrooted modinfo -k "$kernel" -F version arena)" = "$version" ] ||
			return 1
	done
	[ "$(chrooted dkms status arena | grep -c .)" -eq $# ] &&
		[ "$(chrooted arenactl --version | grep -oE '[0-9][0-9.]+')" = "$version" ] &&
		[ "$(chrooted pkg-config --modversion libarena)" = "$version" ] &&
		grep '^arena:' "$DIR/root/etc/group" &&
		[ -e "$DIR/root/lib/udev/rules.d/60-arena.rules" ] &&
		[ -e "$DIR/root/usr/share/man/man8/arenactl.8.gz" ]
}

keeps_symbols()
{
	local kept

	for kept in "$DIR"/root/var/lib/dkms/arena/kernel-*; do
		grep arena_create "$kept/Module.symvers" || return 1
	done
	chrooted sh -c 'cat /var/lib/dkms/arena/kernel-*/include/linux/arena.h' | grep arena_create
}

# Prints the dkms.conf in tools/README.md.
dkms_conf()
{
	# shellcheck disable=SC2016 # the quotes are those of the README
	sed -n '/^```sh dkms.conf$/,/^```$/{//!p}' "$ROOT/tools/README.md"
}

# Installs the module of the outside author: sources below /usr/src, the rest by dkms.
install_author()
{
	local src=$DIR/root/usr/src/$AUTHOR-1.0

	mkdir "$src" && cp "$ROOT"/selftests/consumer/* "$src/" && dkms_conf >"$src/dkms.conf" &&
		chrooted dkms install "$AUTHOR/1.0" -k "$FIRST" && author_installed "$FIRST"
}

# Succeeds if dkms has installed the author's module for each of the kernels, and modprobe will load
# the arena before it.
#   author_installed KERNEL...
author_installed()
{
	local kernel

	for kernel in "$@"; do
		installed "$AUTHOR" 1.0 "$kernel" "$KO" &&
			chrooted modprobe -S "$kernel" -D "$KO" | head -n 1 | grep dkms/arena.ko ||
			return 1
	done
}

second_kernel_comes()
{
	chrooted sh -c 'apt-get -y --no-install-recommends install /second/*.deb' &&
		all_installed "$VERSION" "$FIRST" "$SECOND" && author_installed "$FIRST" "$SECOND"
}

# Succeeds if dkms refuses an older kernel by the exit status that says that the package is not
# meant for it.
old_kernel()
{
	local rc=0

	chrooted dkms build "arena/$VERSION" -k 5.10.0-1-amd64 || rc=$?
	[ "$rc" -eq 77 ]
}

by_hand()
{
	chrooted dkms remove "arena/$VERSION" --all &&
		[ -z "$(chrooted dkms status arena)" ] &&
		! chrooted modinfo -k "$FIRST" arena && ! chrooted modinfo -k "$SECOND" arena &&
		chrooted dkms add "arena/$VERSION" &&
		chrooted dkms status "arena/$VERSION" | grep ': added$' &&
		chrooted dkms build "arena/$VERSION" -k "$FIRST" &&
		chrooted dkms status "arena/$VERSION" | grep ': built$' &&
		chrooted dkms install "arena/$VERSION" -k "$FIRST" &&
		chrooted dkms autoinstall -k "$SECOND" &&
		all_installed "$VERSION" "$FIRST" "$SECOND"
}

# Builds the first program of README.md with the shared library and with the static one.
builds_programs()
{
	awk '/^```/ { on = 0 } on; /^```c user/ && !n++ { on = 1 }' "$ROOT/README.md" \
		>"$DIR/root/hello.c"
	# shellcheck disable=SC2016 # expanded by the inner shell
	chrooted sh -c 'gcc -Wall -Werror -o /hello /hello.c $(pkg-config --cflags --libs libarena) &&
		gcc -static -o /hello_static /hello.c $(pkg-config --cflags --libs --static libarena)' &&
		chrooted ldd /hello | grep libarena.so.1 && chrooted test -x /hello_static
}

# Copies the modules and the indices of the first kernel for the guest, but not the headers.
#   save_modules NAME
save_modules()
{
	mkdir -p "$DIR/$1" && cp -r "$DIR/root/lib/modules/$FIRST"/{updates,modules.*} "$DIR/$1/"
}

upgrades()
{
	apt_install "$BUILD/deb-newer/build/deb" && all_installed "$NEWER" "$FIRST" "$SECOND" &&
		keeps_symbols && [ ! -e "$DIR/root/usr/src/arena-$VERSION" ]
}

rebuilds_author()
{
	touch "$DIR/before" && chrooted dkms unbuild "$AUTHOR/1.0" -k "$FIRST" &&
		chrooted dkms install "$AUTHOR/1.0" -k "$FIRST" && author_installed "$FIRST" &&
		find "$DIR/root/var/lib/dkms/$AUTHOR/1.0/$FIRST" -name "$KO.ko" \
			-newer "$DIR/before" | grep .
}

removes()
{
	chrooted dkms remove "$AUTHOR/1.0" --all && rm -r "$DIR/root/usr/src/$AUTHOR-1.0" &&
		chrooted apt-get -y remove arena-dkms arena-tools libarena1 libarena-dev &&
		[ -z "$(chrooted dkms status)" ] && ! grep dkms/ "$DIR"/root/lib/modules/*/modules.dep
}

# Succeeds if apt, by a purge, removes all that the packages brought. The second kernel's headers
# stay: this test has installed them.
leaves_nothing()
{
	chrooted dpkg --purge arena-dkms arena-tools libarena1 libarena-dev || return 1
	rm -f "$DIR"/root/hello*
	# shellcheck disable=SC2016 # expanded by the inner shell
	chrooted sh -c 'for deb in /second/*.deb; do dpkg -L $(dpkg-deb -f $deb Package); done' |
		sed 's,^/lib/,/usr/lib/,; s,^/,,' >"$DIR/second"
	printf '%s\n' "boot/initrd.img-$SECOND" "var/lib/initramfs-tools/$SECOND" >>"$DIR/second"
	snapshot | comm -3 "$DIR/clean" - | sed 's/^\t//' | awk -v list="$DIR/second" '
		BEGIN { while ((getline line <list) > 0) second[line] = 1 }
		!($1 in second) { print; bad = 1 }
		END { exit bad }'
}

# Prints the commands of the guest, which has the modules of before the upgrade in /lib/modules and
# those of after it in /newer. They print the words of GUEST for what succeeds. To upgrade, they do
# with the files what the packages do.
guest_commands()
{
	cat <<-END
	check() { name=\$1; shift; ! "\$@" || echo "guest: \$name"; }
	version() { [ "\$(cat /sys/module/arena/version)" = "\$1" ]; }
	hello() { /\$1 | grep -x 'hello, at offset [0-9]*'; }
	loads() { modprobe $KO && version "$VERSION" && [ -c /dev/arena ]; }
	parse() { echo '{}' >/sys/kernel/debug/$KO/parse; }
	shows() { parse && /usr/sbin/arenactl list >/tmp/list; cat /tmp/list; grep json /tmp/list; }
	programs() { hello hello && hello hello_static; }
	upgrade() { rm -r /lib/modules/\$(uname -r) && mv /newer /lib/modules/\$(uname -r); }
	busy() { ! rmmod arena && version "$VERSION"; }
	keeps() { upgrade && rmmod $KO && busy && sleep 2 && busy; }
	serves() { programs && busy; }
	unload() { for i in \$(seq 300); do rmmod arena 2>/dev/null && return; sleep 0.1; done; false; }
	replaced() { kill \$holder && unload && modprobe arena && version "$NEWER" && programs; }
	author() { modprobe $KO && parse && rmmod $KO && rmmod arena; }

	check "${GUEST[0]}" loads
	check "${GUEST[1]}" shows
	check "${GUEST[2]}" programs
	sleep 1000 3<>/dev/arena &
	holder=\$!
	check "${GUEST[3]}" keeps
	check "${GUEST[4]}" serves
	check "${GUEST[5]}" replaced
	check "${GUEST[6]}" author
	END
}

# Boots the guest with the modules, the programs, and the libraries that the programs need.
run_guest()
{
	local files=() file

	for file in /hello /hello_static /usr/sbin/arenactl \
		$(chrooted ldd /hello /usr/sbin/arenactl | grep -oE '/[^ :]+\.so[^ :]*' | sort -u); do
		files+=(--file "$DIR/root$file:$file")
	done
	"$ROOT/tools/vm.sh" --kernel stock --no-module --name deb-test "${files[@]}" \
		--file "$DIR/older:/lib/modules/$FIRST" --file "$DIR/newer:/newer" \
		-- "$(guest_commands)" | tee "$DIR/guest"
}

# Mounts an overlay on the base, so that what the test changes goes away with it. Lets dkms build
# for all kernels: at an upgrade it builds for the running one and the newest, and the running one
# is not in the root directory.
mount_root()
{
	mkdir "$DIR"/{upper,work,root} &&
		mount -t overlay -o "lowerdir=$BASE,upperdir=$DIR/upper,workdir=$DIR/work" overlay \
			"$DIR/root" && mkdir "$DIR/root/debs" &&
		echo 'autoinstall_all_kernels="yes"' >>"$DIR/root/etc/dkms/framework.conf"
}

main()
{
	local name

	NR=0 PASSED=0
	[ "$(id -u)" -eq 0 ] || die "needs root, to mount and to make device nodes"
	# A mount namespace, so that no mount outlives the test.
	[ -n "${IN_NAMESPACE:-}" ] || IN_NAMESPACE=1 exec unshare -m "$0"
	counts deb-test 0 1 0
	"$ROOT/tools/setup.sh" module stock vm deb-test && "$ROOT/tools/deb.sh" || exit 1
	VERSION=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' "$ROOT/dkms.conf")
	NEWER=$VERSION.1
	DATE=$(date -d "$(sed -n 's/^Date: //p' "$BUILD"/deb/*.changes)" +%s)
	FIRST=$(cat "$BUILD/stock/version")
	build_copy "$BUILD/deb-newer" "$NEWER" && with_lock deb-root make_base || exit 1
	SECOND=$(tail -n 1 "$BASE/kernels")
	DIR=$(mktemp -d "$BUILD/deb-test.XXXXXX") || exit 1
	trap 'umount "$DIR/root"; rm -rf "$DIR"' EXIT
	mount_root || die "cannot mount an overlay below $BUILD"
	snapshot >"$DIR/clean"

	echo "TAP version 13"
	check "a second build, in another folder, makes the same packages" same_packages
	check "apt installs the packages" apt_install "$BUILD/deb"
	check "dkms has built the module for $FIRST" all_installed "$VERSION" "$FIRST"
	check "symbols and headers are kept for other modules" keeps_symbols
	check "a module of an outside author is built by dkms" install_author
	check "both modules are built when $SECOND comes" second_kernel_comes
	check "kernels before 6.1 are left out" old_kernel
	check "dkms removes, adds, builds and installs by hand" by_hand
	check "programs are built by pkg-config" builds_programs
	check "modules are saved for the guest" save_modules older
	check "apt upgrades the packages to $NEWER" upgrades
	check "modules are saved again" save_modules newer
	check "the outside author's module is built again" rebuilds_author
	check "a guest runs them, and its kernel reports no bug" run_guest
	for name in "${GUEST[@]}"; do
		check "guest: $name" grep -x "guest: $name" "$DIR/guest"
	done
	check "apt removes the packages, dkms its modules" removes
	check "a purge leaves nothing behind" leaves_nothing
	echo "1..$NR"
	counts deb-test "$PASSED" $((NR - PASSED)) 0
	[ "$PASSED" -eq "$NR" ] || die "FAILED: $((NR - PASSED)) of $NR checks of the packages"
	say "passed: $NR checks of the packages"
}

main "$@"; exit
