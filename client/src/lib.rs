//! The HTTP client of the dataknobs-kv service.
