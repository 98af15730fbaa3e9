//! Compare-and-swap, increment, append: each reads, decides, and writes if nothing came between.

use super::{
    Core, Expiry, Numeric,
    core::{check_names, corrupt},
    draft::{Encoded, Times},
};
use crate::{
    Attributes, Clock, Error, Projection, Result, State, Storage, Timestamp, Value, ValueType, Version, checksum, json,
    key, storage::Change,
};

#[cfg_attr(all(feature = "component", target_family = "wasm"), maybe_async::must_be_sync)]
impl<S: Storage, C: Clock> Core<S, C> {
    /// Puts another value in the place of the one that is there.
    pub(super) async fn revise(
        &self,
        namespace: &str,
        key: &str,
        expiry: Expiry,
        revise: &mut Revise<'_>,
    ) -> Result<Version> {
        check_names(namespace, key)?;
        let now = self.clock.now();
        let times = self.explicit_times(expiry, now)?;
        let mut decide = |seen: Option<State>, now| {
            let (seen, value) = match seen {
                None => (None, revise(None)?),
                Some(State { value, attributes, .. }) => {
                    let value = value.ok_or_else(|| corrupt(key, "the value is missing"))?;
                    let value = revise(Some((value, &attributes)))?;
                    (Some(attributes), value)
                }
            };
            self.over(namespace, seen, times, value, now).map(Some)
        };
        let version = self.modify(namespace, key, now, false, Projection::Value, &mut decide).await?;
        // A decision that always writes was never asked for one that does not.
        version.ok_or_else(|| Error::Internal("nothing was written".into()))
    }

    /// The value with the tail at its end.
    pub(super) fn join(&self, key: &str, mut value: Vec<u8>, attributes: &Attributes, tail: &Value) -> Result<Encoded> {
        let mismatch = || {
            let (there, tail) = (attributes.value_type.name(), tail.value_type());
            let tail = tail.name();
            Error::TypeMismatch(key::about(key, &[tail[0], tail[1], " cannot be appended to ", there[0], there[1]]))
        };
        let bytes = match (&attributes.value_type, tail) {
            (ValueType::Text, Value::Text(tail)) => tail.as_bytes(),
            (ValueType::Bytes, Value::Bytes(tail)) => tail,
            (ValueType::Json, tail) => {
                let element = tail.to_json().ok_or_else(mismatch)?;
                let array = std::str::from_utf8(&value).map_err(|_| corrupt(key, "the stored value is no JSON"))?;
                let joined = json::append_element(array, &element)
                    .ok_or_else(|| Error::TypeMismatch(key::about(key, &["the JSON that is there is no array"])))?;
                self.check_size(joined.len())?;
                let checksum = checksum::crc32c(joined.as_bytes());
                return Ok(Encoded { value_type: ValueType::Json, bytes: joined.into_bytes(), checksum });
            }
            _ => return Err(mismatch()),
        };
        self.check_size(value.len().saturating_add(bytes.len()))?;
        value.extend_from_slice(bytes);
        // The old checksum was verified when the value was read.
        let checksum = checksum::crc32c_append(attributes.checksum, bytes);
        Ok(Encoded { value_type: attributes.value_type.clone(), bytes: value, checksum })
    }

    /// Puts a value over what was there, which keeps all that is not named.
    fn over(
        &self,
        namespace: &str,
        seen: Option<Attributes>,
        times: Option<Times>,
        value: Encoded,
        now: Timestamp,
    ) -> Result<Change> {
        let times = match (times, &seen) {
            (Some(times), _) => times,
            (None, Some(seen)) => Times::of(seen),
            (None, None) => self.default_times(namespace, now)?,
        };
        let created_at = seen.as_ref().map_or(now, |seen| seen.created_at);
        let (content_type, metadata) = seen.map_or((None, None), |seen| (seen.content_type, seen.metadata));
        let attributes = Attributes {
            value_type: value.value_type,
            content_type,
            metadata,
            created_at,
            updated_at: now,
            expires_at: times.expires_at,
            sliding_ms: times.sliding_ms,
            size: value.bytes.len() as u64,
            checksum: value.checksum,
        };
        Ok(Change::Put { attributes, value: value.bytes })
    }
}

/// What becomes of a value, which is given with its attributes if it is there.
#[cfg(not(target_family = "wasm"))]
type Revise<'a> = dyn FnMut(Option<(Vec<u8>, &Attributes)>) -> Result<Encoded> + Send + 'a;
/// What becomes of a value, which is given with its attributes if it is there.
#[cfg(target_family = "wasm")]
type Revise<'a> = dyn FnMut(Option<(Vec<u8>, &Attributes)>) -> Result<Encoded> + 'a;

