#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tests tools/arenactl: what it shows of the arenas of two programs, its errors when it cannot read
# debugfs, and its behaviour with and without a terminal. Prints TAP.

. "$(dirname "$0")/arena_tap.sh"

log=$(mktemp)

# Runs a command, with its output in $log; succeeds if the command exits with STATUS.
#   ends_with STATUS COMMAND...
ends_with()
{
	status=$1
	shift
	"$@" >"$log" 2>&1
	[ $? -eq "$status" ]
}

says()
{
	grep -q -- "$1" "$log"
}

# Starts one program with the arena "full", which has 96 KiB and 3 objects, and one program with the
# arena "empty", which has 1 MiB.
begin()
{
	./arena_play setup=full,0x18000,0x8000 alloc=0x8000 alloc=0x8000 alloc=0x7000 \
		alloc=0x2000 pid pause >"$log.1" &
	full=$!
	./arena_play setup=empty,0x100000,0 pid pause >"$log.2" &
	empty=$!
	until_true ready
}

ready()
{
	grep -q pid "$log.1" && grep -q pid "$log.2"
}

end()
{
	kill "$full" "$empty"
	wait "$full" "$empty" 2>/dev/null
	rm "$log.1" "$log.2"
}

# Prints the names of the two arenas in the order of their lines in $log.
order()
{
	awk '$2 == "full" || $2 == "empty" { printf "%s ", $2 }' "$log"
}

# Replaces each run of blanks in $log by a single blank, because the widths of columns do not
# matter.
squeeze()
{
	tr -s ' ' <"$log" >"$log.s" && mv "$log.s" "$log"
}

lists_sizes()
{
	ends_with 0 ./arenactl list && squeeze &&
		says ' full 96.0K 92.0K 92.0K 96.0K 4 3 1 device,account' &&
		says ' empty 1.0M 0 0 0 4 0 0 device,account' && says '^2 arenas, '
}

lists_bytes()
{
	ends_with 0 ./arenactl -B list && squeeze &&
		says ' full 98304 94208 94208 98304 4 3 1 device,account'
}

sorts()
{
	ends_with 0 ./arenactl -s name list && [ "$(order)" = "empty full " ] &&
		ends_with 0 ./arenactl -s name -R list && [ "$(order)" = "full empty " ] &&
		ends_with 0 ./arenactl -s capacity list && [ "$(order)" = "empty full " ] &&
		ends_with 0 ./arenactl -s fail_space list && [ "$(order)" = "full empty " ] &&
		ends_with 0 ./arenactl list -s used && [ "$(order)" = "full empty " ] &&
		ends_with 2 ./arenactl -s nonsense list && says 'no column nonsense'
}

# Succeeds if "arenactl show" prints the numbers that the table in debugfs has.
shows()
{
	ends_with 0 ./arenactl -B show full || return 1
	sed 's/  */ /' "$log" >"$log.shown"
	awk 'NR == 1 { split($0, name); next }
		$2 == "full" { for (i = 1; i <= NF; i++) print name[i], $i }' \
		$arena/arenas | cmp -s - "$log.shown" && rm "$log.shown" || return 1
	id=$(sed -n 's/^id *//p' "$log")
	ends_with 0 ./arenactl show "$id" && says '^name *full$' && says '^used *94208 (92.0K)$' &&
		ends_with 1 ./arenactl show nobody && says 'no arena nobody'
}

# Succeeds if "arenactl show" finds arenas whose name looks like a number or contains a blank.
shows_odd_names()
{
	./arena_play 'setup=a b\c,0x10000,0' pid pause >"$log.3" &
	odd=$!
	./arena_play setup=4000000000,0x10000,0 pid pause >"$log.4" &
	odd="$odd $!"
	until_true grep -q pid "$log.3" && until_true grep -q pid "$log.4" &&
		ends_with 0 ./arenactl show 'a b\c' && says '^capacity *65536' &&
		ends_with 0 ./arenactl show 4000000000 && says '^name *4000000000$'
	rc=$?
	# shellcheck disable=SC2086 # two numbers
	kill $odd
	# shellcheck disable=SC2086 # both numbers
	wait $odd 2>/dev/null
	rm "$log.3" "$log.4"
	return $rc
}

# Succeeds if arenactl fails when its output cannot be written.
full_disk()
{
	for command in list "show full" "-j list" who --help --version "watch -b -n 2 -d 0.1"; do
		# shellcheck disable=SC2086 # words
		! ./arenactl $command >/dev/full 2>"$log" && says output || return 1
	done
}

