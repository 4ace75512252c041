// SPDX-License-Identifier: BSD-2-Clause
//! release SECONDS: what a Rust program built for release does: maps, sorting by a closure,
//! formatting, boxed closures, a thread, and now and then a panic that is caught.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::panic;
use std::time::{Duration, Instant};

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        self.0 >> 20
    }
}

#[inline(never)]
fn count_words(random: &mut Random) -> usize {
    let mut words: HashMap<String, usize> = HashMap::new();
    for _ in 0..2000 {
        *words.entry(format!("word{}", random.next() % 300)).or_default() += 1;
    }
    let sorted: BTreeMap<_, _> = words.iter().collect();
    sorted.values().map(|count| **count).max().unwrap_or(0)
}

#[inline(never)]
fn sort_by_closure(random: &mut Random) -> u64 {
    let mut numbers: Vec<u64> = (0..3000).map(|_| random.next()).collect();
    numbers.sort_by(|left, right| (left % 1000).cmp(&(right % 1000)).then(right.cmp(left)));
    numbers[0]
}

#[inline(never)]
fn call_boxed(depth: u32, work: &dyn Fn(u32) -> u64) -> u64 {
    if depth == 0 {
        return work(depth);
    }
    let boxed: Box<dyn Fn(u32) -> u64> = Box::new(move |inner| work(inner) ^ u64::from(depth));
    call_boxed(depth - 1, &*boxed).wrapping_add(1)
}

#[inline(never)]
fn write_text(random: &mut Random) -> usize {
    let mut text = String::new();
    for _ in 0..300 {
        let number = random.next();
        let _ = write!(text, "{:>12} {:?} {:.3}", number, Some(number % 7), number as f64 / 3.0);
    }
    text.len()
}

#[inline(never)]
fn panics(random: &mut Random) -> u64 {
    let number = random.next();
    panic::catch_unwind(move || {
        let kept = vec![number; 10];
        if kept.len() == 10 {
            panic::resume_unwind(Box::new(number));
        }
        0
    })
    .unwrap_or_else(|payload| *payload.downcast::<u64>().unwrap())
}

fn work(seed: u64, end: Instant) -> u64 {
    let mut random = Random(seed);
    let mut sum = 0u64;
    while Instant::now() < end {
        sum = sum.wrapping_add(count_words(&mut random) as u64);
        sum = sum.wrapping_add(sort_by_closure(&mut random));
        for _ in 0..100 {
            sum = sum.wrapping_add(call_boxed(20, &|depth| u64::from(depth) * 3));
        }
        sum = sum.wrapping_add(write_text(&mut random) as u64);
        for _ in 0..50 {
            sum = sum.wrapping_add(panics(&mut random));
        }
    }
    sum
}

fn main() {
    let seconds: f64 =
        std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(5.0);
    let end = Instant::now() + Duration::from_secs_f64(seconds.clamp(0.0, 60.0));
    let other = std::thread::spawn(move || work(2, end));
    println!("{}", work(1, end) ^ other.join().unwrap());
}
