//! The Rust SDK for Weir policies
