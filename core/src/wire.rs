//! Entries as JSON: one form for the HTTP API, its client, the command line and exports.
