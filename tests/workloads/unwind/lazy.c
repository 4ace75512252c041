/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lazy SECONDS LIBRARY: loads LIBRARY, runs in it at once, unloads it, again and again; each time
 * its calls are bound anew when they are first made, so that much of the time goes to the dynamic
 * loader's resolver, entered from PLT stubs.
 */
#include <dlfcn.h>
#include <stdio.h>

#include "../spin.h"

int main(int argc, char **argv)
{
	uint64_t end_ns = clock_ns(CLOCK_MONOTONIC) + argument_ns(argc, argv, 1, 5);
	int (*run)(int rounds);
	void *library;
	int sum = 0;

	if (argc < 3)
		return 2;
	while (clock_ns(CLOCK_MONOTONIC) < end_ns) {
		library = dlopen(argv[2], RTLD_LAZY | RTLD_LOCAL);
		if (!library) {
			fprintf(stderr, "lazy: %s\n", dlerror());
			return 1;
		}
		*(void **)&run = dlsym(library, "lazy_run");
		if (!run)
			return 1;
		sum += run(200);
		dlclose(library);
	}
	return sum == 1;
}
