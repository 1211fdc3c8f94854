# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
#
# What the test scripts share: functions that print TAP, the kernel's test format, and that load
# modules. Scripts source this file. If a script sets $log, a check that fails prints that file.

arena=/sys/kernel/debug/arena
number=0

skip_all()
{
	echo "1..0 # SKIP $*"
	exit 4
}

# Loads a test module with parameters, from /ko or from the present directory. If the file exists
# and the module does not load, the script fails: skipping the tests would hide the reason.
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

# Prints a file as comments of TAP. Adds a newline if the last line lacks one.
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

# Makes a check and reports it:
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

# Reports a check that cannot be made on this machine:
#   skip NAME REASON
skip()
{
	number=$((number + 1))
	echo "ok $number $1 # SKIP $2"
}

# Succeeds if no arena exists, and the module holds no memory but the pool's. The pool is memory
# that the module keeps for new arenas.
only_pool_held()
{
	total=$(cat $arena/total_bytes)
	pool=$(cat $arena/pool_bytes)
	[ "$total" -le "$pool" ] && [ "$(wc -l <$arena/arenas)" -eq 1 ]
}

# Waits until no arena exists, and the module holds no memory but the pool's. A page that a pipe,
# say, still refers to when its arena goes is held until a worker finds that the reference is gone.
nothing_held()
{
	until_true only_pool_held
	rc=$?
	echo "# $total bytes held, $pool of them in the pool"
	return $rc
}