/// Whether it may be appended to anything.
pub(super) fn check_tail(key: &str, tail: &Value) -> Result<()> {
    tail.validate()?;
    match tail {
        Value::Custom { .. } => Err(Error::TypeMismatch(key::about(key, &["a custom value cannot be appended"]))),
        // It becomes an element whatever is there.
        Value::Json(text) => json::validate_element(text)
            .map_err(|error| Error::invalid(&["value: as an element of an array: ", &error.message()])),
        _ => Ok(()),
    }
}

/// A new entry of the tail alone.
pub(super) fn first(tail: &Value) -> Value {
    match tail {
        Value::Json(text) => Value::Json(["[", text, "]"].concat()),
        tail => tail.clone(),
    }
}

pub(super) fn numeric(key: &str, value_type: &ValueType, value: Vec<u8>) -> Result<Numeric> {
    if !matches!(value_type, ValueType::Integer | ValueType::Number) {
        let [kind, name] = value_type.name();
        let rule = "only integers and numbers are incremented, and this is ";
        return Err(Error::TypeMismatch(key::about(key, &[rule, kind, name])));
    }
    match Value::decode(value_type.clone(), value) {
        Ok(Value::Integer(integer)) => Ok(Numeric::Integer(integer)),
        Ok(Value::Number(number)) => Ok(Numeric::Number(number)),
        Ok(_) => Err(corrupt(key, "the stored value is no number")),
        Err(error) => Err(corrupt(key, &error.message())),
    }
}

pub(super) fn add(key: &str, present: Numeric, delta: Numeric) -> Result<Numeric> {
    let overflow = |rule: &str| Error::Overflow(key::about(key, &[rule]));
    let float = |numeric| match numeric {
        Numeric::Integer(integer) => integer as f64,
        Numeric::Number(number) => number,
    };
    match (present, delta) {
        (Numeric::Integer(a), Numeric::Integer(b)) => {
            a.checked_add(b).map(Numeric::Integer).ok_or_else(|| overflow("the sum leaves 64 bits"))
        }
        (a, b) => {
            let sum = float(a) + float(b);
            sum.is_finite().then_some(Numeric::Number(sum)).ok_or_else(|| overflow("the sum is not finite"))
        }
    }
}

/// `==`, eight bytes at a time: in the component nothing else compares more than one.
fn equal(a: &[u8], b: &[u8]) -> bool {
    let ((a_words, a_rest), (b_words, b_rest)) = (a.as_chunks::<8>(), b.as_chunks::<8>());
    let same = |(a, b): (&[u8; 8], &[u8; 8])| u64::from_ne_bytes(*a) == u64::from_ne_bytes(*b);
    a.len() == b.len() && a_words.iter().zip(b_words).all(same) && a_rest == b_rest
}

/// [`Value::same`], without a copy of what was read.
pub(super) fn same(key: &str, old: &Value, state: &State) -> Result<bool> {
    if old.value_type() != state.attributes.value_type {
        return Ok(false);
    }
    let bytes = state.value.as_deref().unwrap_or_default();
    Ok(match old {
        Value::Text(old) => equal(old.as_bytes(), bytes),
        Value::Bytes(old) | Value::Custom { bytes: old, .. } => equal(old, bytes),
        Value::Json(old) if equal(old.as_bytes(), bytes) => true,
        Value::Json(old) => std::str::from_utf8(bytes).is_ok_and(|there| json::equal(old, there)),
        scalar => {
            let there = Value::decode(state.attributes.value_type.clone(), bytes.to_vec());
            scalar.same(&there.map_err(|error| corrupt(key, &error.message()))?)
        }
    })
}

#[cfg(test)]
mod tests {
    use super::equal;

    #[test]
    fn equal_says_what_the_operator_says() {
        let text: Vec<u8> = (0..40).collect();
        for from in 0..9 {
            for to in from..=text.len() {
                let a = &text[from..to];
                assert!(equal(a, a));
                assert!(from == to || !equal(a, &text[from..to - 1]));
                for at in 0..a.len() {
                    let mut b = a.to_vec();
                    b[at] ^= 0x80;
                    assert!(!equal(a, &b), "{from}..{to} at {at}");
                }
            }
        }
    }
}
