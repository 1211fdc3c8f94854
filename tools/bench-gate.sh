#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0
#
# A step of test.sh: the instructions of the fast paths against their record.

exec "$(dirname "$0")/bench.sh" --gate
