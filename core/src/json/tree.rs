//! A text as a tree, for what cannot be done in one pass.

use std::borrow::Cow;

use super::{Event, JsonError, Reader, decode};
use crate::order;

/// A JSON value. Strings are as [`decode`] gives them, numbers as they stand in the text.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(crate) enum Tree<'a> {
    Null,
    Boolean(bool),
    Number(&'a str),
    String(Cow<'a, [u8]>),
    Array(Vec<Tree<'a>>),
    Object(Vec<Field<'a>>),
}

/// A field of an object.
#[cfg_attr(test, derive(Debug, PartialEq))]
pub(crate) struct Field<'a> {
    /// Where its name starts.
    pub(crate) at: usize,
    pub(crate) name: Cow<'a, [u8]>,
    pub(crate) value: Tree<'a>,
}

impl<'a> Tree<'a> {
    /// Reads a text. Fields are in the order of their names; of those with one name the last is kept.
    pub(crate) fn parse(text: &'a str) -> Result<Self, JsonError> {
        Ok(Self::parse_noting(text)?.0)
    }

    /// As [`Tree::parse`], and where a name stands that came before in the same object.
    pub(crate) fn parse_noting(text: &'a str) -> Result<(Self, Option<usize>), JsonError> {
        let mut reader = Reader::new(text);
        let mut repeated = None;
        let first = reader.read()?;
        let tree = Self::value(&mut reader, first, &mut repeated)?;
        reader.read()?;
        Ok((tree, repeated))
    }

    /// The value that starts with `first`. The reader bounds the recursion.
    fn value(reader: &mut Reader<'a>, first: Event<'a>, repeated: &mut Option<usize>) -> Result<Self, JsonError> {
        Ok(match first {
            Event::Boolean(boolean) => Tree::Boolean(boolean),
            Event::Number(literal) => Tree::Number(literal),
            Event::String(literal) => Tree::String(decode(literal)),
            Event::BeginArray => {
                let mut elements = Vec::new();
                loop {
                    match reader.read()? {
                        Event::EndArray => break Tree::Array(elements),
                        event => elements.push(Self::value(reader, event, repeated)?),
                    }
                }
            }
            Event::BeginObject => {
                let mut fields: Vec<Field<'_>> = Vec::new();
                while let Event::Name(literal) = reader.read()? {
                    let at = reader.start();
                    let value = reader.read()?;
                    fields.push(Field { at, name: decode(literal), value: Self::value(reader, value, repeated)? });
                }
                // The last of those with one name comes first, and is kept.
                order::sort(&mut fields, |a, b| (&a.name, b.at) < (&b.name, a.at));
                fields.dedup_by(|field, kept| {
                    let same = field.name == kept.name;
                    if same {
                        *repeated = Some(kept.at);
                    }
                    same
                });
                Tree::Object(fields)
            }
            Event::Null | Event::EndObject | Event::EndArray | Event::Name(_) | Event::End => Tree::Null,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trees() {
        let string = |text: &'static str| Tree::String(Cow::Borrowed(text.as_bytes()));
        let field = |at, name: &'static str, value| Field { at, name: Cow::Borrowed(name.as_bytes()), value };
        assert_eq!(
            Tree::parse(r#" {"b":[null,true,1.0,"x"],"a":{},"b":[]}"#).unwrap(),
            Tree::Object(vec![field(26, "a", Tree::Object(vec![])), field(33, "b", Tree::Array(vec![])),])
        );
        let text = r#"[{"b":[null,true,1.0,"x"]}]"#;
        let array = Tree::Array(vec![Tree::Null, Tree::Boolean(true), Tree::Number("1.0"), string("x")]);
        let expected = Tree::Array(vec![Tree::Object(vec![field(2, "b", array)])]);
        assert_eq!(Tree::parse_noting(text).unwrap(), (expected, None));
        assert_eq!(Tree::parse_noting(r#"{"a":1,"b":2,"a":3}"#).unwrap().1, Some(13));
        assert!(Tree::parse("[1").is_err());
        assert!(Tree::parse("[1] 2").is_err());
    }
}
