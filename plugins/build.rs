//! Checks that the components that the crate embeds are there; they are built by `cargo xtask plugins`,
//! because a cargo inside a build script would wait for the lock that its caller holds.

use std::path::Path;

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/wasm/plugins");
    println!("cargo::rerun-if-changed=build.rs");
    for name in ["transformation", "direct-response", "access-log"] {
        let component = folder.join(name).with_extension("wasm");
        println!("cargo::rerun-if-changed={}", component.display());
        if !component.is_file() {
            println!("cargo::error=built-in plugins are not built; run `cargo xtask plugins`");
            return;
        }
    }
}
