//! Values as the pair of `value` and `type`.

use base64::Engine as _;
use base64::alphabet::STANDARD as ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::raw;
use crate::{Error, Result, Value, ValueType, json};

/// Writes padding, and reads what left it out.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The type of JSON whose text stands in a string, since it would break a line or lose spaces otherwise.
const JSON_TEXT: &str = "json-text";

/// A value as JSON; the module's table says how.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TypedValue {
    /// The value in its JSON form.
    pub value: Box<RawValue>,
    /// How to read it; none: as [`Value::from_json`] does.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub type_name: Option<String>,
}

impl TypedValue {
    /// With the type wherever it is more than what the JSON tells by itself. Fails for what is no value: numbers that
    /// are not finite, JSON that is none.
    pub fn new(value: &Value) -> Result<Self> {
        let mut this = Self::with_type(value)?;
        let told = match value {
            Value::Text(_) | Value::Integer(_) | Value::Boolean(_) | Value::Null => true,
            Value::Number(number) => {
                let text = this.value.get();
                text.contains(['.', 'e', 'E']) || (*number == 0.0 && number.is_sign_negative())
            }
            Value::Json(_) => {
                this.type_name.as_deref() == Some("json")
                    && (this.value.get().starts_with(['{', '['])
                        || matches!(Value::from_json(this.value.get()), Ok(Value::Json(text)) if text == this.value.get()))
            }
            Value::Bytes(_) | Value::Custom { .. } => false,
        };
        if told {
            this.type_name = None;
        }
        Ok(this)
    }

    /// As [`TypedValue::new`], with the type in every case.
    pub fn with_type(value: &Value) -> Result<Self> {
        value.value_type().validate()?;
        let mut type_name = value.value_type().to_string();
        let text = match value {
            Value::Text(text) => quote(text)?,
            Value::Json(text) => {
                let bare = !text.contains(['\n', '\r']) && text.trim_matches([' ', '\t']).len() == text.len();
                if bare {
                    text.clone()
                } else {
                    type_name = JSON_TEXT.into();
                    quote(text)?
                }
            }
            Value::Bytes(bytes) | Value::Custom { bytes, .. } => quote(&BASE64.encode(bytes))?,
            Value::Number(number) if !number.is_finite() => {
                return Err(Error::InvalidArgument("a number is finite".into()));
            }
            Value::Integer(_) | Value::Number(_) | Value::Boolean(_) | Value::Null => {
                value.to_json().ok_or_else(|| Error::Internal("a scalar without JSON".into()))?
            }
        };
        Ok(TypedValue { value: raw(text, "value")?, type_name: Some(type_name) })
    }

    /// The value that a JSON text of this type stands for; none: as [`Value::from_json`] tells.
    pub fn read(text: &str, type_name: Option<&str>) -> Result<Value> {
        decode(text, type_name)
    }

    /// The value.
    pub fn to_value(&self) -> Result<Value> {
        decode(self.value.get(), self.type_name.as_deref())
    }
}

/// The value that a JSON text of this type stands for.
pub(super) fn decode(text: &str, type_name: Option<&str>) -> Result<Value> {
    let Some(type_name) = type_name else {
        return Value::from_json(text);
    };
    if type_name == JSON_TEXT {
        let value = Value::Json(string(text, JSON_TEXT)?);
        value.validate()?;
        return Ok(value);
    }
    let value_type = ValueType::parse(type_name)?;
    let wrong = || Error::InvalidArgument(format!("value: what is given is no {type_name}"));
    Ok(match value_type {
        ValueType::Text => Value::Text(string(text, "text")?),
        ValueType::Bytes => Value::Bytes(bytes(text)?),
        ValueType::Custom(type_name) => Value::Custom { type_name, bytes: bytes(text)? },
        ValueType::Json => {
            let value = Value::Json(text.to_owned());
            value.validate()?;
            value
        }
        ValueType::Number => match text.trim_matches([' ', '\t', '\r', '\n']) {
            digits if digits.starts_with(|c: char| c == '-' || c.is_ascii_digit()) => {
                json::validate(digits).map_err(|_| wrong())?;
                let number = digits.parse::<f64>().ok().filter(|number| number.is_finite());
                Value::Number(number.ok_or_else(wrong)?)
            }
            _ => return Err(wrong()),
        },
        ValueType::Integer | ValueType::Boolean | ValueType::Null => match Value::from_json(text)? {
            value if value.value_type() == value_type => value,
            _ => return Err(wrong()),
        },
    })
}

/// A text as a JSON string.
fn quote(text: &str) -> Result<String> {
    serde_json::to_string(text).map_err(|error| Error::Internal(format!("JSON: {error}")))
}

/// The text that a JSON string stands for.
fn string(literal: &str, type_name: &str) -> Result<String> {
    serde_json::from_str(literal)
        .map_err(|_| Error::InvalidArgument(format!("value: {type_name} is given as a string of Unicode text")))
}

fn bytes(literal: &str) -> Result<Vec<u8>> {
    BASE64
        .decode(string(literal, "base64")?)
        .map_err(|_| Error::InvalidArgument("value: bytes are given as base64".into()))
}
