//! What goes to stdout: data and nothing else.

use std::io::{self, BufWriter, IsTerminal, StdoutLock, Write};

use dataknobs_kv::Value;
use dataknobs_kv_core::wire;
use serde::Serialize;

use crate::exit::Failure;

/// Stdout, buffered; flushed at the end by [`Output::finish`], so that a failure to write is noticed.
pub(crate) struct Output {
    out: BufWriter<StdoutLock<'static>>,
}

impl Output {
    pub(crate) fn new() -> Self {
        Output { out: BufWriter::with_capacity(64 << 10, io::stdout().lock()) }
    }

    /// A line of text.
    pub(crate) fn line(&mut self, text: impl std::fmt::Display) -> Result<(), Failure> {
        Ok(writeln!(self.out, "{text}")?)
    }

    /// One value as a line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let line = wire::to_json(value)?;
        self.line(line)
    }

    /// A value's own bytes, and nothing more; on a terminal a line break, where the value does not end in one.
    pub(crate) fn value(&mut self, value: Value) -> Result<(), Failure> {
        let bytes = match value {
            Value::Null => b"null".to_vec(),
            value => value.encode().1,
        };
        self.out.write_all(&bytes)?;
        if io::stdout().is_terminal() && !bytes.ends_with(b"\n") {
            self.out.write_all(b"\n")?;
        }
        Ok(())
    }

    pub(crate) fn flush(&mut self) -> Result<(), Failure> {
        Ok(self.out.flush()?)
    }

    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        self.flush()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Something for the person at the terminal.
pub(crate) fn say(text: impl std::fmt::Display) {
    // Nobody can be told that stderr is closed.
    let _ = writeln!(io::stderr(), "{text}");
}
