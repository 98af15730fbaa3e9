//! Keys and namespaces.
use crate::Result;
/// The most bytes of a key.
pub const MAX_KEY_BYTES: usize = 512;
/// The most bytes of a namespace.
pub const MAX_NAMESPACE_BYTES: usize = 64;
/// The namespace where none is named.
pub const DEFAULT_NAMESPACE: &str = "default";
/// Whether it is a legal key.
pub fn validate(_key: &str) -> Result<()> {
    todo!()
}
/// Whether it is a legal namespace.
pub fn validate_namespace(_namespace: &str) -> Result<()> {
    todo!()
}
/// A key from its segments' texts: escapes and joins them.
pub fn join<I>(_segments: I) -> Result<String>
where
    I: IntoIterator,
    I::Item: AsRef<str>,
{
    todo!()
}
/// The texts of a key's segments, unescaped.
pub fn split(_key: &str) -> Result<Vec<String>> {
    todo!()
}
/// A segment's text as it stands in a key: dots and backslashes escaped.
pub fn escape(_segment: &str) -> String {
    todo!()
}
