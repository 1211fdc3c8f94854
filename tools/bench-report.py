#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Turn what bench.sh measured into results.csv, a report, and plots.

bench-report.py DIR reads DIR/raw/* and DIR/machine.txt, writes results.csv,
results.json and *.dat with *.gnuplot into DIR, and prints the report.

A rival is an allocator that was measured. Of a rival that does not zero its
objects there is a second version, NAME_zero, that does. With init_on_alloc,
which makes the other rivals zero, the report shows the figures of NAME_zero in
the row of NAME.

The figure of several boots is their median; minimum and maximum are those of
all rounds of all boots.
"""

import csv
import json
import pathlib
import statistics
import sys

COLUMNS = ("kernel init_on_alloc bench rival threads n size value unit "
           "min max runs").split()

# The kinds of arenas. The goals below are about these.
SPANS, DENSE, PRIVATE = "arena_spans", "arena_dense", "arena_private"
SEEDS = (SPANS, DENSE, "kvmalloc")
# Bump allocators that show how fast an allocator could be. Arenas need not be faster than these.
LIMITS = ("xadd", "xadd_call", "cmpxchg", "cmpxchg_call", "plain", "bounded",
          "bounded_call", "empty")
# In these benchmarks page_frag hands out new pages, which init_on_alloc has zeroed already: so the
# figures of page_frag itself are shown, and not those of page_frag_zero.
SELF_ZEROING = ("batch", "hardirq", "threads_own")


class Results:
    """All measured figures, by (kernel, init_on_alloc, bench, rival, threads, n, size)."""

    def __init__(self):
        self.samples = {}
        self.extremes = {}
        self.units = {}
        self.order = []

    def load(self, path):
        kernel, init = path.name.split("-")[:2]
        for row in csv.reader(path.open()):
            bench, rival = row[1:3]
            threads, n, size = map(int, row[3:6])
            key = (kernel, int(init), bench, rival, threads, n, size)
            if key not in self.samples:
                self.order.append(key)
            self.samples.setdefault(key, []).append(float(row[6]))
            low, high = self.extremes.get(key, (float(row[8]), float(row[9])))
            self.extremes[key] = (min(low, float(row[8])), max(high, float(row[9])))
            self.units[key] = row[7]
            if (bench in ("batch", "create", "threads_own") and rival not in RIVALS
                    and not rival.endswith("_zero")):
                RIVALS.append(rival)

    def key(self, kernel, init, bench, rival, where):
        if init and not (rival == "page_frag" and bench in SELF_ZEROING):
            twin = self.exact(kernel, init, bench, rival + "_zero", where)
            if twin:
                return twin
        return self.exact(kernel, init, bench, rival, where)

    def exact(self, kernel, init, bench, rival, where):
        for key in self.order:
            if key[:4] != (kernel, init, bench, rival):
                continue
            place = dict(zip(("threads", "n", "size"), key[4:]))
            if all(place[name] == value for name, value in where.items()):
                return key
        return None

    def find(self, kernel, init, bench, rival, **where):
        key = self.key(kernel, init, bench, rival, where)
        return key and statistics.median(self.samples[key])

    def best(self, kernel, init, bench, rival, **where):
        """Returns the shortest round, which other load of the machine disturbed least."""
        key = self.key(kernel, init, bench, rival, where)
        return key and self.extremes[key][0]

    def spread(self, kernel, init, bench, rival, **where):
        key = self.key(kernel, init, bench, rival, where)
        return key and self.extremes[key]

    def values(self, bench, column):
        """Returns the different values in a column ("threads", "n" or "size") of a benchmark."""
        index = 4 + ("threads", "n", "size").index(column)
        return sorted({key[index] for key in self.order if key[2] == bench})

    def points(self, bench):
        return sorted({key[5:] for key in self.order if key[2] == bench})

    def kernels(self):
        return [k for k in KERNELS if any(key[0] == k for key in self.order)]

    def rows(self):
        for key in self.order:
            values = self.samples[key]
            yield key + (round(statistics.median(values), 2), self.units[key],
                         *self.extremes[key], len(values))

    def write(self, directory, machine):
        with (directory / "results.csv").open("w", newline="") as file:
            out = csv.writer(file)
            out.writerow(COLUMNS)
            out.writerows(self.rows())
        results = [dict(zip(COLUMNS, row)) for row in self.rows()]
        with (directory / "results.json").open("w") as file:
            json.dump({"machine": machine.splitlines(), "results": results}, file, indent=1)


RIVALS = []
# The kernels, with the unit of their figures: the newest stock kernel, the stock kernel of this
# release, and User-Mode Linux.
KERNELS = {"new": "instructions, newest stock kernel", "icount": "instructions, stock 6.1",
           "uml": "ns"}
INSTRUCTIONS = ("new", "icount")
R = Results()
MACHINE = ""


def number(value, digits=1):
    if value is None:
        return "-"
    return f"{value:,.{digits}f}" if value < 10000 else f"{value:,.0f}"


def table(title, head, rows):
    """Prints a table in Markdown, without the rows that have no figure."""
    rows = [row for row in rows if any(cell != "-" for cell in row[1:])]
    if not rows:
        return
    print(f"\n## {title}\n")
    widths = [max(len(line[i]) for line in [head] + rows) for i in range(len(head))]
    for line in [head, ["-" * (w if i == 0 else w - 1) + ("" if i == 0 else ":")
                        for i, w in enumerate(widths)]] + rows:
        cells = [cell.ljust(widths[0]) if i == 0 else cell.rjust(widths[i])
                 for i, cell in enumerate(line)]
        print("| " + " | ".join(cells) + " |")


def speed_table(title, columns):
    """Prints a table that has, for each benchmark, all columns (head, kernel, init_on_alloc)."""
    benches = ("batch", "pingpong", "once", "mix", "hardirq", "create")
    rows = [[rival] + [number(R.find(kernel, init, bench, rival)) for bench in benches
                       for _, kernel, init in columns] for rival in RIVALS]
    table(f"{title} (by object; once: with a reset each; create: of the whole: make, "
          "100 objects, undo)",
          ["allocator"] + [f"{bench} {column[0]}" for bench in benches for column in columns],
          rows)


def both_kernels(init, bench, rival):
    """Returns figures on the newest stock kernel and 6.1, of RIVAL or else of RIVAL_buffer."""
    costs = [R.find(kernel, init, bench, rival) or
             R.find(kernel, init, bench, f"{rival}_buffer") for kernel in INSTRUCTIONS]
    return " / ".join(number(cost, 0) for cost in costs) if any(costs) else "-"


def readme_table():
    """Prints the table that README.md contains."""
    rivals = (("arena, private", PRIVATE), ("arena, dense", DENSE), ("arena with spans", SPANS),
              ("`page_frag`", "page_frag"), ("`kmem_cache` in bulk", "kmem_cache_bulk"),
              ("`objpool`", "objpool"),
              ("`mempool_alloc_bulk()`", "mempool_bulk"), ("`kmalloc_nolock()`", "kmalloc_nolock"),
              ("`kmalloc()` + `kfree()`", "kmalloc"))
    columns = (("4,096, then all freed", 0, "batch"), ("the same, zeroed", 1, "batch"),
               ("in a hard interrupt", 0, "hardirq"), ("one at a time", 0, "pingpong"),
               ("create, 100 objects, destroy", 0, "create"))
    table("README.md: instructions on the newest stock kernel / on 6.1",
          [""] + [head for head, _, _ in columns],
          [[what] + [both_kernels(init, bench, rival) for _, init, bench in columns]
           for what, rival in rivals])


def bulk_table(init):
    """Prints what an object costs by the number of objects that are allocated and freed at once."""
    rivals = [rival for rival in (PRIVATE, SPANS, DENSE, "kmem_cache_bulk", "mempool_bulk",
                                  "kmem_cache", "kmalloc", "kmalloc_nolock")
              if any(R.find(kernel, init, "bulk", rival) for kernel in INSTRUCTIONS)]
    table("instructions on the newest stock kernel / on 6.1: an object of 256 bytes, by objects "
          f"in a batch, init_on_alloc={init}",
          ["batch"] + rivals,
          [[str(n)] + [" / ".join(number(R.find(kernel, init, "bulk", rival, n=n), 0)
                                  for kernel in INSTRUCTIONS) for rival in rivals]
           for n in R.values("bulk", "n")])


def speed_tables():
    for init in (0, 1):
        speed_table(f"instructions on the newest stock kernel and on 6.1, init_on_alloc={init}",
                    [("new", "new", init), ("6.1", "icount", init)])
    speed_table("ns, init_on_alloc off / on", [("0", "uml", 0), ("1", "uml", 1)])


def spans():
    """Returns the line of machine.txt that says how large spans are."""
    return next((line for line in MACHINE.splitlines() if line.startswith("spans")), "")


def ratio(above, below):
    return None if not above or not below else above / below


def percent_cell(init, rival, count):
    """Returns the throughput of threads that share an allocator, relative to threads that do not.

    The result is the median of all pairs of rounds, in percent of the throughput of threads that
    have an allocator each, with the smallest and the largest value in parentheses.
    """
    where = {"threads": count}
    median = R.find("uml", init, "threads_ratio", rival, **where)
    if median is None:
        return "-"
    low, high = R.spread("uml", init, "threads_ratio", rival, **where)
    return f"{median:.0f} % ({low:.0f} to {high:.0f})"


def thread_rows(init, counts):
    for rival in RIVALS:
        alone = R.find("uml", init, "threads_own", rival, threads=1)
        row = [rival, number(alone)]
        for count in counts:
            own = R.find("uml", init, "threads_own", rival, threads=count)
            one = R.find("uml", init, "threads_one", rival, threads=count)
            gain = ratio(alone, one or own)
            best = ratio(R.best("uml", init, "threads_own", rival, threads=count),
                         R.best("uml", init, "threads_one", rival, threads=count))
            row += [number(own), number(one), percent_cell(init, rival, count),
                    f"{100 * best:.0f} %" if best else "-",
                    number(gain and gain * count, 2)]
        yield row


def thread_table():
    counts = [n for n in R.values("threads_own", "threads") if n > 1]
    for init in (0, 1):
        head = ["allocator", "1 thread"]
        for count in counts:
            head += [f"{count} own", f"{count} one", "one / own", "best", f"{count} over 1"]
        table(f"ns an object, threads at once, each on an allocator of its own or all on one, "
              f"init_on_alloc={init} (one / own: throughput, median, minimum and maximum of "
              "pairs of rounds; n over 1: throughput, on one where there is one; best: of the "
              "shortest rounds)",
              head, list(thread_rows(init, counts)))


def machine_table():
    """Prints what basic operations of allocators, such as taking a lock, cost on this machine."""
    names = [key[3] for key in R.order if key[2] == "machine"]
    rows = [[name.replace("_", " ")] + [number(R.find(kernel, 0, "machine", name))
                                        for kernel in KERNELS]
            for name in dict.fromkeys(names)]
    table("the machine: a call that does this once (on User-Mode Linux switching interrupts "
          "off is a system call: who does it at each object looks worse than elsewhere)",
          ["step"] + list(KERNELS.values()), rows)


def reset_tables(kernel, unit):
    for init in (0, 1):
        for bench, what in (("reset", "free everything"),
                            ("reset_refill", "free everything and allocate it again")):
            rows = [[f"{n:,} x {size:,} B"] +
                    [number(R.find(kernel, init, bench, rival, n=n, size=size), 0)
                     for rival in RIVALS if R.find(kernel, init, bench, rival)]
                    for n, size in sorted(R.points(bench), key=lambda p: (p[1], p[0]))]
            head = ["objects"] + [r for r in RIVALS if R.find(kernel, init, bench, r)]
            table(f"{unit}: {what}, init_on_alloc={init}", head, rows)


def share_table(kernel, unit):
    shares = ("p50", "p99", "p9999", "max")
    for init in (0, 1):
        for bench, what in (("latency_new", "from an empty allocator, growth included"),
                            ("latency", "the second time")):
            rows = [[rival] + [number(R.find(kernel, init, f"{bench}_{share}", rival))
                               for share in shares] for rival in RIVALS]
            table(f"{unit}: one allocation, {what}, init_on_alloc={init} ({spans()})",
                  ["allocator"] + list(shares), rows)


def memory_table(kernel):
    numbers = R.values("memory", "n")
    rows = [[rival] + [number(R.find(kernel, 0, bench, rival, n=n), 0) for n in numbers
                       for bench in ("memory", "memory_setup")] +
            [number(R.find(kernel, 0, "steady", rival), 0)] for rival in RIVALS]
    table(f"{kernel}: bytes from the page allocator for objects of 64 bytes, and those of "
          "them that the allocator took at creation; pages from it in 1,000 batches in "
          "steady state",
          ["allocator"] + [head for n in numbers for head in (f"{n * 64:,} B", "creation")] +
          ["steady"], rows)


def ioctl_table(kernel, unit):
    calls = [(bench, rival) for bench, rival in
             (("ioctl", "getppid"), ("ioctl", "nothing"), ("ioctl", DENSE), ("ioctl", SPANS),
              ("ioctl_status", DENSE), ("ioctl_status", SPANS), ("ioctl_store", DENSE),
              ("ioctl_store", SPANS), ("ioctl_batch", DENSE),
              ("ioctl_batch", SPANS), ("ioctl_reset", DENSE), ("ioctl_reset", SPANS))]
    rows = [[f"{bench}: {rival}"] +
            [number(R.find(kernel, init, bench, rival)) for init in (0, 1)]
            for bench, rival in calls]
    table(f"{unit}: a call from a program (nothing: an ioctl that copies the struct of "
          "ARENA_IOC_ALLOC in and out; status: ARENA_IOC_ALLOC with the status page mapped; "
          "batch: by object, 64 in a call; 64 bytes an object)",
          ["call", "init_on_alloc=0", "init_on_alloc=1"], rows)


GROWTH = {"icount": 1, "icount64": 64, "icount240": 240}


def growth_row(what, bench, rival, **where):
    costs = [R.find(kernel, 0, bench, rival, **where) for kernel in GROWTH]
    return [f"{what}: {rival}"] + [number(cost, 0) for cost in costs] + [
        number(ratio(costs[-1], costs[0]), 2)]


def growth_table():
    rows = [growth_row("create, 100 objects, destroy", "create", rival)
            for rival in (DENSE, SPANS, PRIVATE, "kmalloc")]
    rows += [growth_row(what, f"growth_{what}", rival) for what in ("reset", "offset", "stats")
             for rival in (DENSE, SPANS)]
    rows += [growth_row(f"first allocation of a CPU, {what}", f"first_{what}", rival)
             for what in ("task", "hardirq", "nmi") for rival in (DENSE, SPANS)]
    table("instructions by possible CPUs, of which one runs",
          ["step"] + [str(cpus) for cpus in GROWTH.values()] + ["last over first"], rows)


def capacity_table():
    sizes = R.values("growth_create", "size")
    rows = []
    for what, bench in (("create, 1 object, destroy", "growth_create"),
                        ("release after 1 object", "growth_release")):
        for rival in (DENSE, SPANS):
            costs = [R.find("icount", 0, bench, rival, size=size) for size in sizes]
            rows.append([f"{what}: {rival}"] + [number(cost, 0) for cost in costs] +
                        [number(ratio(costs[-1], costs[0]), 2) if costs else "-"])
    table("instructions by capacity, one possible CPU",
          ["step"] + [f"{size >> 20:,} MiB" for size in sizes] + ["last over first"], rows)


def fixed_table():
    sizes = R.values("fixed", "size")
    rows = [[f"{rival}, {n} objects, {cpus} possible CPUs"] +
            [number(R.find(kernel, 0, "fixed", rival, n=n, size=size), 0) for size in sizes]
            for kernel, cpus in GROWTH.items() for rival in (DENSE, SPANS) for n in (0, 1)]
    table("bytes of an arena beside its slabs, by capacity (pages that the page allocator gave "
          "out for the second of two thousand arenas, fewer if large)",
          ["arena"] + [f"{size >> 10:,} KiB" for size in sizes], rows)


def many_table():
    columns = [(what, kernel) for what in ("memory", "create", "destroy") for kernel in GROWTH]
    rows = [[rival] + [number(R.find(kernel, 0, f"many_{what}", rival), 0)
                       for what, kernel in columns] for rival in RIVALS]
    table("10,000 times ten objects of 64 bytes, all alive: bytes, instructions of each ten, by "
          "possible CPUs (arenas: one made for each ten)",
          ["allocator"] + [f"{what} {GROWTH[kernel]}" for what, kernel in columns], rows)


def full_table():
    names = ("arena_spans", "arena_spans_nowait", "arena_dense")
    rows = []
    for kernel in (*KERNELS, "uml8"):
        for n in R.values("full", "n"):
            cells = [number(R.find(kernel, 0, "full", name, n=n), 0) for name in names]
            rows.append([f"{kernel}: {n * 64:,} B"] + cells)
    table("bytes left when a full arena says no to all CPUs at once "
          "(new, icount: 1 CPU, uml8: 8)", ["capacity"] + list(names), rows)


def seed_table(kernel, unit):
    head = ["one object of"] + [f"{what} {rival} {init}" for init in (0, 1)
                                for rival in SEEDS for what in ("alloc", "reset")]
    rows = [[f"{size:,} B"] +
            [number(R.find(kernel, init, f"seed_{what}", rival, size=size), 0)
             for init in (0, 1) for rival in SEEDS for what in ("alloc", "reset")]
            for size in R.values("seed_alloc", "size")]
    table(f"{unit}: the sizes of the ancestor's benchmark (reset, or kvfree)", head, rows)


def best_rival(kernel, init, bench):
    """Returns cost and name of the cheapest rival that is no arena and not in LIMITS."""
    costs = [(R.find(kernel, init, bench, rival), rival) for rival in RIVALS
             if rival not in LIMITS and not rival.startswith("arena")]
    costs = [cost for cost in costs if cost[0]]
    return min(costs) if costs else (None, "?")


class Goals:
    """The goals: for each a row that says whether the figures meet it."""

    def __init__(self):
        self.rows = []
        self.missing = []

    def judge(self, what, value, sign, limit, met):
        if value is None or limit is None:
            self.missing.append(what)
            return
        self.rows.append([what, number(value, 2), f"{sign} {number(limit, 2)}",
                          "met" if met(value, limit) else "MISSED"])

    def at_most(self, what, value, limit):
        self.judge(what, value, "<=", limit, lambda v, l: v <= l)

    def at_least(self, what, value, limit):
        self.judge(what, value, ">=", limit, lambda v, l: v >= l)


def goals_speed(goals):
    for kernel in INSTRUCTIONS:
        for rival, limit in ((SPANS, 32), (DENSE, 26), (PRIVATE, 20)):
            goals.at_most(f"{kernel}, batch, no zeroing: {rival}",
                          R.find(kernel, 0, "batch", rival), limit)
    for kernel in KERNELS:
        for init in (0, 1):
            for bench in ("batch", "pingpong", "mix", "hardirq"):
                cost, name = best_rival(kernel, init, bench)
                goals.at_most(f"{kernel}, {bench}, init_on_alloc={init}: {SPANS} against {name}",
                              R.find(kernel, init, bench, SPANS), cost)
    for init in (0, 1):
        ours = R.find("uml", init, "batch", SPANS)
        for rival, times in (("kmalloc", 15), ("page_frag", 3)):
            goals.at_least(f"ns, batch, init_on_alloc={init}: {rival} / {SPANS}",
                           ratio(R.find("uml", init, "batch", rival), ours), times)
        goals.at_most(f"ns, batch, init_on_alloc={init}: {PRIVATE} / plain",
                      ratio(R.find("uml", init, "batch", PRIVATE),
                            R.find("uml", init, "batch", "plain")), 2)


def goals_threads(goals):
    counts = [n for n in R.values("threads_one", "threads") if n > 1] or [2]
    for init in (0, 1):
        for count in counts:
            goals.at_least(f"throughput of {count} threads on one arena in percent of each on "
                           f"its own, init_on_alloc={init}",
                           R.find("uml", init, "threads_ratio", SPANS, threads=count), 95)


def goals_reset(goals):
    for init in (0, 1):
        worst = [R.find("uml", init, "reset", rival, n=n, size=size)
                 for n, size in R.points("reset") for rival in (SPANS, DENSE)]
        worst = [value for value in worst if value is not None]
        goals.at_most(f"ns, longest reset of any size, init_on_alloc={init}",
                      max(worst) if worst else None, 1000)
        for n, size in R.points("reset_refill") or [(0, 0)]:
            goals.at_least(f"ns, free and refill {n:,} x {size} B, init_on_alloc={init}: "
                           f"kmalloc / {SPANS}",
                           ratio(R.find("uml", init, "reset_refill", "kmalloc", n=n, size=size),
                                 R.find("uml", init, "reset_refill", SPANS, n=n, size=size)), 10)


def goals_create(goals):
    for kernel in KERNELS:
        for init in (0, 1):
            for rival in (DENSE, SPANS, PRIVATE):
                goals.at_most(f"{kernel}, create, 100 objects, destroy, init_on_alloc={init}: "
                              f"{rival} / kmalloc",
                              ratio(R.find(kernel, init, "create", rival),
                                    R.find(kernel, init, "create", "kmalloc")),
                              1 / 4 if kernel == "new" else 1 / 3)


def goals_latency(goals):
    for kernel in KERNELS:
        for init in (0, 1):
            for bench in ("latency_new", "latency"):
                for share in ("p9999", "max"):
                    goals.at_most(f"{kernel}, {bench} {share}, init_on_alloc={init}: {SPANS} "
                                  "against kmalloc",
                                  R.find(kernel, init, f"{bench}_{share}", SPANS),
                                  R.find(kernel, init, f"{bench}_{share}", "kmalloc"))


def goals_memory(goals):
    for rival in (SPANS, DENSE):
        for n in R.values("memory", "n") or [0]:
            taken = R.find(newest(), 0, "memory", rival, n=n)
            fixed = R.find(newest(), 0, "memory_setup", rival, n=n)
            goals.at_most(f"bytes of pages for {n * 64:,} B of objects, over, beside what "
                          f"creation takes: {rival}",
                          None if taken is None else (taken - fixed) / (n * 64), 1.01)
        goals.at_most(f"pages in steady state: {rival}", R.find(newest(), 0, "steady", rival), 0)
        for kernel in ("uml", "uml8"):
            for n in R.values("full", "n") or [0]:
                goals.at_most(f"{kernel}: bytes of {n * 64:,} left when a full arena says no "
                              f"to callers that may sleep: {rival}",
                              R.find(kernel, 0, "full", rival, n=n), 0)


def goals_ioctl(goals):
    for kernel in KERNELS:
        for init in (0, 1):
            for rival in (DENSE, SPANS):
                goals.at_most(f"{kernel}, ARENA_IOC_ALLOC / an ioctl that does nothing, "
                              f"init_on_alloc={init}: {rival}",
                              ratio(R.find(kernel, init, "ioctl", rival),
                                    R.find(kernel, init, "ioctl", "nothing")), 1.1)


def goals_growth(goals):
    last = "icount240"
    for what, bench in (("create, 100 objects, destroy", "create"), ("reset", "growth_reset"),
                        ("arena_offset()", "growth_offset"), ("arena_stats()", "growth_stats")):
        for rival in (DENSE, SPANS):
            goals.at_most(f"{what} at 240 possible CPUs over 1: {rival}",
                          ratio(R.find(last, 0, bench, rival), R.find("icount", 0, bench, rival)),
                          1.1)
    for rival in (DENSE, SPANS):
        goals.at_most(f"ARENA_IOC_ALLOC with the status page mapped over without, 240 possible "
                      f"CPUs: {rival}", ratio(R.find(last, 0, "ioctl_status", rival),
                                              R.find(last, 0, "ioctl", rival)), 1.1)
    sizes = R.values("growth_create", "size") or [0]
    for what, bench in (("create, 1 object, destroy", "growth_create"),
                        ("release", "growth_release")):
        for rival in (DENSE, SPANS):
            goals.at_most(f"{what} at {sizes[-1] >> 30} GiB over 1 MiB: {rival}",
                          ratio(R.find("icount", 0, bench, rival, size=sizes[-1]),
                                R.find("icount", 0, bench, rival, size=sizes[0])), 1.2)
    for n, limit in ((0, 1024), (1, 1536)):
        for rival in (DENSE, SPANS):
            worst = [R.find(kernel, 0, "fixed", rival, n=n, size=size)
                     for kernel in GROWTH for size in R.values("fixed", "size")]
            worst = [value for value in worst if value is not None]
            goals.at_most(f"bytes of an arena beside its slabs, {n} objects, any capacity and "
                          f"possible CPUs: {rival}", max(worst) if worst else None, limit)
    for kernel in INSTRUCTIONS:
        for rival in (DENSE, SPANS):
            goals.at_most(f"{kernel}, one object and a reset: {rival} / kmalloc",
                          ratio(R.find(kernel, 0, "once", rival),
                                R.find(kernel, 0, "once", "kmalloc")), 1.5)


def goals_table():
    goals = Goals()
    for part in (goals_speed, goals_threads, goals_reset, goals_create, goals_latency,
                 goals_memory, goals_ioctl, goals_growth):
        part(goals)
    table("goals", ["figure", "measured", "goal", "verdict"], goals.rows)
    missed = sum(row[3] == "MISSED" for row in goals.rows)
    print(f"\n{len(goals.rows) - missed} met, {missed} missed, {len(goals.missing)} not measured "
          "in this run")
    # If most figures were measured, list the missing ones. A quick run measures only a few.
    for what in goals.missing if len(goals.missing) < len(goals.rows) else []:
        print(f"- not measured: {what}")


# How the curve of each allocator looks: its colour, and a kind of point, by which a reader tells it
# without colours.
CURVES = {
    SPANS: ("#b0003a", 7), DENSE: ("#7b1fa2", 5), PRIVATE: ("#311b92", 9),
    "kmalloc": ("#1e88e5", 6), "kmalloc_atomic": ("#64b5f6", 6), "kmalloc_nolock": ("#3949ab", 14),
    "kmem_cache": ("#00897b", 4), "kmem_cache_bulk": ("#7cb342", 12),
    "mempool_bulk": ("#0097a7", 10), "mempool": ("#00acc1", 8), "gen_pool": ("#6d4c41", 2),
    "page_frag": ("#f4511e", 3), "objpool": ("#fb8c00", 1), "xadd_call": ("#9e9e9e", 11),
    "cmpxchg_call": ("#424242", 13),
}

# Of a size that a phone shows with readable text.
PLOT = """set terminal svg size 480,520 font "sans,14" background "white"
set output "{name}.svg"
set title "{title}"
set grid ytics
set key below Left reverse samplen 3
set xlabel "{xlabel}"
set ylabel "{ylabel}"
{more}
"""


def style(column):
    """Returns the style of a curve: dashed after "free", thick if the rival is an arena."""
    rival, _, what = column.partition(": ")
    colour, point = CURVES.get(rival, ("#000000", 0))
    return (f'linecolor rgb "{colour}" linewidth {3 if rival.startswith("arena") else 1.5} '
            f'pointtype {point} dashtype {3 if what == "free" else 1}')


def write_lines(directory, name, columns, points, value, **text):
    """Writes the data and the gnuplot commands of a plot with a curve for each column.

    value(column, point) returns a number, or None if there is none. A point that is a string is a
    label of the horizontal axis.
    """
    with (directory / f"{name}.dat").open("w") as file:
        for i, point in enumerate(points):
            cells = [value(column, point) for column in columns]
            place = f'{i} "{point}"' if isinstance(point, str) else f"{point} -"
            file.write(" ".join([place] + ["?" if c is None else str(c) for c in cells]) + "\n")
    labels = ":xtic(2)" if isinstance(points[0], str) else ""
    curves = ", \\\n\t".join(
        f'"{name}.dat" using 1:{i + 3}{labels} with linespoints {style(column)} title '
        f'"{column.replace("_", " ")}"' for i, column in enumerate(columns))
    with (directory / f"{name}.gnuplot").open("w") as file:
        file.write(PLOT.format(name=name, **text))
        file.write('set datafile missing "?"\n')
        file.write(f"plot {curves}\n")


def plot_threads(directory):
    counts = R.values("threads_own", "threads")
    rivals = [r for r in RIVALS if R.find("uml", 0, "threads_own", r)
              and r not in LIMITS or r in ("xadd_call", "cmpxchg_call")]
    if not counts:
        return

    def value(rival, count):
        bench = "threads_one" if count > 1 else "threads_own"
        # A busy host makes the medians longer, but not the shortest round.
        return (R.best("uml", 0, bench, rival, threads=count) or
                R.best("uml", 0, "threads_own", rival, threads=count))

    write_lines(directory, "threads", rivals, counts, value,
                title="64-byte objects, all threads on one allocator\\n(private, page frag: on "
                      "their own), shortest rounds",
                xlabel="threads", ylabel="ns an object",
                more=f"set logscale y\nset xtics ({','.join(map(str, counts))})")


def plot_reset(directory, name, kernel, unit):
    columns = [f"{rival}: {what}" for rival in (SPANS, "kmalloc", "kmem_cache_bulk", "page_frag")
               for what in ("free", "refill")]

    def value(column, n):
        rival, what = column.split(": ")
        bench = "reset" if what == "free" else "reset_refill"
        return R.find(kernel, 0, bench, rival, n=n, size=64)

    points = sorted({n for n, size in R.points("reset") if size == 64})
    if points and R.find(kernel, 0, "reset", SPANS):
        write_lines(directory, name, columns, points, value,
                    title="Freeing all objects of 64 bytes (dashed),\\nand allocating them again",
                    xlabel="objects", ylabel=unit,
                    more="set logscale xy\nset format x '10^{%L}'\nset format y '10^{%L}'")


def newest():
    return next((kernel for kernel in INSTRUCTIONS if kernel in R.kernels()), "icount")


def plot_latency(directory):
    """Plots how long the slowest allocations take, with all growth of the allocator included."""
    shares = {"half": "p50", "1 in 100": "p99", "1 in 10,000": "p9999", "slowest": "max"}
    rivals = [rival for rival in (SPANS, DENSE, PRIVATE, "kmalloc", "kmem_cache", "page_frag")
              if R.find(newest(), 0, "latency_new_p50", rival)]
    if rivals:
        write_lines(directory, "latency", rivals, list(shares),
                    lambda rival, share: R.find(newest(), 0, f"latency_new_{shares[share]}", rival),
                    title="100,000 objects of 64 bytes from an empty allocator:\\n"
                          "as many take at least so long",
                    xlabel="", ylabel="instructions of one allocation",
                    more="set logscale y\nset xrange [-0.2:3.2]")


def plot_growth(directory):
    """Plots creation and reset by the number of possible CPUs, and creation by capacity."""
    columns = {f"{rival}: {what}": (bench, rival) for what, bench, rivals in
               (("100 objects", "create", (DENSE, SPANS, PRIVATE, "kmalloc")),
                ("free", "growth_reset", (DENSE, SPANS))) for rival in rivals}
    if all(R.find(kernel, 0, "growth_reset", SPANS) for kernel in GROWTH):
        kernels = {cpus: kernel for kernel, cpus in GROWTH.items()}
        write_lines(directory, "growth", list(columns), list(kernels),
                    lambda column, cpus: R.find(kernels[cpus], 0, *columns[column]),
                    title="Creating an arena, 100 objects, destroying it\\n"
                          "(100 kmalloc() and kfree()); a reset (dashed)",
                    xlabel="possible CPUs", ylabel="instructions",
                    more="set logscale xy\nset yrange [50:]\n"
                         f"set xtics ({','.join(map(str, kernels))})")
    sizes = {f"{size >> 20} MiB" if size < 1 << 30 else f"{size >> 30} GiB": size
             for size in R.values("growth_create", "size")}
    if sizes:
        write_lines(directory, "capacity", [DENSE, SPANS], list(sizes),
                    lambda rival, name: R.find("icount", 0, "growth_create", rival,
                                               size=sizes[name]),
                    title="Creating an arena, one object, destroying it",
                    xlabel="capacity", ylabel="instructions",
                    more=f"set yrange [0:]\nset xrange [-0.2:{len(sizes) - 0.8}]")


def plot_instructions(directory):
    """Plots what an object costs, by allocator, as horizontal bars of both kernels."""
    rivals = [r for r in RIVALS if R.find(newest(), 0, "batch", r)
              and r not in LIMITS or r in ("cmpxchg_call", "empty")]
    rivals.sort(key=lambda r: R.find(newest(), 0, "batch", r) or 0)
    if not rivals:
        return
    with (directory / "instructions.dat").open("w") as file:
        for rival in rivals:
            cells = (R.find(kernel, 0, "batch", rival) for kernel in INSTRUCTIONS)
            file.write(" ".join([f'"{rival.replace("_", " ")}"'] +
                                ["?" if c is None else str(c) for c in cells]) + "\n")
    with (directory / "instructions.gnuplot").open("w") as file:
        file.write(PLOT.format(name="instructions",
                               title="Instructions for a 64-byte object,\\n"
                                     "its share of the freeing included",
                               xlabel="", ylabel="",
                               more="set logscale x\nset xrange [5:2000]\n"
                                    "unset grid\nset grid xtics\nset datafile missing '?'\n"
                                    f"set yrange [{len(rivals) - 0.4}:-0.6]"))
        bars = [f'"instructions.dat" using {column}:0:(5):{column}:($0{low}):($0{high}):ytic(1) '
                f'with boxxyerror fillstyle solid 1 border -1 linecolor rgb "{colour}" '
                f'title "{title}"' for column, low, high, colour, title in
                ((2, "-0.4", "+0.0", "#1a237e", "newest stock kernel"),
                 (3, "+0.0", "+0.4", "#c5cae9", "6.1"))]
        file.write("plot " + ", \\\n\t".join(bars) + "\n")


def main():
    global MACHINE
    directory = pathlib.Path(sys.argv[1])
    if (directory / "machine.txt").exists():
        MACHINE = (directory / "machine.txt").read_text()
    for path in sorted((directory / "raw").glob("*-*")):
        if path.suffix != ".part" and not path.name.startswith("gate"):
            R.load(path)
    R.write(directory, MACHINE)
    print("# Benchmarks\n")
    print(MACHINE)
    readme_table()
    machine_table()
    for init in (0, 1):
        bulk_table(init)
    speed_tables()
    thread_table()
    for kernel in R.kernels():
        reset_tables(kernel, KERNELS[kernel])
        share_table(kernel, KERNELS[kernel])
        memory_table(kernel)
        ioctl_table(kernel, KERNELS[kernel])
        seed_table(kernel, KERNELS[kernel])
    full_table()
    growth_table()
    capacity_table()
    fixed_table()
    many_table()
    goals_table()
    plot_threads(directory)
    plot_reset(directory, "reset", newest(), "instructions")
    plot_reset(directory, "reset_ns", "uml", "ns")
    plot_instructions(directory)
    plot_latency(directory)
    plot_growth(directory)


if __name__ == "__main__":
    main()
