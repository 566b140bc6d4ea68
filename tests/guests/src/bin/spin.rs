//! Runs for ever in the phase that its configuration names.

use weir_test_guests::{Fault, Faulty};

struct Spin;

impl Fault for Spin {
    fn strike() {
        loop {
            std::hint::black_box(());
        }
    }
}

weir_sdk::policy!(Faulty<Spin>);
