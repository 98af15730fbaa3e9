//! The component model's canonical ABI for 32-bit memories: how values lie in linear memory.
//!
//! Generators of bindings write this code out anew in every function and for types of their own; here it is once for each
//! of the core's own types, which is a quarter of the component's size, and saves the copies in between. A test compares
//! every layout with `wit/`.
//!
//! A [`Layout`] is what WIT's rules make of a type's shape. Lowering borrows: what is written down points into the value,
//! and at lists in an [`Arena`], so both must stay until the other side has read them. Lifting owns: what the other side
//! wrote, it wrote into memory that it got from `cabi_realloc`.

use std::alloc;

/// Size and alignment.
pub(crate) trait Layout {
    const SIZE: usize;
    const ALIGN: usize;
    /// The type's name, or what it is made of, in WIT.
    #[cfg(test)]
    fn shape() -> String;
}

/// What can be written for the other side.
pub(crate) trait Lower: Layout {
    /// Writes the value.
    ///
    /// # Safety
    /// `at` has room for the layout, and is aligned to it.
    unsafe fn lower(&self, at: *mut u8, arena: &mut Arena);
}

/// What can be taken over from the other side.
pub(crate) trait Lift: Layout + Sized {
    /// Takes the value, and with it all that it points at.
    ///
    /// # Safety
    /// At `at` lies a value of this layout, written by the other side and not taken yet.
    unsafe fn lift(at: *const u8) -> Self;
}

/// `offset`, or the next one that is aligned.
pub(crate) const fn aligned(offset: usize, align: usize) -> usize {
    (offset + align - 1) & !(align - 1)
}

/// The largest.
pub(crate) const fn largest(sizes: &[usize]) -> usize {
    let (mut index, mut most) = (0, 0);
    while index < sizes.len() {
        if sizes[index] > most {
            most = sizes[index];
        }
        index += 1;
    }
    most
}

/// Where a variant's payload lies, behind a discriminant of one byte.
pub(crate) const fn payload(align: usize) -> usize {
    aligned(1, align)
}

/// Memory for lists that are lowered; freed when dropped.
#[derive(Default)]
pub(crate) struct Arena(Vec<(*mut u8, alloc::Layout)>);

impl Arena {
    pub(crate) fn room(&mut self, size: usize, align: usize) -> *mut u8 {
        let at = unsafe { allocate(size, align) };
        if size > 0 {
            self.0.push((at, unsafe { alloc::Layout::from_size_align_unchecked(size, align) }));
        }
        at
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for (at, layout) in self.0.drain(..) {
            unsafe { alloc::dealloc(at, layout) };
        }
    }
}

/// # Safety
/// `align` is a power of two, and `size` less than half of all memory.
unsafe fn allocate(size: usize, align: usize) -> *mut u8 {
    let layout = unsafe { alloc::Layout::from_size_align_unchecked(size, align) };
    if size == 0 {
        return align as *mut u8;
    }
    let at = unsafe { alloc::alloc(layout) };
    if at.is_null() {
        alloc::handle_alloc_error(layout);
    }
    at
}

/// What the other side calls for the memory that it writes to.
///
/// # Safety
/// As of the canonical ABI: nothing, or a former answer of this with its size.
pub(crate) unsafe fn reallocate(old: *mut u8, old_size: usize, align: usize, size: usize) -> *mut u8 {
    if old_size == 0 {
        return unsafe { allocate(size, align) };
    }
    let layout = unsafe { alloc::Layout::from_size_align_unchecked(old_size, align) };
    let at = unsafe { alloc::realloc(old, layout, size) };
    if at.is_null() {
        alloc::handle_alloc_error(layout);
    }
    at
}

/// Frees what came from [`reallocate`].
///
/// # Safety
/// As of the canonical ABI.
pub(crate) unsafe fn reclaim(at: *mut u8, size: usize, align: usize) {
    if size > 0 {
        unsafe { alloc::dealloc(at, alloc::Layout::from_size_align_unchecked(size, align)) };
    }
}

/// # Safety
/// As of [`Lift`], for a list's address and length.
pub(crate) unsafe fn bytes(at: *mut u8, length: usize) -> Vec<u8> {
    match length {
        0 => Vec::new(),
        _ => unsafe { Vec::from_raw_parts(at, length, length) },
    }
}

