// SPDX-License-Identifier: BSD-2-Clause

// cgoburn SECONDS: Go calls C (built without frame pointers), which spins, sorts with a comparison
// of its own, and calls back into Go.
package main

/*
#cgo CFLAGS: -O2 -fomit-frame-pointer
#include <stdint.h>
#include <stdlib.h>

extern uint64_t goCallback(uint64_t);

static int compare(const void *left, const void *right)
{
	int a = *(const int *)left, b = *(const int *)right;

	return (a > b) - (a < b);
}

static __attribute__((noinline)) uint64_t c_sort(uint64_t seed)
{
	int numbers[500], i;

	for (i = 0; i < 500; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		numbers[i] = (int)(seed >> 40);
	}
	qsort(numbers, 500, sizeof(numbers[0]), compare);
	return (uint64_t)numbers[0];
}

static __attribute__((noinline)) uint64_t c_spin(uint64_t x, int depth)
{
	int i;

	if (depth > 0)
		return c_spin(x, depth - 1) + 1;
	for (i = 0; i < 20000; i++) {
		x = x * 6364136223846793005ull + 1442695040888963407ull;
		__asm__ volatile("" : "+r"(x));
	}
	return x;
}

static uint64_t c_work(uint64_t x)
{
	return c_spin(x, 6) + c_sort(x) + goCallback(x);
}
*/
import "C"

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

//go:noinline
func spinInGo(x uint64) uint64 {
	for i := 0; i < 20000; i++ {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return x
}

//export goCallback
func goCallback(x C.uint64_t) C.uint64_t {
	return C.uint64_t(spinInGo(uint64(x)))
}

//go:noinline
func callC(x uint64) uint64 {
	return uint64(C.c_work(C.uint64_t(x))) + spinInGo(x)
}

func main() {
	seconds := 5.0
	if len(os.Args) > 1 {
		seconds, _ = strconv.ParseFloat(os.Args[1], 64)
	}
	if !(seconds >= 0 && seconds <= 60) {
		seconds = 5
	}
	end := time.Now().Add(time.Duration(seconds * float64(time.Second)))
	results := make(chan uint64)
	for i := 0; i < 2; i++ {
		go func() {
			x := uint64(1)
			for time.Now().Before(end) {
				x += callC(x)
			}
			results <- x
		}()
	}
	fmt.Println(<-results ^ <-results)
}
