//! Built-in plugin transformation
