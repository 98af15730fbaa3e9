//! The reference storage: ordered maps in memory.
/// The reference storage.
pub struct MemoryStorage {
    _random: Box<dyn Fn() -> u128 + Send + Sync>,
}
impl MemoryStorage {
    /// `random` gives 128 fresh random bits at each call: versions are made of them.
    pub fn new(random: impl Fn() -> u128 + Send + Sync + 'static) -> Self {
        MemoryStorage { _random: Box::new(random) }
    }
}
