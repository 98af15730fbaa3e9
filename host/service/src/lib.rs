//! The HTTP service of dataknobs-kv.
