#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Checks dkms.conf: builds the module against the stock headers by the commands of dkms.conf, as
# dkms would do, but without dkms. Also checks that versions in other files agree with dkms.conf.

. "$(dirname "$0")/lib.sh"

fail()
{
	echo "dkms.conf: $*"
	exit 1
}

# Sets the variables that dkms sets, and reads dkms.conf.
read_conf()
{
	dkms_tree=$BUILD/dkms
	kernel_source_dir=$BUILD/stock/headers
	# shellcheck source=/dev/null # not a script of ours
	. "$ROOT/dkms.conf"
	TREE=$dkms_tree/$PACKAGE_NAME/$PACKAGE_VERSION/build
	MODULE=$TREE/${BUILT_MODULE_LOCATION:-.}/${BUILT_MODULE_NAME[0]}.ko
}

copy_tree()
{
	rm -rf "$BUILD/dkms"
	mkdir -p "$TREE"
	cp -r "$ROOT"/{Kbuild,module,include,kunit,dkms.conf} "$TREE/"
}

main()
{
	"$ROOT/tools/setup.sh" module stock || exit 1
	read_conf
	copy_tree
	sh -c "${MAKE[0]}" || fail "MAKE does not build the module"
	[ -e "$MODULE" ] || fail "no ${MODULE#"$TREE"/} was built"
	[ "$(find "$TREE" -name '*.ko' | wc -l)" -eq 1 ] || fail "other modules were built, too"
	modinfo -F version "$MODULE" | grep -x "$PACKAGE_VERSION" >/dev/null ||
		fail "the module's version is not $PACKAGE_VERSION"
	grep -q "^## $PACKAGE_VERSION\$" "$ROOT/include/CHANGELOG.md" ||
		fail "include/CHANGELOG.md has nothing about $PACKAGE_VERSION"
	grep -q "versions, $BUILD_EXCLUSIVE_KERNEL_MIN to" "$ROOT/module/compat.h" ||
		fail "compat.h begins with another kernel than $BUILD_EXCLUSIVE_KERNEL_MIN"
	sh -c "$CLEAN" || fail "CLEAN does not work"
	[ -z "$(find "$TREE" -name '*.o' -o -name '*.ko')" ] || fail "CLEAN leaves objects"
	rm -rf "$BUILD/dkms"
}

main; exit
