#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Clause 26: the module parameter "debug" makes arenas find writes behind objects and after resets.
# The module arena_overrun (selftests/memory) makes such writes. Prints TAP.

. "$(dirname "$0")/arena_tap.sh"

file=/sys/kernel/debug/arena_overrun
names=/sys/module/arena/parameters/debug
log=$(mktemp)
begin="arena-test: $$"

# Writes each argument, which is a command, to the debugfs file of arena_overrun.
tell()
{
	for line in "$@"; do
		echo "$line" >$file || return 1
	done
}

# Marks the end of the kernel's log.
mark()
{
	begin="arena-test: $$ $number"
	echo "$begin" >/dev/kmsg
}

# Writes the arena module's messages since mark() to $log.
said()
{
	dmesg | sed "1,/$begin\$/d" | grep 'arena: overrun: ' >"$log"
}

# Succeeds if the arena module has reported one finding since mark(), in two lines that match $1 and
# $2.
said_once()
{
	said
	[ "$(wc -l <"$log")" -eq 2 ] && head -n 1 "$log" | grep -q "$1" &&
		tail -n 1 "$log" | grep -q "$2"
}

said_nothing()
{
	dmesg | grep -q "$begin\$" && ! said
}

# Prints the value in column $1 of the arena "overrun" in the table of all arenas.
column()
{
	awk -v want="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == want) at = i }
		$2 == "overrun" { print $at }' $arena/arenas
}

beyond_object()
{
	mark
	echo overrun >$names && tell make 'alloc 8' 'alloc 13' 'poke 13' && said_nothing &&
		tell reset &&
		said_once 'write behind an object of 13 bytes at offset 24, .* \[arena_overrun\]' \
			'offset 37, byte 13 of the object: expected cc, found 00 cc cc' &&
		[ "$(column findings) $(column flags)" = '1 debug' ]
}

after_reset()
{
	mark
	tell 'alloc 40' reset 'poke 9' && said_nothing && tell 'alloc 24' &&
		said_once 'write to free memory, .* \[arena_overrun\] .* of 24 bytes at offset 0' \
			'byte 9 of the object: expected 6b, found 00 6b 6b' &&
		[ "$(column findings)" = 2 ]
}

when_destroyed()
{
	mark
	tell reset 'alloc 100' 'poke 101' drop &&
		said_once 'write behind an object of 100 bytes' 'byte 101 .*found 00 cc'
}

switched_off()
{
	mark
	tell make && echo >$names && tell reset 'alloc 13' 'poke 13' reset 'poke 3' 'alloc 13' &&
		said_nothing && [ "$(column findings) $(column flags)" = '0 -' ]
}

switched_on_while_it_lives()
{
	mark
	echo 'nothing,over*' >$names && tell 'alloc 13' 'poke 13' reset && said_nothing &&
		tell 'alloc 13' 'poke 14' reset &&
		said_once 'write behind an object of 13 bytes at offset 0' 'byte 14 of' &&
		[ "$(cat $names)" = 'nothing,over*' ] && tell drop
}

too_many_names()
{
	! head -c 300 /dev/zero | tr '\0' 'x' 2>/dev/null >$names &&
		[ "$(cat $names)" = 'nothing,over*' ]
}

# Succeeds if the arena module, loaded with a name in its parameter "debug", checks the arena of
# this name from the start.
loaded_with_names()
{
	rmmod arena_overrun && rmmod arena && load_module arena debug=overrun &&
		load_module arena_overrun || return 1
	mark
	tell make 'alloc 13' 'poke 15' drop &&
		said_once 'write behind an object of 13 bytes at offset 0' 'byte 15 of'
}

not_tainted_by_this()
{
	[ "$(cat /proc/sys/kernel/tainted)" = "$tainted" ] && rmmod arena_overrun && nothing_held
}

[ -e /sys/module/arena ] || load_module arena || skip_all "no module arena"
[ "$(cat /sys/module/arena/refcnt 2>/dev/null)" = 0 ] || skip_all "the module is in use"
load_module arena_overrun || skip_all "no module arena_overrun"
tainted=$(cat /proc/sys/kernel/tainted)
echo "TAP version 13"
echo "1..8"
check "a write behind an object is reported by the reset" beyond_object
check "a write after a reset is reported by the next allocation" after_reset
check "a write behind an object is reported when the arena goes" when_destroyed
check "nothing is reported once it is switched off" switched_off
check "it takes effect with the next generation" switched_on_while_it_lives
check "too many names are refused" too_many_names
check "names can be given when the module is loaded" loaded_with_names
check "the kernel is not tainted, and nothing is left" not_tainted_by_this
rm "$log"
