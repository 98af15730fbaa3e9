//! What crosses between JavaScript and the core: values, options, entries, errors.
//!
//! `js/values.ts` and `js/options.ts` are the other side: they have looked at types already, since they must refuse what
//! JavaScript alone can tell.

use std::cell::RefCell;

use dataknobs_kv_core::store::{Expiry, Numeric, SetOptions};
use dataknobs_kv_core::{Attributes, Error, Precondition, Projection, Result, State, Value, ValueType, Version};
use wasm_bindgen::prelude::*;

use crate::js::{Array, bytes_of};

#[wasm_bindgen(module = "/src/border.js")]
extern "C" {
    #[wasm_bindgen(js_name = makeEntry)]
    fn make_entry(
        key: &str,
        value_type: u8,
        data: &JsValue,
        name: Option<&str>,
        version: &str,
        content_type: Option<&str>,
        metadata: Option<&str>,
        created_at: f64,
        updated_at: f64,
        expires_at: Option<f64>,
        sliding_ms: Option<f64>,
        size: f64,
        checksum: u32,
    ) -> JsValue;
    #[wasm_bindgen(js_name = makeError)]
    fn make_error(
        factory: &JsValue,
        code: &str,
        message: &str,
        limit: Option<f64>,
        actual: Option<f64>,
        wait: Option<f64>,
    ) -> JsValue;
    #[wasm_bindgen(js_name = makePair)]
    fn make_pair(
        key: Option<&str>,
        value_type: u8,
        data: &JsValue,
        name: Option<&str>,
        content_type: Option<&str>,
    ) -> JsValue;
}

#[wasm_bindgen]
extern "C" {
    /// A value as `values.ts` encodes it.
    pub type Encoded;
    #[wasm_bindgen(method, getter, js_name = type)]
    fn value_type(this: &Encoded) -> u8;
    #[wasm_bindgen(method, getter)]
    fn data(this: &Encoded) -> JsValue;
    /// `data` of text and JSON, which is surely a string.
    #[wasm_bindgen(method, getter, js_name = data)]
    fn text(this: &Encoded) -> String;
    /// `data` of bytes and custom types, which is surely a `Uint8Array`.
    #[wasm_bindgen(method, getter, js_name = data)]
    fn bytes(this: &Encoded) -> Vec<u8>;
    #[wasm_bindgen(method, getter)]
    fn name(this: &Encoded) -> Option<String>;

    /// Options as `options.ts` gives them.
    pub type Options;
    #[wasm_bindgen(method, getter)]
    fn expiry(this: &Options) -> Option<u8>;
    #[wasm_bindgen(method, getter)]
    fn ms(this: &Options) -> Option<f64>;
    #[wasm_bindgen(method, getter, js_name = contentType)]
    fn content_type(this: &Options) -> Option<String>;
    #[wasm_bindgen(method, getter)]
    fn metadata(this: &Options) -> Option<String>;
    #[wasm_bindgen(method, getter, js_name = ifVersion)]
    fn if_version(this: &Options) -> Option<String>;
    #[wasm_bindgen(method, getter, js_name = ifAbsent)]
    fn if_absent(this: &Options) -> Option<bool>;
}

thread_local! {
    /// Makes a `KvError` of code, message, limit, actual, milliseconds to wait.
    static ERROR_FACTORY: RefCell<JsValue> = const { RefCell::new(JsValue::UNDEFINED) };
}

/// Who makes the errors that JavaScript sees.
#[wasm_bindgen(js_name = setErrorFactory)]
pub fn set_error_factory(factory: JsValue) {
    ERROR_FACTORY.set(factory);
}

/// The error as JavaScript throws it.
pub(crate) fn thrown(error: &Error) -> JsValue {
    let (limit, actual, wait) = match error {
        Error::TooLarge(exceeded) => (Some(exceeded.limit as f64), Some(exceeded.actual as f64), None),
        Error::RateLimited(wait) => (None, None, wait.as_ref().map(|ms| **ms as f64)),
        _ => (None, None, None),
    };
    ERROR_FACTORY.with_borrow(|factory| make_error(factory, error.code(), &error.message(), limit, actual, wait))
}

/// The value that JavaScript gave.
pub(crate) fn value(encoded: &Encoded) -> Result<Value> {
    let strange = || Error::InvalidArgument("a value of a strange type".into());
    let (text, bytes) = (|| encoded.text(), || encoded.bytes());
    Ok(match encoded.value_type() {
        0 => Value::Text(text()),
        1 => Value::Bytes(bytes()),
        2 => Value::Integer(integer(&encoded.data()).ok_or_else(strange)?),
        3 => Value::Number(encoded.data().as_f64().ok_or_else(strange)?),
        4 => Value::Boolean(encoded.data().is_truthy()),
        5 => Value::Null,
        6 => Value::Json(text()),
        _ => Value::Custom { type_name: encoded.name().ok_or_else(strange)?, bytes: bytes() },
    })
}

/// A number without fraction, or a bigint of 64 bits.
fn integer(data: &JsValue) -> Option<i64> {
    match data.as_f64() {
        Some(number) => Some(number as i64),
        None => i64::try_from(data.clone()).ok(),
    }
}

