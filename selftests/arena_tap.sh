# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
#
# Shared by tests that are shell scripts: functions that print TAP and that load modules. Sourced,
# never run. If a test sets $log, a check that fails prints that file.

arena=/sys/kernel/debug/arena
number=0

skip_all()
{
	echo "1..0 # SKIP $*"
	exit 4
}

# Loads a test module with parameters, from /ko or from the present directory. A module that is
# there and does not load is a failure: a skip would hide the reason.
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

# Prints a file as comments of TAP. Its last line may lack a newline.
show()
{
	awk '{ print "# " $0 }' "$1"
}

# Waits until a command succeeds, but at most three minutes.
until_true()
{
	tries=1800
	until "$@"; do
		tries=$((tries - 1))
		[ $tries -gt 0 ] || return 1
		sleep 0.1
	done
}

# Reports a check: its name, and a command that succeeds if it holds.
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

# Reports a check that cannot be made on this machine: its name and the reason.
skip()
{
	number=$((number + 1))
	echo "ok $number $1 # SKIP $2"
}

# Succeeds if no arena exists and all memory held is in the pool.
only_pool_held()
{
	total=$(cat $arena/total_bytes)
	pool=$(cat $arena/pool_bytes)
	[ "$total" -le "$pool" ] && [ "$(wc -l <$arena/arenas)" -eq 1 ]
}

# Waits until no arena exists and all memory that is still held is in the pool. Pages to which
# something refers when their arena goes are held longer, until a worker finds them free.
nothing_held()
{
	until_true only_pool_held
	rc=$?
	echo "# $total bytes held, $pool of them in the pool"
	return $rc
}
