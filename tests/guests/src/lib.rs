//! Misbehaving and probing guests
