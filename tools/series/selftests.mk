# SPDX-License-Identifier: GPL-2.0
#
# The tests of /dev/arena need the module arena, and root.

# The macros of kselftest_harness.h expand to large functions, which take twice as long to compile
# at -O2.
CFLAGS += -Wall -O1 -std=gnu11 -pthread -D_FILE_OFFSET_BITS=64 $(KHDR_INCLUDES)
LDLIBS += -lm

# TEST_GEN_PROGS and TEST_GEN_PROGS32: programs to build for 64 bits, and for 32 bits, too.
%programs

TEST_FILES := arena_tap.sh
LOCAL_HDRS := $(wildcard *.h)

# Many machines have no 32-bit C library.
m32 := $(shell echo 'int main(void) { return 0; }' | \
	$(CC) -m32 $(USERLDFLAGS) -x c - -o /dev/null 2>/dev/null && echo y)
TEST_GEN_PROGS += $(if $(m32),$(TEST_GEN_PROGS32))

include ../lib.mk

$(OUTPUT)/%32: %.c $(LOCAL_HDRS)
	$(CC) $(CFLAGS) -m32 $(LDFLAGS) $< $(LDLIBS) -o $@
