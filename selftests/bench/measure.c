// SPDX-License-Identifier: GPL-2.0
/*
 * Turns what was measured, in ticks of the clock, into lines of output:
 *
 *	bench,NAME,ALLOCATOR,THREADS,N,SIZE,VALUE,UNIT,MIN,MAX,ROUNDS
 *
 * VALUE is the median. The lines are collected in memory and read through debugfs, because the
 * kernel's log would lose some of them.
 */
#include <linux/delay.h>
#include <linux/math64.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/sort.h>

#include "bench.h"

#define OUTPUT_SIZE	SZ_256K
#define CALIBRATE_MS	50
#define SCALE_SHIFT	24

unsigned int bench_rounds = 15;
module_param_named(rounds, bench_rounds, uint, 0644);
MODULE_PARM_DESC(rounds, "Measurements of everything that takes a short time");

unsigned long bench_max_mb = 1024;
module_param_named(max_mb, bench_max_mb, ulong, 0644);
MODULE_PARM_DESC(max_mb, "Most memory that a benchmark may take, in MiB");

static bool instructions;
module_param(instructions, bool, 0444);
MODULE_PARM_DESC(instructions, "The clock counts instructions (QEMU's icount)");

static char *output;
static size_t output_used;
/* Nanoseconds in a tick, shifted left by SCALE_SHIFT. */
static u64 scale;

static u64 calibrate(void)
{
	u64 ns = ktime_get_ns(), ticks = bench_ticks();

	mdelay(CALIBRATE_MS);
	ticks = bench_ticks() - ticks;
	ns = ktime_get_ns() - ns;
	return div64_u64(ns << SCALE_SHIFT, ticks);
}

int bench_measure_init(void)
{
	output = kvmalloc(OUTPUT_SIZE, GFP_KERNEL);
	if (!output)
		return -ENOMEM;
	scale = instructions ? BIT_ULL(SCALE_SHIFT) : calibrate();
	bench_clear_output();
	return 0;
}

void bench_measure_exit(void)
{
	kvfree(output);
}

void bench_clear_output(void)
{
	output_used = 0;
	output[0] = '\0';
}

const char *bench_output(size_t *size)
{
	*size = output_used;
	return output;
}

/* Returns the cost of one object, in hundredths of the unit, if @per objects took @ticks. */
u64 bench_cost(u64 ticks, unsigned int per)
{
	return div_u64(mul_u64_u64_shr(ticks * 100, scale, SCALE_SHIFT) + per / 2, per);
}

void bench_note(struct bench_series *series, u64 ticks, unsigned int per)
{
	if (series->nr < BENCH_SERIES_MAX)
		series->value[series->nr++] = bench_cost(ticks, per);
}

/* Cuts the text off where the buffer is full; bench_output_error() then returns -ENOSPC. */
__printf(1, 2)
static void print(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	output_used += vscnprintf(output + output_used, OUTPUT_SIZE - output_used, fmt, args);
	va_end(args);
}

int bench_output_error(void)
{
	return output_used + 1 < OUTPUT_SIZE ? 0 : -ENOSPC;
}

static void print_hundredths(u64 value)
{
	u32 rest;
	u64 whole = div_u64_rem(value, 100, &rest);

	print("%llu.%02u,", whole, rest);
}

static void print_line(const struct bench_label *label, const char *unit, u64 value, u64 min,
		       u64 max, unsigned int rounds)
{
	print("bench,%s,%s,%u,%lu,%lu,", label->bench, label->rival, label->threads, label->n,
	      label->size);
	print_hundredths(value);
	print("%s,", unit ?: instructions ? "insn" : "ns");
	print_hundredths(min);
	print_hundredths(max);
	print("%u\n", rounds);
}

static int compare(const void *a, const void *b)
{
	u64 x = *(const u64 *)a, y = *(const u64 *)b;

	return x < y ? -1 : x > y;
}

/* Sorts @series and prints one line. @unit is NULL if the values are times or instructions. */
void bench_print_unit(const struct bench_label *label, struct bench_series *series,
		      const char *unit)
{
	unsigned int nr = series->nr;

	if (!nr)
		return;
	sort(series->value, nr, sizeof(series->value[0]), compare, NULL);
	print_line(label, unit, series->value[nr / 2], series->value[0], series->value[nr - 1], nr);
}

void bench_print(const struct bench_label *label, struct bench_series *series)
{
	bench_print_unit(label, series, NULL);
}

/* Prints a line for a single number, which is VALUE, MIN and MAX. */
void bench_print_value(const struct bench_label *label, u64 hundredths, const char *unit)
{
	print_line(label, unit, hundredths, hundredths, hundredths, 1);
}
