//! From keys and leaves to nested JSON.

use std::collections::BTreeMap;
use std::io::{self, Write};

use dataknobs_kv::{Error, Result, key};
use dataknobs_kv_core::json;

/// Writes entries that come in key order as one nested object, holding no more than one path of it.
///
/// Keys below `a` come together, but `a` itself may come earlier, with `a-b` in between. So a key's own value waits until
/// a key comes that does not begin with the same text: only then is it sure that nothing lies below.
pub(crate) struct Nest<W> {
    out: W,
    /// The objects that are open: their keys, each with its dot, and whether anything was written into them.
    open: Vec<Object>,
    /// Values that wait, each a beginning of the next.
    waiting: Vec<(String, String)>,
}

struct Object {
    prefix: String,
    empty: bool,
}

impl<W: Write> Nest<W> {
    pub(crate) fn new(out: W) -> Self {
        Nest { out, open: Vec::new(), waiting: Vec::new() }
    }

    /// The next entry in key order: its key, and its value as JSON text. The empty key is the document's own value.
    pub(crate) fn entry(&mut self, entry_key: &str, value: String) -> io::Result<()> {
        while let Some((waiting, value)) = self.waiting.pop_if(|(waiting, _)| !entry_key.starts_with(waiting.as_str()))
        {
            self.write(&waiting, None, &value)?;
        }
        // What waits and has `entry_key` below itself becomes an object, and its own value stands under the empty name.
        let below = |waiting: &str| waiting.is_empty() || entry_key.as_bytes().get(waiting.len()) == Some(&b'.');
        let mut still = Vec::new();
        for (waiting, value) in std::mem::take(&mut self.waiting) {
            if below(&waiting) {
                let path = if waiting.is_empty() { waiting } else { format!("{waiting}.") };
                self.write(&path, Some("\"\""), &value)?;
            } else {
                still.push((waiting, value));
            }
        }
        self.waiting = still;
        self.waiting.push((entry_key.to_owned(), value));
        Ok(())
    }

    pub(crate) fn finish(mut self) -> io::Result<W> {
        while let Some((waiting, value)) = self.waiting.pop() {
            if waiting.is_empty() {
                // Nothing came after it: it is all there is.
                self.out.write_all(value.as_bytes())?;
                self.out.write_all(b"\n")?;
                return Ok(self.out);
            }
            self.write(&waiting, None, &value)?;
        }
        self.begin()?;
        for _ in 0..self.open.len() {
            self.out.write_all(b"}")?;
        }
        self.out.write_all(b"\n")?;
        Ok(self.out)
    }

    fn begin(&mut self) -> io::Result<()> {
        if self.open.is_empty() {
            self.out.write_all(b"{")?;
            self.open.push(Object { prefix: String::new(), empty: true });
        }
        Ok(())
    }

    /// Writes a value under its path; with a name given, `path` is an object's and the name stands in it.
    fn write(&mut self, path: &str, name: Option<&str>, value: &str) -> io::Result<()> {
        self.begin()?;
        while let Some(object) = self.open.pop_if(|object| !path.starts_with(&object.prefix)) {
            debug_assert!(!object.empty);
            self.out.write_all(b"}")?;
        }
        let mut done = self.open.last().map_or(0, |object| object.prefix.len());
        while let Some(dot) = unescaped_dot(path, done) {
            self.name(path.get(done..dot).unwrap_or_default())?;
            self.out.write_all(b"{")?;
            done = dot + 1;
            self.open.push(Object { prefix: path.get(..done).unwrap_or_default().to_owned(), empty: true });
        }
        match name {
            Some(name) => self.member(name)?,
            None => self.name(path.get(done..).unwrap_or_default())?,
        }
        self.out.write_all(value.as_bytes())
    }

    /// A segment as a member's name.
    fn name(&mut self, segment: &str) -> io::Result<()> {
        let text = key::split(segment).map_err(io::Error::other)?.concat();
        self.member(&json::quote(&text))
    }

    fn member(&mut self, literal: &str) -> io::Result<()> {
        if let Some(object) = self.open.last_mut() {
            if !object.empty {
                self.out.write_all(b",")?;
            }
            object.empty = false;
        }
        self.out.write_all(b"\n")?;
        for _ in 0..self.open.len() {
            self.out.write_all(b" ")?;
        }
        self.out.write_all(literal.as_bytes())?;
        self.out.write_all(b":")
    }
}

/// Where the next dot that separates segments stands, from `start` on.
fn unescaped_dot(key: &str, start: usize) -> Option<usize> {
    let mut bytes = key.bytes().enumerate().skip(start);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'.' => return Some(at),
            _ => {}
        }
    }
    None
}

/// As [`Nest`], where objects that are numbered 0, 1, 2, … are to become arrays again: that shows only when all their
/// members are known, so this one holds everything until the end.
#[derive(Default)]
pub(crate) struct ArrayNest(Node);

#[derive(Default)]
struct Node {
    value: Option<String>,
    below: BTreeMap<String, Node>,
}

impl ArrayNest {
    pub(crate) fn entry(&mut self, entry_key: &str, value: String) -> Result<()> {
        let mut node = &mut self.0;
        let segments = if entry_key.is_empty() { Vec::new() } else { key::split(entry_key)? };
        for segment in segments {
            node = node.below.entry(segment).or_default();
        }
        if node.value.replace(value).is_some() {
            return Err(Error::Internal(format!("{entry_key}: listed twice")));
        }
        Ok(())
    }

    pub(crate) fn finish<W: Write>(&self, mut out: W) -> io::Result<()> {
        self.0.write(&mut out, 1)?;
        out.write_all(b"\n")
    }
}

