//! Runs for ever in the phase that its configuration names; with `busy=N` for N loops, a nanosecond or two each.

use weir_test_guests::{Fault, Faulty, Options};

struct Spin {
    loops: Option<u64>,
}

impl Fault for Spin {
    const WORDS: &'static [&'static str] = &["when=", "busy="];

    fn configure(options: &Options) -> Result<Self, String> {
        let loops = options.get("busy").map(|_| options.number("busy", 0));
        Ok(Self {
            loops: loops.transpose()?,
        })
    }

    fn strike(&self) {
        match self.loops {
            Some(loops) => (0..loops).for_each(|_| std::hint::black_box(())),
            None => loop {
                std::hint::black_box(());
            },
        }
    }
}

weir_sdk::policy!(Faulty<Spin>);
