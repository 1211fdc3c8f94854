#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Compares what debugfs and /proc/PID/fdinfo show of a program's arena with what ARENA_IOC_INFO
# reports (clause 8). Prints TAP.

. "$(dirname "$0")/arena_tap.sh"

log=$(mktemp)

# Starts arena_play, which makes the steps in the arguments, writes the result of ARENA_IOC_INFO to
# $log, and sleeps until end() kills it. Sets $fdinfo to the path of the fdinfo of the descriptor of
# arena_play, and $id to the number of its arena.
begin()
{
	: >"$log"
	./arena_play "$@" info fdinfo pid pause >>"$log" &
	player=$!
	until_true player_ready || return 1
	fdinfo=/proc/$player/fdinfo/$(sed -n 's/^pid [0-9]* fd //p' "$log")
	id=$(sed -n 's/^arena-id:\t//p' "$fdinfo")
}

player_ready()
{
	grep -q '^pid ' "$log"
}

end()
{
	kill "$player"
	wait "$player" 2>/dev/null
	return 0
}

# Waits until the arena has a debugfs file, which a worker creates some time after the arena was
# made, and sets $file to its path.
find_file()
{
	until_true has_file && file=$(echo "$arena/$id"-*)
}

has_file()
{
	[ -e "$(echo "$arena/$id"-*)" ]
}

# Succeeds if the arena has no debugfs file. Callers repeat this check, because a worker removes the
# file some time after the arena is gone.
has_no_file()
{
	! has_file
}

# Succeeds if standard input has, for each line "name value" of INFO in $log, a line with the same
# name and value.
same_as_info()
{
	awk 'NR == FNR { if (NF == 2 && $1 !~ /:$/) want[$1] = $2; next }
		{ have[$1] = $2 }
		END {
			for (name in want) {
				n++
				if (want[name] == have[name]) continue
				print "# " name ": " have[name] " and not " want[name]
				bad = 1
			}
			if (n < 20) print "# only " n + 0 " numbers compared"
			exit bad || n < 20
		}' "$log" -
}

steps="alloc=100 store=hello alloc=0 alloc=0x1000000 reset=keep alloc=70 alloc=30,4096"

# Prints the line of arena $id in the table of all arenas: one line with name and value for each
# column.
line()
{
	awk -v id="$id" 'NR == 1 { split($0, name); next }
		$1 == id { for (i = 1; i <= NF; i++) print name[i], $i }' $arena/arenas
}

table_says_the_same()
{
	# shellcheck disable=SC2086 # words
	begin setup=looked-at,0x800000,0x10000 $steps || return 1
	line | same_as_info
	verdict=$?
	line | grep -q '^flags device,account$' || verdict=1
	end
	[ -z "$(line)" ] && return $verdict
}

file_says_the_same()
{
	# shellcheck disable=SC2086 # words
	begin setup=looked-at,0x800000,0x10000,spans,zero $steps || return 1
	find_file && same_as_info <"$file"
	verdict=$?
	grep -q '^flags device,spans,zero,account$' "$file" || verdict=1
	grep -q "^id $id$" "$file" || verdict=1
	end
	return $verdict
}

# Succeeds if an arena has a debugfs file even if its name contains a blank and a backslash, and if
# another arena has the same name.
names_do_not_collide()
{
	begin 'setup=a b\,0x10000,0' || return 1
	find_file && [ "$file" = "$arena/$id-a_b\\" ] && grep -q '^name a\\040b\\134$' "$file"
	verdict=$?
	first=$player
	begin 'setup=a b\,0x10000,0' && find_file && [ "$file" = "$arena/$id-a_b\\" ] || verdict=1
	kill "$first"
	wait "$first" 2>/dev/null
	[ -e "$file" ] || verdict=1
	end
	return $verdict
}

nameless()
{
	begin alloc=8 || return 1
	until_true test -e "$arena/$id" && grep -q '^name -$' "$arena/$id"
	verdict=$?
	end
	return $verdict
}

# Succeeds if the kernel destroys a closed arena without delay although a reader has its debugfs
# file open, and if the reader's next read() fails.
open_while_it_goes()
{
	begin setup=goes,0x10000,0 || return 1
	find_file || return 1
	exec 5<"$file"
	end
	[ -z "$(line)" ] || return 1
	! cat <&5 2>/dev/null
	verdict=$?
	exec 5<&-
	until_true has_no_file && return $verdict
}

# Makes and closes 20 arenas. Every second arena stays open until its debugfs file exists.
comings_and_goings()
{
	for round in $(seq 20); do
		begin setup=passing,0x10000,0 alloc=64 || return 1
		[ $((round % 2)) -eq 0 ] || find_file || return 1
		end
	done
}

read_whatever_is_there()
{
	while [ -e "$log.run" ]; do
		cat $arena/[0-9]* $arena/arenas >/dev/null 2>&1
	done
}

under_readers()
{
	: >"$log.run"
	read_whatever_is_there &
	first=$!
	read_whatever_is_there &
	second=$!
	comings_and_goings
	verdict=$?
	rm "$log.run"
	wait $first
	wait $second
	until_true has_no_file && return $verdict
}

info_of()
{
	sed -n "s/^$1 //p" "$log"
}

fdinfo_of()
{
	sed -n "s/^arena-$1:\t//p" "$fdinfo"
}

fdinfo_says_the_same()
{
	# shellcheck disable=SC2086 # words
	begin setup=looked-at,0x800000,0x10000,spans $steps || return 1
	verdict=0
	for what in name generation capacity used high committed; do
		[ "$(fdinfo_of $what)" = "$(info_of $what)" ] && continue
		echo "# $what: $(fdinfo_of $what) and not $(info_of $what)"
		verdict=1
	done
	[ "$(fdinfo_of rights)" = read,write,alloc,reset ] || verdict=1
	[ "$(fdinfo_of spans) $(fdinfo_of zero)" = "1 0" ] || verdict=1
	end
	return $verdict
}

fdinfo_of_fewer_rights()
{
	begin setup=looked-at,0x10000,0,zero alloc=8 rights=5 || return 1
	[ "$(fdinfo_of rights)" = read,alloc ] && [ "$(fdinfo_of name)" = looked-at ] &&
		[ "$(fdinfo_of spans) $(fdinfo_of zero)" = "0 1" ]
	verdict=$?
	end
	return $verdict
}

# Succeeds if the fdinfo of a descriptor whose arena was not used yet shows rights and no arena, and
# if reading the fdinfo does not create the arena.
fdinfo_before_use()
{
	before=$(wc -l <$arena/arenas)
	./arena_play fdinfo fdinfo >"$log"
	[ "$(wc -l <$arena/arenas)" -eq "$before" ] &&
		[ "$(grep -c '^arena-rights:.read,write,alloc,reset$' "$log")" -eq 2 ] &&
		[ "$(grep -c '^arena-' "$log")" -eq 2 ]
}

[ -e /dev/arena ] || skip_all "no /dev/arena"
[ -r $arena/arenas ] || skip_all "debugfs does not show arenas"
echo "TAP version 13"
echo "1..9"
check "the table says what ARENA_IOC_INFO says" table_says_the_same
check "the arena's file says what ARENA_IOC_INFO says" file_says_the_same
check "names do not collide" names_do_not_collide
check "an arena without a name has a file" nameless
check "the file of an arena that goes while it is open" open_while_it_goes
check "files come and go under readers" under_readers
check "fdinfo says what ARENA_IOC_INFO says" fdinfo_says_the_same
check "fdinfo of a descriptor with fewer rights" fdinfo_of_fewer_rights
check "fdinfo before the first use" fdinfo_before_use
rm "$log"
