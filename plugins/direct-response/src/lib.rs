//! Built-in plugin direct-response
