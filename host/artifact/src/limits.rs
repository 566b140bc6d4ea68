//! How much of what strangers send is taken, and for how long.

use std::time::Duration;

/// Bounds of one fetch. Each holds while bytes arrive, not afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A manifest, an index, a signature or a token, in bytes.
    pub manifest_bytes: u64,
    /// What is downloaded of one blob or file, in bytes.
    pub download_bytes: u64,
    /// The Wasm itself, in bytes.
    pub wasm_bytes: u64,
    /// Everything that a layer's archive holds, in bytes.
    pub archive_bytes: u64,
    /// Bytes out for each byte in, beyond the first mebibyte out.
    pub compression_ratio: u64,
    /// Files, folders and headers of an archive.
    pub archive_entries: u64,
    /// One extended header of an archive (long names, pax records), in bytes.
    pub archive_header_bytes: u64,
    /// Redirects of one request.
    pub redirects: u32,
    /// Until a TCP connection stands; TLS counts for the answer.
    pub connect_timeout: Duration,
    /// Until a response head is there, and between two pieces of a body.
    pub idle_timeout: Duration,
    /// A whole fetch, with all its requests.
    pub total_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            manifest_bytes: 4 << 20,
            download_bytes: 64 << 20,
            wasm_bytes: 64 << 20,
            archive_bytes: 128 << 20,
            compression_ratio: 100,
            archive_entries: 10_000,
            archive_header_bytes: 64 << 10,
            redirects: 5,
            connect_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(30),
            total_timeout: Duration::from_secs(300),
        }
    }
}
