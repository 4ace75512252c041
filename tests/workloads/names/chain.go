// SPDX-License-Identifier: BSD-2-Clause

// chain SECONDS: outermost with middle and innermost inlined into it; as chain.c.
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

func innermost(seed uint64) uint64 { // LINE: innermost
	x := seed
	for i := 0; i < 50000; i++ {
		x = x*6364136223846793005 + 1442695040888963407 // LINE: hot
	}
	return x
}

func middle(seed uint64) uint64 { // LINE: middle
	return innermost(seed+1) ^ 1 // LINE: call-innermost
}

//go:noinline
func outermost(seed uint64) uint64 { // LINE: outermost
	return middle(seed) + 1 // LINE: call-middle
}

func main() {
	seconds := 0.0
	if len(os.Args) > 1 {
		seconds, _ = strconv.ParseFloat(os.Args[1], 64)
	}
	end := time.Now().Add(time.Duration(seconds * 1e9))
	sum := outermost(1)
	for time.Now().Before(end) {
		sum ^= outermost(sum)
	}
	fmt.Println(sum)
}
