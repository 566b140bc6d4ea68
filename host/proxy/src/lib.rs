//! The data path: listeners, routing, chains, upstreams
