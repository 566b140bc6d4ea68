//! Forgets `kib=N` (64) KiB in each call of the phase that its configuration names.

use weir_test_guests::{Fault, Faulty, Options};

struct Leak {
    bytes: usize,
}

impl Fault for Leak {
    const WORDS: &'static [&'static str] = &["when=", "kib="];

    fn configure(options: &Options) -> Result<Self, String> {
        Ok(Self {
            bytes: options.number("kib", 64)? * 1024,
        })
    }

    fn strike(&self) {
        std::mem::forget(std::hint::black_box(vec![1_u8; self.bytes]));
    }
}

weir_sdk::policy!(Faulty<Leak>);
