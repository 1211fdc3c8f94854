# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh
#
# Functions of the tests of all conversions, which run in the guest.

# Prints a line that the original and the converted module must print alike.
same()
{
	echo "# same: $1 $(md5sum | cut -c1-32)"
}

# Prints the MiB of memory that programs can get.
available()
{
	awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo
}

# Runs a command while a task, which the OOM killer prefers, has taken all memory but $1 MiB.
while_short()
{
	mkfifo /tmp/held || return 1
	(echo 1000 >/proc/self/oom_score_adj && exec readdir hold $(($1 << 20)) >/tmp/held) &
	holder=$!
	read -r _ </tmp/held
	shift
	"$@"
	result=$?
	kill $holder 2>/dev/null
	wait $holder
	rm /tmp/held
	return $result
}
