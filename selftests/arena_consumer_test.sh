#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# Tests the module arena_consumer (selftests/consumer), an example of kernel code that uses arenas.
# The module parses JSON text, answers queries about the text, and compares arenas with kmalloc().
# Prints TAP.

. "$(dirname "$0")/arena_tap.sh"

debug=/sys/kernel/debug/arena_consumer
dir=$(mktemp -d)

text()
{
	cat <<'END'
{
	"name": "router",
	"empty": "",
	"motd": "gr\u00fc\u00df \"dich\"\n\ud83d\ude00",
	"limits": { "rate": -12.5e+3, "burst": 0, "hard": false },
	"interfaces": [
		{ "name": "eth0", "mtu": 1500, "addresses": [ "10.0.0.1", "fe80::1" ] },
		{ "name": "eth1", "mtu": 9000, "addresses": [] },
		{}
	],
	"gateway": null, "up": true
}
END
}

# Prints a JSON array of $1 records.
long_text()
{
	awk -v nr="$1" 'BEGIN {
		printf "["
		for (i = 0; i < nr; i++)
			printf "%s{\"id\": %d, \"user\": \"user%d\", \"tags\": " \
				"[\"a%d\", true, null], \"ok\": %s}", i ? ",\n" : "",
				i, i * 7919 % 1000, i % 13, i % 3 ? "true" : "false"
		print "]"
	}'
}

# Prints $1 copies of the character $2 and then, if $3 is given, $1 copies of the character $3.
repeat()
{
	awk -v nr="$1" -v a="$2" -v b="$3" 'BEGIN {
		for (i = 0; i < nr; i++) printf "%s", a
		for (i = 0; b != "" && i < nr; i++) printf "%s", b
	}'
}

# Copies the file $2 to the module's debugfs file $1, by a single write().
put()
{
	dd if="$2" of="$debug/$1" bs=1M 2>"$dir/error"
}

parse()
{
	put parse "$dir/$1"
}

# Succeeds if the error message of the last command contains $1; otherwise prints the message.
because()
{
	grep -q "$1" "$dir/error" || { echo "# $(cat "$dir/error")" && false; }
}

# Writes a query to descriptor 3. Unlike the printf of some shells, dd prints the error of a failed
# write.
ask()
{
	printf '%s\n' "$1" | dd bs=4096 >&3
}

query()
{
	(ask "$1" && cat <&3) 3<>$debug/query 2>"$dir/error"
}

says()
{
	got=$(query "$1")
	[ "$got" = "$2" ] || { echo "# $1: $got" && false; }
}

answers()
{
	parse text &&
		says / "object 7" && says /name router && says /empty "" &&
		says /limits/rate -12.5e+3 && says /limits/burst 0 &&
		says /limits/hard false && says /interfaces "array 3" &&
		says /interfaces/0/addresses/1 fe80::1 &&
		says /interfaces/1/addresses "array 0" &&
		says /interfaces/2 "object 0" && says /gateway null && says /up true
}

escapes()
{
	says /motd "$(printf 'gr\303\274\303\237 "dich"\n\360\237\230\200')"
}

# Succeeds if the query $1 fails with an error message that contains $2.
unanswered()
{
	if query "$1"; then
		echo "# there is a $1"
		return 1
	fi
	because "$2"
}

absent()
{
	for path in /nothing /name/0 /interfaces/3 /interfaces/00 name //; do
		unanswered $path 'No such file' || return 1
	done
}

# Succeeds if the module refuses the text $2, reports that byte $1 is wrong, and drops the previous
# text.
bad_text()
{
	printf '%s' "$2" >"$dir/bad"
	parse text || return 1
	if parse bad; then
		echo "# taken: $2"
		return 1
	fi
	grep -q "at byte $1\$" $debug/parse || echo "# $2: $(cat $debug/parse)"
	because 'Invalid argument' && unanswered / 'No data' &&
		grep -q "at byte $1\$" $debug/parse
}

