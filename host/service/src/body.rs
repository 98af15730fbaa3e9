//! Bodies as values and back: what `Content-Type`, `Kv-Type` and `Accept` mean.

use axum::http::header::{ACCEPT, CONTENT_TYPE, HeaderMap};
use bytes::Bytes;
use dataknobs_kv_core::{Error, Result, Value, ValueType};

/// What a type is sent as, where the entry keeps no content type of its own.
pub(crate) fn usual_content_type(value_type: &ValueType) -> &'static str {
    match value_type {
        ValueType::Text => "text/plain; charset=utf-8",
        ValueType::Bytes | ValueType::Custom(_) => "application/octet-stream",
        ValueType::Integer | ValueType::Number | ValueType::Boolean | ValueType::Null | ValueType::Json => {
            "application/json"
        }
    }
}

/// A media type: its name in lower case, its charset, and whether it has other parameters.
struct MediaType {
    name: String,
    charset: Option<String>,
    parameters: bool,
}

impl MediaType {
    fn parse(text: &str) -> Self {
        let mut parts = text.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let (mut charset, mut parameters) = (None, false);
        for part in parts.filter(|part| !part.is_empty()) {
            match part.split_once('=') {
                Some((key, value)) if key.trim().eq_ignore_ascii_case("charset") => {
                    charset = Some(value.trim().trim_matches('"').to_ascii_lowercase());
                }
                _ => parameters = true,
            }
        }
        MediaType { name, charset, parameters }
    }

    fn check_charset(&self) -> Result<()> {
        match self.charset.as_deref() {
            None | Some("utf-8" | "utf8" | "us-ascii") => Ok(()),
            Some(_) => Err(Error::InvalidArgument("Content-Type: the only charset for texts is utf-8".into())),
        }
    }
}

/// The value that a body stands for, and the content type to keep with it: `value_type` and `kept` where the request's
/// own headers said so.
pub(crate) fn value(
    headers: &HeaderMap,
    body: Bytes,
    value_type: Option<ValueType>,
    kept: Option<String>,
) -> Result<(Value, Option<String>)> {
    let mut given = headers.get_all(CONTENT_TYPE).iter();
    let content_type = given
        .next()
        .map(|text| text.to_str())
        .transpose()
        .map_err(|_| Error::InvalidArgument("Content-Type: visible ASCII only".into()))?;
    if given.next().is_some() {
        return Err(Error::InvalidArgument("Content-Type: given twice".into()));
    }
    let media = content_type.map(MediaType::parse);
    let name = media.as_ref().map(|media| media.name.as_str());
    let (value, usual) = match (value_type, &media) {
        (Some(value_type), _) => {
            let value = of_type(value_type, body)?;
            // `application/json` is also the usual form of an answer that wraps a text: not worth keeping.
            let usual = media.as_ref().is_some_and(|media| usual(&value.value_type(), media));
            (value, usual)
        }
        (None, Some(media)) if media.name == "application/json" => {
            media.check_charset()?;
            (Value::from_json(text(&body, "the body")?)?, true)
        }
        (None, Some(media)) if media.name == "text/plain" => {
            media.check_charset()?;
            (Value::Text(text_of(body)?), !media.parameters)
        }
        (None, _) => (Value::Bytes(body.into()), name == Some("application/octet-stream")),
    };
    let content_type = kept.or_else(|| content_type.filter(|_| !usual).map(str::to_owned));
    Ok((value, content_type))
}

/// Whether this content type says no more than the value's type does.
fn usual(value_type: &ValueType, media: &MediaType) -> bool {
    let charset = matches!(media.charset.as_deref(), None | Some("utf-8" | "utf8"));
    match value_type {
        ValueType::Text => media.name == "text/plain" && charset && !media.parameters,
        ValueType::Bytes | ValueType::Custom(_) => {
            media.name == "application/octet-stream" && media.charset.is_none() && !media.parameters
        }
        ValueType::Integer | ValueType::Number | ValueType::Boolean | ValueType::Null | ValueType::Json => {
            media.name == "application/json" && charset && !media.parameters
        }
    }
}

fn of_type(value_type: ValueType, body: Bytes) -> Result<Value> {
    let wrong = |value_type: &ValueType| Error::InvalidArgument(format!("the body is no {value_type}"));
    Ok(match value_type {
        ValueType::Text => Value::Text(text_of(body)?),
        ValueType::Bytes => Value::Bytes(body.into()),
        ValueType::Custom(type_name) => Value::Custom { type_name, bytes: body.into() },
        ValueType::Json => Value::Json(text_of(body)?),
        ValueType::Null if body.is_empty() => Value::Null,
        ValueType::Number => match Value::from_json(text(&body, "the body")?)? {
            Value::Number(number) => Value::Number(number),
            Value::Integer(_) | Value::Json(_) => {
                let number = text(&body, "the body")?.trim().parse::<f64>().ok().filter(|number| number.is_finite());
                Value::Number(number.ok_or_else(|| wrong(&value_type))?)
            }
            _ => return Err(wrong(&value_type)),
        },
        ValueType::Integer | ValueType::Boolean | ValueType::Null => {
            match Value::from_json(text(&body, "the body")?)? {
                value if value.value_type() == value_type => value,
                _ => return Err(wrong(&value_type)),
            }
        }
    })
}

/// Bytes that must be UTF-8.
pub(crate) fn text<'a>(bytes: &'a [u8], what: &str) -> Result<&'a str> {
    std::str::from_utf8(bytes)
        .map_err(|error| Error::InvalidArgument(format!("{what} is not UTF-8 at byte {}", error.valid_up_to())))
}

fn text_of(body: Bytes) -> Result<String> {
    text(&body, "the body")?;
    String::from_utf8(body.into()).map_err(|_| Error::InvalidArgument("the body is not UTF-8".into()))
}

/// Whether the request would rather have this media type than any other that it names.
pub(crate) fn prefers(headers: &HeaderMap, wanted: &str) -> bool {
    let (mut mine, mut others) = (0.0_f32, 0.0_f32);
    for range in headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','))
    {
        let mut parts = range.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let quality = parts
            .filter_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")))
            .find_map(|quality| quality.parse::<f32>().ok())
            .unwrap_or(1.0);
        if name.eq_ignore_ascii_case(wanted) {
            mine = mine.max(quality);
        } else if !name.contains('*') {
            others = others.max(quality);
        }
    }
    mine > 0.0 && mine >= others
}
