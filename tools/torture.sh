#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs selftests/torture in a virtual machine: all calls of arenas at once, from tasks, interrupts
# and NMIs, with checks all the time, while CPUs go offline and come back, memory becomes scarce,
# and programs use the device. Each round loads the modules, and unloads them again.
#
#   torture.sh
#   torture.sh planted [NUMBER...]  negative controls: succeeds if a run finds each of these bugs of
#                                 selftests/planted.txt; default: all that the table lists for
#                                 "torture"
#   TORTURE_SECONDS=60            how long, in seconds of the guest
#   TORTURE_SEED=1                seed of the choices: a run with the same seed makes the same
#                                 choices, but not at the same moments
#   KERNEL=stock|new|kasan|kcsan  stock kernel of this release, the newest one, or a sanitizer
#                                 kernel of x86.sh
#   SMP=4                         number of CPUs

. "$(dirname "$0")/lib.sh"

LENGTH=${TORTURE_SECONDS:-60}
SEED=${TORTURE_SEED:-1}
KERNEL=${KERNEL:-stock}
SMP=${SMP:-4}
STEP=torture
TABLE=$ROOT/selftests/planted.txt
PLANTED_LENGTH=20

build()
{
	local modules

	case $KERNEL in
	stock | new)
		modules=$("$ROOT/tools/module.sh" "$KERNEL") || die "the modules do not build"
		MACHINE=(--kernel "$KERNEL" --modules "$modules") MEM=1G
		;;
	kasan | kcsan)
		"$ROOT/tools/x86.sh" "$KERNEL" --build || exit 1
		MACHINE=(--vmlinuz "$BUILD/$KERNEL/arch/x86/boot/bzImage"
			--modules "$BUILD/$KERNEL/ko") MEM=2G
		;;
	*) die "no such kernel: $KERNEL" ;;
	esac
	build_selftests arena_fuzz || die "arena_fuzz does not build"
}

# Prints the commands for the guest, which loads arena.ko with the parameter $1. The lines "count:
# NAME NUMBER" of its output say how often each kind of call was made in a round.
guest_script()
{
	echo "LENGTH=$LENGTH SEED=$SEED PARAMS=$1"
	cat <<'END'
now() { cut -d . -f 1 /proc/uptime; }

# Takes each CPU but the first offline and online again, until killed.
hotplug() {
	while :; do
		for cpu in /sys/devices/system/cpu/cpu[1-9]*/online; do
			echo 0 >$cpu; usleep 200000
			echo 1 >$cpu; usleep 300000
		done
	done
}

# Makes the kernel call all shrinkers, if it can be asked to.
shrink() {
	[ ! -e /proc/sys/vm/drop_caches ] || echo $1 >/proc/sys/vm/drop_caches
}

# Fills three quarters of the memory by files that the kernel cannot reclaim, and frees it again,
# until killed. In between, makes the kernel call all shrinkers.
pressure() {
	free=$(awk '/^MemAvailable/ { print int($2 / 1024) }' /proc/meminfo)
	while :; do
		dd if=/dev/zero of=/dev/shm/eaten bs=1M count=$((free * 3 / 4)) 2>/dev/null
		shrink 2; usleep 300000
		rm -f /dev/shm/eaten
		shrink 3; usleep 300000
	done
}

# Lets one in a hundred allocations of the torture module's calls fail, if the kernel can.
faults() {
	text=$(cat /sys/module/arena_torture/sections/.text) || return
	for dir in /sys/kernel/debug/fail_page_alloc /sys/kernel/debug/failslab; do
		[ -e $dir/require-start ] || continue
		echo 0 >$dir/verbose
		echo N >$dir/ignore-gfp-wait
		echo $text >$dir/require-start
		printf '0x%x\n' $((text + 65536)) >$dir/require-end
		echo 32 >$dir/stacktrace-depth
		echo -1 >$dir/times
		echo $1 >$dir/probability
	done
}

fail() { echo "torture: FAILED: $*"; exit 1; }

# One round: $1 is its number, $2 its length in seconds.
round() {
	debug=
	[ $(($1 % 4)) -ne 3 ] || debug=debug=torture*
	insmod /ko/arena.ko $PARAMS $debug || fail "arena.ko does not load"
	insmod /ko/arena_torture.ko seed=$((SEED + $1)) || fail "arena_torture.ko does not load"
	faults 1 2>/dev/null
	/arena_fuzz -s $((SEED + $1)) -t $2 -p 1 >/tmp/fuzz 2>&1 & fuzz=$!
	sleep $2
	faults 0 2>/dev/null
	sed 's/^/count: /' /sys/kernel/debug/arena_torture | tee /tmp/counts
	rmmod arena_torture || fail "arena_torture does not unload"
	# The fuzzer ends when the module holds no memory any more.
	wait $fuzz || {
		cat /tmp/fuzz
		fail "arena_fuzz, round $1"
	}
	[ "$(wc -l </sys/kernel/debug/arena/arenas)" -le 1 ] || {
		cat /sys/kernel/debug/arena/arenas
		fail "arenas are left"
	}
	rmmod arena || fail "arena does not unload"
	[ ! -e /dev/arena ] && [ ! -e /sys/kernel/debug/arena ] || fail "something is left behind"
	grep -q '^count: violations 0$' /tmp/counts || fail "violations in round $1"
	echo "torture: round $1, seed $((SEED + $1)), $2 s:" \
		"$(awk '/ in_/ { n += $3 } END { print n }' /tmp/counts) calls"
}

# On a machine that is busy with other work, a CPU of the guest may stand still for minutes.
set_limit() { [ ! -w "$2" ] || echo "$1" >"$2"; }
set_limit 600 /proc/sys/kernel/hung_task_timeout_secs
set_limit 60 /proc/sys/kernel/watchdog_thresh
set_limit 300 /sys/module/rcupdate/parameters/rcu_cpu_stall_timeout
set_limit 300 /sys/module/workqueue/parameters/watchdog_thresh
hotplug & jobs=$!
pressure & jobs="$jobs $!"
end=$(($(now) + LENGTH)) i=0
while [ $(now) -lt $end ]; do
	left=$((end - $(now)))
	length=$((2 + i % 3 * 9))
	[ $length -le $left ] || length=$left
	round $i $length
	i=$((i + 1))
done
kill $jobs
rm -f /dev/shm/eaten
for cpu in /sys/devices/system/cpu/cpu[1-9]*/online; do echo 1 >$cpu; done
leaks=/sys/kernel/debug/kmemleak
if [ -e $leaks ]; then
	echo scan >$leaks; sleep 6; echo scan >$leaks; sleep 1
	while read -r line; do echo "$line" >/dev/kmsg; done <$leaks
fi
exit 0
END
}

