#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Checks dkms.conf: builds the module against the stock headers by the commands of dkms.conf, as
# dkms would do, but without dkms, from the files that the package arena-dkms has. Also checks that
# versions in other files agree with dkms.conf. deb-test.sh uses dkms itself.

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
	kernelver=$(cat "$BUILD/stock/version")
	arch=$(uname -m)
	# shellcheck source=/dev/null # not a script of ours
	. "$ROOT/dkms.conf"
	TREE=$dkms_tree/$PACKAGE_NAME/$PACKAGE_VERSION/build
	KEPT=$dkms_tree/$PACKAGE_NAME/$PACKAGE_VERSION/$kernelver/$arch
	MODULE=$TREE/${BUILT_MODULE_LOCATION:-.}/${BUILT_MODULE_NAME[0]}.ko
}

# Copies the files that arena-dkms.install lists, to the folders that it names.
copy_tree()
{
	local from to

	rm -rf "$BUILD/dkms"
	mkdir -p "$TREE" "$KEPT"
	ln -s build "$TREE/../source"
	while read -r from to; do
		to=$TREE/${to#*"VERSION}"}
		mkdir -p "$to"
		cp -r "$ROOT/$from" "$to/" || fail "cannot copy $from"
	done <"$ROOT/tools/debian/arena-dkms.install"
}

# Checks that the regular expression BUILD_EXCLUSIVE_KERNEL permits the oldest kernel, newer ones,
# and no older one.
check_kernels()
{
	local minor=${BUILD_EXCLUSIVE_KERNEL_MIN#*.} major=${BUILD_EXCLUSIVE_KERNEL_MIN%.*} version

	for version in "$major.$minor.0" "$major.1$minor.0" "$((major + 1)).0.0" "1$major.0.0"; do
		[[ $version =~ $BUILD_EXCLUSIVE_KERNEL ]] ||
			fail "BUILD_EXCLUSIVE_KERNEL leaves out $version"
	done
	for version in "$major.$((minor - 1)).1" "$((major - 1)).19.0"; do
		! [[ $version =~ $BUILD_EXCLUSIVE_KERNEL ]] ||
			fail "BUILD_EXCLUSIVE_KERNEL permits $version"
	done
}

main()
{
	"$ROOT/tools/setup.sh" module stock || exit 1
	read_conf
	check_kernels
	copy_tree
	sh -c "${MAKE[0]}" || fail "MAKE does not build the module"
	[ -e "$MODULE" ] || fail "no ${MODULE#"$TREE"/} was built"
	[ "$(find "$TREE" -name '*.ko' | wc -l)" -eq 1 ] || fail "other modules were built, too"
	(cd "$TREE" && $POST_BUILD) || fail "POST_BUILD does not work"
	grep -q arena_create "$KEPT/Module.symvers" || fail "POST_BUILD keeps no symbols"
	[ -e "$KEPT/include/linux/arena.h" ] || fail "POST_BUILD keeps no headers"
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
