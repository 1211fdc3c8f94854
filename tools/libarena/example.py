#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""An arena in Python, by ctypes: every function of libarena(3) is a symbol of the library.

Run it where /dev/arena is, with the library installed; tools/lib-test.sh runs it, too.
"""
import ctypes
import os
import sys

lib = ctypes.CDLL("libarena.so.1", use_errno=True)


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_double), ("y", ctypes.c_double)]


class Mark(ctypes.Structure):
    _fields_ = [("generation", ctypes.c_uint64), ("offset", ctypes.c_uint64),
                ("used", ctypes.c_uint64)]


def check(result, function, _):
    """NULL, or -1, means that errno says why the call failed."""
    if result in (None, -1):
        error = ctypes.get_errno()
        raise OSError(error, f"{function.__name__}: {os.strerror(error)}")
    return result


def function(name, result, *arguments):
    f = lib[name]
    f.__name__, f.restype, f.argtypes = name, result, arguments
    if result in (ctypes.c_void_p, ctypes.c_int):
        f.errcheck = check
    return f


pointer = ctypes.c_void_p
arena_open = function("arena_open", pointer, ctypes.c_char_p, ctypes.c_uint64, ctypes.c_uint)
arena_close = function("arena_close", None, pointer)
arena_alloc = function("arena_alloc", pointer, pointer, ctypes.c_size_t)
arena_strdup = function("arena_strdup", pointer, pointer, ctypes.c_char_p)
arena_off = function("arena_off", ctypes.c_uint64, pointer, pointer)
arena_offset = function("arena_offset", ctypes.c_uint64, pointer)
arena_mark = function("arena_mark", ctypes.c_int, pointer, ctypes.POINTER(Mark))
arena_rewind = function("arena_rewind", ctypes.c_int, pointer, ctypes.POINTER(Mark))


def main():
    arena = arena_open(b"python", 1 << 20, 0)
    point = Point.from_address(arena_alloc(arena, ctypes.sizeof(Point)))
    point.x, point.y = 1.5, 3.7
    mark = Mark()
    arena_mark(arena, mark)
    for number in range(1000):
        text = arena_strdup(arena, b"text %d" % number)
    print(ctypes.string_at(text).decode(), "at offset", arena_off(arena, text))
    arena_rewind(arena, mark)
    print("point", point.x, point.y, "and", arena_offset(arena), "bytes in all")
    try:
        arena_alloc(arena, 1 << 40)
    except OSError as error:
        print(error.strerror)
    arena_close(arena)


sys.exit(main())
