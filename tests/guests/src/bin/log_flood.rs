//! Writes `lines=N` (1000) lines of `bytes=N` (20) bytes to the log in each call of the phase that its
//! configuration names. It imports `log`.

use weir_sdk::log;
use weir_test_guests::{Fault, Faulty, Options};

struct LogFlood {
    lines: u64,
    line: String,
}

impl Fault for LogFlood {
    const WORDS: &'static [&'static str] = &["when=", "lines=", "bytes="];

    fn configure(options: &Options) -> Result<Self, String> {
        Ok(Self {
            lines: options.number("lines", 1000)?,
            line: "x".repeat(options.number("bytes", 20)?),
        })
    }

    fn strike(&self) {
        for _ in 0..self.lines {
            log::warn(&self.line);
        }
    }
}

weir_sdk::policy!(Faulty<LogFlood>);
