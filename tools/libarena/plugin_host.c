// SPDX-License-Identifier: GPL-2.0
/*
 * plugin_host PLUGIN loads a shared object made of plugin.c, uses it in the main thread and in a
 * second thread, unloads it, and only then lets the second thread end.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>

static bool (*use)(void);
static bool used;
static pthread_barrier_t barrier;

static void *run(void *arg)
{
	used = use();
	pthread_barrier_wait(&barrier);
	/* Meanwhile the main thread unloads the plugin. */
	pthread_barrier_wait(&barrier);
	return arg;
}

/*
 * Uses the plugin in a new thread and then in this one, and returns whether both uses succeeded.
 * The new thread then waits at the barrier, so that it outlives the plugin.
 */
static bool use_here_and_there(pthread_t *thread)
{
	pthread_barrier_init(&barrier, NULL, 2);
	if (pthread_create(thread, NULL, run, NULL))
		return false;
	pthread_barrier_wait(&barrier);
	return used && use();
}

static bool load_use_unload(const char *name)
{
	void *plugin = dlopen(name, RTLD_NOW | RTLD_LOCAL);
	pthread_t thread;
	bool ok;

	if (plugin)
		use = (bool (*)(void))dlsym(plugin, "plugin_use");
	if (!plugin || !use) {
		fprintf(stderr, "%s\n", dlerror());
		return false;
	}
	ok = use_here_and_there(&thread);
	dlclose(plugin);
	pthread_barrier_wait(&barrier);
	pthread_join(thread, NULL);
	return ok;
}

int main(int argc, char **argv)
{
	int i;

	for (i = 0; i < 100; i++) {
		if (argc != 2 || !load_use_unload(argv[1])) {
			fprintf(stderr, "plugin_host: round %d failed\n", i);
			return 1;
		}
	}
	return 0;
}