bad_texts()
{
	while read -r place line; do
		bad_text "$place" "$line" || return 1
	done <<'END'
0 x
1 {x
2 []]
3 [1,]
3 [1 2]
2 [1}
1 -
1 01
2 1.e
2 "a
4 {"a"}
5 {"a":}
2 "\q"
5 "\u00g0"
7 "\u0000"
7 "\ud800"
10 [[[[[[[[[[
4 nullx
END
	bad_text 1 " "
}

# Of all texts with the same length, the text of opening brackets alone needs the most memory.
# Checks that the module refuses the longest text of this kind for its syntax and not for lack of
# memory, accepts the longest text of nested brackets, and refuses a text which is a byte too long
# but keeps the previous text.
bounds()
{
	repeat 131072 '[' ']' >"$dir/deep"
	repeat 262144 '[' >"$dir/worst"
	repeat 262145 '[' >"$dir/bad"
	! parse worst && because 'Invalid argument' &&
		grep -q 'at byte 262144' $debug/parse &&
		parse deep && ! parse bad && because 'File too large' &&
		says / "array 1"
}

# Succeeds if the module refuses a query whose answer is too long, and a second query through the
# same open file.
limits()
{
	(printf '["' && repeat 9000 x && printf '"]') >"$dir/wide"
	parse wide && unanswered /0 'too long' && parse text || return 1
	if (ask /name && ask /up) 3<>$debug/query 2>"$dir/error"; then
		return 1
	fi
	because busy
}

# Lets the module compare its kinds of memory by the text $1. Fails if the module refuses the text;
# the results are there nevertheless.
put_compare()
{
	{
		dd if="$dir/$1" bs=1M 2>"$dir/error" >&4
		rc=$?
		cat <&4 >"$dir/table"
	} 4<>$debug/compare
	return $rc
}

# Prints column $2 of the comparison for the kind of memory $1.
column()
{
	awk -v row="$1" -v column="$2" '$1 == row { print $column }' "$dir/table"
}

# Succeeds if the parser has made as many objects, with as many bytes, in each kind of memory as
# with kmalloc(), and at least $1 objects.
like_kmalloc()
{
	show "$dir/table"
	for kind in dense spans private; do
		[ "$(column $kind 2)" = "$(column kmalloc 2)" ] &&
			[ "$(column $kind 3)" = "$(column kmalloc 3)" ] || return 1
	done
	[ "$(column kmalloc 2)" -ge "$1" ]
}

compare()
{
	put_compare long && like_kmalloc 20000
}

# Succeeds if each kind of memory has the objects of a bad text in front of what is wrong: an array,
# two nodes and two numbers.
compare_bad()
{
	echo '[1, 2' >"$dir/bad"
	! put_compare bad && because 'Invalid argument' && like_kmalloc 5 &&
		[ "$(column spans 2)" = 5 ]
}

# Prints the column $1 of the table of all arenas, from the line of arena_consumer's arena.
field()
{
	awk -v name="$1" 'NR == 1 { for (i = 1; i <= NF; i++) if ($i == name) n = i }
		$2 == "json" { print $n }' $arena/arenas
}

# Succeeds if the module, when it parses the same text a hundred times more, allocates no pages and
# resets the arena once for each text.
steady()
{
	parse long || return 1
	pages=$(field page_allocs) resets=$(field resets)
	for _ in $(seq 100); do
		parse long || return 1
	done
	[ "$(field page_allocs)" = "$pages" ] &&
		[ $(($(field resets) - resets)) = 100 ] && says /1999/id 1999
}

# Succeeds if each query returns a value from one of two texts, while a background process parses
# the two texts in turn.
together()
{
	echo '{"name": "other"}' >"$dir/other"
	parse text || return 1
	for _ in $(seq 200); do
		parse other && parse text
	done &
	writer=$!
	good=0 result=0
	while kill -0 $writer 2>/dev/null; do
		case $(query /name) in
		router | other) good=$((good + 1)) ;;
		*) result=1 ;;
		esac
	done
	wait $writer || result=1
	echo "# $good answers"
	[ $good -gt 0 ] && [ $result = 0 ]
}

# Called while a debugfs file of arena_consumer is open. Succeeds if the kernel unloads neither
# arena_consumer, which the open file uses, nor arena, which arena_consumer uses.
stays()
{
	! rmmod arena_consumer 2>/dev/null && ! rmmod arena 2>/dev/null
}

unload()
{
	rmmod arena_consumer && nothing_held && ! [ -e $debug ]
}

load_module arena_consumer || skip_all "no module arena_consumer"
text >"$dir/text"
long_text 2000 >"$dir/long"
echo "TAP version 13"
echo "1..12"
check "questions are answered" answers
check "escapes become UTF-8" escapes
check "what is not there is not found" absent
check "bad texts are refused with their place" bad_texts
check "texts are bounded" bounds
check "answers are bounded" limits
check "trees in arenas are those in kmalloc" compare
check "a bad text is refused in all of them alike" compare_bad
check "requests take no more memory than the first" steady
check "questions and requests at once" together
check "modules stay while in use" stays 3<>$debug/query
check "nothing is left behind" unload
rm -rf "$dir"
