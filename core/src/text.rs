//! Texts put together. The standard library does all of this too, by ways that can do much more, and are kilobytes in WebAssembly.

/// The number in decimal digits.
pub(crate) fn decimal(number: u64) -> String {
    let mut rest = number;
    let mut digits = Vec::new();
    loop {
        digits.push(b'0'.wrapping_add((rest % 10) as u8));
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    digits.reverse();
    String::from_utf8(digits).unwrap_or_default()
}

/// The texts, with the separator between them.
pub fn joined<T: AsRef<str>>(texts: &[T], separator: char) -> String {
    let mut all = String::new();
    for (at, text) in texts.iter().enumerate() {
        if at > 0 {
            all.push(separator);
        }
        all.push_str(text.as_ref());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::{decimal, joined};

    #[test]
    fn as_the_standard_library_has_it() {
        for number in [0, 1, 9, 10, 99, 100, 4_294_967_296, u64::MAX - 1, u64::MAX] {
            assert_eq!(decimal(number), number.to_string());
        }
        for texts in [&[][..], &[""], &["a"], &["a", "", "bc"]] {
            assert_eq!(joined(texts, '\n'), texts.join("\n"));
        }
    }
}
