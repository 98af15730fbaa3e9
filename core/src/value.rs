//! Values and their types.

use std::fmt;

use crate::{Error, Result, json};

/// How a value's bytes are to be read.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum ValueType {
    /// UTF-8 text.
    Text,
    /// Bytes.
    Bytes,
    /// A signed 64-bit integer.
    Integer,
    /// A finite 64-bit float.
    Number,
    /// True or false.
    Boolean,
    /// Null.
    Null,
    /// JSON text, kept to the byte.
    Json,
    /// Bytes in the caller's own form, under the caller's name for it (1 to 64 printable ASCII).
    Custom(String),
}

static NAMED: [(&str, ValueType); 7] = [
    ("text", ValueType::Text),
    ("bytes", ValueType::Bytes),
    ("integer", ValueType::Integer),
    ("number", ValueType::Number),
    ("boolean", ValueType::Boolean),
    ("null", ValueType::Null),
    ("json", ValueType::Json),
];

impl ValueType {
    /// The most bytes a custom type's name has.
    pub const MAX_NAME_BYTES: usize = 64;

    /// `text`, `bytes`, `integer`, `number`, `boolean`, `null`, `json`, or `custom:` and the caller's name.
    pub fn parse(name: &str) -> Result<Self> {
        if let Some((_, value_type)) = NAMED.iter().find(|(known, _)| *known == name) {
            return Ok(value_type.clone());
        }
        let Some(custom) = name.strip_prefix("custom:") else {
            return Err(Error::invalid(&[
                "a value type is text, bytes, integer, number, boolean, null, json or custom:NAME",
            ]));
        };
        let custom = ValueType::Custom(custom.to_owned());
        custom.validate()?;
        Ok(custom)
    }

    /// The form that [`ValueType::parse`] reads, in two parts.
    pub fn name(&self) -> [&str; 2] {
        match self {
            ValueType::Custom(name) => ["custom:", name],
            _ => [NAMED.iter().find(|(_, known)| known == self).map_or("", |(name, _)| name), ""],
        }
    }

    /// A custom type's name is 1 to 64 printable ASCII characters.
    pub fn validate(&self) -> Result<()> {
        match self {
            ValueType::Custom(name)
                if name.is_empty()
                    || name.len() > Self::MAX_NAME_BYTES
                    || !name.bytes().all(|b| (0x20..0x7f).contains(&b)) =>
            {
                Err(Error::InvalidArgument("a custom type's name is 1 to 64 printable ASCII characters".into()))
            }
            _ => Ok(()),
        }
    }
}

/// The form that [`ValueType::parse`] reads.
impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name().into_iter().try_for_each(|part| f.write_str(part))
    }
}

/// A typed value.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// UTF-8 text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A signed 64-bit integer.
    Integer(i64),
    /// A finite 64-bit float.
    Number(f64),
    /// True or false.
    Boolean(bool),
    /// Null.
    Null,
    /// JSON text, kept to the byte.
    Json(String),
    /// Bytes in the caller's own form.
    Custom {
        /// The caller's name for the form: 1 to 64 printable ASCII characters.
        type_name: String,
        /// The value in that form.
        bytes: Vec<u8>,
    },
}

impl Value {
    /// Its type.
    pub fn value_type(&self) -> ValueType {
        match self {
            Value::Text(_) => ValueType::Text,
            Value::Bytes(_) => ValueType::Bytes,
            Value::Integer(_) => ValueType::Integer,
            Value::Number(_) => ValueType::Number,
            Value::Boolean(_) => ValueType::Boolean,
            Value::Null => ValueType::Null,
            Value::Json(_) => ValueType::Json,
            Value::Custom { type_name, .. } => ValueType::Custom(type_name.clone()),
        }
    }

    /// Its type, and the bytes that are stored.
    pub fn encode(self) -> (ValueType, Vec<u8>) {
        match self {
            Value::Text(text) => (ValueType::Text, text.into_bytes()),
            Value::Bytes(bytes) => (ValueType::Bytes, bytes),
            Value::Integer(integer) => (ValueType::Integer, json::format_integer(integer).into_bytes()),
            Value::Number(number) => (ValueType::Number, json::format_number(number).into_bytes()),
            Value::Boolean(boolean) => (ValueType::Boolean, if boolean { "true" } else { "false" }.into()),
            Value::Null => (ValueType::Null, Vec::new()),
            Value::Json(text) => (ValueType::Json, text.into_bytes()),
            Value::Custom { type_name, bytes } => (ValueType::Custom(type_name), bytes),
        }
    }

    /// Reads stored bytes. `corrupt` where they are not of the type; JSON is not looked into.
    pub fn decode(value_type: ValueType, bytes: Vec<u8>) -> Result<Self> {
        Self::read(value_type, bytes).map_err(|what| Error::Corrupt(["the stored value is no ", what].concat()))
    }

