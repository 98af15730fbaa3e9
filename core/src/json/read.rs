//! The reader: one pass over a text, an event for each token, no recursion.

use super::{JsonError, MAX_DEPTH};

/// What the reader came upon. Literals are as they stand in the text: strings with their quotes and escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    BeginObject,
    EndObject,
    BeginArray,
    EndArray,
    /// A field's name; its value comes next.
    Name(&'a str),
    String(&'a str),
    Number(&'a str),
    Boolean(bool),
    Null,
    /// The value is complete, and nothing follows it.
    End,
}

/// What may come next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expect {
    Value,
    ElementOrEnd,
    Name,
    NameOrEnd,
    /// A comma or the end of what the value stands in.
    Separator,
}

/// Reads one JSON text. After an error it is not to be used again.
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    start: usize,
    depth: u32,
    max_depth: u32,
    /// One bit for each open level, the innermost lowest: 1 is an object. [`MAX_DEPTH`] bits are enough.
    objects: u128,
    expect: Expect,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self::with_depth(text, MAX_DEPTH)
    }

    /// With fewer levels than [`MAX_DEPTH`].
    pub(crate) fn with_depth(text: &'a str, max_depth: u32) -> Self {
        let max_depth = max_depth.min(MAX_DEPTH);
        Reader { text, at: 0, start: 0, depth: 0, max_depth, objects: 0, expect: Expect::Value }
    }

    /// Where the last event's token starts.
    pub(crate) fn start(&self) -> usize {
        self.start
    }

    /// The next event.
    pub(crate) fn read(&mut self) -> Result<Event<'a>, JsonError> {
        self.skip_space();
        if self.expect == Expect::Separator {
            if self.depth == 0 {
                return if self.peek().is_none() { Ok(Event::End) } else { self.fail("nothing follows the value") };
            }
            let object = self.objects & 1 == 1;
            match self.peek() {
                Some(b',') => {
                    self.step();
                    self.skip_space();
                    self.expect = if object { Expect::Name } else { Expect::Value };
                }
                Some(b'}') if object => return Ok(self.close(Event::EndObject)),
                Some(b']') if !object => return Ok(self.close(Event::EndArray)),
                _ if object => return self.fail("a comma or `}` is missing"),
                _ => return self.fail("a comma or `]` is missing"),
            }
        }
        self.start = self.at;
        match (self.expect, self.peek()) {
            (Expect::NameOrEnd, Some(b'}')) => Ok(self.close(Event::EndObject)),
            (Expect::ElementOrEnd, Some(b']')) => Ok(self.close(Event::EndArray)),
            (Expect::Name | Expect::NameOrEnd, Some(b'"')) => {
                let literal = self.string()?;
                self.skip_space();
                if self.peek() != Some(b':') {
                    return self.fail("a colon is missing");
                }
                self.step();
                self.expect = Expect::Value;
                Ok(Event::Name(literal))
            }
            (Expect::Name | Expect::NameOrEnd, _) => self.fail("a name in quotes is missing"),
            (_, Some(b'{')) => {
                self.open(true)?;
                Ok(Event::BeginObject)
            }
            (_, Some(b'[')) => {
                self.open(false)?;
                Ok(Event::BeginArray)
            }
            (_, first) => {
                let event = match first {
                    Some(b'"') => Event::String(self.string()?),
                    Some(b'-' | b'0'..=b'9') => Event::Number(self.number()?),
                    Some(b't') => self.word("true", Event::Boolean(true))?,
                    Some(b'f') => self.word("false", Event::Boolean(false))?,
                    Some(b'n') => self.word("null", Event::Null)?,
                    _ => return self.fail("a value is missing"),
                };
                self.expect = Expect::Separator;
                Ok(event)
            }
        }
    }

    /// Passes over the next value: its text. Not for the end of an array.
    pub(crate) fn skip(&mut self) -> Result<&'a str, JsonError> {
        let depth = self.depth;
        self.read()?;
        let start = self.start;
        while self.depth > depth {
            self.read()?;
        }
        Ok(self.since(start))
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn step(&mut self) {
        self.at = self.at.saturating_add(1);
    }

    /// What is left.
    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn fail<T>(&self, rule: &'static str) -> Result<T, JsonError> {
        Err(JsonError { at: self.at, rule })
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.step();
        }
    }

    fn open(&mut self, object: bool) -> Result<(), JsonError> {
        if self.depth >= self.max_depth {
            return self.fail("too many levels: 128 is the most");
        }
        self.depth = self.depth.saturating_add(1);
        self.objects = (self.objects << 1) | u128::from(object);
        self.expect = if object { Expect::NameOrEnd } else { Expect::ElementOrEnd };
        self.step();
        Ok(())
    }

    fn close(&mut self, event: Event<'a>) -> Event<'a> {
        self.start = self.at;
        self.depth = self.depth.saturating_sub(1);
        self.objects >>= 1;
        self.expect = Expect::Separator;
        self.step();
        event
    }

    /// The text from `start` to here. Both are at ASCII characters or the end, so it is never cut inside a character.
    fn since(&self, start: usize) -> &'a str {
        self.text.get(start..self.at).unwrap_or_default()
    }

    fn word(&mut self, word: &str, event: Event<'a>) -> Result<Event<'a>, JsonError> {
        if !self.rest().starts_with(word.as_bytes()) {
            return self.fail("the words are true, false and null");
        }
        self.at = self.at.saturating_add(word.len());
        Ok(event)
    }

    /// A string literal, from its opening quote.
    fn string(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        self.step();
        loop {
            let plain = self.rest().iter().position(|&b| b == b'"' || b == b'\\' || b < 0x20);
            self.at = self.at.saturating_add(plain.unwrap_or(self.rest().len()));
            match self.peek() {
                Some(b'"') => {
                    self.step();
                    return Ok(self.since(start));
                }
                Some(b'\\') => self.escape()?,
                Some(_) => return self.fail("control characters in strings are escaped"),
                None => return self.fail("a string has no end"),
            }
        }
    }

    fn escape(&mut self) -> Result<(), JsonError> {
        let length = match self.rest() {
            [_, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
            [_, b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|digit| digit.is_ascii_hexdigit()) => 6,
            [_, b'u', ..] => return self.fail("`\\u` has four hexadecimal digits"),
            _ => return self.fail("no such escape"),
        };
        self.at = self.at.saturating_add(length);
        Ok(())
    }

    fn number(&mut self) -> Result<&'a str, JsonError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.step();
        }
        if self.peek() == Some(b'0') {
            self.step();
            if matches!(self.peek(), Some(b'0'..=b'9')) {
                return self.fail("a number has no leading zeros");
            }
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.step();
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.step();
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.step();
            }
            self.digits()?;
        }
        Ok(self.since(start))
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return self.fail("a digit is missing");
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.step();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{JsonError, validate};

    #[test]
    fn json_is_taken() {
        for text in [
            "0",
            "-0",
            "1.5e+7",
            "1E400",
            "-1e-999999999999999999999",
            "true",
            " null\r\n",
            "\"\"",
            r#""\u00e9\"\\\/\b\f\n\r\t""#,
            r#""\ud800""#,
            r#""\udc00\ud800""#,
            "[]",
            "[ 1 , 2 ]",
            "{}",
            r#"{"":0,"":1}"#,
            r#"{"a":[{"b":null}],"c":""}"#,
            "\"\u{7f}\u{85}é𝄞\"",
            " [ [ ] , { } ] ",
        ] {
            assert_eq!(validate(text), Ok(()), "{text}");
        }
    }

    #[test]
    fn all_else_is_refused_with_its_place() {
        for (text, at, rule) in [
            ("", 0, "a value is missing"),
            ("  ", 2, "a value is missing"),
            ("\u{feff}1", 0, "a value is missing"),
            ("1 2", 2, "nothing follows"),
            ("01", 1, "leading zeros"),
            ("-", 1, "digit"),
            ("+1", 0, "a value is missing"),
            (".5", 0, "a value is missing"),
            ("1.", 2, "digit"),
            ("1e", 2, "digit"),
            ("1e+", 3, "digit"),
            ("0x1", 1, "nothing follows"),
            ("NaN", 0, "a value is missing"),
            ("nul", 0, "words"),
            ("truex", 4, "nothing follows"),
            ("\"a", 2, "no end"),
            ("\"a\nb\"", 2, "control"),
            (r#""\x""#, 1, "escape"),
            (r#""\"#, 1, "escape"),
            (r#""\u12g4""#, 1, "hexadecimal"),
            (r#""\u123"#, 1, "hexadecimal"),
            ("'a'", 0, "a value is missing"),
            ("[", 1, "a value is missing"),
            ("[1", 2, "comma or `]`"),
            ("[1,]", 3, "a value is missing"),
            ("[,]", 1, "a value is missing"),
            ("[1}", 2, "comma or `]`"),
            ("[1 2]", 3, "comma or `]`"),
            ("]", 0, "a value is missing"),
            ("{", 1, "name"),
            ("{1:2}", 1, "name"),
            ("{\"a\"}", 4, "colon"),
            ("{\"a\":}", 5, "a value is missing"),
            ("{\"a\":1,}", 7, "name"),
            ("{\"a\":1]", 6, "comma or `}`"),
            ("[]]", 2, "nothing follows"),
            ("1 // note", 2, "nothing follows"),
            ("\u{a0}1", 0, "a value is missing"),
        ] {
            let JsonError { at: found, rule: said } = validate(text).expect_err(text);
            assert!(found == at && said.contains(rule), "{text:?}: byte {found}: {said}");
        }
    }

    #[test]
    fn depth_is_bounded_however_deep_the_text() {
        let nested = |depth: usize, open: &str, close: &str| format!("{}0{}", open.repeat(depth), close.repeat(depth));
        for (open, close) in [("[", "]"), ("{\"a\":", "}"), ("[{\"a\":", "}]")] {
            let most = 128 / open.matches(['[', '{']).count();
            assert_eq!(validate(&nested(most, open, close)), Ok(()));
            let error = validate(&nested(most + 1, open, close)).unwrap_err();
            assert_eq!(error.at, open.len() * most);
        }
        assert!(validate(&"[".repeat(1_000_000)).is_err());
    }
}