# Succeeds if "arenactl watch -b" prints the table, with rates, three times, without a terminal.
watches()
{
	ends_with 0 ./arenactl watch -b -n 3 -d 0.1 </dev/null &&
		[ "$(grep -c 'ALLOCS/S' "$log")" -eq 3 ] && [ "$(grep -c ' full ' "$log")" -eq 3 ]
}

needs_terminal()
{
	ends_with 1 ./arenactl watch </dev/null && says 'no terminal'
}

# Succeeds if the keys n, R and q take effect at once, and arenactl restores the terminal's mode.
watches_on_terminal()
{
	ends_with 0 ./arena_tty nRq ./arenactl -d 3600 watch && says 'by name' && says 'arenas, ' &&
		tail -c 100 "$log" | grep -q '1049l'
}

# Succeeds if Ctrl-\ ends arenactl, which restores the terminal's mode.
quits_on_terminal()
{
	ends_with 0 ./arena_tty "$(printf '\034')" ./arenactl -d 3600 watch &&
		tail -c 100 "$log" | grep -q '1049l'
}

# Succeeds if Ctrl-Z stops arenactl after arenactl has restored the terminal's mode, and if arenactl
# sets its own mode again when arena_tty continues it.
stops_on_terminal()
{
	ends_with 0 ./arena_tty "$(printf '\032q')" ./arenactl -d 3600 watch && says stopped &&
		[ "$(grep -o '1049h' "$log" | wc -l)" -eq 2 ] &&
		[ "$(grep -o '1049l' "$log" | wc -l)" -eq 2 ]
}

# Succeeds if SIGTERM ends "arenactl watch -b" long before the table is due to be read again.
ends_by_signal()
{
	./arenactl watch -b -d 60 >"$log" &
	watcher=$!
	until_true says ' full ' || return 1
	kill "$watcher"
	wait "$watcher"
}

helps()
{
	ends_with 0 ./arenactl --help && says '^usage: arenactl' && says '^who ' &&
		./arenactl -h | cmp -s - "$log"
}

# Succeeds if arenactl prints the version of the module.
tells_version()
{
	version=$(cat /sys/module/arena/version)
	ends_with 0 ./arenactl --version && says "^arenactl $version\$" && ends_with 0 ./arenactl -V &&
		says "^arenactl $version\$"
}

# Succeeds if "arenactl --json list" prints each number that the table in debugfs has, flags as a
# list, and the name that the program gave to its arena.
lists_json()
{
	ends_with 0 ./arenactl --json -s used list && [ "$(head -n 1 "$log")" = '[' ] &&
		[ "$(tail -n 1 "$log")" = ']' ] && [ "$(grep -c '^  {' "$log")" -eq 2 ] || return 1
	awk 'NR == 1 { split($0, name); next }
		$2 == "full" {
			printf "  {\"id\": %s, \"name\": \"full\", ", $1
			printf "\"flags\": [\"device\", \"account\"]"
			for (i = 4; i <= NF; i++)
				printf ", \"%s\": %s", name[i], $i
			print "}," }' $arena/arenas >"$log.json"
	sed -n 2p "$log" | cmp -s - "$log.json" && rm "$log.json" &&
		ends_with 0 ./arenactl -j show full && says '^  {"id": .*"name": "full"' &&
		[ "$(wc -l <"$log")" -eq 3 ] && ends_with 1 ./arenactl -j show nobody &&
		[ "$(wc -l <"$log")" -eq 1 ] && ends_with 2 ./arenactl -j watch
}

# Succeeds if "arenactl -j show" prints a name with characters that JSON, the kernel, or both
# escape.
shows_json_name()
{
	./arena_play 'setup=a 12b\"c,0x10000,0' pid pause >"$log.3" &
	odd=$!
	until_true grep -q pid "$log.3" && ends_with 0 ./arenactl -j show 'a 12b\"c' &&
		grep -qF '"name": "a 12b\\\"c",' "$log"
	rc=$?
	kill "$odd"
	wait "$odd" 2>/dev/null
	rm "$log.3"
	return $rc
}

