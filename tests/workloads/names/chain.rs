// SPDX-License-Identifier: BSD-2-Clause
// chain SECONDS: chain::work::outermost() with innermost() inlined into it; as chain.c.
use std::arch::asm;
use std::time::{Duration, Instant};

mod work {
    use super::*;

    #[inline(always)]
    fn innermost(seed: u64) -> u64 { // LINE: innermost
        let mut x = seed;
        unsafe {
            asm!("771: nop", ".pushsection .marks,\"R\",@progbits", ".quad 771b", // LINE: hot
                 ".asciz \"hot\"", ".popsection");
        }
        for _ in 0..50000 {
            unsafe { asm!("/* {0} */", inout(reg) x) }; // black_box() is of Rust 1.66
            x = x.wrapping_mul(6364136223846793005).wrapping_add(1);
        }
        x
    }

    #[inline(never)]
    pub fn outermost(seed: u64) -> u64 { // LINE: outermost
        innermost(seed) ^ 1 // LINE: call-innermost
    }
}

fn main() {
    let seconds = std::env::args().nth(1).and_then(|s| s.parse().ok()).unwrap_or(0.0);
    let end = Instant::now() + Duration::from_secs_f64(seconds);
    let mut sum = work::outermost(1);
    while Instant::now() < end {
        sum ^= work::outermost(sum);
    }
    println!("{}", sum);
}
