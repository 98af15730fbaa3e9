//! The caller's metadata: JSON objects, in meaning.
use crate::Result;
/// Checks and rewrites: compact, names sorted; none where the object is empty.
pub fn canonical(_text: &str) -> Result<Option<String>> {
    todo!()
}
/// `patch` merged into `base` at the top level: a null removes a field.
pub fn merge(_base: Option<&str>, _patch: &str) -> Result<Option<String>> {
    todo!()
}
/// Whether `metadata` holds every field of `wanted`, equal as JSON.
pub fn contains(_metadata: Option<&str>, _wanted: &str) -> bool {
    todo!()
}
/// The numeric `ttl` (milliseconds) and text `content_type` in it.
pub fn hints(_metadata: &str) -> Result<(Option<u64>, Option<String>)> {
    todo!()
}
