#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tests how overlayfs reads directories. The same tests run with the original module and with the
# converted one, whose outputs must be the same in the lines that begin with "# same: ".
# Prints TAP.

# shellcheck source=../../arena_tap.sh
. ../arena_tap.sh
# shellcheck source=../guest.sh
. ../guest.sh
# shellcheck source=layers.sh
. ./layers.sh

# Prints the names $1 with the numbers from $2 to $3, as "readdir make" makes them.
numbered()
{
	awk -v prefix="$1" -v from="$2" -v to="$3" \
		'BEGIN { for (i = from; i <= to; i++) printf "%s%05d\n", prefix, i }'
}

# Prints the sorted names of a directory with $1 files that fill() has made.
expected()
{
	{
		echo .
		echo ..
		numbered low 1 $(($1 - $1 / 4))
		numbered up 1 $(($1 / 4))
	} | sort
}

# Succeeds if the directory $1 of the merged tree has exactly the names that are read from standard
# input, sorted.
names_are()
{
	readdir list "merged/$1" | sort >/tmp/have
	cat >/tmp/want
	cmp -s /tmp/want /tmp/have || { diff /tmp/want /tmp/have | sed 's/^/# /' | head -n 5; false; }
}

merged()
{
	fresh || return 1
	for nr in 10 1000 10000; do
		fill d$nr $nr && expected $nr | names_are d$nr || return 1
		readdir list merged/d$nr | same "order of $nr names"
		readdir list merged/d$nr 300 | same "order of $nr names, read piece by piece"
	done
}

