//! Waiting for something that another thread brings about.

use std::time::{Duration, Instant};

/// Asks until the answer is there.
///
/// # Panics
/// When there is none after ten seconds.
pub fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}: not within ten seconds");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
