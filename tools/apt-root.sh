#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Downloads and extracts packages of other Debian suites than the machine's (the newest kernel
# source, herd7, a compiler for the newest stock kernel). It uses apt with lists and state of its
# own below build/, so the packages of the machine stay as they are.
#
#   apt-root.sh depends SUITE PKG       print what a package depends on
#   apt-root.sh list SUITE REGEX        print names of packages, lowest version first
#   apt-root.sh unpack SUITE DIR PKG... download packages and extract them below DIR
#   apt-root.sh closure SUITE DIR PKG.. extract packages and all that they depend on
#   APT_ARCH=arm64                      of another architecture than the machine's

. "$(dirname "$0")/lib.sh"

OWN_ARCH=$(dpkg --print-architecture 2>/dev/null)
APT_ARCH=${APT_ARCH:-$OWN_ARCH}
APT=$BUILD/apt
[ "$APT_ARCH" = "$OWN_ARCH" ] || APT=$BUILD/apt-$APT_ARCH
DEBS=$BUILD/debs

# Prints the code name of the machine's Debian release, such as bookworm.
own_codename()
{
	# shellcheck source=/dev/null
	. /etc/os-release && echo "${VERSION_CODENAME:-}"
}

# Prints the sources that the machine itself uses, as lines "URI SUITE". With --print-uris, apt
# reads both formats in which sources may be configured, even before the first update.
all_sources()
{
	apt-get --print-uris update 2>/dev/null |
		sed -n "s,^'\(.*\)/dists/\([^']*\)/InRelease'.*,\1 \2,p"
}

# Prints the sources of the machine's own suite and its updates, such as bookworm, bookworm-updates
# and bookworm-security.
own_sources()
{
	local code

	code=$(own_codename)
	all_sources |
		awk -v code="$code" '$2 == code || index($2, code "-") == 1' |
		grep -v -e backports | sort -u
}

# Prints the URI of the mirror that has the machine's own suite. All packages are taken from this
# mirror, because it has the other suites, too.
own_mirror()
{
	own_sources | awk '$2 !~ /-/ { print $1; exit }'
}

own_keyring()
{
	grep -rhoiE '(signed-by[=:] *)/[^] ]+' /etc/apt/sources.list \
		/etc/apt/sources.list.d 2>/dev/null |
		grep -i debian | grep -oE '/[^] ]+' | head -n 1
}

keyring()
{
	local ring

	ring=$(own_keyring)
	if [ ! -e "${ring:-/nonexistent}" ]; then
		ring=/usr/share/keyrings/debian-archive-keyring.gpg
	fi
	echo "$ring"
}

# Prints the sources of a suite. "own" is the suite of the machine, with its updates. For
# SUITE-backports, also prints SUITE, because packages of backports depend on packages there.
suite_sources()
{
	local suite=$1 mirror

	mirror=$(own_mirror)
	case $suite in
	own) own_sources ;;
	*-backports) echo "$mirror $suite" && echo "$mirror ${suite%-backports}" ;;
	*) echo "$mirror $suite" ;;
	esac
}

write_sources()
{
	local suite=$1 uri release

	[ -n "$(own_mirror)" ] ||
		die "no Debian mirror in this machine's apt sources"
	mkdir -p "$APT/$suite/lists/partial" "$APT/$suite/cache/archives/partial" \
		"$DEBS"
	: >"$APT/$suite/status"
	suite_sources "$suite" | while read -r uri release; do
		printf 'deb [signed-by=%s] %s %s main\n' "$(keyring)" "$uri" "$release"
	done >"$APT/$suite/sources.list"
}