/// # Safety
/// As of [`Lift`], for a string's address and length. That it is UTF-8 is the other side's duty.
pub(crate) unsafe fn text(at: *mut u8, length: usize) -> String {
    unsafe { String::from_utf8_unchecked(bytes(at, length)) }
}

/// # Safety
/// As of [`Lift`], for a list's address and length.
pub(crate) unsafe fn list<T: Lift>(at: *mut u8, length: usize) -> Vec<T> {
    let items = (0..length).map(|index| unsafe { T::lift(at.add(index * T::SIZE)) }).collect();
    unsafe { reclaim(at, length * T::SIZE, T::ALIGN) };
    items
}

/// The address of a list that is lowered.
pub(crate) fn lower_list<T: Lower>(items: &[T], arena: &mut Arena) -> *mut u8 {
    let at = arena.room(items.len() * T::SIZE, T::ALIGN);
    for (index, item) in items.iter().enumerate() {
        unsafe { item.lower(at.add(index * T::SIZE), arena) };
    }
    at
}

unsafe fn write_slice(at: *mut u8, from: *const u8, length: usize) {
    unsafe {
        at.cast::<u32>().write(from as usize as u32);
        at.cast::<u32>().add(1).write(length as u32);
    }
}

unsafe fn read_slice(at: *const u8) -> (*mut u8, usize) {
    unsafe { (at.cast::<u32>().read() as usize as *mut u8, at.cast::<u32>().add(1).read() as usize) }
}

macro_rules! numbers {
    ($($type:ty: $name:literal),*) => {$(
        impl Layout for $type {
            const SIZE: usize = size_of::<$type>();
            const ALIGN: usize = size_of::<$type>();
            #[cfg(test)]
            fn shape() -> String {
                $name.into()
            }
        }
        impl Lower for $type {
            unsafe fn lower(&self, at: *mut u8, _: &mut Arena) {
                unsafe { at.cast::<$type>().write(*self) }
            }
        }
        impl Lift for $type {
            unsafe fn lift(at: *const u8) -> Self {
                unsafe { at.cast::<$type>().read() }
            }
        }
    )*};
}
// Not `u8`: a list of bytes is a list unlike others.
numbers!(u32: "u32", u64: "u64", i64: "s64", f64: "f64");

impl Layout for bool {
    const SIZE: usize = 1;
    const ALIGN: usize = 1;
    #[cfg(test)]
    fn shape() -> String {
        "bool".into()
    }
}
impl Lower for bool {
    unsafe fn lower(&self, at: *mut u8, _: &mut Arena) {
        unsafe { at.write(u8::from(*self)) }
    }
}
impl Lift for bool {
    unsafe fn lift(at: *const u8) -> Self {
        unsafe { at.read() != 0 }
    }
}

impl Layout for () {
    const SIZE: usize = 0;
    const ALIGN: usize = 1;
    #[cfg(test)]
    fn shape() -> String {
        "_".into()
    }
}
impl Lower for () {
    unsafe fn lower(&self, _: *mut u8, _: &mut Arena) {}
}
impl Lift for () {
    unsafe fn lift(_: *const u8) -> Self {}
}

macro_rules! slices {
    ($($type:ty: $name:literal, $lift:ident);*) => {$(
        impl Layout for $type {
            const SIZE: usize = 8;
            const ALIGN: usize = 4;
            #[cfg(test)]
            fn shape() -> String {
                $name.into()
            }
        }
        impl Lower for $type {
            unsafe fn lower(&self, at: *mut u8, _: &mut Arena) {
                unsafe { write_slice(at, self.as_ptr(), self.len()) }
            }
        }
        impl Lift for $type {
            unsafe fn lift(at: *const u8) -> Self {
                let (from, length) = unsafe { read_slice(at) };
                unsafe { $lift(from, length) }
            }
        }
    )*};
}
slices!(String: "string", text; Vec<u8>: "list<u8>", bytes);

impl<T: Layout> Layout for Vec<T> {
    const SIZE: usize = 8;
    const ALIGN: usize = 4;
    #[cfg(test)]
    fn shape() -> String {
        format!("list<{}>", T::shape())
    }
}
impl<T: Lower> Lower for Vec<T> {
    unsafe fn lower(&self, at: *mut u8, arena: &mut Arena) {
        let from = lower_list(self, arena);
        unsafe { write_slice(at, from, self.len()) }
    }
}
impl<T: Lift> Lift for Vec<T> {
    unsafe fn lift(at: *const u8) -> Self {
        let (from, length) = unsafe { read_slice(at) };
        unsafe { list(from, length) }
    }
}

