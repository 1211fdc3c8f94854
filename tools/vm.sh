#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Runs commands in a throwaway virtual machine, the guest, that has the arena module. Prints what
# the commands print. Writes the kernel's log to a file, and searches it for splats, reports of a
# bug. Succeeds if the commands succeed, the machine ends by itself, and the log has no splat.
#
#   vm.sh [OPTIONS] -- 'shell commands to run in the guest'
#     --kernel NAME         one of Debian's kernels, in QEMU: stock (default), the kernel of this
#                           release, another of KERNEL_TABLE (lib.sh), or new, the newest one
#     --kernel uml          sanitizer kernel of kunit.sh, which has the arena built in, without
#                           QEMU
#     --vmlinuz FILE        another kernel image; with --kernel uml, of User-Mode Linux
#     --modules DIR         copy *.ko of DIR to /ko; default: build the module for the kernel
#     --no-module           neither build nor copy a module
#     --file HOST:GUEST     copy a file or directory to the guest; may be repeated
#     --smp N  --mem SIZE   CPUs and memory, default 2 and 1G
#     --nodes N             NUMA nodes, among which CPUs and memory are divided
#     --icount              one CPU, on which each instruction takes a nanosecond
#     --possible N          with --icount: number of possible CPUs, of which one runs
#     --append STRING       more arguments of the kernel
#     --qemu STRING         more arguments of QEMU
#     --timeout SECONDS     default 300
#     --name NAME           name of the log files, default vm
# In the guest, the commands run as root in the folder /. The modules are in /ko; proc, sysfs,
# debugfs, cgroup2 and a tmpfs on /tmp are mounted. Standard output is a serial line that the kernel
# does not write to.

. "$(dirname "$0")/lib.sh"

KERNEL=stock
VMLINUZ=
MODULES=
NO_MODULE=
FILES=()
SMP=2
MEM=1G
NODES=1
ICOUNT=
POSSIBLE=1
APPEND=
MORE=()
TIMEOUT=300
NAME=vm
COMMANDS=

usage()
{
	sed -n '4,/^$/s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

parse()
{
	while [ $# -gt 0 ]; do
		case $1 in
		--) shift && COMMANDS=$* && return ;;
		--icount) ICOUNT=1 && shift && continue ;;
		--no-module) NO_MODULE=1 && shift && continue ;;
		esac
		[ $# -ge 2 ] || usage
		case $1 in
		--kernel) KERNEL=$2 ;;
		--vmlinuz) VMLINUZ=$2 ;;
		--modules) MODULES=$2 ;;
		--file) FILES+=("$2") ;;
		--smp) SMP=$2 ;;
		--mem) MEM=$2 ;;
		--nodes) NODES=$2 ;;
		--possible) POSSIBLE=$2 ;;
		--append) APPEND=$2 ;;
		--qemu) read -ra MORE <<<"$2" ;;
		--timeout) TIMEOUT=$2 ;;
		--name) NAME=$2 ;;
		*) usage ;;
		esac
		shift 2
	done
}

prepare()
{
	"$ROOT/tools/setup.sh" vm || exit 1
	ARCH=amd64
	if [ "$KERNEL" = uml ]; then
		[ -z "$VMLINUZ" ] || return
		"$ROOT/tools/kunit.sh" --build || exit 1
		VMLINUZ=$BUILD/uml/linux
		return
	fi
	kernel_facts "$KERNEL"
	if [ "$ARCH" != amd64 ]; then
		"$ROOT/tools/setup.sh" "$ARCH-cc" || exit 1
	elif [ "$KERNEL" = backport ]; then
		"$ROOT/tools/setup.sh" qemu || exit 1
	fi
	if [ -z "$VMLINUZ" ]; then
		"$ROOT/tools/setup.sh" "$KERNEL" || exit 1
		VMLINUZ=$BUILD/$KERNEL/vmlinuz
	fi
	[ -n "$NO_MODULE" ] || [ -n "$MODULES" ] ||
		MODULES=$("$ROOT/tools/module.sh" "$KERNEL") ||
		die "the module does not build"
}

