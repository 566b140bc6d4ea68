//! Compressed layers: decompression ends at the limits of size and ratio, and the archive in it is read as any other.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_artifact::{Compression, Limits, decompress, unpack};

/// Below this a ratio does not count.
const FREE: u64 = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits {
        wasm_bytes: 1 << 16,
        archive_bytes: 3 << 20,
        compression_ratio: 50,
        archive_entries: 50,
        archive_header_bytes: 1024,
        ..Limits::default()
    };
    if let Ok(whole) = decompress(bytes, &limits) {
        let size = whole.len() as u64;
        assert!(size <= limits.archive_bytes);
        assert!(size <= FREE + bytes.len() as u64 * limits.compression_ratio);
    }
    if let Ok(wasm) = unpack(bytes, Compression::Gzip, &limits) {
        assert!(wasm.len() as u64 <= limits.wasm_bytes);
    }
});
