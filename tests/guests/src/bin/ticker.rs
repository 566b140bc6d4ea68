//! Background work alone: adds 1 to the entry `key=` (`ticks`) every `every=MS` (10) milliseconds, `stop=N` times or
//! for ever. With `trap=N` it panics instead of the Nth tick. It imports `kv`.

use std::time::Duration;

use weir_sdk::{Background, kv};
use weir_test_guests::Options;

struct Ticker {
    key: String,
    every: Duration,
    stop: i64,
    trap: i64,
}

impl Background for Ticker {
    fn configure(config: &[u8]) -> Result<Self, String> {
        let options = Options::read(config, &["key=", "every=", "stop=", "trap="])?;
        Ok(Self {
            key: options.get("key").unwrap_or("ticks").to_owned(),
            every: Duration::from_millis(options.number("every", 10)?),
            stop: options.number("stop", i64::MAX)?,
            trap: options.number("trap", 0)?,
        })
    }

    fn on_timer(&self) -> Option<Duration> {
        let ticks = kv::increment(&self.key, 1, None).ok()?;
        #[allow(clippy::panic, reason = "the fault this guest is asked for")]
        if ticks == self.trap {
            panic!("trapped on purpose at tick {ticks}");
        }
        (ticks < self.stop).then_some(self.every)
    }
}

weir_sdk::background!(Ticker);
