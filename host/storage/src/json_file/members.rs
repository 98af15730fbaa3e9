//! JSON objects taken apart into pieces of their own text, so that whatever is wrong with one has its place.

use std::fmt;
use std::sync::Arc;

use dataknobs_kv_core::memory::Stored;
use dataknobs_kv_core::wire::TypedValue;
use dataknobs_kv_core::{Attributes, Error, MAX_TIMESTAMP, Timestamp, Value, ValueType, Version, json, metadata};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::failure::{Fault, syntax_fault};

/// A text, and pieces of it.
#[derive(Clone, Copy)]
pub(super) struct Text<'a>(pub(super) &'a str);

/// A name, as the literal that stands in the text, and the JSON text of its value.
pub(super) type Member<'a> = (&'a str, &'a str);

impl<'a> Text<'a> {
    /// Where a piece of it begins.
    pub(super) fn at(&self, piece: &str) -> usize {
        (piece.as_ptr() as usize).saturating_sub(self.0.as_ptr() as usize).min(self.0.len())
    }

    pub(super) fn fault(&self, piece: &str, rule: impl Into<String>) -> Fault {
        Fault::new(self.at(piece), rule)
    }

    /// The members of an object, in order, names that come twice included. Everything in it is JSON after that.
    pub(super) fn object(&self, piece: &'a str) -> Result<Vec<Member<'a>>, Fault> {
        serde_json::from_str::<Members<'a>>(piece).map(|members| members.0).map_err(|error| {
            let fault = syntax_fault(piece, &error);
            Fault::new(self.at(piece) + fault.at, fault.rule)
        })
    }

    /// The elements of an array.
    pub(super) fn array(&self, piece: &'a str) -> Result<Vec<&'a str>, Fault> {
        let elements = serde_json::from_str::<Vec<&'a RawValue>>(piece);
        let elements = elements.map_err(|_| self.fault(piece, "an array is wanted here"))?;
        Ok(elements.into_iter().map(RawValue::get).collect())
    }

    pub(super) fn string(&self, piece: &str) -> Result<String, Fault> {
        json::parse_string(piece).ok_or_else(|| self.fault(piece, "a string of Unicode text is wanted here"))
    }

    pub(super) fn whole(&self, piece: &str) -> Result<u64, Fault> {
        piece.parse().map_err(|_| self.fault(piece, "a whole number from 0 is wanted here"))
    }

    /// Refuses a name that is there already.
    pub(super) fn once(&self, seen: bool, name: &str) -> Result<(), Fault> {
        if seen { Err(self.fault(name, "this name comes twice in one object")) } else { Ok(()) }
    }
}

struct Members<'a>(Vec<Member<'a>>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Vec<Member<'de>>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<&'de RawValue, &'de RawValue>()? {
                    members.push((name.get(), value.get()));
                }
                Ok(members)
            }
        }
        deserializer.deserialize_map(InOrder).map(Members)
    }
}

/// Whether a text is as the program wrote it. What is not is held to the rules that callers are held to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Trust {
    Written,
    Edited,
}

/// An entry as it stands in a text; what is not there is none.
#[derive(Default)]
pub(super) struct Form {
    pub(super) value: Option<(ValueType, Vec<u8>)>,
    pub(super) version: Option<Version>,
    content_type: Option<String>,
    metadata: Option<String>,
    created_at: Option<Timestamp>,
    updated_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    sliding_ms: Option<u64>,
    size: Option<u64>,
    checksum: Option<u32>,
}

