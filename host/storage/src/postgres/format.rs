//! How entries lie in rows: parameters on the way in, columns on the way out.
//!
//! A value whose type is textual lies in `value`, where people can read it; bytes, custom values, and text that
//! PostgreSQL's `text` cannot hold (U+0000) lie in `bytes`. Exactly one of the two is set.

use std::error::Error as StdError;
use std::fmt;

use bytes::{BufMut, BytesMut};
use dataknobs_kv_core::{Attributes, Error, MAX_TIMESTAMP, Result, State, Timestamp, ValueType, Version, metadata};
use tokio_postgres::Row;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

type Boxed = Box<dyn StdError + Sync + Send>;

/// An instant, as `timestamptz`: microseconds since 2000.
#[derive(Clone, Copy, Debug)]
pub(super) struct Millis(pub(super) Timestamp);

const EPOCH_2000_MS: i64 = 946_684_800_000;

impl ToSql for Millis {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Boxed> {
        // Whatever comes later than the last legal instant is as late.
        let milliseconds = i64::try_from(self.0.min(MAX_TIMESTAMP + 1))?;
        out.put_i64((milliseconds - EPOCH_2000_MS) * 1000);
        Ok(IsNull::No)
    }
    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Millis {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Boxed> {
        let micros = i64::from_be_bytes(raw.try_into()?);
        let milliseconds = micros.div_euclid(1000).saturating_add(EPOCH_2000_MS);
        Ok(Millis(Timestamp::try_from(milliseconds).unwrap_or(0).min(MAX_TIMESTAMP + 1)))
    }
    fn accepts(ty: &Type) -> bool {
        *ty == Type::TIMESTAMPTZ
    }
}

/// A version's bits, as `uuid`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bits(pub(super) u128);

impl Bits {
    /// Of a version that we may have handed out; one that no row has for any other.
    pub(super) fn of(version: &Version) -> Self {
        let text = version.as_str();
        let ours = text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let bits = if ours { u128::from_str_radix(text, 16).ok() } else { None };
        Bits(bits.unwrap_or_else(rand::random))
    }

    pub(super) fn version(self) -> Version {
        Version::from_random(self.0)
    }
}

impl ToSql for Bits {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Boxed> {
        out.put_u128(self.0);
        Ok(IsNull::No)
    }
    fn accepts(ty: &Type) -> bool {
        *ty == Type::UUID
    }
    to_sql_checked!();
}

impl<'a> FromSql<'a> for Bits {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Boxed> {
        Ok(Bits(u128::from_be_bytes(raw.try_into()?)))
    }
    fn accepts(ty: &Type) -> bool {
        *ty == Type::UUID
    }
}

/// Metadata, as `jsonb`. The driver writes parameters to the log where that is turned up: only lengths are shown.
pub(super) struct Json<'a>(pub(super) &'a str);

/// In the binary form a version comes before the text.
const JSONB_VERSION: u8 = 1;

impl ToSql for Json<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Boxed> {
        out.put_u8(JSONB_VERSION);
        out.put_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSONB
    }
    to_sql_checked!();
}

impl fmt::Debug for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "metadata({} bytes)", self.0.len())
    }
}

struct JsonText<'a>(&'a str);

impl<'a> FromSql<'a> for JsonText<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Boxed> {
        match raw.split_first() {
            Some((&JSONB_VERSION, text)) => Ok(JsonText(std::str::from_utf8(text)?)),
            _ => Err("jsonb of an unknown form".into()),
        }
    }
    fn accepts(ty: &Type) -> bool {
        *ty == Type::JSONB
    }
}

/// A value, as `text` or as `bytea`. Only its length is shown.
#[derive(Clone, Copy)]
pub(super) struct Raw<'a>(pub(super) &'a [u8]);

impl ToSql for Raw<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Boxed> {
        out.put_slice(self.0);
        Ok(IsNull::No)
    }
    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::TEXT | Type::BYTEA)
    }
    to_sql_checked!();
}

impl fmt::Debug for Raw<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "value({} bytes)", self.0.len())
    }
}

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Boxed> {
        Ok(Raw(raw))
    }
    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::TEXT | Type::BYTEA)
    }
}

/// What goes into the columns `value` and `bytes`.
pub(super) fn split_value<'a>(value_type: &ValueType, value: &'a [u8]) -> (Option<Raw<'a>>, Option<Raw<'a>>) {
    let textual = !matches!(value_type, ValueType::Bytes | ValueType::Custom(_));
    if textual && !value.contains(&0) && std::str::from_utf8(value).is_ok() {
        (Some(Raw(value)), None)
    } else {
        (None, Some(Raw(value)))
    }
}

/// The columns of a state, in the order of [`state`]: without the value, and with it.
pub(super) const ATTRIBUTES: &[&str] = &[
    "version",
    "value_type",
    "content_type",
    "metadata",
    "created_at",
    "updated_at",
    "expires_at",
    "sliding_ms",
    "size",
    "checksum",
];
pub(super) const VALUE: &[&str] = &["value", "bytes"];

/// Reads a state from the columns from `at` on. `corrupt` where the row is not as we write them.
pub(super) fn state(row: &Row, at: usize, with_value: bool, key: &str) -> Result<State> {
    read(row, at, with_value).map_err(|what| {
        let shown: String = key.chars().filter(|c| !c.is_control()).take(100).collect();
        Error::Corrupt(format!("the row of `{shown}`: {what}"))
    })
}

