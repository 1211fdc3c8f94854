# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
#
# What tests written for the shell share: TAP, and the modules that they load.
# Sourced, never run. A test that sets $log has that file shown when a check fails.

arena=/sys/kernel/debug/arena
number=0

skip_all()
{
	echo "1..0 # SKIP $*"
	exit 4
}

# A module of the tests, and its parameters. It comes from /ko or from the present
# directory. One that is there and does not load is a failure: a skip would hide what
# broke it.
load_module()
{
	for ko in "/ko/$1.ko" "./$1.ko"; do
		[ -e "$ko" ] || continue
		shift
		insmod "$ko" "$@" && return 0
		echo "1..1"
		echo "not ok 1 the module ${ko##*/} loads"
		exit 1
	done
	modprobe "$@" 2>/dev/null
}

# A file as comments. The last line may be of a screen, and have no end.
show()
{
	awk '{ print "# " $0 }' "$1"
}

# Wait until a command succeeds: at most three minutes, which no busy machine needs.
until_true()
{
	tries=1800
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.1
	done
}

# Name, and a command that decides.
check()
{
	name=$1
	number=$((number + 1))
	shift
	if "$@"; then
		echo "ok $number $name"
	else
		echo "not ok $number $name"
		[ -z "${log:-}" ] || show "$log"
	fi
}

# Name and reason of a check that cannot be made here.
skip()
{
	number=$((number + 1))
	echo "ok $number $1 # SKIP $2"
}

# Arenas are gone, and all that is held of their memory is in the pool.
nothing_held()
{
	total=$(cat $arena/total_bytes)
	pool=$(cat $arena/pool_bytes)
	echo "# $total bytes held, $pool of them in the pool"
	[ "$total" -eq "$pool" ] && [ "$(wc -l <$arena/arenas)" -eq 1 ]
}
