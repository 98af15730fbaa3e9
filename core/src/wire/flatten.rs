//! From nested JSON to keys and leaves.

use crate::{Error, Result, json, key};

/// The leaves of a JSON text, in its own order: each with its key and the JSON text that stands there.
///
/// The text is validated as a whole at the start; after that its structure can be trusted.
///
/// ```
/// use dataknobs_kv_core::wire::Flatten;
///
/// let leaves: Vec<_> = Flatten::new(r#"{"app":{"name":"x","ports":[1,2]}}"#, None, false)?.collect::<Result<_, _>>()?;
/// assert_eq!(leaves, [("app.name".into(), "\"x\""), ("app.ports".into(), "[1,2]")]);
/// # Ok::<(), dataknobs_kv_core::Error>(())
/// ```
pub struct Flatten<'a> {
    text: &'a str,
    at: usize,
    /// The key of the object or array that is open, and what is open.
    key: String,
    open: Vec<Level>,
    arrays: bool,
    done: bool,
}

struct Level {
    /// Of the enclosing key.
    key_length: usize,
    /// In an array: the next element's number.
    index: Option<u64>,
}

impl<'a> Flatten<'a> {
    /// `prefix` is a key that all others go below; without one the text must be an object (or an array to be flattened).
    /// `arrays`: whether their elements are numbered from 0; else each array is a leaf.
    pub fn new(text: &'a str, prefix: Option<&str>, arrays: bool) -> Result<Self> {
        json::validate(text).map_err(|error| {
            let line = text.as_bytes().iter().take(error.at).filter(|b| **b == b'\n').count().saturating_add(1);
            Error::InvalidArgument(format!("line {line}: {error}"))
        })?;
        Ok(Flatten { text, at: 0, key: prefix.unwrap_or_default().to_owned(), open: Vec::new(), arrays, done: false })
    }

    /// How much of the text was read, in bytes.
    pub fn position(&self) -> usize {
        self.at
    }

    fn byte(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn pass(&mut self, by: usize) {
        self.at = self.at.saturating_add(by);
    }

    fn skip_space(&mut self) {
        while matches!(self.byte(), b' ' | b'\t' | b'\r' | b'\n') {
            self.pass(1);
        }
    }

    /// The string literal that begins here.
    fn literal(&mut self) -> &'a str {
        let start = self.at;
        self.pass(1);
        while self.byte() != b'"' && self.at < self.text.len() {
            self.pass(if self.byte() == b'\\' { 2 } else { 1 });
        }
        self.pass(1);
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// The value that begins here, whole.
    fn value(&mut self) -> &'a str {
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.byte() {
                b'"' => {
                    self.literal();
                    if depth == 0 {
                        break;
                    }
                    continue;
                }
                b'{' | b'[' => depth = depth.saturating_add(1),
                b'}' | b']' if depth == 0 => break,
                b'}' | b']' => {
                    depth = depth.saturating_sub(1);
                    if depth == 0 {
                        self.pass(1);
                        break;
                    }
                }
                b',' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => break,
                _ if self.at >= self.text.len() => break,
                _ => {}
            }
            self.pass(1);
        }
        self.text.get(start..self.at).unwrap_or_default()
    }

    /// Opens the object or array that begins here, or gives the leaf.
    fn leaf_or_open(&mut self, key_length: usize) -> Option<Result<(String, &'a str)>> {
        let first = self.byte();
        let container = first == b'{' || (first == b'[' && self.arrays);
        if container {
            let start = self.at;
            self.pass(1);
            self.skip_space();
            if !matches!(self.byte(), b'}' | b']') {
                let index = (first == b'[').then_some(0);
                self.open.push(Level { key_length, index });
                return None;
            }
            self.at = start;
        }
        let value = self.value();
        let key = self.key.clone();
        self.key.truncate(key_length);
        if key.is_empty() {
            return Some(Err(Error::InvalidArgument("a value that is no object needs a prefix to stand under".into())));
        }
        Some(Ok((key, value)))
    }

    /// The leaf, and none at the end; an error ends it.
    fn step(&mut self) -> Option<Result<(String, &'a str)>> {
        if self.at == 0 {
            self.skip_space();
            if let Some(leaf) = self.leaf_or_open(0) {
                self.done = true;
                // An empty object or array without a prefix holds nothing.
                let nothing = self.key.is_empty() && leaf.is_err() && self.text.trim_start().starts_with(['{', '[']);
                let empty = self.text.trim().starts_with('{') || self.arrays;
                return if nothing && empty { None } else { Some(leaf) };
            }
        }
        loop {
            self.skip_space();
            match self.byte() {
                b',' => self.pass(1),
                b'}' | b']' => {
                    self.pass(1);
                    let level = self.open.pop()?;
                    self.key.truncate(level.key_length);
                    if self.open.is_empty() {
                        self.skip_space();
                        return None;
                    }
                }
                _ => {
                    let key_length = self.key.len();
                    let own = match self.enter() {
                        Ok(own) => own,
                        Err(error) => return Some(Err(error)),
                    };
                    match self.leaf_or_open(key_length) {
                        Some(leaf) => return Some(leaf),
                        None if own => {
                            return Some(Err(Error::InvalidArgument(format!(
                                "below {}: under the empty name stands the key's own value, and that is no object",
                                self.place()
                            ))));
                        }
                        None => {}
                    }
                }
            }
        }
    }

    fn place(&self) -> String {
        if self.key.is_empty() { "the top".to_owned() } else { format!("{:?}", self.key) }
    }

    /// Reads a name, or counts an element, and goes below it, to where its value begins. Whether the name is empty: then
    /// the value is the key's own.
    fn enter(&mut self) -> Result<bool> {
        let segment = match self.open.last_mut().and_then(|level| level.index.as_mut()) {
            Some(index) => {
                let own = *index;
                *index = own.saturating_add(1);
                own.to_string()
            }
            None => {
                let literal = self.literal();
                let name = json::parse_string(literal).ok_or_else(|| {
                    Error::InvalidArgument(format!("below {}: a name holds a lone surrogate", self.place()))
                })?;
                self.skip_space();
                self.pass(1); // the colon
                self.skip_space();
                if name.is_empty() {
                    return Ok(true);
                }
                key::escape(&name)
            }
        };
        if !self.key.is_empty() {
            self.key.push('.');
        }
        self.key.push_str(&segment);
        Ok(false)
    }
}

