// SPDX-License-Identifier: BSD-2-Clause
//! rustwork SECONDS: spins in rustwork::burn::spin_rust.

mod burn {
    use std::time::{Duration, Instant};

    #[inline(never)]
    pub fn spin_rust(duration: Duration) -> u64 {
        let start = Instant::now();
        let mut x: u64 = 1;
        while start.elapsed() < duration {
            let mut i = 0u32;
            while i < 50_000 {
                x = x.wrapping_mul(6364136223846793005).wrapping_add(1);
                i += 1;
            }
        }
        x
    }
}

fn main() {
    let seconds: f64 = std::env::args()
        .nth(1)
        .and_then(|text| text.parse().ok())
        .unwrap_or(5.0);
    let duration = std::time::Duration::from_secs_f64(seconds.clamp(0.0, 60.0));
    println!("{}", burn::spin_rust(duration));
}
