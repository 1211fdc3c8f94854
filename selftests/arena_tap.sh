# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# Functions for the test scripts, which source this file: they print TAP, the kernel's test format,
# and load modules. If a script sets $log, a check that fails prints the file $log.

arena=/sys/kernel/debug/arena
number=0

skip_all()
{
	echo "1..0 # SKIP $*"
	exit 4
}

# Loads the module $1 with the parameters $2 and following, from /ko, from the current directory, or
# by modprobe. If there is a file and the kernel refuses to load it, the script fails: skipping the
# tests would hide the reason.
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

# Prints a file as comments of TAP. Adds a newline if the last line ends without it.
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

# Runs a command as a check, and prints the result:
#   check NAME COMMAND...
# The check has passed if the command succeeds.
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

# Prints that this machine cannot run a check:
#   skip NAME REASON
skip()
{
	number=$((number + 1))
	echo "ok $number $1 # SKIP $2"
}

# Succeeds if no arena exists and the module holds no memory outside of its pool, which keeps memory
# for new arenas.
only_pool_held()
{
	total=$(cat $arena/total_bytes)
	pool=$(cat $arena/pool_bytes)
	[ "$total" -le "$pool" ] && [ "$(wc -l <$arena/arenas)" -eq 1 ]
}

# Waits until no arena exists and the module holds no memory outside of its pool. If, for example, a
# pipe refers to a page of a closed arena, the module holds the page until a worker of the module
# finds that the pipe has dropped the reference.
nothing_held()
{
	until_true only_pool_held
	rc=$?
	echo "# $total bytes held, $pool of them in the pool"
	return $rc
}
