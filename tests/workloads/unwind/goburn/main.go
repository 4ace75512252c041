// SPDX-License-Identifier: BSD-2-Clause

// goburn SECONDS: what Go programs do: goroutines, maps, sorting, formatting, garbage collection,
// growing stacks, channels, panics that are recovered.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

type node struct {
	left, right *node
	value       int
}

//go:noinline
func buildTree(depth int) *node {
	if depth == 0 {
		return &node{value: 1}
	}
	return &node{buildTree(depth - 1), buildTree(depth - 1), depth}
}

func (n *node) sum() int {
	if n == nil {
		return 0
	}
	return n.value + n.left.sum() + n.right.sum()
}

//go:noinline
func growStack(depth int) int {
	var room [256]byte
	room[depth%256] = byte(depth)
	if depth == 0 {
		return int(room[0])
	}
	return growStack(depth-1) + int(room[depth%256])
}

//go:noinline
func sortStrings(seed int) string {
	words := make([]string, 2000)
	for i := range words {
		seed = seed*1664525 + 1013904223
		words[i] = strconv.Itoa(seed & 0xffffff)
	}
	sort.Slice(words, func(i, j int) bool { return words[i] < words[j] })
	return strings.Join(words[:10], " ")
}

//go:noinline
func encode() int {
	total := 0
	for i := 0; i < 20; i++ {
		text, _ := json.Marshal(map[string]any{"a": []int{1, 2, 3}, "b": fmt.Sprint(i, 1.5)})
		var back map[string]any
		if json.Unmarshal(text, &back) == nil {
			total += len(back)
		}
	}
	return total
}

//go:noinline
func recovered(depth int) (result int) {
	defer func() {
		if r := recover(); r != nil {
			result = depth
		}
	}()
	if depth == 0 {
		panic("bottom")
	}
	return recovered(depth-1) + 1
}

func work(end time.Time, results chan<- int) {
	total := 0
	for time.Now().Before(end) {
		total += buildTree(10).sum()
		total += len(sortStrings(total))
		total += encode()
		total += recovered(10)
		var group sync.WaitGroup
		for i := 0; i < 4; i++ {
			group.Add(1)
			go func() {
				defer group.Done()
				growStack(300)
			}()
		}
		group.Wait()
		runtime.Gosched()
	}
	results <- total
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
	results := make(chan int)
	for i := 0; i < 3; i++ {
		go work(end, results)
	}
	total := 0
	for i := 0; i < 3; i++ {
		total += <-results
	}
	fmt.Println(total)
}
