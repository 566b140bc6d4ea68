//! Artifacts as strangers make them: what `weir plugin inspect` reads of them is bounded, and nothing is made up.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_runtime::inspect;

fuzz_target!(|bytes: &[u8]| {
    match inspect(bytes) {
        Ok(found) => {
            let names = found.imports.len() + found.exports.len() + found.producers.len();
            assert!(names <= bytes.len());
            assert!(found.grants.len() <= found.imports.len());
            if let Some(schema) = &found.schema {
                assert!(
                    bytes
                        .windows(schema.len().max(1))
                        .any(|it| it == schema.as_bytes())
                        || schema.is_empty()
                );
            }
            assert!(!found.kind.to_string().is_empty());
        }
        Err(error) => assert!(error.to_string().len() < 1000),
    }
});
