#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# Loads the module into the running kernel, unloads it, or runs the demonstration.
#
#   load.sh load           load the module
#   load.sh unload         unload the module
#   load.sh demo [FILE]    run the demonstration; default: on the kernel's symbol table

. "$(dirname "$0")/lib.sh"

need_root()
{
	[ "$(id -u)" -eq 0 ] || die "needs root: sudo make $1"
}

loaded()
{
	grep -q '^arena ' /proc/modules
}

# Succeeds if an error message of insmod means that the module must be signed. EKEYREJECTED and
# ENOKEY always mean that. EPERM means it only if the kernel is locked down; insmod in a container,
# say, gets EPERM for another reason.
wants_signature()
{
	case $1 in
	*'Key was rejected'* | *'Required key not available'*) ;;
	*'not permitted'*) grep -qs '\[\(integrity\|confidentiality\)\]' \
		/sys/kernel/security/lockdown ;;
	*) return 1 ;;
	esac
}

how_to_sign()
{
	cat >&2 <<-END
	This kernel loads no module but those signed with a key that it knows (Secure Boot, or
	module.sig_enforce). Once, make a key and enrol it; the firmware asks at the next boot
	for the password that mokutil wants now:
	    openssl req -new -x509 -newkey rsa:2048 -nodes -days 3650 -subj "/CN=arena/" \\
	        -keyout arena.key -outform DER -out arena.der
	    mokutil --import arena.der
	After each build, sign the module, and load it again:
	    ${KDIR:-/lib/modules/$(uname -r)/build}/scripts/sign-file sha256 arena.key arena.der \\
	        $BUILD/arena.ko
	dkms signs what it builds; its key is enrolled by: mokutil --import /var/lib/dkms/mok.pub
	END
}

load()
{
	local said

	need_root load
	! loaded || { say "already loaded" && return 0; }
	[ -e "$BUILD/arena.ko" ] || die "build it first: make"
	if said=$(PATH=$PATH:/usr/sbin:/sbin insmod "$BUILD/arena.ko" 2>&1); then
		say "loaded: /dev/arena is there"
		return
	fi
	say "$said"
	if wants_signature "$said"; then
		how_to_sign
		die "the module is not signed with a key that this kernel knows"
	fi
	die "the kernel refused the module, see dmesg; is it built for $(uname -r)?"
}

unload()
{
	need_root unload
	loaded || { say "not loaded" && return 0; }
	PATH=$PATH:/usr/sbin:/sbin rmmod arena ||
		die "the module is in use: close what has /dev/arena open"
	say "unloaded"
}

demo()
{
	need_root demo
	[ -e /dev/arena ] || die "no /dev/arena: sudo make load first"
	make -s -C "$ROOT/selftests" OUTPUT="$BUILD/selftests-host" \
		"$BUILD/selftests-host/arena_demo" ||
		die "the demonstration does not build"
	if [ -n "${1:-}" ]; then
		"$BUILD/selftests-host/arena_demo" "$1"
	else
		cat /proc/kallsyms >"$BUILD/symbols"
		"$BUILD/selftests-host/arena_demo" "$BUILD/symbols"
	fi
}

case ${1:-} in
load | unload | demo) "$@" ;;
*) die "usage: load.sh load|unload|demo [FILE]" ;;
esac
exit
