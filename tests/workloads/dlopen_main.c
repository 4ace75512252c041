/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * dlopen_main SECONDS [swap]: spins 1 s in before_dlopen, loads plugin.so from its own folder and
 * spins SECONDS in its plugin_work.  With `swap` it then unloads it, loads plugin_b.so, which
 * lands at the same address, and spins SECONDS in plugin_b_work.  Prints the two addresses.
 */
#include <dlfcn.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "spin.h"

static void before_dlopen(uint64_t ns)
{
	SPIN_FOR(CLOCK_MONOTONIC, ns);
}

/* Loads @name from the folder of this program, runs it, unloads it. */
static int run_plugin(const char *name, uint64_t ns)
{
	char path[PATH_MAX + 32] = "";
	void (*entry)(uint64_t ns);
	void *library;

	if (readlink("/proc/self/exe", path, PATH_MAX - 1) < 0 || !strrchr(path, '/'))
		return 1;
	strcpy(strrchr(path, '/') + 1, name);
	library = dlopen(path, RTLD_NOW);
	if (!library) {
		fprintf(stderr, "dlopen_main: %s\n", dlerror());
		return 1;
	}
	*(void **)&entry = dlsym(library, "plugin_entry");
	if (!entry)
		return 1;
	printf("%s %p\n", name, *(void **)&entry);
	entry(ns);
	return dlclose(library);
}

int main(int argc, char **argv)
{
	uint64_t ns = argument_ns(argc, argv, 1, 2);
	int ret;

	before_dlopen(NS_PER_SEC);
	ret = run_plugin("plugin.so", ns);
	if (ret == 0 && argc > 2)
		ret = run_plugin("plugin_b.so", ns);
	return ret;
}