# Adds up the counts of all rounds. Prints "ROUNDS CALLS" and the kinds of calls that were never
# made.
sum_counts()
{
	awk '/^count: violations / { rounds++ }
		/^count: / { sum[$2] += $3; if ($2 ~ /^in_/) calls += $3 }
		END {
			missing = ""
			for (name in sum)
				if (!sum[name] && name != "violations")
					missing = missing " " name
			print rounds + 0, calls + 0 missing
		}' "$1"
}

# Fails if the run has made no round, or, if it was long enough, not each kind of call.
judge()
{
	local rc=$1 rounds calls missing word=passed

	! grep -a 'VIOLATION' "$LOGS/$STEP.console" >&2 || rc=1
	read -r rounds calls missing < <(sum_counts "$LOGS/$STEP.output")
	if [ "$LENGTH" -ge 30 ] && [ -n "$missing" ]; then
		say "calls that were never made: $missing"
		rc=1
	fi
	[ "$rounds" -gt 0 ] || rc=1
	[ "$rc" -eq 0 ] || word=FAILED
	counts "$STEP" "$((rc ? 0 : rounds))" "$rc" 0
	say "$word: KERNEL=$KERNEL, $LENGTH s, $rounds rounds, $calls calls, seed $SEED"
	return "$rc"
}

# Makes a run with the parameter $1 for arena.ko.
run()
{
	"$ROOT/tools/vm.sh" "${MACHINE[@]}" --smp "$SMP" --mem "$MEM" --name "$STEP" \
		--timeout $((900 + 4 * LENGTH)) --file "$BUILD/selftests/arena_fuzz:/arena_fuzz" \
		--append kasan_multi_shot \
		-- "$(guest_script "$1")" | grep --line-buffered -v '^count: '
	return "${PIPESTATUS[0]}"
}

# Runs with each of the bugs in the arguments. A bug is found if a check of arena_torture fails.
run_planted()
{
	local number numbers=("$@") ko found=0 missed=0

	[ $# -gt 0 ] || mapfile -t numbers < <(awk -F ' [|] ' '$7 == "torture" { print $1 }' "$TABLE")
	ko=$(KERNEL=$KERNEL "$ROOT/tools/planted.sh" --build) || exit 1
	MACHINE+=(--file "$ko/arena.ko:/ko/arena.ko")
	LENGTH=$PLANTED_LENGTH STEP=torture-planted
	for number in "${numbers[@]}"; do
		run "planted=$number" >/dev/null 2>"$LOGS/$STEP-$number.log"
		if grep -a -m 1 'VIOLATION' "$LOGS/$STEP.console" >&2; then
			found=$((found + 1))
		else
			say "bug $number: NOT FOUND, see $LOGS/$STEP-$number.log"
			missed=$((missed + 1))
		fi
	done
	counts "$STEP" "$found" "$missed" 0
	say "$found planted bugs found, $missed not found"
	[ "$missed" -eq 0 ] && [ "$found" -gt 0 ]
}

main()
{
	local rc=0

	counts "$STEP" 0 1 0
	build
	if [ "${1:-}" = planted ]; then
		shift
		run_planted "$@"
		return
	fi
	say "running on KERNEL=$KERNEL, $SMP CPUs, $LENGTH s, seed $SEED"
	run '' || rc=$?
	judge "$rc"
}

main "$@"; exit
