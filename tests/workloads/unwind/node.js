// SPDX-License-Identifier: BSD-2-Clause
// node.js SECONDS: mostly C++ of node and V8: JSON, regular expressions, sorting, zlib, hashes,
// parsing of programs, garbage collection on its own threads.
'use strict';
const crypto = require('crypto');
const vm = require('vm');
const zlib = require('zlib');

const seconds = Math.min(Math.max(Number(process.argv[2] || 5), 0), 60);
const end = Date.now() + seconds * 1000;
const text = JSON.stringify(Array.from({length: 500}, (_, i) => ({id: i, name: 'name' + i * 7})));
let sum = 0;

function parseJson() {
  for (let i = 0; i < 20; i++) sum += JSON.parse(text).length + JSON.stringify({text}).length;
}

function compress() {
  sum += zlib.inflateSync(zlib.deflateSync(text)).length;
}

function hash() {
  sum += crypto.createHash('sha256').update(text.repeat(20)).digest()[0];
}

function match() {
  sum += (text.match(/("id":\d+),"name":"(name[0-9]*7)"/g) || []).length;
}

function compile() {
  const source = 'function f(a) {' + 'a = a * 3 + 1; if (a > 5) a -= 2;'.repeat(200) +
      ` return a; } f(${sum % 100});`;
  sum += vm.runInNewContext(source);
}

function collect() {
  const kept = [];
  for (let i = 0; i < 50000; i++) kept.push({i, other: [i]});
  kept.sort((a, b) => (a.i % 100) - (b.i % 100));
  sum += kept.length;
}

while (Date.now() < end) {
  parseJson();
  compress();
  hash();
  match();
  compile();
  collect();
}
console.log(sum);
