//! Numbers: exact decimals, and 64-bit floats as text.

use super::float;
use crate::text::decimal;

/// The shortest decimal that reads back the same, in ECMAScript's layout (`1.5`, `100`, `1e+21`, `1e-7`); `-0` for
/// negative zero, and as in JSON.stringify `null` for what is not finite.
pub fn format_number(number: f64) -> String {
    if !number.is_finite() {
        return "null".into();
    }
    let mut out = String::from(if number.is_sign_negative() { "-" } else { "" });
    if number == 0.0 {
        out.push('0');
        return out;
    }
    // How many of the digits stand before the point: negative for zeros after it.
    let (digits, point) = float::digits(number.abs());
    let before = usize::try_from(point).unwrap_or(0);
    match point {
        -5..=0 => {
            out.push_str("0.");
            push_zeros(&mut out, point.unsigned_abs() as usize);
            out.push_str(&digits);
        }
        1..=21 => match digits.split_at_checked(before) {
            Some((whole, "")) => out.push_str(whole),
            Some((whole, fraction)) => out.extend([whole, ".", fraction]),
            None => {
                out.push_str(&digits);
                push_zeros(&mut out, before.saturating_sub(digits.len()));
            }
        },
        _ => {
            let (first, rest) = digits.split_at_checked(1).unwrap_or((&digits, ""));
            out.push_str(first);
            if !rest.is_empty() {
                out.extend([".", rest]);
            }
            out.push_str(if point > 0 { "e+" } else { "e-" });
            out.push_str(&decimal(point.saturating_sub(1).unsigned_abs().into()));
        }
    }
    out
}

pub(crate) fn push_zeros(out: &mut String, count: usize) {
    for _ in 0..count {
        out.push('0');
    }
}

pub(crate) fn format_integer(integer: i64) -> String {
    [if integer < 0 { "-" } else { "" }, &decimal(integer.unsigned_abs())].concat()
}

/// An integer of 64 bits in decimal digits, with a minus where it is below 0.
pub(crate) fn parse_integer(text: &str) -> Option<i64> {
    match text.strip_prefix('-') {
        Some(digits) => 0_i64.checked_sub_unsigned(parse_natural(digits)?),
        None => i64::try_from(parse_natural(text)?).ok(),
    }
}

/// A natural number of 64 bits in decimal digits.
pub(crate) fn parse_natural(digits: &str) -> Option<u64> {
    let mut number = (!digits.is_empty()).then_some(0_u64)?;
    for digit in digits.bytes() {
        let digit = char::from(digit).to_digit(10)?;
        number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(number)
}

/// A JSON number taken apart: `0.digits` times ten to the power of `exponent + shift`.
pub(super) struct Decimal<'a> {
    pub(super) negative: bool,
    /// ASCII, without a zero at either end.
    pub(super) digits: Vec<u8>,
    /// As written, without its sign and leading zeros.
    exponent: &'a [u8],
    exponent_negative: bool,
    shift: i64,
}

impl<'a> Decimal<'a> {
    pub(super) fn new(literal: &'a str) -> Self {
        let mut decimal =
            Decimal { negative: false, digits: Vec::new(), exponent: &[], exponent_negative: false, shift: 0 };
        let mut rest = literal.as_bytes();
        let mut fraction = false;
        while let [byte, after @ ..] = rest {
            rest = after;
            match byte {
                b'-' => decimal.negative = true,
                b'.' => fraction = true,
                b'e' | b'E' => break,
                digit => {
                    // A digit before the point makes all a power larger, a zero with nothing before it a power smaller.
                    let leading = decimal.digits.is_empty() && *digit == b'0';
                    let power = i64::from(!fraction).saturating_sub(i64::from(leading));
                    decimal.shift = decimal.shift.saturating_add(power);
                    if !leading {
                        decimal.digits.push(*digit);
                    }
                }
            }
        }
        while decimal.digits.last() == Some(&b'0') {
            decimal.digits.pop();
        }
        decimal.exponent_negative = rest.first() == Some(&b'-');
        while let [b'+' | b'-' | b'0', after @ ..] = rest {
            rest = after;
        }
        decimal.exponent = rest;
        decimal
    }

    fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// How many of the digits stand before the point: negative for zeros behind it, and far beyond what matters saturated.
    pub(super) fn point(&self) -> i64 {
        self.exponent_difference(&Decimal::new("0")).saturating_add(self.shift)
    }

    /// The digit of the exponent at this place from the left, as if it had `length` digits; with its sign.
    fn exponent_digit(&self, place: usize, length: usize) -> i64 {
        let Some(place) = self.exponent.len().checked_add(place).and_then(|sum| sum.checked_sub(length)) else {
            return 0;
        };
        let digit = self.exponent.get(place).map_or(0, |digit| i64::from(digit.wrapping_sub(b'0')));
        if self.exponent_negative { 0_i64.saturating_sub(digit) } else { digit }
    }

