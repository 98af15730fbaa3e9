//! Numbers: exact decimals, and 64-bit floats as text.

use std::cmp::Ordering;

use super::float;

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
            out.extend((point..0).map(|_| '0'));
            out.push_str(&digits);
        }
        1..=21 => match digits.split_at_checked(before) {
            Some((whole, "")) => out.push_str(whole),
            Some((whole, fraction)) => out.extend([whole, ".", fraction]),
            None => {
                out.push_str(&digits);
                out.extend((digits.len()..before).map(|_| '0'));
            }
        },
        _ => {
            let (first, rest) = digits.split_at_checked(1).unwrap_or((&digits, ""));
            out.push_str(first);
            if !rest.is_empty() {
                out.extend([".", rest]);
            }
            out.push_str(if point > 0 { "e+" } else { "e-" });
            out.push_str(&point.saturating_sub(1).unsigned_abs().to_string());
        }
    }
    out
}

/// A JSON number taken apart: `0.digits` times ten to the power of `exponent + shift`.
struct Decimal<'a> {
    negative: bool,
    /// No zero at either end; may hold the point.
    digits: &'a str,
    /// As written, without its sign and leading zeros.
    exponent: &'a str,
    exponent_negative: bool,
    shift: i64,
}

impl<'a> Decimal<'a> {
    fn new(literal: &'a str) -> Self {
        let (mantissa, exponent) = literal.split_once(['e', 'E']).unwrap_or((literal, ""));
        let negative = mantissa.starts_with('-');
        let mantissa = mantissa.trim_start_matches('-');
        let whole = mantissa.split('.').next().unwrap_or_default().len();
        let from_first = mantissa.trim_start_matches(['0', '.']);
        let leading = mantissa.len().saturating_sub(from_first.len());
        // Zeros after the point: the point itself is among what was trimmed.
        let leading = if leading > whole { leading.saturating_sub(1) } else { leading };
        let length = |length: usize| i64::try_from(length).unwrap_or(i64::MAX);
        Decimal {
            negative,
            digits: from_first.trim_end_matches(['0', '.']),
            exponent: exponent.trim_start_matches(['+', '-']).trim_start_matches('0'),
            exponent_negative: exponent.starts_with('-'),
            shift: length(whole).saturating_sub(length(leading)),
        }
    }

    fn is_zero(&self) -> bool {
        self.digits.is_empty()
    }

    /// How many digits there are.
    fn count(&self) -> i64 {
        i64::try_from(self.digits.bytes().filter(u8::is_ascii_digit).count()).unwrap_or(i64::MAX)
    }

    /// The digit of the exponent at this place from the left, as if it had `length` digits; with its sign.
    fn exponent_digit(&self, place: usize, length: usize) -> i64 {
        let Some(place) = self.exponent.len().checked_add(place).and_then(|sum| sum.checked_sub(length)) else {
            return 0;
        };
        let digit = self.exponent.as_bytes().get(place).map_or(0, |digit| i64::from(digit.wrapping_sub(b'0')));
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
    let digits = |decimal: &Decimal<'_>| decimal.digits.bytes().filter(u8::is_ascii_digit).collect::<Vec<_>>();
    a.negative == b.negative && a.exponent_difference(&b) == b.shift.saturating_sub(a.shift) && digits(&a) == digits(&b)
}

/// Whether a JSON number has no fraction.
pub(crate) fn is_whole(literal: &str) -> bool {
    let decimal = Decimal::new(literal);
    // All its digits stand before the point: exponent >= count - shift.
    let one = Decimal::new("1e0");
    decimal.is_zero()
        || matches!(
            decimal.exponent_difference(&one).cmp(&decimal.count().saturating_sub(decimal.shift)),
            Ordering::Greater | Ordering::Equal
        )
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
