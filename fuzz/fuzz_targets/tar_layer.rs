//! Archives as a layer may hold them: never more than the limits, whatever their headers claim.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_artifact::{Compression, Limits, unpack};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits {
        wasm_bytes: 4096,
        archive_bytes: 1 << 20,
        archive_entries: 50,
        archive_header_bytes: 1024,
        ..Limits::default()
    };
    match unpack(bytes, Compression::None, &limits) {
        Ok(wasm) => {
            assert!(wasm.len() as u64 <= limits.wasm_bytes);
            // A tar archive stores files as they are.
            assert!(wasm.is_empty() || bytes.windows(wasm.len()).any(|window| window == wasm));
        }
        Err(error) => assert!(error.to_string().len() < 2000),
    }
});