    /// `self.exponent - other.exponent`, of any length; saturates far beyond what a shift can make up for.
    fn exponent_difference(&self, other: &Decimal<'_>) -> i64 {
        // Once the difference of the digits so far leaves this bound, no later digit brings it back.
        const FAR: i64 = i64::MAX / 100;
        let length = self.exponent.len().max(other.exponent.len());
        let mut difference: i64 = 0;
        for place in 0..length {
            let digits = self.exponent_digit(place, length).saturating_sub(other.exponent_digit(place, length));
            difference = difference.saturating_mul(10).saturating_add(digits);
            if difference.unsigned_abs() > FAR.unsigned_abs() {
                return difference.signum().saturating_mul(i64::MAX);
            }
        }
        difference
    }
}

/// Whether two JSON numbers are the same decimal, however they are written. Time is linear in the literals, whatever
/// their exponents.
pub(crate) fn numbers_equal(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let (a, b) = (Decimal::new(a), Decimal::new(b));
    if a.is_zero() || b.is_zero() {
        return a.is_zero() && b.is_zero();
    }
    a.negative == b.negative && a.exponent_difference(&b) == b.shift.saturating_sub(a.shift) && a.digits == b.digits
}

/// Whether a JSON number has no fraction.
pub(crate) fn is_whole(literal: &str) -> bool {
    let decimal = Decimal::new(literal);
    decimal.is_zero() || decimal.point() >= decimal.digits.len() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ecmascript_layout() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (100.0, "100"),
            (123456.789, "123456.789"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e20, "100000000000000000000"),
            (123456789012345680000.0, "123456789012345680000"),
            (999999999999999900000.0, "999999999999999900000"),
            (1e21, "1e+21"),
            (1.5e21, "1.5e+21"),
            (-1.2345e30, "-1.2345e+30"),
            (0.001, "0.001"),
            (0.000001, "0.000001"),
            (0.00000123, "0.00000123"),
            (0.0000001, "1e-7"),
            (1.5e-7, "1.5e-7"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::MIN_POSITIVE, "2.2250738585072014e-308"),
            (9007199254740993.0, "9007199254740992"),
            (4.35, "4.35"),
            (f64::NAN, "null"),
            (f64::INFINITY, "null"),
        ] {
            assert_eq!(format_number(number), text);
        }
    }

    #[test]
    fn the_same_decimal() {
        let zeros = "0".repeat(50_000);
        let nines = "9".repeat(50_000);
        for (a, b) in [
            ("1", "1.0"),
            ("1", "10e-1"),
            ("1", "0.1e1"),
            ("1", "0.0001e+4"),
            ("-12.30", "-123E-1"),
            ("0", "-0"),
            ("0e999999999999999999999", "0.000"),
            ("100", "1e2"),
            ("1e400", "10e399"),
            ("1e400", "0.1e401"),
            ("1e999999999999999999999999", "10e999999999999999999999998"),
            ("1e1000000000000000000000000", "10e999999999999999999999999"),
            ("1e-1000000000000000000000000", "0.1e-999999999999999999999999"),
            ("1e0000000000000000000000000002", "100"),
            (&format!("1{zeros}"), "1e50000"),
            (&format!("0.{zeros}1"), "1e-50001"),
            (&format!("10e{nines}"), &format!("1e1{zeros}")),
        ] {
            assert!(numbers_equal(a, b) && numbers_equal(b, a), "{a:.50} {b:.50}");
        }
    }

    #[test]
    fn different_decimals() {
        let nines = "9".repeat(50_000);
        for (a, b) in [
            ("1", "-1"),
            ("1", "10"),
            ("1", "0"),
            ("1", "1e1"),
            ("1e5", "1e-5"),
            ("12", "1.2"),
            ("0.01", "0.1"),
            ("1.01", "1.1"),
            ("9007199254740993", "9007199254740992"),
            ("0.1", "0.1000000000000000055511151231257827"),
            ("1e999999999999999999999999", "1e999999999999999999999998"),
            ("1e999999999999999999999999", "1e-999999999999999999999999"),
            ("1e9223372036854775807", "1e9223372036854775806"),
            ("1e18446744073709551616", "1"),
            (&format!("1e{nines}"), "1"),
            (&format!("1e{nines}"), &format!("1e-{nines}")),
        ] {
            assert!(!numbers_equal(a, b) && !numbers_equal(b, a), "{a:.50} {b:.50}");
        }
    }

    #[test]
    fn whole_numbers() {
        for whole in
            ["0", "-0.0", "1", "100", "1.0", "1.50e1", "150e-1", "1e400", "1e99999999999999999999", "0e-5", "-7e0"]
        {
            assert!(is_whole(whole), "{whole}");
        }
        for fraction in ["0.1", "1.5", "1e-1", "15e-1", "100e-3", "1e-99999999999999999999", "-0.5e0", "1.05e1"] {
            assert!(!is_whole(fraction), "{fraction}");
        }
    }
}
