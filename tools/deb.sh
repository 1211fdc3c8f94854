#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Builds Debian packages in build/deb: arena-dkms, arena-tools, libarena1 and libarena-dev, as
# tools/debian describes them, with the version of dkms.conf. Checks them by lintian, of which they
# must pass all errors and warnings.
#
#   deb.sh
#   SOURCE_DATE_EPOCH=SECONDS   date of the packages; default: of the last commit, or of dkms.conf

. "$(dirname "$0")/lib.sh"

OUT=$BUILD/deb
TOOLS=(debhelper dh-dkms dpkg-dev lintian)
PACKAGES=(arena-dkms arena-tools libarena1 libarena-dev)

# Copies what the packages are built from: dpkg-buildpackage looks for the folder debian at the top
# of the sources, and writes there.
copy_sources()
{
	mkdir -p "$1/kunit" && cp "$ROOT/kunit/Kbuild" "$1/kunit/" &&
		cp -r "$ROOT"/{Kbuild,Makefile,dkms.conf,include,module,tools} "$1/" &&
		cp -r "$ROOT/tools/debian" "$1/debian"
}

maintainer()
{
	sed -n 's/^Maintainer: //p' "$ROOT/tools/debian/control"
}

changelog()
{
	local date

	date=${SOURCE_DATE_EPOCH:-$(git -C "$ROOT" log -1 --format=%ct 2>/dev/null ||
		stat -c %Y "$ROOT/dkms.conf")}
	cat <<-END
	arena ($VERSION) bookworm; urgency=medium

	  * Version $VERSION: CHANGELOG.md says what changed.

	 -- $(maintainer)  $(date -uR -d "@$date")
	END
}

build()
{
	say "building packages of version $VERSION (a minute)"
	rm -rf "$OUT"
	copy_sources "$OUT/arena" || return 1
	changelog >"$OUT/arena/debian/changelog"
	(cd "$OUT/arena" && DEB_BUILD_OPTIONS=noautodbgsym quietly deb-build \
		dpkg-buildpackage -us -uc -b) || return 1
	rm -rf "$OUT/arena"
	quietly deb-lintian lintian --allow-root --fail-on error,warning "$OUT"/*.deb
}

complete()
{
	local package

	for package in "${PACKAGES[@]}"; do
		compgen -G "$OUT/${package}_${VERSION}_*.deb" >/dev/null || return 1
	done
}

main()
{
	local sum

	"$ROOT/tools/setup.sh" module deb || exit 1
	VERSION=$(sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' "$ROOT/dkms.conf")
	sum=$(tree_sum)
	if ! complete || ! passed_before deb "$sum" >/dev/null; then
		with_lock deb build || die "the packages do not build, or lintian complains (above)"
		complete || die "packages are missing in $OUT"
		note_passed deb "$sum"
	fi
	say "passed: $OUT/*_${VERSION}_*.deb"
}

main "$@"; exit