# Names of all lengths, more than fit into one chunk.
long_names()
{
	fresh && mkdir lower/d upper/d || return 1
	long=
	for _ in $(seq 255); do
		long=x$long
		true >lower/d/$long
		true >upper/d/y${long#?}
	done
	(echo . && echo .. && cd lower/d && ls && cd ../../upper/d && ls) | sort | names_are d &&
		readdir list merged/d | same "order of long names"
}

whiteouts()
{
	fresh && fill d 1000 && rm merged/d/low00[0-4]* merged/d/up0000* || return 1
	expected 1000 | grep -v '^low00[0-4]\|^up0000' | names_are d &&
		true >merged/d/low00001 && (expected 1000 | grep -v '^low00[0-4]\|^up0000' &&
			echo low00001) | sort | names_are d &&
		readdir list merged/d | same "order with whiteouts"
}

# A directory that replaces one of the lower layer hides what that has.
opaque()
{
	fresh && fill d 100 && rm -r merged/d && mkdir merged/d && true >merged/d/only &&
		printf '.\n..\nonly\n' | names_are d
}

# Reads the same directories of three layers.
three_layers()
{
	fresh && fill d 100 && umount merged && mkdir third && mkdir third/d &&
		readdir make third/d low 70 120 && readdir make third/d third 1 50 &&
		mount -t overlay -o lowerdir=upper:lower:third overlay merged || return 1
	{
		expected 100
		numbered low 76 120
		numbered third 1 50
	} | sort | names_are d && readdir list merged/d | same "order of three layers"
}

seek()
{
	fresh && fill d 500 && readdir seek merged/d
}

change()
{
	fresh && fill d 2000 && readdir change merged/d && expected 2000 | names_are d
}

concurrent()
{
	fresh && fill d 400 && readdir race merged/d low 1 300
}

# Files that were copied up have an inode number that differs from that of the upper layer: the
# directory, which lies only in the upper layer, is read for these.
impure()
{
	fresh && mkdir merged/d && readdir make lower low 1 300 &&
		readdir make merged/d up 1 3000 || return 1
	for i in $(seq 100 199); do
		mv "merged/low00$i" merged/d/ || return 1
	done
	(echo . && echo .. && numbered low 100 199 && numbered up 1 3000) | sort |
		names_are d && readdir inos merged/d || return 1
	mv merged/low00001 merged/d/ && rm merged/d/low0015? && readdir inos merged/d || return 1
	# The inode of the directory, to which the names belong, is freed.
	echo 2 >/proc/sys/vm/drop_caches
	readdir inos merged/d && rm merged/d/low* && readdir inos merged/d &&
		readdir list merged/d | wc -l | same "names without those that were moved"
}

# A directory that has only whiteouts is empty.
remove()
{
	fresh && fill d 300 && fill e 300 && ! rmdir merged/d 2>/dev/null && rm merged/d/* &&
		rmdir merged/d && ! [ -e merged/d ] && rm merged/e/* && mkdir merged/n &&
		mv -T merged/n merged/e && printf '.\n..\n' | names_are e && rm -r merged/e
}

# At the next mount, overlayfs removes what a crash has left in its work directory.
leftovers()
{
	fresh && umount merged && (cd work/work && mkdir a a/b && readdir make a x 1 300 &&
		readdir make . y 1 300) && layers index=off && [ -z "$(ls work/work)" ]
}

# Overlayfs keeps an index of files that were copied up and have several links, and looks at each
# entry when it mounts.
index()
{
	fresh && umount merged && readdir make lower low 10 50 || return 1
	for i in $(seq 10 50); do
		ln "lower/low000$i" "lower/link$i" || return 1
	done
	layers index=on || return 1
	for i in $(seq 10 50); do
		echo changed >>"merged/low000$i" || return 1
	done
	[ "$(cat merged/link20)" = changed ] && umount merged &&
		[ "$(readdir list work/index | wc -l)" = 43 ] && rm upper/low00011 &&
		layers index=on && readdir list merged | wc -l | same "names with an index"
}

# Names that differ in case are the same.
casefolded()
{
	clean
	mount -t tmpfs -o casefold tmpfs $base && cd $base && mkdir lower upper work merged || return 1
	readdir fold lower && readdir fold upper && readdir fold work && mkdir lower/d upper/d &&
		readdir make lower/d NAME 1 200 && readdir make upper/d name 101 300 &&
		readdir make lower/d "$(printf '\303\204')" 1 50 && layers index=off || return 1
	readdir list merged/d | tee /tmp/fold | md5sum | same "names that ignore case"
	[ "$(sort -fu /tmp/fold | wc -l)" = 352 ] && [ "$(wc -l </tmp/fold)" = 352 ]
}

read_5_times()
{
	for _ in $(seq 5); do
		echo 1 >/proc/sys/vm/drop_caches
		expected 10000 | names_are d || return 1
	done
}

pressure()
{
	fresh && fill d 10000 && while_short 64 read_5_times
}

# The cache of the directory takes more than a MiB: if readers left it behind, 60 of them would take
# 60 MiB.
nothing_lost()
{
	fresh && fill d 10000 && readdir time merged/d 2 >/dev/null && before=$(available) &&
		readdir time merged/d 60 >/dev/null && after=$(available) &&
		echo "# available: $before MiB before, $after after" && [ "$after" -gt $((before - 40)) ]
}

each_fails()
{
	fresh && fill d 60 && readdir fail merged/d
}

# The module unloads, so no mount and no open directory is left; and no memory of arenas is.
unload()
{
	clean && rmmod overlay && nothing_held
}

echo "TAP version 13"
echo "1..17"
check "names of both layers are read once" merged
check "names of all lengths are read" long_names
check "removed names are not read" whiteouts
check "a directory that replaces another one hides it" opaque
check "three layers are merged" three_layers
check "a reader can go back to each entry" seek
check "a file that is added meanwhile is read after a rewind" change
check "four tasks read while a fifth changes names" concurrent
check "inode numbers are those of stat() after a copy-up" impure
check "directories with whiteouts only can be removed and replaced" remove
check "the work directory is emptied at the next mount" leftovers
check "the index is checked at the next mount" index
if mkdir -p $base && mount -t tmpfs -o casefold tmpfs $base 2>/dev/null; then
	umount $base
	check "names that differ in case are merged" casefolded
else
	skip "names that differ in case are merged" "this kernel has no tmpfs that ignores case"
fi
check "names are read while memory is short" pressure
check "readers leave no memory behind" nothing_lost
if [ -e /proc/self/fail-nth ]; then
	check "a reader for whom an allocation fails gets an error or all names" each_fails
else
	skip "a reader for whom an allocation fails gets an error or all names" \
		"this kernel injects no faults"
fi
check "the module unloads and no memory is held" unload
