//! A key-value store with patterns, metadata, expiry and compare-and-swap that behaves the same on every backend.
