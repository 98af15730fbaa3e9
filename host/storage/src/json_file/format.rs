//! The text of snapshot and journal: how an entry, a group of changes and the two headers are written.
//!
//! The snapshot is one JSON object, an entry a line:
//!
//! ```json
//! {
//!   "dataknobs-kv": {"format": 1, "store": "…", "sequence": 17},
//!   "namespaces": {
//!     "default": {
//!       "app.name": {"type": "text", "value": "x", "version": "…", "created_at": 1, "updated_at": 1}
//!     }
//!   },
//!   "crc32c": "…"
//! }
//! ```
//!
//! Values and types are as in exports ([`dataknobs_kv_core::wire`]); what has no such form (bytes that are not of their type,
//! which only callers below the core can write) stands in base64 under `raw`. `size` and `checksum` stand there only where
//! they are not what the value tells. `crc32c` is of all that stands before it: where it is wrong, somebody else changed
//! the file.
//!
//! The journal is one JSON object a line, each with the checksum of what follows it:
//!
//! ```json
//! {"crc32c":"…","dataknobs-kv-journal":1,"store":"…","after":17}
//! {"crc32c":"…","sequence":18,"synced":17,"changes":[{"change":"set","namespace":"default","key":"a","entry":{…}}]}
//! ```
//!
//! A `set` carries the whole entry, an `amend` all of it but type and value, a `delete` nothing. `synced` is the last group
//! that was on disk when this one was written: groups after it may be lost together in a power cut.

use dataknobs_kv_core::memory::Stored;
use dataknobs_kv_core::wire::TypedValue;
use dataknobs_kv_core::{Value, ValueType, json};

/// The number of this layout, of snapshot and journal.
pub(super) const FORMAT: u64 = 1;
/// The member that tells our snapshots from other JSON.
pub(super) const HEADER: &str = "dataknobs-kv";
/// The member that makes a line the journal's first.
pub(super) const JOURNAL_HEADER: &str = "dataknobs-kv-journal";
pub(super) const NAMESPACES: &str = "namespaces";
pub(super) const CHECKSUM: &str = "crc32c";

/// The beginning of a snapshot, up to its namespaces.
pub(super) fn snapshot_head(store: &str, sequence: u64) -> String {
    format!(
        "{{\n  {}: {{\"format\": {FORMAT}, \"store\": {}, \"sequence\": {sequence}}},\n  {}: {{",
        json::quote(HEADER),
        json::quote(store),
        json::quote(NAMESPACES)
    )
}

/// The end of a snapshot, after the checksum of all before it.
pub(super) fn snapshot_tail(checksum: u32) -> String {
    format!("\"{CHECKSUM}\": \"{checksum:08x}\"\n}}\n")
}

/// Whether the snapshot is as it was written, but for spaces at its end.
pub(super) fn is_as_written(text: &str) -> bool {
    let Some(at) = text.rfind(&format!("\"{CHECKSUM}\"")) else { return false };
    let (body, tail) = text.split_at(at);
    tail.trim_end() == snapshot_tail(crc32c::crc32c(body.as_bytes())).trim_end()
}