/// A number or a bigint.
pub(crate) fn numeric(encoded: &Encoded) -> Result<Numeric> {
    match value(encoded)? {
        Value::Integer(integer) => Ok(Numeric::Integer(integer)),
        Value::Number(number) => Ok(Numeric::Number(number)),
        _ => Err(Error::InvalidArgument("an increment is a number or a bigint".into())),
    }
}

/// As a number where a number holds it exactly, else as a bigint.
pub(crate) fn from_integer(integer: i64) -> JsValue {
    const SAFE: i64 = (1 << 53) - 1;
    if (-SAFE..=SAFE).contains(&integer) { JsValue::from_f64(integer as f64) } else { JsValue::from(integer) }
}

/// The number of the type in `values.ts`, and the name of a custom one.
fn kind(value_type: &ValueType) -> (u8, Option<&str>) {
    match value_type {
        ValueType::Text => (0, None),
        ValueType::Bytes => (1, None),
        ValueType::Integer => (2, None),
        ValueType::Number => (3, None),
        ValueType::Boolean => (4, None),
        ValueType::Null => (5, None),
        ValueType::Json => (6, None),
        ValueType::Custom(name) => (7, Some(name)),
    }
}

fn data(value_type: &ValueType, bytes: Vec<u8>) -> Result<JsValue> {
    Ok(match value_type {
        ValueType::Text | ValueType::Json => match std::str::from_utf8(&bytes) {
            Ok(text) => text.into(),
            Err(_) => return Err(Error::Corrupt("the stored value is no UTF-8 text".into())),
        },
        ValueType::Bytes | ValueType::Custom(_) => bytes_of(&bytes),
        scalar => match Value::decode(scalar.clone(), bytes)? {
            Value::Integer(integer) => from_integer(integer),
            Value::Number(number) => JsValue::from_f64(number),
            Value::Boolean(boolean) => JsValue::from_bool(boolean),
            _ => JsValue::NULL,
        },
    })
}

/// What the value is made of, for `values.ts` to decode; with the key where one is asked for.
pub(crate) fn pair(key: Option<&str>, state: State) -> Result<JsValue> {
    let Attributes { value_type, content_type, .. } = &state.attributes;
    let data = data(value_type, state.value.unwrap_or_default())?;
    let (value_type, name) = kind(value_type);
    Ok(make_pair(key, value_type, &data, name, content_type.as_deref()))
}

/// Everything; without the value where that was not read.
pub(crate) fn entry(key: &str, state: State) -> Result<JsValue> {
    let attributes = &state.attributes;
    let data = state.value.map_or(Ok(JsValue::UNDEFINED), |bytes| data(&attributes.value_type, bytes))?;
    let (value_type, name) = kind(&attributes.value_type);
    Ok(make_entry(
        key,
        value_type,
        &data,
        name,
        state.version.as_str(),
        attributes.content_type.as_deref(),
        attributes.metadata.as_deref(),
        attributes.created_at as f64,
        attributes.updated_at as f64,
        attributes.expires_at.map(|at| at as f64),
        attributes.sliding_ms.map(|span| span as f64),
        attributes.size as f64,
        attributes.checksum,
    ))
}

/// What stands in the way of a write: an array that holds the entry, or nothing where there is none by now.
pub(crate) fn in_the_way(key: &str, state: Option<State>) -> Result<JsValue> {
    let there = Array::new();
    if let Some(state) = state {
        there.push(&entry(key, state)?);
    }
    Ok(there.into())
}

pub(crate) fn expiry(code: u8, ms: f64) -> Expiry {
    // From a float to an integer Rust saturates: what is too large is refused as that.
    let ms = ms as u64;
    match code {
        1 => Expiry::Keep,
        2 => Expiry::Never,
        3 => Expiry::After(ms),
        4 => Expiry::Sliding(ms),
        5 => Expiry::At(ms),
        _ => Expiry::Unspecified,
    }
}

pub(crate) fn version(text: Option<&str>) -> Result<Precondition> {
    text.map_or(Ok(Precondition::None), |text| Version::new(text).map(Precondition::Version))
}

impl Options {
    pub(crate) fn expiry_of(options: Option<&Options>) -> Expiry {
        options.map_or(Expiry::Unspecified, |options| {
            expiry(options.expiry().unwrap_or_default(), options.ms().unwrap_or_default())
        })
    }

    pub(crate) fn precondition(options: Option<&Options>) -> Result<Precondition> {
        let Some(options) = options else { return Ok(Precondition::None) };
        match options.if_absent() {
            Some(true) => Ok(Precondition::Absent),
            _ => version(options.if_version().as_deref()),
        }
    }

    pub(crate) fn set(options: Option<&Options>) -> Result<SetOptions> {
        let Some(given) = options else { return Ok(SetOptions::default()) };
        Ok(SetOptions {
            expiry: Self::expiry_of(options),
            content_type: given.content_type(),
            metadata: given.metadata(),
            precondition: Self::precondition(options)?,
            on_conflict: Projection::Value,
        })
    }
}
