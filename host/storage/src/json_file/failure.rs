//! What went wrong with a file, in the core's words.

use std::fmt;
use std::io;
use std::path::Path;

use dataknobs_kv_core::Error;
use serde_json::error::Category;

use crate::files::io_error;

/// What is wrong with a text, and where. Its rule never shows a value.
#[derive(Debug)]
pub(super) struct Fault {
    /// Byte offset.
    pub(super) at: usize,
    pub(super) rule: String,
}

impl Fault {
    pub(super) fn new(at: usize, rule: impl Into<String>) -> Self {
        Fault { at, rule: rule.into() }
    }
}

/// A place in a text as editors count: lines and characters, from 1.
pub(super) struct Place {
    line: usize,
    column: usize,
}

impl Place {
    pub(super) fn of(text: &[u8], at: usize) -> Self {
        let before = text.get(..at).unwrap_or(text);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let start = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let column = String::from_utf8_lossy(before.get(start..).unwrap_or_default()).chars().count() + 1;
        Place { line, column }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// The parser's complaint, at its place in the text that it read, without what it quotes.
pub(super) fn syntax_fault(text: &str, error: &serde_json::Error) -> Fault {
    let message = error.to_string();
    let rule = message.rsplit_once(" at line ").map_or(message.as_str(), |(rule, _)| rule);
    let lines: usize = text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum();
    let at = match error.classify() {
        // What is wrong is the whole text, not a place in it.
        Category::Data => return Fault::new(0, "an object is wanted here"),
        Category::Eof => text.len(),
        Category::Syntax | Category::Io => lines + error.column().saturating_sub(1),
    };
    Fault::new(at.min(text.len()), rule)
}

/// An error of the operating system in a store that is open: nothing was applied.
pub(super) fn not_applied(path: &Path, error: &io::Error) -> Error {
    match io_error(path, error) {
        error @ (Error::Unavailable(_) | Error::AccessDenied(_)) => error,
        other => Error::Unavailable(other.message()),
    }
}