# Sets OPTS to options by which apt uses only files below build/.
apt_opts()
{
	local suite=$1

	OPTS=(-q -oDir::Etc::sourcelist="$APT/$suite/sources.list"
		-oDir::Etc::sourceparts=/dev/null
		-oDir::Etc::preferencesparts=/dev/null
		-oDir::State::Lists="$APT/$suite/lists"
		-oDir::State::status="$APT/$suite/status"
		-oDir::Cache="$APT/$suite/cache"
		-oDir::Cache::archives="$APT/$suite/cache/archives"
		-oAPT::Architecture="$APT_ARCH"
		-oAPT::Architectures="$APT_ARCH,$OWN_ARCH"
		-oAPT::Get::List-Cleanup=0
		-oAcquire::Languages=none
		-oAcquire::Retries=3
		-oAPT::Sandbox::User="$(id -un)"
		-oDebug::NoLocking=1)
	[ "$suite" = own ] || OPTS+=(-t "$suite")
}

# Fetches the package lists of a suite if they are older than a day, or if there is a second
# argument.
#   update SUITE [again]
update()
{
	local suite=$1 stamp=$APT/$1/updated

	apt_opts "$suite"
	if [ -z "${2:-}" ] && [ -n "$(find "$stamp" -mtime -1 2>/dev/null)" ]; then
		return 0
	fi
	write_sources "$suite"
	quietly "apt-update-$suite" apt-get "${OPTS[@]}" update &&
		touch "$stamp"
}

depends()
{
	local suite=$1 pkg=$2

	update "$suite" || return 1
	apt-cache "${OPTS[@]}" depends "$pkg" |
		sed -n 's/^ *|\{0,1\}Depends: //p'
}

list()
{
	local suite=$1 regex=$2

	update "$suite" || return 1
	apt-cache "${OPTS[@]}" pkgnames | grep -xE "$regex" | sort -V
}

# Downloads packages to DEBS. If that fails, the package lists may be older than the mirror, so
# fetches new ones and tries again.
#   download SUITE PKG...
download()
{
	local suite=$1

	shift
	update "$suite" || return 1
	(cd "$DEBS" && quietly "apt-get-$suite" apt-get "${OPTS[@]}" \
		download "$@") && return 0
	update "$suite" again || return 1
	(cd "$DEBS" && quietly "apt-get-$suite" apt-get "${OPTS[@]}" \
		download "$@")
}

# Prints the path of the newest file of a package, which is the one that download() has just
# fetched.
newest_deb()
{
	# shellcheck disable=SC2012 # names of Debian packages hold no newline
	ls -t "$DEBS/${1%:*}"_*.deb 2>/dev/null | head -n 1
}

unpack()
{
	local suite=$1 dir=$2 pkg deb

	shift 2
	mkdir -p "$dir"
	download "$suite" "$@" || return 1
	for pkg in "$@"; do
		deb=$(newest_deb "$pkg")
		dpkg -x "$deb" "$dir" || return 1
		rm -f "$deb"
	done
}

# Extracts packages, and all that they depend on, below a folder. Runs no maintainer scripts, which
# compilers and emulators do not need. Makes /bin, /sbin and the like links first, because packages
# of newer suites expect that.
closure()
{
	local suite=$1 dir=$2 arch=$APT/$1/cache/archives deb

	shift 2
	mkdir -p "$dir/usr/bin" "$dir/usr/sbin" "$dir/usr/lib" "$dir/usr/lib64"
	for deb in bin sbin lib lib64; do
		[ -e "$dir/$deb" ] || ln -s "usr/$deb" "$dir/$deb"
	done
	update "$suite" || return 1
	rm -f "$arch"/*.deb
	quietly "apt-closure-$suite" apt-get "${OPTS[@]}" -y -d \
		--no-install-recommends install "$@" || return 1
	for deb in "$arch"/*.deb; do
		dpkg -x "$deb" "$dir" || return 1
		rm -f "$deb"
	done
}

main()
{
	local verb=${1:-}

	[ $# -ge 3 ] || die "usage: apt-root.sh depends|list|unpack|closure SUITE ..."
	command -v apt-get >/dev/null ||
		die "needs apt (Debian); give KDIR= and build by hand elsewhere"
	shift
	case $verb in
	depends | list | unpack | closure) with_lock apt "$verb" "$@" ;;
	*) die "unknown verb $verb" ;;
	esac
}

main "$@"; exit