guest_init()
{
	cat <<'END'
#!/bin/sh
# Mounts file systems, runs the commands, and ends the machine.
export PATH=/bin:/sbin:/usr/bin HOME=/ TMPDIR=/tmp
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/shm /dev/pts /tmp /sys/fs/cgroup
mount -t devpts devpts /dev/pts 2>/dev/null
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /dev/shm
mount -t debugfs debugfs /sys/kernel/debug
mount -t tracefs tracefs /sys/kernel/tracing 2>/dev/null
mount -t cgroup2 cgroup2 /sys/fs/cgroup 2>/dev/null
ip link set lo up 2>/dev/null
# Let root read the kernel's symbols, for the demonstration.
[ ! -e /proc/sys/kernel ] || echo 0 >/proc/sys/kernel/kptr_restrict
# The output goes to the second serial line, or on UML, whose root is a directory of the host, to a
# file.
out=/output
if [ ! -e $out ]; then
	out=/dev/SERIAL
	stty -F $out raw -echo 2>/dev/null
fi
setsid sh /commands >>$out 2>&1 </dev/null
echo "arena-vm: commands ended with $?" >>$out
sync
# UML starts again at a reboot, so halt there. QEMU ends at a reboot; the guest has no ACPI by which
# it could power off.
[ $out = /output ] && halt -f
reboot -f
END
}

# Prints the path of a static BusyBox of the guest's architecture.
guest_busybox()
{
	if [ "$ARCH" = amd64 ]; then
		PATH=$PATH:/usr/sbin:/sbin command -v busybox
	else
		echo "$BUILD/$KERNEL/bin/busybox"
	fi
}