impl<T: Layout> Layout for Box<T> {
    const SIZE: usize = T::SIZE;
    const ALIGN: usize = T::ALIGN;
    #[cfg(test)]
    fn shape() -> String {
        T::shape()
    }
}
impl<T: Lower> Lower for Box<T> {
    unsafe fn lower(&self, at: *mut u8, arena: &mut Arena) {
        unsafe { (**self).lower(at, arena) }
    }
}
impl<T: Lift> Lift for Box<T> {
    unsafe fn lift(at: *const u8) -> Self {
        Box::new(unsafe { T::lift(at) })
    }
}

impl<A: Layout, B: Layout> Layout for (A, B) {
    const ALIGN: usize = largest(&[A::ALIGN, B::ALIGN]);
    const SIZE: usize = aligned(aligned(A::SIZE, B::ALIGN) + B::SIZE, Self::ALIGN);
    #[cfg(test)]
    fn shape() -> String {
        format!("tuple<{}, {}>", A::shape(), B::shape())
    }
}
impl<A: Lower, B: Lower> Lower for (A, B) {
    unsafe fn lower(&self, at: *mut u8, arena: &mut Arena) {
        unsafe {
            self.0.lower(at, arena);
            self.1.lower(at.add(aligned(A::SIZE, B::ALIGN)), arena);
        }
    }
}
impl<A: Lift, B: Lift> Lift for (A, B) {
    unsafe fn lift(at: *const u8) -> Self {
        unsafe { (A::lift(at), B::lift(at.add(aligned(A::SIZE, B::ALIGN)))) }
    }
}

impl<T: Layout> Layout for Option<T> {
    const ALIGN: usize = T::ALIGN;
    const SIZE: usize = aligned(payload(T::ALIGN) + T::SIZE, T::ALIGN);
    #[cfg(test)]
    fn shape() -> String {
        format!("option<{}>", T::shape())
    }
}
impl<T: Lower> Lower for Option<T> {
    unsafe fn lower(&self, at: *mut u8, arena: &mut Arena) {
        unsafe {
            at.write(u8::from(self.is_some()));
            if let Some(value) = self {
                value.lower(at.add(payload(T::ALIGN)), arena);
            }
        }
    }
}
impl<T: Lift> Lift for Option<T> {
    unsafe fn lift(at: *const u8) -> Self {
        unsafe { (at.read() != 0).then(|| T::lift(at.add(payload(T::ALIGN)))) }
    }
}

impl<T: Layout, E: Layout> Layout for Result<T, E> {
    const ALIGN: usize = largest(&[T::ALIGN, E::ALIGN]);
    const SIZE: usize = aligned(payload(Self::ALIGN) + largest(&[T::SIZE, E::SIZE]), Self::ALIGN);
    #[cfg(test)]
    fn shape() -> String {
        format!("result<{}, {}>", T::shape(), E::shape())
    }
}
impl<T: Lower, E: Lower> Lower for Result<T, E> {
    unsafe fn lower(&self, at: *mut u8, arena: &mut Arena) {
        unsafe {
            at.write(u8::from(self.is_err()));
            let at = at.add(payload(Self::ALIGN));
            match self {
                Ok(value) => value.lower(at, arena),
                Err(error) => error.lower(at, arena),
            }
        }
    }
}
impl<T: Lift, E: Lift> Lift for Result<T, E> {
    unsafe fn lift(at: *const u8) -> Self {
        unsafe {
            let value = at.add(payload(Self::ALIGN));
            if at.read() == 0 { Ok(T::lift(value)) } else { Err(E::lift(value)) }
        }
    }
}