# Succeeds if "arenactl who", given the name or the number of an arena, prints the process that has
# it open, the descriptor, its rights and the program.
tells_who()
{
	fd=$(sed -n 's/^pid .* fd //p' "$log.1")
	id=$(awk '$2 == "full" { print $1 }' $arena/arenas)
	for which in full "$id"; do
		ends_with 0 ./arenactl who "$which" && squeeze && [ "$(wc -l <"$log")" -eq 2 ] &&
			says "^ *$id full $full $fd read,write,alloc,reset arena_play\$" || return 1
	done
	ends_with 0 ./arenactl who && squeeze && says " full $full $fd " && says ' empty ' &&
		[ "$(wc -l <"$log")" -eq 3 ] && ends_with 0 ./arenactl -j who full &&
		says "^  {\"id\": $id, \"name\": \"full\", \"pid\": $full, \"fd\": $fd, \"rights\":" &&
		says '\["read", "write", "alloc", "reset"\], "command": "arena_play"}$' &&
		ends_with 1 ./arenactl who nobody && says 'no process has an arena nobody'
}

# Succeeds if "arenactl pid" prints each descriptor of a process with its rights, also while the
# descriptor has no arena.
tells_of_process()
{
	./arena_play pid pause >"$log.3" &
	bare=$!
	./arena_play setup=few,0x10000,0 rights=5 pid pause >"$log.4" &
	few=$!
	until_true grep -q pid "$log.3" && until_true grep -q pid "$log.4" &&
		ends_with 0 ./arenactl pid "$few" && squeeze && [ "$(wc -l <"$log")" -eq 2 ] &&
		says " few $few [0-9]* read,alloc arena_play\$" &&
		ends_with 0 ./arenactl pid "$bare" && squeeze && says "^ *- - $bare [0-9]* read" &&
		ends_with 0 ./arenactl -j pid "$bare" && says '^  {"id": null, "name": "", ' &&
		ends_with 0 ./arenactl -j pid $$ && [ "$(cat "$log")" = '[]' ]
	rc=$?
	kill "$bare" "$few"
	wait "$bare" "$few" 2>/dev/null
	rm "$log.3" "$log.4"
	return $rc
}

# Succeeds if arenactl, run by a user other than root, shows only processes of that user and prints
# that it left out the processes of others.
tells_own_only()
{
	ends_with 0 ./arena_play uid=65534 exec='./arenactl who' &&
		says 'processes of others were left out' && ! says ' full ' &&
		ends_with 1 ./arena_play uid=65534 exec="./arenactl pid $full" && says "process $full"
}

misuse()
{
	ends_with 2 ./arenactl nonsense && says usage && ends_with 2 ./arenactl show && says usage &&
		ends_with 2 ./arenactl watch -b -d 0 && ends_with 2 ./arenactl watch -n 0.5 &&
		ends_with 2 ./arenactl -x && ends_with 2 ./arenactl list full &&
		ends_with 2 ./arenactl pid && ends_with 2 ./arenactl pid full &&
		ends_with 1 ./arenactl pid 999999999 && says 'process 999999999'
}

no_debugfs()
{
	ends_with 1 ./arenactl -D /proc && says 'no debugfs at /proc: mount -t debugfs'
}

# Hides the arena's part of debugfs below another file system; succeeds if arenactl then reports
# that the module is not loaded.
no_module()
{
	mkdir -p "$log.d" && mount -t debugfs none "$log.d" || return 1
	mount -t tmpfs none "$log.d/arena" || return 1
	ends_with 1 ./arenactl -D "$log.d" && says 'the module arena is not loaded'
	verdict=$?
	umount "$log.d/arena" && umount "$log.d" && rmdir "$log.d"
	return $verdict
}

no_root()
{
	ends_with 1 ./arena_play uid=65534 exec=./arenactl && says 'only root may look'
}

[ -e /dev/arena ] || skip_all "no /dev/arena"
[ -r $arena/arenas ] || skip_all "debugfs does not show arenas"
[ -x ./arenactl ] || skip_all "no arenactl"
echo "TAP version 13"
echo "1..23"
begin
check "list: sizes for humans, and a sum" lists_sizes
check "list: bytes" lists_bytes
check "list: sorted" sorts
check "show: by name and by number" shows
check "show: names that look like something else" shows_odd_names
check "list, show: as JSON" lists_json
check "show: as JSON, names that must be escaped" shows_json_name
check "who: the processes of an arena" tells_who
check "pid: the arenas of a process" tells_of_process
check "who, pid: not root" tells_own_only
check "output that nobody gets" full_disk
check "watch: in batches" watches
check "watch: no terminal" needs_terminal
check "watch: on a terminal" watches_on_terminal
check "watch: Ctrl-backslash restores the terminal" quits_on_terminal
check "watch: Ctrl-Z restores the terminal" stops_on_terminal
check "watch: a signal ends it" ends_by_signal
end
check "help" helps
check "version" tells_version
check "misuse" misuse
check "no debugfs" no_debugfs
check "no module" no_module
check "not root" no_root
rm "$log"
