# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# The program nft of test.sh and measure.sh, which run in the guest.

programs=/programs
nft="$programs/ld-linux-x86-64.so.2 --library-path $programs $programs/nft"

nft()
{
	$nft "$@"
}
