// SPDX-License-Identifier: BSD-2-Clause
// node --perf-basic-prof spin.js SECONDS: spins in spinJs, which node compiles to machine code.
'use strict';

function spinJs(rounds) {
  let x = 1;
  for (let i = 0; i < rounds; i++) {
    x = (Math.imul(x, 1664525) + 1013904223) | 0;
  }
  return x;
}

const seconds = Math.min(Number(process.argv[2]) || 5, 60);
const end = Date.now() + seconds * 1000;
let sum = 0;

// Few long calls: a caller that V8 finds hot would have spinJs inlined into it.
function tick() {
  sum ^= spinJs(50000000);
  if (Date.now() < end) {
    setImmediate(tick);
  } else {
    console.log(sum);
  }
}

tick();
