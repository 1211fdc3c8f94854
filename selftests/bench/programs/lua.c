// SPDX-License-Identifier: GPL-2.0
/*
 * Lua: the script dkjson.lua, in a state of its own for each document, makes tables of a JSON
 * document. With a region, the collector of garbage is stopped, because it could free nothing.
 */
#include <err.h>
#include <stdlib.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include "program.h"

static const char script[] =
	"local text = ...\n"
	"local function sum(value)\n"
	"	if type(value) ~= 'table' then return #tostring(value) end\n"
	"	local all = 1\n"
	"	for k, v in pairs(value) do\n"
	"		all = all + (#tostring(k) + 3) * (sum(v) % 1000003)\n"
	"	end\n"
	"	return all\n"
	"end\n"
	"local value, _, wrong = require('dkjson').decode(text)\n"
	"if wrong then error(wrong) end\n"
	"return sum(value)\n";

static const struct region *region;
static lua_State *state;

static void *allocate(void *unused, void *at, size_t old, size_t bytes)
{
	(void)unused;
	if (region && !bytes)
		return NULL;
	if (region)
		return region_grow(region, at, old, bytes);
	if (bytes)
		return realloc(at, bytes);
	free(at);
	return NULL;
}

static void set_up(const struct region *chosen)
{
	region = chosen;
}

static __u64 parse(const char *text, size_t bytes)
{
	state = lua_newstate(allocate, NULL);
	if (!state)
		errx(1, "lua_newstate");
	if (region)
		lua_gc(state, LUA_GCSTOP);
	luaL_openlibs(state);
	if (luaL_loadstring(state, script))
		errx(1, "Lua: %s", lua_tostring(state, -1));
	lua_pushlstring(state, text, bytes);
	if (lua_pcall(state, 1, 1, 0))
		errx(1, "Lua: %s", lua_tostring(state, -1));
	return lua_tointeger(state, -1);
}

static void drop(void)
{
	lua_close(state);
}

const struct client client = { set_up, parse, drop };
