//! Storage adapters of dataknobs-kv for servers.
