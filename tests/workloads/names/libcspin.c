/* SPDX-License-Identifier: BSD-2-Clause */
/* Spins in strlen() of whatever libc it runs with, until it is killed. */
#include <string.h>

int main(void)
{
	static char text[1 << 20];
	volatile size_t sum = 0;
	size_t (*volatile length)(const char *) = strlen; /* not the compiler's own */

	memset(text, 'x', sizeof(text) - 1);
	for (;;)
		sum += length(text);
	return (int)sum;
}
