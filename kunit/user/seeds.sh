#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Writes seeds.txt anew from the inputs of the fuzzer in FILE... Each line has the name of a file,
# and the bytes of the file in hexadecimal.
#
#   seeds.sh FILE...

set -eu -o pipefail

HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

{
	echo '# Inputs with which tools/fuzz.sh begins; those named after a number of'
	echo '# planted.txt found that bug when they were made. By seeds.sh.'
	for file in "$@"; do
		printf '%s %s\n' "$(basename "$file")" "$(od -An -v -tx1 "$file" | tr -d ' \n')"
	done
} >"$HERE/seeds.txt"