/// An entry, with its value or without.
pub(super) fn write_entry(out: &mut String, stored: &Stored, with_value: bool) {
    let Stored { version, attributes, value } = stored;
    let mut member = {
        let mut separator = "{";
        move |out: &mut String, name: &str, text: &str| {
            out.push_str(separator);
            separator = ", ";
            out.push('"');
            out.push_str(name);
            out.push_str("\": ");
            out.push_str(text);
        }
    };
    if with_value {
        match typed(&attributes.value_type, value) {
            Some(typed) => {
                member(out, "type", &json::quote(typed.type_name.as_deref().unwrap_or_default()));
                member(out, "value", typed.value.get());
            }
            None => {
                member(out, "type", &json::quote(&attributes.value_type.to_string()));
                let base64 = TypedValue::with_type(&Value::Bytes(value.to_vec()));
                member(out, "raw", base64.as_ref().map_or("\"\"", |typed| typed.value.get()));
            }
        }
    }
    member(out, "version", &json::quote(version.as_str()));
    if let Some(content_type) = &attributes.content_type {
        member(out, "content_type", &json::quote(content_type));
    }
    if let Some(metadata) = &attributes.metadata {
        // As it stands, where that keeps to one line; else the exact text in a string, which no object is.
        let bare = metadata.starts_with('{')
            && metadata.ends_with('}')
            && !metadata.contains(['\n', '\r'])
            && json::validate(metadata).is_ok();
        if bare {
            member(out, "metadata", metadata);
        } else {
            member(out, "metadata", &json::quote(metadata));
        }
    }
    member(out, "created_at", &attributes.created_at.to_string());
    member(out, "updated_at", &attributes.updated_at.to_string());
    if let Some(at) = attributes.expires_at {
        member(out, "expires_at", &at.to_string());
    }
    if let Some(span) = attributes.sliding_ms {
        member(out, "sliding_ms", &span.to_string());
    }
    if with_value {
        if attributes.size != value.len() as u64 {
            member(out, "size", &attributes.size.to_string());
        }
        if attributes.checksum != crc32c::crc32c(value) {
            member(out, "checksum", &attributes.checksum.to_string());
        }
    }
    out.push('}');
}

/// The value in its JSON form; none where reading that would not give the same bytes back.
fn typed(value_type: &ValueType, bytes: &[u8]) -> Option<TypedValue> {
    let value = Value::decode(value_type.clone(), bytes.to_vec()).ok()?;
    value.validate().ok()?;
    let exact = match value {
        Value::Integer(_) | Value::Number(_) => value.clone().encode().1 == bytes,
        _ => true,
    };
    if exact { TypedValue::with_type(&value).ok() } else { None }
}

/// What a group does to one key.
pub(super) enum Change<'a> {
    Set(&'a Stored),
    Amend(&'a Stored),
    Delete,
}

/// Adds one to the changes of a group.
pub(super) fn write_change(out: &mut String, namespace: &str, key: &str, change: &Change<'_>) {
    out.push_str(if out.is_empty() { "[" } else { "," });
    out.push_str(match change {
        Change::Set(_) => "{\"change\":\"set\"",
        Change::Amend(_) => "{\"change\":\"amend\"",
        Change::Delete => "{\"change\":\"delete\"",
    });
    out.push_str(",\"namespace\":");
    out.push_str(&json::quote(namespace));
    out.push_str(",\"key\":");
    out.push_str(&json::quote(key));
    if let Change::Set(stored) | Change::Amend(stored) = change {
        out.push_str(",\"entry\":");
        write_entry(out, stored, matches!(change, Change::Set(_)));
    }
    out.push('}');
}

/// The line of a group, with its line break.
pub(super) fn group_line(sequence: u64, synced: u64, changes: &str) -> String {
    line(&format!("\"sequence\":{sequence},\"synced\":{synced},\"changes\":{changes}]}}"))
}

/// The first line of a journal, with its line break.
pub(super) fn journal_head(store: &str, after: u64) -> String {
    line(&format!("\"{JOURNAL_HEADER}\":{FORMAT},\"store\":{},\"after\":{after}}}", json::quote(store)))
}

fn line(body: &str) -> String {
    format!("{{\"{CHECKSUM}\":\"{:08x}\",{body}\n", crc32c::crc32c(body.as_bytes()))
}

/// Whether a line, without its line break, is one that was written whole.
pub(super) fn is_whole_line(line: &[u8]) -> bool {
    const BEFORE: &[u8] = b"{\"crc32c\":\"";
    let checked = || {
        let (digits, body) = line.strip_prefix(BEFORE)?.split_at_checked(8)?;
        let body = body.strip_prefix(b"\",")?;
        Some(digits == format!("{:08x}", crc32c::crc32c(body)).as_bytes())
    };
    checked().unwrap_or(false)
}