# Makes the guest's root directory, anew in each run.
make_root()
{
	local d=$WORK/root file host guest

	mkdir -p "$d/bin" "$d/proc" "$d/sys" "$d/dev" "$d/etc" "$d/ko"
	cp "$(guest_busybox)" "$d/bin/busybox"
	ln -s busybox "$d/bin/sh"
	echo 'root:x:0:0:root:/:/bin/sh' >"$d/etc/passwd"
	[ -z "$MODULES" ] || cp "$MODULES"/*.ko "$d/ko/" ||
		die "no module in $MODULES"
	for file in ${FILES[@]+"${FILES[@]}"}; do
		host=${file%:*} guest=$d/${file##*:}
		mkdir -p "$(dirname "$guest")"
		cp -rL "$host" "$guest" || die "cannot carry $host"
	done
	guest_init | sed "s/SERIAL/${TTY[1]}/" >"$d/init"
	chmod +x "$d/init"
	printf '%s\n' "$COMMANDS" >"$d/commands"
}

make_initramfs()
{
	(cd "$WORK/root" && find . | cpio --quiet -o -H newc -R 0:0) >"$WORK/initrd" ||
		die "cannot pack the initramfs"
}

# Sets QEMU to the command that starts it, and TTY to the serial lines of the guest for the kernel's
# log and for the output of the commands. QEMU 7.2, which Debian 12 has, crashes Linux 6.12 in half
# of its boots, so a newer QEMU runs that: by the loader and the libraries of the root directory to
# which it was extracted.
qemu_command()
{
	local root=$BUILD/qemu

	QEMU=(qemu-system-x86_64) TTY=(ttyS0 ttyS1)
	case $KERNEL in
	backport) QEMU=("$root/lib64/ld-linux-x86-64.so.2" --library-path
		"$root/usr/lib/x86_64-linux-gnu" "$root/usr/bin/qemu-system-x86_64"
		-L "$root/usr/share/qemu" -L "$root/usr/share/seabios") ;;
	arm64) QEMU=(qemu-system-aarch64 -machine virt) TTY=(ttyAMA0 ttyS0) ;;
	esac
}

qemu_args()
{
	local line="console=${TTY[0]} panic=-1 oops=panic quiet"

	ARGS=(-display none -no-reboot -m "$MEM" -nodefaults -cpu max
		-kernel "$VMLINUZ" -initrd "$WORK/initrd" -serial "file:$CONSOLE")
	# The machine "virt" of arm64 has one serial line, so the second one is a PCI device.
	# shellcheck disable=SC2054 # the commas are QEMU's
	if [ "$ARCH" = arm64 ]; then
		ARGS+=(-chardev stdio,id=output -device pci-serial,chardev=output)
	else
		ARGS+=(-serial stdio)
	fi
	# shellcheck disable=SC2054 # the commas are QEMU's
	if [ -n "$ICOUNT" ]; then
		ARGS+=(-accel tcg,thread=single -smp "1,maxcpus=$POSSIBLE"
			-icount shift=0,sleep=off)
		line="$line tsc=reliable clocksource=tsc possible_cpus=$POSSIBLE"
	else
		ARGS+=(-accel tcg,thread=multi -smp "$SMP,sockets=$NODES")
		# On a busy host, timer interrupts can be so late that an x86 kernel believes that
		# there are none, and panics, or never ends to measure how fast its delay loop is.
		# So tell it the latter: a CPU of 2.5 GHz, with 250 ticks a second.
		[ "$ARCH" != amd64 ] || line="$line no_timer_check lpj=10000000"
	fi
	[ "$NODES" -eq 1 ] || node_args
	ARGS+=(-append "$line loglevel=6 $APPEND" ${MORE[@]+"${MORE[@]}"})
}

node_args()
{
	local node cpus size

	[ $((SMP % NODES)) -eq 0 ] || die "$SMP CPUs cannot be divided by $NODES"
	size=$(($(numfmt --from=iec "$MEM") / NODES))
	for ((node = 0; node < NODES; node++)); do
		cpus=$((node * SMP / NODES))-$(((node + 1) * SMP / NODES - 1))
		ARGS+=(-object "memory-backend-ram,id=m$node,size=$size"
			-numa "node,nodeid=$node,memdev=m$node,cpus=$cpus")
	done
}

# Runs UML, and kills it by SIGKILL after the timeout, because SIGTERM can make it hang. Prints the
# output of the commands from the file that they write to; the console has the kernel's log.
boot_uml()
{
	local rc=0 tail_pid

	: >"$WORK/root/output"
	tail -q -f "$WORK/root/output" > \
		>(grep -av --line-buffered '^arena-vm: commands ended') &
	tail_pid=$!
	# shellcheck disable=SC2086 # arguments, split at blanks
	TMPDIR=/dev/shm timeout -s KILL "$TIMEOUT" "$VMLINUZ" \
		seccomp=on ncpus="$SMP" mem="$MEM" nohz=off highres=off rootfstype=hostfs \
		rootflags="$WORK/root" rw init=/init kunit.enable=0 panic=-1 \
		con=null con0=fd:0,fd:1 $APPEND </dev/null >"$CONSOLE" 2>&1 ||
		rc=$?
	sleep 1
	kill "$tail_pid"
	cp "$WORK/root/output" "$OUTPUT"
	# Ignore UML's exit status but for the timeout: verdict() looks for the guest's last line.
	[ "$rc" -ne 137 ] || say "killed after $TIMEOUT s without an end"
	return 0
}

# Runs QEMU, and prints the second serial line, which is the output of the commands.
boot()
{
	local rc=0

	: >"$CONSOLE"
	timeout -s KILL "$TIMEOUT" "${QEMU[@]}" "${ARGS[@]}" \
		</dev/null | sed -u 's/\r//g' | tee "$OUTPUT" |
		grep -av --line-buffered '^arena-vm: commands ended'
	rc=${PIPESTATUS[0]}
	[ "$rc" -ne 137 ] || say "killed after $TIMEOUT s without an end"
	return "$rc"
}

verdict()
{
	local rc=$1 last bad=0

	last=$(sed -n 's/^arena-vm: commands ended with //p' "$OUTPUT" | tail -n 1)
	if splats "$CONSOLE" >&2; then
		say "the kernel's log has splats (above)"
		bad=1
	fi
	if [ -z "$last" ]; then
		say "the guest did not come to its end; its log's last lines:"
		tail -n 30 "$CONSOLE" >&2
		bad=1
	elif [ "$last" -ne 0 ]; then
		say "the commands failed ($last)"
		bad=1
	fi
	[ "$rc" -eq 0 ] && [ "$bad" -eq 0 ] && return 0
	say "kernel log: $CONSOLE"
	return 1
}

main()
{
	local rc=0

	parse "$@"
	[ -n "$COMMANDS" ] || usage
	prepare
	CONSOLE=$LOGS/$NAME.console
	OUTPUT=$LOGS/$NAME.output
	WORK=$(mktemp -d) || exit 1
	trap 'rm -rf "$WORK"' EXIT
	qemu_command
	make_root
	if [ "$KERNEL" = uml ]; then
		boot_uml
	else
		make_initramfs
		qemu_args
		boot || rc=$?
	fi
	verdict "$rc"
}

main "$@"; exit
