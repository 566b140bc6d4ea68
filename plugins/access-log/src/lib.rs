//! Built-in plugin access-log