impl Form {
    pub(super) fn read<'a>(text: Text<'a>, piece: &'a str, trust: Trust) -> Result<Self, Fault> {
        let mut form = Form::default();
        let (mut type_name, mut value, mut raw, mut metadata) = (None, None, None, None);
        for (name, member) in text.object(piece)? {
            let seen = match text.string(name)?.as_str() {
                "type" => type_name.replace((member, text.string(member)?)).is_some(),
                "value" => value.replace(member).is_some(),
                "raw" => raw.replace(member).is_some(),
                "metadata" => metadata.replace(member).is_some(),
                "version" => {
                    let version =
                        Version::new(text.string(member)?).map_err(|error| text.fault(member, error.message()))?;
                    form.version.replace(version).is_some()
                }
                "content_type" => form.content_type.replace(content_type(text, member, trust)?).is_some(),
                "created_at" => form.created_at.replace(time(text, member, trust)?).is_some(),
                "updated_at" => form.updated_at.replace(time(text, member, trust)?).is_some(),
                "expires_at" => form.expires_at.replace(time(text, member, trust)?).is_some(),
                "sliding_ms" => form.sliding_ms.replace(time(text, member, trust)?).is_some(),
                "size" => form.size.replace(text.whole(member)?).is_some(),
                "checksum" => {
                    let checksum = u32::try_from(text.whole(member)?);
                    let checksum = checksum.map_err(|_| text.fault(member, "a checksum has 32 bits"))?;
                    form.checksum.replace(checksum).is_some()
                }
                _ => return Err(text.fault(name, "no member of an entry has this name")),
            };
            text.once(seen, name)?;
        }
        form.metadata = metadata.map(|member| read_metadata(text, member, trust)).transpose()?.flatten();
        form.value = match (value, raw) {
            (Some(value), None) => {
                let type_name = type_name.as_ref().map(|(_, name)| name.as_str());
                let read = TypedValue::read(value, type_name).and_then(|value| value.validate().map(|()| value));
                Some(read.map_err(|error| text.fault(value, error.message()))?.encode())
            }
            (None, Some(raw)) => {
                let (member, name) = type_name.ok_or_else(|| text.fault(raw, "`raw` goes with `type`"))?;
                let bytes = match TypedValue::read(raw, Some("bytes")) {
                    Ok(Value::Bytes(bytes)) => bytes,
                    _ => return Err(text.fault(raw, "base64 is wanted here")),
                };
                Some((value_type(text, member, &name, trust)?, bytes))
            }
            (Some(_), Some(raw)) => return Err(text.fault(raw, "`raw` stands in the place of `value`")),
            (None, None) => None,
        };
        Ok(form)
    }

    /// The entry. `version` and `at` stand for what is not there; size and checksum are counted unless they are trusted.
    pub(super) fn into_stored(self, version: Version, at: Timestamp, trust: Trust) -> Option<Stored> {
        let (value_type, value) = self.value?;
        let written = trust == Trust::Written;
        Some(Stored {
            version,
            attributes: Attributes {
                value_type,
                content_type: self.content_type,
                metadata: self.metadata,
                created_at: self.created_at.unwrap_or(at),
                updated_at: self.updated_at.unwrap_or(at),
                expires_at: self.expires_at,
                sliding_ms: self.sliding_ms,
                size: self.size.filter(|_| written).unwrap_or(value.len() as u64),
                checksum: self.checksum.filter(|_| written).unwrap_or_else(|| crc32c::crc32c(&value)),
            },
            value: Arc::new(value),
        })
    }

    /// The entry that this one's attributes make of another: its value stays, and what describes it.
    pub(super) fn amend(self, stored: &Stored) -> Option<Stored> {
        Some(Stored {
            version: self.version?,
            attributes: Attributes {
                content_type: self.content_type,
                metadata: self.metadata,
                created_at: self.created_at?,
                updated_at: self.updated_at?,
                expires_at: self.expires_at,
                sliding_ms: self.sliding_ms,
                ..stored.attributes.clone()
            },
            value: stored.value.clone(),
        })
    }
}

fn time(text: Text<'_>, member: &str, trust: Trust) -> Result<Timestamp, Fault> {
    match text.whole(member)? {
        at if trust == Trust::Edited && at > MAX_TIMESTAMP => {
            Err(text.fault(member, "a time lies in the years up to 9999, in milliseconds since 1970"))
        }
        at => Ok(at),
    }
}

fn content_type(text: Text<'_>, member: &str, trust: Trust) -> Result<String, Fault> {
    let content_type = text.string(member)?;
    if trust == Trust::Edited {
        metadata::validate_content_type(&content_type).map_err(|error| text.fault(member, error.message()))?;
    }
    Ok(content_type)
}

fn read_metadata(text: Text<'_>, member: &str, trust: Trust) -> Result<Option<String>, Fault> {
    match trust {
        Trust::Edited => metadata::canonical(member).map_err(|error| text.fault(member, error.message())),
        Trust::Written if member.starts_with('"') => text.string(member).map(Some),
        Trust::Written => Ok(Some(member.to_owned())),
    }
}

fn value_type(text: Text<'_>, member: &str, name: &str, trust: Trust) -> Result<ValueType, Fault> {
    match (ValueType::parse(name), name.strip_prefix("custom:")) {
        (Ok(value_type), _) => Ok(value_type),
        // Callers below the core may have any name.
        (Err(Error::InvalidArgument(_)), Some(custom)) if trust == Trust::Written => {
            Ok(ValueType::Custom(custom.into()))
        }
        (Err(error), _) => Err(text.fault(member, error.message())),
    }
}
