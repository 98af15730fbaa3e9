//! The one suite that every adapter, host and client of dataknobs-kv passes.
