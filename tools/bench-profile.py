#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Count the instructions that bench-profile.sh logged, by function.

bench-profile.py DIR batch|once|create|ioctl ALLOCATOR reads DIR/output (the
symbols of the kernel) and DIR/log (a line for each instruction). It divides the
instructions into rounds, and prints how many instructions of each function the
most frequent kind of round has. A round is

batch   one turn of the loop that allocates objects,
once    the allocation of one object, and a reset,
create  all from the creation of an arena to the creation of the next one, if
        objects were allocated from it,
ioctl   all from one system call of the program to the next one.
"""

import base64
import bisect
import collections
import gzip
import pathlib
import re
import sys

USER_END = 1 << 47
TRACE = re.compile(r"^Trace \d+: \S+ \[[0-9a-f]+/([0-9a-f]+)/")


class Symbols:
    def __init__(self, path):
        packed = "".join(line.split()[1] for line in path.open() if line.startswith("symbols "))
        lines = gzip.decompress(base64.b64decode(packed)).decode().splitlines()
        self.known = sorted((int(line.split()[0], 16), line.split()[2]) for line in lines)
        self.addresses = [address for address, name in self.known]

    def name(self, address):
        if address < USER_END:
            return "the program"
        return self.known[bisect.bisect_right(self.addresses, address) - 1][1]


def functions(path, symbols):
    """Returns the function of each instruction, in the order in which they ran."""
    for line in path.open(errors="replace"):
        match = TRACE.match(line)
        if match:
            yield symbols.name(int(match.group(1), 16))


def rounds(names, begins):
    """Divides @names, the functions of all instructions, into rounds.

    begins(before, name) returns whether a round begins at an instruction in the function name, if
    the instruction before it was in the function before.
    """
    current, before = None, None
    for name in names:
        if begins(before, name):
            if current:
                yield tuple(current)
            current = []
        if current is not None:
            current.append(name)
        before = name


def main():
    directory, bench, rival = pathlib.Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    loop = f"{rival}_once" if bench == "once" else f"{rival}_fill"
    if bench == "ioctl":
        def begins(before, name):
            return before == "the program" and name != before
    elif bench == "once":
        def begins(before, name):
            return before == loop and name == "__arena_alloc_words"
    elif bench == "create":
        def begins(before, name):
            return before != name and name == "arena_create_noprof"
    else:
        def begins(before, name):
            return name == loop and before != loop
    names = functions(directory / "log", Symbols(directory / "output"))
    seen = collections.Counter(
        one for one in rounds(names, begins) if bench != "create" or loop in one
    )
    if not seen:
        sys.exit(f"nothing logged of {bench} {rival}: inlined, or no such allocator?")
    (common, times), total = seen.most_common(1)[0], sum(seen.values())
    print(f"{bench} {rival}: {len(common)} instructions in {times} of {total} rounds")
    counts = collections.Counter(common)
    for name in dict.fromkeys(common):
        print(f"{counts[name]:6} {name}")


if __name__ == "__main__":
    main()
