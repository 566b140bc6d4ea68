//! Allocates until it is refused, in the phase that its configuration names.

use weir_test_guests::{Fault, Faulty, Options};

struct MemoryBomb;

impl Fault for MemoryBomb {
    fn configure(_: &Options) -> Result<Self, String> {
        Ok(Self)
    }

    fn strike(&self) {
        let mut hog: Vec<Vec<u8>> = Vec::new();
        loop {
            hog.push(std::hint::black_box(vec![1; 1 << 20]));
        }
    }
}

weir_sdk::policy!(Faulty<MemoryBomb>);
