//! The built-in plugins, embedded as components
