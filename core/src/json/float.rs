//! 64-bit floats from decimals and back, exactly.
//!
//! The standard library does both, faster where numbers are long and with thirty kilobytes of tables and code that would
//! be an eighth of the component. Here whole numbers and short decimals, as most are, take no more than it does; the rest is
//! plain arithmetic on large integers. Tests compare both over random numbers.

use std::cmp::Ordering;

use super::number::Decimal;
use crate::text::decimal;

/// A whole number, least significant word first; the last word is not 0.
#[derive(Clone)]
struct Big(Vec<u32>);

impl Big {
    fn new(number: u64) -> Self {
        let mut big = Big(vec![number as u32, (number >> 32) as u32]);
        big.trim();
        big
    }

    fn trim(&mut self) {
        while self.0.last() == Some(&0) {
            self.0.pop();
        }
    }

    /// How many bits it has.
    fn bits(&self) -> i64 {
        let last = self.0.last().map_or(0, |last| 32_u32.wrapping_sub(last.leading_zeros()));
        (self.0.len() as i64).saturating_sub(1).max(0).saturating_mul(32).saturating_add(i64::from(last))
    }

    /// Times `factor`, and `summand` on top.
    fn multiply(&mut self, factor: u32, summand: u32) {
        let mut carry = u64::from(summand);
        for word in &mut self.0 {
            // At most (2^32 - 1)^2 + 2^32 - 1: it fits.
            carry = u64::from(*word).wrapping_mul(u64::from(factor)).wrapping_add(carry);
            *word = carry as u32;
            carry >>= 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
    }

    /// Times `base` to this power.
    fn multiply_by_power(&mut self, base: u32, power: u32) {
        // 10^8 fits into a word.
        for _ in 0..power / 8 {
            self.multiply(base.wrapping_pow(8), 0);
        }
        for _ in 0..power % 8 {
            self.multiply(base, 0);
        }
    }

    fn plus(mut self, other: &Big) -> Big {
        while self.0.len() < other.0.len() {
            self.0.push(0);
        }
        let mut carry = 0_u64;
        for (index, word) in self.0.iter_mut().enumerate() {
            let other = other.0.get(index).copied().unwrap_or(0);
            carry = u64::from(*word).wrapping_add(u64::from(other)).wrapping_add(carry);
            *word = carry as u32;
            carry >>= 32;
        }
        if carry > 0 {
            self.0.push(carry as u32);
        }
        self
    }

    /// Less `other`, which is not larger.
    fn minus(&mut self, other: &Big) {
        let mut borrow = false;
        for (index, word) in self.0.iter_mut().enumerate() {
            let (less, first) = word.overflowing_sub(other.0.get(index).copied().unwrap_or(0));
            let (less, second) = less.overflowing_sub(u32::from(borrow));
            *word = less;
            borrow = first || second;
        }
        self.trim();
    }

    fn compare(&self, other: &Big) -> Ordering {
        let mut order = self.0.len().cmp(&other.0.len());
        // From the most significant word on.
        for (a, b) in self.0.iter().rev().zip(other.0.iter().rev()) {
            order = order.then(a.cmp(b));
        }
        order
    }
}

/// A power of ten that a float holds exactly, and so does each step on the way.
const EXACT_POWERS: u64 = 22;

fn exact_power(power: u64) -> f64 {
    (0..power).fold(1.0, |product, _| product * 10.0)
}

/// The float nearest to a JSON number, of two equally near the even one; infinite where it is too large.
pub(crate) fn parse(literal: &str) -> f64 {
    let decimal = Decimal::new(literal);
    let value = nearest(&decimal.digits, decimal.point());
    if decimal.negative { -value } else { value }
}

/// The digits, of which so many stand before the point.
fn nearest(digits: &[u8], point: i64) -> f64 {
    // Of 0.digits: beyond these it is infinite or zero.
    match point {
        _ if digits.is_empty() => return 0.0,
        310.. => return f64::INFINITY,
        i64::MIN..=-330 => return 0.0,
        _ => {}
    }
    // The exact middle between two floats has at most 767 digits: more say no more than one that is not 0.
    const KEPT: usize = 800;
    let kept = digits.get(..KEPT).unwrap_or(digits);
    let mut number = Big(Vec::new());
    let mut power = point;
    for digit in kept.iter().chain((kept.len() < digits.len()).then_some(&b'1')) {
        number.multiply(10, u32::from(digit.wrapping_sub(b'0')));
        power = power.saturating_sub(1);
    }
    if let ([low], high) | ([low, high], _) = (number.0.as_slice(), &0) {
        let short = u64::from(*high) << 32 | u64::from(*low);
        if short <= 1 << 53 && power.unsigned_abs() <= EXACT_POWERS {
            // Both are exact, so one rounding is all there is.
            let (short, ten) = (short as f64, exact_power(power.unsigned_abs()));
            return if power < 0 { short / ten } else { short * ten };
        }
    }
    let mut divisor = Big::new(1);
    let ten = if power < 0 { &mut divisor } else { &mut number };
    ten.multiply_by_power(10, u32::try_from(power.unsigned_abs()).unwrap_or(0));
    divide(number, divisor)
}

/// The float nearest to a fraction of whole numbers above 0.
fn divide(mut number: Big, mut divisor: Big) -> f64 {
    // Brought to the same length, and then to 1 <= number / divisor < 2.
    let mut exponent = number.bits().saturating_sub(divisor.bits());
    let shorter = if exponent < 0 { &mut number } else { &mut divisor };
    shorter.multiply_by_power(2, u32::try_from(exponent.unsigned_abs()).unwrap_or(0));
    if number.compare(&divisor).is_lt() {
        number.multiply(2, 0);
        exponent = exponent.saturating_sub(1);
    }
    // Bits behind the first, of which small numbers keep fewer.
    const FIRST: i64 = -1022;
    let kept = 52_i64.saturating_sub(FIRST.saturating_sub(exponent).max(0));
    let mut bits: u64 = 0;
    for _ in 0..=kept.max(-1) {
        bits <<= 1;
        if !number.compare(&divisor).is_lt() {
            number.minus(&divisor);
            bits |= 1;
        }
        number.multiply(2, 0);
    }
    // What is left is `number / 2` of `divisor`: rounded to the nearest, or else to even.
    let up = match number.compare(&divisor) {
        _ if kept < -1 => false,
        Ordering::Less => false,
        Ordering::Equal => bits & 1 == 1,
        Ordering::Greater => true,
    };
    let biased = if exponent < FIRST { 0 } else { exponent.saturating_sub(FIRST) as u64 };
    // The first bit stands for 1 more in the exponent, as does what rounding carries; the largest exponent is infinity.
    let float = (biased << 52).wrapping_add(bits).wrapping_add(u64::from(up));
    f64::from_bits(float.min(f64::INFINITY.to_bits()))
}

/// The digits of the shortest decimal that reads back as this float above 0, and nearest to it, no zero at either end; and
/// how many of them stand before the point.
pub(crate) fn digits(float: f64) -> (String, i32) {
    let bits = float.to_bits();
    let (biased, fraction) = ((bits >> 52) as i32, bits & ((1 << 52) - 1));
    let (mantissa, exponent) = match biased {
        0 => (fraction, -1074),
        _ => (fraction | 1 << 52, biased.wrapping_sub(1075)),
    };
    if (-52..=0).contains(&exponent) && mantissa.trailing_zeros() >= exponent.unsigned_abs() {
        // A whole number below 2^53 is its own shortest decimal.
        let mut text = decimal(mantissa >> exponent.unsigned_abs());
        let point = text.len() as i32;
        while text.ends_with('0') {
            text.pop();
        }
        return (text, point);
    }
    // The float is number / divisor; up to `above` more and `below` less lies what reads back as it.
    let mut number = Big::new(mantissa);
    let (mut divisor, mut below) = (Big::new(1), Big::new(1));
    if exponent > 0 {
        number.multiply_by_power(2, exponent.unsigned_abs());
        below.multiply_by_power(2, exponent.unsigned_abs());
    } else {
        divisor.multiply_by_power(2, exponent.unsigned_abs());
    }
    let mut above = below.clone();
    // Halves, so all is doubled; below a power of two floats lie twice as dense.
    let dense = fraction == 0 && biased > 1;
    for big in [&mut number, &mut divisor] {
        big.multiply(if dense { 4 } else { 2 }, 0);
    }
    if dense {
        above.multiply(2, 0);
    }
    let even = mantissa & 1 == 0;
    // The power of ten of the first digit, or one less: 1233 / 4096 is a little less than the logarithm of 2.
    let highest = 63_i32.wrapping_sub(mantissa.leading_zeros() as i32).wrapping_add(exponent);
    let mut point = highest.wrapping_mul(1233) >> 12;
    let tens = point.unsigned_abs();
    if point > 0 {
        divisor.multiply_by_power(10, tens);
    } else {
        for big in [&mut number, &mut below, &mut above] {
            big.multiply_by_power(10, tens);
        }
    }
    let mut text = String::new();
    let reaches = |number: &Big, above: &Big, divisor: &Big| {
        let over = number.clone().plus(above).compare(divisor);
        over.is_gt() || even && over.is_eq()
    };
    // Now the float is at least as large as 10^(point - 1); up to `point` digits stand before the point.
    while reaches(&number, &above, &divisor) {
        divisor.multiply(10, 0);
        point = point.wrapping_add(1);
    }
    loop {
        for big in [&mut number, &mut below, &mut above] {
            big.multiply(10, 0);
        }
        let mut digit = b'0';
        while !number.compare(&divisor).is_lt() {
            number.minus(&divisor);
            digit = digit.wrapping_add(1);
        }
        let under = number.compare(&below);
        let low = under.is_lt() || even && under.is_eq();
        let high = reaches(&number, &above, &divisor);
        if low || high {
            // Of two digits that both read back, the nearer.
            number.multiply(2, 0);
            let up = high && (!low || !number.compare(&divisor).is_lt());
            // A digit of ten would have ended the text one place before.
            text.push(char::from(digit.wrapping_add(u8::from(up))));
            return (text, point);
        }
        text.push(char::from(digit));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check_digits(float: f64) {
        let (text, point) = digits(float);
        let expected = format!("{float:e}");
        let (mantissa, exponent) = expected.split_once('e').unwrap();
        assert_eq!(text, mantissa.replace('.', ""), "{expected}");
        assert_eq!(point, exponent.parse::<i32>().unwrap() + 1, "{expected}");
    }

    fn check_parse(literal: &str) {
        assert_eq!(parse(literal).to_bits(), literal.parse::<f64>().unwrap().to_bits(), "{literal}");
    }

    #[test]
    fn edges() {
        for float in [
            1.0,
            0.1,
            0.3,
            10.0,
            5e-324,
            1e-323,
            2.225073858507201e-308,
            f64::MIN_POSITIVE,
            f64::MAX,
            1e21,
            1e22,
            1e23,
            9007199254740992.0,
            9007199254740994.0,
            9.5,
            99.5,
            0.000001,
            123456.789,
            4.35,
            0.5,
            2f64.powi(-1022),
            2f64.powi(100),
            2f64.powi(-100),
            9.109383632e-31,
        ] {
            check_digits(float);
            check_digits(f64::from_bits(float.to_bits() + 1).min(f64::MAX));
            check_digits(f64::from_bits(float.to_bits() - 1).max(5e-324));
        }
        let half = "0.500000000000000166533453693773481063544750213623046875";
        let tiny = format!("{:.1074}", f64::MIN_POSITIVE / 2.0 + 5e-324);
        for literal in [
            "0",
            "-0",
            "0.0e5",
            "1",
            "-1.5",
            "100",
            "1e22",
            "1e23",
            "9007199254740993",
            "9007199254740993.0000000000000000000000000000000000000001",
            "9007199254740995",
            half,
            &format!("{half}1"),
            &tiny,
            &format!("{tiny}{}1", "0".repeat(900)),
            "2.4703282292062327e-324",
            "2.4703282292062328e-324",
            "2.5e-324",
            "4.9e-324",
            "1e-325",
            "7e-324",
            "2.2250738585072011e-308",
            "2.2250738585072014e-308",
            "1.7976931348623157e308",
            "1.7976931348623158e308",
            "1.7976931348623159e308",
            "1.8e308",
            "1e309",
            "1e400",
            "1e-400",
            "1e99999999999999999999",
            "-1e-99999999999999999999",
            "0e99999999999999999999",
            &format!("0.{}1e400", "0".repeat(400)),
            &format!("1{}e-400", "0".repeat(400)),
            &format!("1{}", "0".repeat(308)),
            &"9".repeat(309),
            &"9".repeat(2000),
            "123456789012345678901234567890e-10",
            "1E5",
            "1e+5",
        ] {
            check_parse(literal);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn any_float(bits: u64) {
            let float = f64::from_bits(bits & !(1 << 63));
            if float.is_finite() && float > 0.0 {
                check_digits(float);
                check_parse(&format!("{float:e}"));
                check_parse(&format!("-{float}"));
            }
        }

        #[test]
        fn any_short_decimal(digits in 1u64..1_000_000_000_000, power in -30i32..30) {
            let literal = format!("{digits}e{power}");
            check_parse(&literal);
            check_digits(literal.parse().unwrap());
        }

        #[test]
        fn any_decimal(literal in "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?") {
            check_parse(&literal);
        }

        /// The exact middle between two floats, and a little more.
        #[test]
        fn middles(mantissa in 1u64 << 52..1 << 53, power in -30i32..60, behind in "[0-9]{0,20}") {
            let doubled = u128::from(mantissa * 2 + 1);
            let (digits, ten) = match u32::try_from(power) {
                Ok(power) => (doubled << power, 0),
                Err(_) => (doubled * 5u128.pow(power.unsigned_abs()), power),
            };
            check_parse(&format!("{digits}e{ten}"));
            check_parse(&format!("{digits}.{behind}1e{ten}"));
        }
    }
}