    /// Reads bytes, or says what they are not.
    fn read(value_type: ValueType, bytes: Vec<u8>) -> Result<Self, &'static str> {
        let what = match value_type {
            ValueType::Bytes => return Ok(Value::Bytes(bytes)),
            ValueType::Custom(type_name) => return Ok(Value::Custom { type_name, bytes }),
            ValueType::Text => "UTF-8 text",
            ValueType::Integer => "integer",
            ValueType::Number => "number",
            ValueType::Boolean => "boolean",
            ValueType::Null => "null",
            ValueType::Json => "JSON",
        };
        let text = String::from_utf8(bytes).map_err(|_| what)?;
        Ok(match value_type {
            ValueType::Text => Value::Text(text),
            ValueType::Integer => Value::Integer(json::parse_integer(&text).ok_or(what)?),
            ValueType::Number if json::is_number(&text) => match json::parse_float(&text) {
                number if number.is_finite() => Value::Number(number),
                _ => return Err("finite number"),
            },
            ValueType::Boolean if text == "true" => Value::Boolean(true),
            ValueType::Boolean if text == "false" => Value::Boolean(false),
            ValueType::Null if text.is_empty() => Value::Null,
            ValueType::Json => Value::Json(text),
            _ => return Err(what),
        })
    }

    /// Takes a value's bytes from outside: as [`Value::decode`], but what breaks a rule is `invalid-argument`, and the
    /// bytes must be in the one form that the type is stored in.
    pub fn from_parts(value_type: ValueType, bytes: Vec<u8>) -> Result<Self> {
        value_type.validate()?;
        let scalar = matches!(value_type, ValueType::Integer | ValueType::Number);
        let original = if scalar { bytes.clone() } else { Vec::new() };
        let value = Self::read(value_type, bytes).map_err(|what| Error::invalid(&["the value is no ", what]))?;
        value.validate()?;
        if scalar && value.clone().encode().1 != original {
            return Err(Error::InvalidArgument("integers and numbers are given in their shortest decimal form".into()));
        }
        Ok(value)
    }

    /// Numbers are finite, JSON is JSON, a custom type's name is legal.
    pub fn validate(&self) -> Result<()> {
        match self {
            Value::Number(number) if !number.is_finite() => Err(Error::InvalidArgument("a number is finite".into())),
            Value::Json(text) => validate_json(text),
            Value::Custom { .. } => self.value_type().validate(),
            _ => Ok(()),
        }
    }

    /// The value that a JSON text stands for: a string is a text, an integer of 64 bits an integer, any other number a
    /// number if a 64-bit float can hold its size, `true`, `false`, `null` themselves; all else stays JSON, to the byte.
    pub fn from_json(text: &str) -> Result<Self> {
        validate_json(text)?;
        let trimmed = text.trim_ascii();
        Ok(match trimmed.as_bytes().first() {
            Some(b'"') => match json::parse_string(trimmed) {
                Some(text) => Value::Text(text),
                // A lone surrogate: no text can hold it, JSON can.
                None => Value::Json(trimmed.to_owned()),
            },
            Some(b't') => Value::Boolean(true),
            Some(b'f') => Value::Boolean(false),
            Some(b'n') => Value::Null,
            Some(b'{' | b'[') => Value::Json(text.to_owned()),
            _ if trimmed.bytes().all(|b| b == b'-' || b.is_ascii_digit()) => match json::parse_integer(trimmed) {
                Some(integer) if trimmed != "-0" => Value::Integer(integer),
                Some(_) => Value::Number(-0.0),
                None => Value::Json(trimmed.to_owned()),
            },
            _ => match json::parse_float(trimmed) {
                number if number.is_finite() => Value::Number(number),
                _ => Value::Json(trimmed.to_owned()),
            },
        })
    }

    /// The value as JSON text, where its type has one: not for bytes and custom values.
    pub fn to_json(&self) -> Option<String> {
        Some(match self {
            Value::Text(text) => json::quote(text),
            Value::Integer(integer) => json::format_integer(*integer),
            Value::Number(number) => json::format_number(*number),
            Value::Boolean(boolean) => if *boolean { "true" } else { "false" }.into(),
            Value::Null => "null".into(),
            Value::Json(text) => text.clone(),
            Value::Bytes(_) | Value::Custom { .. } => return None,
        })
    }

    /// Whether both mean the same, as compare-and-swap sees it.
    pub fn same(&self, other: &Value) -> bool {
        match (self, other) {
            (Value::Json(a), Value::Json(b)) => a == b || json::equal(a, b),
            _ => self == other,
        }
    }
}

fn validate_json(text: &str) -> Result<()> {
    json::validate(text).map_err(|error| Error::invalid(&["value: ", &error.message()]))
}

/// Values stay out of logs: only type and length are shown.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Text(text) | Value::Json(text) => write!(f, "{}({} bytes)", self.value_type(), text.len()),
            Value::Bytes(bytes) | Value::Custom { bytes, .. } => {
                write!(f, "{}({} bytes)", self.value_type(), bytes.len())
            }
            _ => write!(f, "{}", self.value_type()),
        }
    }
}

macro_rules! from {
    ($($from:ty => $variant:ident),* $(,)?) => {$(
        impl From<$from> for Value {
            fn from(value: $from) -> Self {
                Value::$variant(value.into())
            }
        }
    )*};
}
from! { &str => Text, String => Text, &String => Text, Vec<u8> => Bytes, &[u8] => Bytes, i64 => Integer,
i32 => Integer, u32 => Integer, i16 => Integer, u16 => Integer, i8 => Integer, u8 => Integer,
f64 => Number, f32 => Number, bool => Boolean }

impl<const N: usize> From<&[u8; N]> for Value {
    fn from(bytes: &[u8; N]) -> Self {
        Value::Bytes(bytes.to_vec())
    }
}

impl From<()> for Value {
    fn from((): ()) -> Self {
        Value::Null
    }
}
