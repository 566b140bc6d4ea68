//! Runs plugins: wasmtime embedding behind the filter seam