/// A record: its fields in WIT's order. Names are those of WIT but for the dashes.
macro_rules! record {
    ($type:ident as $name:literal $fields:tt $($direction:ident)*) => {
        record!(@layout $type as $name $fields);
        $(record!(@$direction $type $fields);)*
    };
    (@layout $type:ident as $name:literal { $($field:ident: $kind:ty),* $(,)? }) => {
        impl Layout for $type {
            const ALIGN: usize = largest(&[$(<$kind>::ALIGN),*]);
            const SIZE: usize = {
                let offset = 0;
                $(let offset = aligned(offset, <$kind>::ALIGN) + <$kind>::SIZE;)*
                aligned(offset, Self::ALIGN)
            };
            #[cfg(test)]
            fn shape() -> String {
                let fields = [$(format!("{}: {}", stringify!($field).replace('_', "-"), <$kind>::shape())),*];
                format!("record {} {{{}}}", $name, fields.join(", "))
            }
        }
    };
    (@lower $type:ident { $($field:ident: $kind:ty),* $(,)? }) => {
        impl Lower for $type {
            unsafe fn lower(&self, at: *mut u8, arena: &mut Arena) {
                let offset = 0;
                $(
                    let offset = aligned(offset, <$kind>::ALIGN);
                    unsafe { <$kind as Lower>::lower(&self.$field, at.add(offset), arena) };
                    let offset = offset + <$kind>::SIZE;
                )*
                let _ = offset;
            }
        }
    };
    (@lift $type:ident { $($field:ident: $kind:ty),* $(,)? }) => {
        impl Lift for $type {
            unsafe fn lift(at: *const u8) -> Self {
                let offset = 0;
                $(
                    let offset = aligned(offset, <$kind>::ALIGN);
                    let $field = unsafe { <$kind as Lift>::lift(at.add(offset)) };
                    let offset = offset + <$kind>::SIZE;
                )*
                let _ = offset;
                Self { $($field),* }
            }
        }
    };
}
pub(crate) use record;

/// A variant or enum: its cases in WIT's order, from 0, and for each a name for what it carries.
macro_rules! variant {
    ($type:ident as $name:literal $cases:tt $($direction:ident)*) => {
        variant!(@layout $type as $name $cases);
        $(variant!(@$direction $type $cases);)*
    };
    (@layout $type:ident as $name:literal { $($index:literal $case:ident $(($inner:ident: $kind:ty))?),* $(,)? }) => {
        impl Layout for $type {
            const ALIGN: usize = largest(&[1 $($(, <$kind>::ALIGN)?)*]);
            const SIZE: usize = aligned(payload(Self::ALIGN) + largest(&[0 $($(, <$kind>::SIZE)?)*]), Self::ALIGN);
            #[cfg(test)]
            fn shape() -> String {
                let cases = [$(case(stringify!($case), None $(.or(Some(<$kind>::shape())))?)),*];
                format!("variant {} {{{}}}", $name, cases.join(", "))
            }
        }
    };
    (@lower $type:ident { $($index:literal $case:ident $(($inner:ident: $kind:ty))?),* $(,)? }) => {
        impl Lower for $type {
            #[allow(unused_variables)]
            unsafe fn lower(&self, at: *mut u8, arena: &mut Arena) {
                let to = unsafe { at.add(payload(Self::ALIGN)) };
                let index = match self {
                    $(Self::$case $(($inner))? => {
                        $(unsafe { <$kind as Lower>::lower($inner, to, arena) };)?
                        $index
                    })*
                };
                unsafe { at.write(index) };
            }
        }
    };
    (@lift $type:ident { $($index:literal $case:ident $(($inner:ident: $kind:ty))?),* $(,)? }) => {
        impl Lift for $type {
            #[allow(unused_variables)]
            unsafe fn lift(at: *const u8) -> Self {
                let from = unsafe { at.add(payload(Self::ALIGN)) };
                match unsafe { at.read() } {
                    $($index => Self::$case $(({
                        let $inner = unsafe { <$kind as Lift>::lift(from) };
                        $inner
                    }))?,)*
                    // SAFETY: the caller says that a value of this layout lies here.
                    _ => unsafe { std::hint::unreachable_unchecked() },
                }
            }
        }
    };
}
pub(crate) use variant;

/// A case's name as WIT writes it.
#[cfg(test)]
pub(crate) fn case(name: &str, kind: Option<String>) -> String {
    let mut text = String::new();
    for (index, character) in name.char_indices() {
        if character.is_uppercase() && index > 0 {
            text.push('-');
        }
        text.push(character.to_ascii_lowercase());
    }
    match kind {
        Some(kind) => format!("{text}({kind})"),
        None => text,
    }
}