impl Node {
    fn write(&self, out: &mut impl Write, depth: usize) -> io::Result<()> {
        if self.below.is_empty() {
            return out.write_all(self.value.as_deref().unwrap_or("{}").as_bytes());
        }
        let numbered = || (0..self.below.len()).map(|index| self.below.get(&index.to_string()));
        if self.value.is_some() || numbered().any(|element| element.is_none()) {
            return self.object(out, depth);
        }
        let mut separator = "[";
        for element in numbered().flatten() {
            write!(out, "{separator}\n{:depth$}", "")?;
            element.write(out, depth + 1)?;
            separator = ",";
        }
        out.write_all(b"]")
    }

    fn object(&self, out: &mut impl Write, depth: usize) -> io::Result<()> {
        out.write_all(b"{")?;
        let mut separator = "";
        if let Some(value) = &self.value {
            write!(out, "\n{:depth$}\"\":{value}", "")?;
            separator = ",";
        }
        for (name, node) in &self.below {
            write!(out, "{separator}\n{:depth$}{}:", "", json::quote(name))?;
            node.write(out, depth + 1)?;
            separator = ",";
        }
        out.write_all(b"}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::Flatten;
    use super::*;

    fn nested(keys: &[&str]) -> String {
        let mut sorted: Vec<_> = keys.iter().enumerate().collect();
        sorted.sort_by_key(|(_, key)| **key);
        let mut nest = Nest::new(Vec::new());
        for (index, key) in sorted {
            nest.entry(key, index.to_string()).unwrap();
        }
        String::from_utf8(nest.finish().unwrap()).unwrap()
    }

    /// Whatever the keys, reading the nested form gives them back.
    #[track_caller]
    fn comes_back(keys: &[&str]) {
        let text = nested(keys);
        let mut back: Vec<_> = Flatten::new(&text, None, false)
            .unwrap()
            .map(|leaf| leaf.unwrap())
            .map(|(k, v)| (k, v.to_owned()))
            .collect();
        back.sort();
        let mut given: Vec<_> = keys.iter().enumerate().map(|(i, key)| ((*key).to_owned(), i.to_string())).collect();
        given.sort();
        assert_eq!(back, given, "{text}");
    }

    #[test]
    fn layout() {
        assert_eq!(nested(&["a.b", "a.c", "d"]), "{\n \"a\":{\n  \"b\":0,\n  \"c\":1},\n \"d\":2}\n");
        assert_eq!(nested(&[]), "{}\n");
    }

    #[test]
    fn every_shape_comes_back() {
        comes_back(&["a"]);
        comes_back(&["a.b.c.d", "e"]);
        comes_back(&["a", "a.b"]);
        comes_back(&["a", "a-x", "a.b", "a.b.c", "b"]);
        comes_back(&["a", "a!", "a!.b", "a!.b.c", "a!x", "a.b.c", "a.b", "aa", "aa.b"]);
        comes_back(&["a.b", "a.b-c", "a.b-c.d", "a.b.d", "a-b", "a"]);
        comes_back(&[r"a\.b", r"a\.b.c", r"a\\.b", r"a\\", "a.b", "\"q\".\u{e9}"]);
        comes_back(&["a.b.c", "a.b-", "a", "a-.b", "a.b", "a.b-.c"]);
    }

    /// All sets of up to four of some keys that are beginnings of one another.
    #[test]
    fn all_combinations_come_back() {
        let keys = ["a", "a-", "a-.b", "a.b", "a.b-", "a.b.c", r"a\.b", "ab", "ab.c", "b"];
        for mask in 1_u32..1 << keys.len() {
            if mask.count_ones() <= 4 {
                let chosen: Vec<_> =
                    keys.iter().enumerate().filter(|(i, _)| mask & 1 << i != 0).map(|(_, key)| *key).collect();
                comes_back(&chosen);
            }
        }
    }

    #[test]
    fn the_document_itself() {
        let nested = |entries: &[(&str, &str)]| {
            let (mut nest, mut arrays, mut numbered) = (Nest::new(Vec::new()), ArrayNest::default(), Vec::new());
            for (key, value) in entries {
                nest.entry(key, (*value).to_owned()).unwrap();
                arrays.entry(key, (*value).to_owned()).unwrap();
            }
            arrays.finish(&mut numbered).unwrap();
            let text = String::from_utf8(nest.finish().unwrap()).unwrap();
            assert!(json::equal(&text, &String::from_utf8(numbered).unwrap()));
            text
        };
        assert_eq!(nested(&[("", "[1]")]), "[1]\n");
        assert_eq!(nested(&[("", "{}"), ("a", "1")]), "{\n \"\":{},\n \"a\":1}\n");
        let text = nested(&[("", "{}"), ("a", "1")]);
        let leaves: Vec<_> = Flatten::new(&text, Some("p"), false).unwrap().map(|leaf| leaf.unwrap()).collect();
        assert_eq!(leaves, [("p".into(), "{}"), ("p.a".into(), "1")]);
    }

    #[test]
    fn arrays_come_back() {
        let text = r#"{"a":[{"b":1},[],[2,[3]],4,5,6,7,8,9,10,11],"c":{"0":1,"2":2},"d":{"00":1},"e":{"":1,"0":2}}"#;
        let mut nest = ArrayNest::default();
        for leaf in Flatten::new(text, None, true).unwrap() {
            let (key, value) = leaf.unwrap();
            nest.entry(&key, value.to_owned()).unwrap();
        }
        let mut out = Vec::new();
        nest.finish(&mut out).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert!(json::equal(&out, text), "{out}");
    }
}
