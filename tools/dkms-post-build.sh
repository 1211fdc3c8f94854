#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# dkms runs this script in the folder of the build, which it removes afterwards. Keeps what other
# modules need to use the arena, in the folder where dkms keeps the built module: the checksums of
# the exported symbols, and a link to the headers.
#
#   dkms-post-build.sh DIR     the folder where dkms keeps the module, of one kernel

cp Module.symvers "$1/" && ln -s ../../source/include "$1/include"
