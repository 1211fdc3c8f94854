# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# Functions of test.sh and measure.sh, which run in the guest: they mount an overlay of two layers
# on a tmpfs.

base=/tmp/overlayfs

# Mounts an overlay of two empty layers on $base/merged.
fresh()
{
	clean
	mkdir -p $base
	mount -t tmpfs -o size=90% tmpfs $base && cd $base &&
		mkdir lower upper work merged && layers index=off
}

# Mounts the overlay of the layers that are there, with the options $1.
layers()
{
	mount -t overlay -o "lowerdir=lower,upperdir=upper,workdir=work,$1" overlay \
		$base/merged
}

# Makes $2 files in the directory $1 of the merged tree: half of them in the lower layer, a quarter
# in both, and a quarter in the upper one.
fill()
{
	mkdir -p "lower/$1" "upper/$1"
	readdir make "lower/$1" low 1 $(($2 - $2 / 4))
	readdir make "upper/$1" low 1 $(($2 / 4))
	readdir make "upper/$1" up 1 $(($2 / 4))
}

clean()
{
	cd /
	umount $base/merged 2>/dev/null
	umount $base 2>/dev/null
}
