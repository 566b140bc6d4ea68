//! Manifests and indexes as a registry may send them: parsing and choosing end in a value or an error.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_artifact::{Layout, Manifest};

fuzz_target!(|bytes: &[u8]| {
    match Manifest::parse(bytes, None) {
        Ok(Manifest::Image(image)) => match image.layout() {
            Ok(Layout::Raw(layer) | Layout::Archive(layer, _)) => {
                // What is chosen is in the text: nothing is made up.
                let text = String::from_utf8_lossy(bytes);
                let hex = layer.digest.hex();
                assert!(text.contains(&hex) || text.contains('\\'), "{hex}");
            }
            Err(error) => assert!(error.to_string().len() < 1000),
        },
        Ok(Manifest::Index(index)) => {
            if let Err(error) = index.choose() {
                assert!(error.to_string().len() < 4000);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
