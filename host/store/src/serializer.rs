//! Values of the caller's own types.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::sync::Arc;

use dataknobs_kv_core::{Error, Result, Value, ValueType};

use crate::KvStore;
use crate::set::Set;

/// How values of type `T` become bytes and come back.
///
/// The name is stored beside the bytes and must fit when they are read: change it when the form changes. A serializer's
/// own errors are best told as [`Error::InvalidArgument`] when writing and [`Error::Corrupt`] when reading.
///
/// ```
/// use dataknobs_kv::{Error, KvStore, Result, Serializer};
///
/// struct Point { x: i32, y: i32 }
/// struct PointText;
///
/// impl Serializer<Point> for PointText {
///     fn type_name(&self) -> &str {
///         "point"
///     }
///     fn serialize(&self, point: &Point) -> Result<Vec<u8>> {
///         Ok(format!("{} {}", point.x, point.y).into_bytes())
///     }
///     fn deserialize(&self, bytes: &[u8]) -> Result<Point> {
///         let broken = || Error::Corrupt("not a point".into());
///         let text = std::str::from_utf8(bytes).map_err(|_| broken())?;
///         let (x, y) = text.split_once(' ').ok_or_else(broken)?;
///         Ok(Point { x: x.parse().map_err(|_| broken())?, y: y.parse().map_err(|_| broken())? })
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let store = KvStore::open("memory:").await?.with_serializer(PointText)?;
/// store.set_custom("origin", &Point { x: 1, y: 2 })?.await?;
/// let point: Point = store.get_custom("origin").await?.expect("just set");
/// assert_eq!((point.x, point.y), (1, 2));
/// # Ok(()) }
/// ```
pub trait Serializer<T>: Send + Sync {
    /// The name of the form: 1 to 64 printable ASCII characters.
    fn type_name(&self) -> &str;

    /// The value's bytes.
    fn serialize(&self, value: &T) -> Result<Vec<u8>>;

    /// The value that these bytes stand for.
    fn deserialize(&self, bytes: &[u8]) -> Result<T>;
}

/// Serializers by the type they serve.
#[derive(Clone, Default)]
pub(crate) struct Serializers(HashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl Serializers {
    pub(crate) fn add<T: 'static>(&mut self, serializer: impl Serializer<T> + 'static) -> Result<()> {
        ValueType::Custom(serializer.type_name().to_owned()).validate()?;
        let serializer: Arc<dyn Serializer<T>> = Arc::new(serializer);
        self.0.insert(TypeId::of::<T>(), Arc::new(serializer));
        Ok(())
    }

    fn of<T: 'static>(&self) -> Result<&Arc<dyn Serializer<T>>> {
        self.0
            .get(&TypeId::of::<T>())
            .and_then(|any| any.downcast_ref())
            .ok_or_else(|| Error::InvalidArgument(format!("no serializer was given for the type {}", type_name::<T>())))
    }
}

impl KvStore {
    /// As [`KvStore::set`], for a type with a [`Serializer`].
    ///
    /// # Errors
    /// `invalid-argument` where none was given for `T`; what the serializer says.
    pub fn set_custom<T: 'static>(&self, key: impl Into<String>, value: &T) -> Result<Set<'_>> {
        Ok(self.set(key, self.custom_value(value)?))
    }

    /// The [`Value`] that [`KvStore::set_custom`] would write.
    pub fn custom_value<T: 'static>(&self, value: &T) -> Result<Value> {
        let serializer = self.serializers().of::<T>()?;
        let bytes = serializer.serialize(value)?;
        Ok(Value::Custom { type_name: serializer.type_name().to_owned(), bytes })
    }

    /// Reads a value that [`KvStore::set_custom`] wrote; none: absent or expired.
    ///
    /// # Errors
    /// `type-mismatch` for a value of another type or another serializer's name, and as [`KvStore::set_custom`].
    pub async fn get_custom<T: 'static>(&self, key: &str) -> Result<Option<T>> {
        let serializer = self.serializers().of::<T>()?;
        match self.get(key).await? {
            None => Ok(None),
            Some(Value::Custom { type_name, bytes }) if type_name == serializer.type_name() => {
                serializer.deserialize(&bytes).map(Some)
            }
            Some(other) => Err(Error::TypeMismatch(format!(
                "{key} holds {}, not custom:{}",
                other.value_type(),
                serializer.type_name()
            ))),
        }
    }
}
