//! Values from arguments, files and stdin.

use std::ffi::OsString;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use dataknobs_kv::{Error, Result, Value, ValueType};

use crate::exit::Failure;

/// How the bytes given are to be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum TypeName {
    /// What the JSON means: text, integer, number, boolean, null; objects and arrays stay JSON.
    Json,
    /// As named.
    Exact(ValueType),
}

/// For clap: `json` is JSON's own meaning, the rest are the store's names.
pub(crate) fn parse_type(name: &str) -> std::result::Result<TypeName, String> {
    match name {
        "json" => Ok(TypeName::Json),
        _ => ValueType::parse(name).map(TypeName::Exact).map_err(|error| error.message()),
    }
}

/// The value that these bytes stand for.
///
/// Without a type they are text where they are UTF-8, or else bytes: never a number, however much they look like one.
pub(crate) fn value(bytes: Vec<u8>, type_name: Option<&TypeName>) -> Result<Value> {
    let text = |bytes: Vec<u8>| {
        String::from_utf8(bytes).map_err(|_| Error::InvalidArgument("the value is not UTF-8: --type bytes".into()))
    };
    match type_name {
        None => Ok(match String::from_utf8(bytes) {
            Ok(text) => Value::Text(text),
            Err(error) => Value::Bytes(error.into_bytes()),
        }),
        Some(TypeName::Json) => Value::from_json(&text(bytes)?),
        Some(TypeName::Exact(ValueType::Text)) => text(bytes).map(Value::Text),
        Some(TypeName::Exact(ValueType::Integer)) => {
            let integer = text(bytes)?.trim().parse();
            integer.map(Value::Integer).map_err(|_| Error::InvalidArgument("the value is no 64-bit integer".into()))
        }
        Some(TypeName::Exact(ValueType::Number)) => {
            let number = text(bytes)?.trim().parse().ok().filter(|number: &f64| number.is_finite());
            number.map(Value::Number).ok_or_else(|| Error::InvalidArgument("the value is no finite number".into()))
        }
        Some(TypeName::Exact(ValueType::Boolean)) => match text(bytes)?.trim() {
            "true" => Ok(Value::Boolean(true)),
            "false" => Ok(Value::Boolean(false)),
            _ => Err(Error::InvalidArgument("the value is neither true nor false".into())),
        },
        Some(TypeName::Exact(ValueType::Null)) => match text(bytes)?.trim() {
            "" | "null" => Ok(Value::Null),
            _ => Err(Error::InvalidArgument("the value is not null".into())),
        },
        Some(TypeName::Exact(exact)) => Value::from_parts(exact.clone(), bytes),
    }
}

/// An argument's bytes; `-` reads stdin to its end.
pub(crate) fn argument(argument: OsString) -> Result<Vec<u8>, Failure> {
    match argument.as_encoded_bytes() {
        b"-" => stdin(),
        _ => Ok(argument.into_vec()),
    }
}

/// A file's bytes; `-` reads stdin to its end.
pub(crate) fn file(path: &Path) -> Result<Vec<u8>, Failure> {
    match path.as_os_str().as_encoded_bytes() {
        b"-" => stdin(),
        _ => std::fs::read(path).map_err(|error| Failure::Io(path.display().to_string(), error)),
    }
}

fn stdin() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    std::io::stdin().lock().read_to_end(&mut bytes).map_err(|error| Failure::Io("stdin".into(), error))?;
    Ok(bytes)
}

/// The value of a command: as an argument, or from a file
#[derive(clap::Args)]
pub(crate) struct ValueArgs {
    /// The value; - reads stdin
    #[arg(value_name = "VALUE", required_unless_present = "file", allow_negative_numbers = true)]
    value: Option<OsString>,
    /// Takes the value from a file
    #[arg(long, short, value_name = "PATH", conflicts_with = "value")]
    file: Option<PathBuf>,
    /// text, bytes, integer, number, boolean, null, custom:NAME; or json: what the JSON means
    ///
    /// Without it the value is text, or bytes where it is not UTF-8.
    #[arg(long = "type", short, value_name = "TYPE", value_parser = parse_type)]
    type_name: Option<TypeName>,
}

impl ValueArgs {
    pub(crate) fn read(self) -> Result<Value, Failure> {
        let bytes = match (self.value, self.file) {
            (Some(value), _) => argument(value)?,
            (None, Some(path)) => file(&path)?,
            (None, None) => return Err(Failure::usage("a value, or --file")),
        };
        Ok(value(bytes, self.type_name.as_ref())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, type_name: &str) -> Result<Value> {
        value(text.into(), Some(&parse_type(type_name).unwrap()))
    }

    #[test]
    fn text_unless_told() {
        assert_eq!(value(b"8080".to_vec(), None), Ok(Value::Text("8080".into())));
        assert_eq!(value(vec![0xff, 0], None), Ok(Value::Bytes(vec![0xff, 0])));
        assert_eq!(value(Vec::new(), None), Ok(Value::Text(String::new())));
    }

    #[test]
    fn types() {
        assert_eq!(read("8080\n", "integer"), Ok(Value::Integer(8080)));
        assert_eq!(read("8080", "number"), Ok(Value::Number(8080.0)));
        assert_eq!(read("8080", "json"), Ok(Value::Integer(8080)));
        assert_eq!(read("\"x\"", "json"), Ok(Value::Text("x".into())));
        assert_eq!(read("[1, 2]", "json"), Ok(Value::Json("[1, 2]".into())));
        assert_eq!(read("true", "boolean"), Ok(Value::Boolean(true)));
        assert_eq!(read("null", "null"), Ok(Value::Null));
        assert_eq!(read("é", "bytes"), Ok(Value::Bytes("é".into())));
        assert_eq!(read("x", "custom:point"), Ok(Value::Custom { type_name: "point".into(), bytes: b"x".to_vec() }));
        for (text, type_name) in [
            ("x", "integer"),
            ("9223372036854775808", "integer"),
            ("inf", "number"),
            ("NaN", "number"),
            ("yes", "boolean"),
            ("0", "null"),
            ("{", "json"),
        ] {
            assert_eq!(read(text, type_name).unwrap_err().code(), "invalid-argument", "{text} as {type_name}");
        }
        assert!(parse_type("custom:").is_err() && parse_type("string").is_err());
        assert!(value(vec![0xff], Some(&TypeName::Exact(ValueType::Text))).is_err());
    }
}