fn read(row: &Row, at: usize, with_value: bool) -> Result<State, String> {
    let Millis(created_at) = column(row, at + 4)?;
    let Millis(updated_at) = column(row, at + 5)?;
    let expires_at: Option<Millis> = column(row, at + 6)?;
    let sliding_ms: Option<i64> = column(row, at + 7)?;
    let size = u64::try_from(column::<i64>(row, at + 8)?).map_err(|_| "`size` is negative")?;
    let checksum = u32::try_from(column::<i64>(row, at + 9)?).map_err(|_| "`checksum` is not of 32 bits")?;
    let value_type = ValueType::parse(column(row, at + 1)?).map_err(|_| "`value_type` is none")?;
    let metadata = match column::<Option<JsonText>>(row, at + 3)? {
        None => None,
        // PostgreSQL keeps the meaning and not the text.
        Some(JsonText(text)) => metadata::canonical(text).map_err(|error| error.message())?,
    };
    let value = match with_value {
        false => None,
        true => {
            let text: Option<Raw> = column(row, at + 10)?;
            let bytes: Option<Raw> = column(row, at + 11)?;
            let Raw(value) = text.or(bytes).ok_or("neither `value` nor `bytes` is set")?;
            if value.len() as u64 != size {
                return Err("`size` is not the value's".into());
            }
            Some(value.to_vec())
        }
    };
    let attributes = Attributes {
        value_type,
        content_type: column(row, at + 2)?,
        metadata,
        created_at,
        updated_at,
        expires_at: expires_at.map(|at| at.0),
        sliding_ms: sliding_ms.map(|span| u64::try_from(span).unwrap_or(0)),
        size,
        checksum,
    };
    Ok(State { version: column::<Bits>(row, at)?.version(), attributes, value })
}

fn column<'a, T: FromSql<'a>>(row: &'a Row, at: usize) -> Result<T, String> {
    row.try_get(at).map_err(|_| match row.columns().get(at) {
        Some(column) => format!("`{}` is not as it should be", column.name()),
        None => "a column is missing".into(),
    })
}

/// A column that our own statement made; else a defect of ours.
pub(super) fn own<'a, T: FromSql<'a>>(row: &'a Row, at: usize) -> Result<T> {
    row.try_get(at).map_err(|error| Error::Internal(format!("PostgreSQL: {error}")))
}

/// Attributes as parameters. `invalid-argument` for what a row cannot hold.
pub(super) fn check_times(times: &[Option<Timestamp>], sliding_ms: Option<u64>) -> Result<()> {
    if times.iter().flatten().any(|time| *time > MAX_TIMESTAMP) {
        return Err(Error::InvalidArgument("an instant is after the year 9999".into()));
    }
    match sliding_ms {
        Some(span) if i64::try_from(span).is_err() => {
            Err(Error::InvalidArgument("a sliding span reaches beyond the year 9999".into()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_come_back_to_the_millisecond() {
        for instant in [0, 1, 946_684_799_999, 946_684_800_000, 1_800_000_000_123, MAX_TIMESTAMP] {
            let mut out = BytesMut::new();
            Millis(instant).to_sql(&Type::TIMESTAMPTZ, &mut out).unwrap();
            assert_eq!(Millis::from_sql(&Type::TIMESTAMPTZ, &out).unwrap().0, instant);
        }
        // From other hands: before 1970, infinity, microseconds.
        for (micros, instant) in
            [(i64::MIN, 0), (i64::MAX, MAX_TIMESTAMP + 1), (1_999, EPOCH_2000_MS as u64 + 1), (-1, 946_684_799_999)]
        {
            assert_eq!(Millis::from_sql(&Type::TIMESTAMPTZ, &micros.to_be_bytes()).unwrap().0, instant);
        }
    }

    #[test]
    fn only_our_versions_have_bits() {
        let version = Version::from_random(0xff);
        assert_eq!(Bits::of(&version), Bits(0xff));
        assert_eq!(Bits::of(&version).version(), version);
        for foreign in ["1", "000000000000000000000000000000FF", "+00000000000000000000000000000ff"] {
            assert_ne!(Bits::of(&Version::new(foreign).unwrap()).version(), Version::new(foreign).unwrap());
        }
    }

    #[test]
    fn people_can_read_what_text_can_hold() {
        assert!(split_value(&ValueType::Text, "é".as_bytes()).0.is_some());
        assert!(split_value(&ValueType::Null, b"").0.is_some());
        for (value_type, value) in [
            (ValueType::Text, b"a\0b".as_slice()),
            (ValueType::Json, b"\xff"),
            (ValueType::Bytes, b"abc"),
            (ValueType::Custom("x".into()), b"abc"),
        ] {
            let (text, bytes) = split_value(&value_type, value);
            assert!(text.is_none() && bytes.is_some_and(|bytes| bytes.0 == value), "{value_type}");
        }
    }

    #[test]
    fn logs_show_no_values() {
        let shown = format!("{:?} {:?}", Raw(b"hunter2"), Json("hunter2"));
        assert!(!shown.contains("hunter2"));
    }
}