impl<'a> Iterator for Flatten<'a> {
    type Item = Result<(String, &'a str)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let step = self.step();
        self.done |= !matches!(step, Some(Ok(_)));
        step
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flat(text: &str, prefix: Option<&str>, arrays: bool) -> Result<Vec<(String, String)>> {
        Flatten::new(text, prefix, arrays)?.map(|leaf| leaf.map(|(key, value)| (key, value.to_owned()))).collect()
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn objects_become_keys() {
        let text =
            r#" { "a" : { "b" : 1, "c" : { } , "d":{"e":"x\"}"} }, "f": [1, {"g": 2}] , "h" : null,"i":1e400 } "#;
        assert_eq!(
            flat(text, None, false).unwrap(),
            pairs(&[
                ("a.b", "1"),
                ("a.c", "{ }"),
                ("a.d.e", r#""x\"}""#),
                ("f", r#"[1, {"g": 2}]"#),
                ("h", "null"),
                ("i", "1e400"),
            ])
        );
    }

    #[test]
    fn names_are_escaped_and_prefixed() {
        let text = r#"{"a.b":{"c\\d":true},"é\u00e9":0}"#;
        assert_eq!(flat(text, Some("x.y"), false).unwrap(), pairs(&[(r"x.y.a\.b.c\\d", "true"), ("x.y.éé", "0")]));
    }

    #[test]
    fn arrays_are_numbered_where_asked() {
        let text = r#"{"a":[{"b":1},[],[2,[3]]],"c":[{}]}"#;
        assert_eq!(
            flat(text, None, true).unwrap(),
            pairs(&[("a.0.b", "1"), ("a.1", "[]"), ("a.2.0", "2"), ("a.2.1.0", "3"), ("c.0", "{}")])
        );
        assert_eq!(flat("[1]", Some("p"), true).unwrap(), pairs(&[("p.0", "1")]));
        assert_eq!(flat("[1]", None, true).unwrap(), pairs(&[("0", "1")]));
    }

    #[test]
    fn a_key_beside_its_children() {
        assert_eq!(flat(r#"{"a":{"":1,"b":2}}"#, None, false).unwrap(), pairs(&[("a", "1"), ("a.b", "2")]));
        assert_eq!(flat(r#"{"":{},"b":2}"#, Some("a"), false).unwrap(), pairs(&[("a", "{}"), ("a.b", "2")]));
        assert!(flat(r#"{"a":{"":{"b":1}}}"#, None, false).is_err());
        assert!(flat(r#"{"":1}"#, None, false).is_err());
    }

    #[test]
    fn the_top() {
        assert_eq!(flat("{}", None, false).unwrap(), []);
        assert_eq!(flat(" {} ", Some("p"), false).unwrap(), pairs(&[("p", "{}")]));
        assert_eq!(flat("5", Some("p"), false).unwrap(), pairs(&[("p", "5")]));
        for text in ["5", "[1]", "", "{", r#"{"a":1}}"#, r#"{"a":1} {"b":2}"#, r#"{"a" 1}"#, r#"{"\ud800":1}"#] {
            assert_eq!(flat(text, None, false).unwrap_err().code(), "invalid-argument", "{text}");
        }
        let error = Flatten::new("{\n\"a\": 1,\n}", None, false).err().unwrap();
        assert!(error.to_string().contains("line 3"), "{error}");
    }
}
