//! Numbered places: a number is given out again once it is free.

/// What JavaScript knows by its number.
pub(crate) struct Places<T> {
    places: Vec<Option<T>>,
    free: Vec<u32>,
}

impl<T> Places<T> {
    pub(crate) const fn new() -> Self {
        Places { places: Vec::new(), free: Vec::new() }
    }

    /// Takes a place for what is made of its number.
    pub(crate) fn put(&mut self, make: impl FnOnce(u32) -> T) -> u32 {
        let number = self.free.pop().unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() as u32 - 1
        });
        if let Some(place) = self.places.get_mut(number as usize) {
            *place = Some(make(number));
        }
        number
    }

    pub(crate) fn get(&mut self, number: u32) -> Option<&mut T> {
        self.places.get_mut(number as usize)?.as_mut()
    }

    pub(crate) fn release(&mut self, number: u32) {
        if let Some(place) = self.places.get_mut(number as usize) {
            *place = None;
            self.free.push(number);
        }
    }
}
