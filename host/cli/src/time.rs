//! Spans and instants as people write them.

use std::time::Duration;

use dataknobs_kv::Timestamp;

/// Reads a span: plain seconds (`90`, `0.5`), or numbers with units (`90s`, `1h30m`, `500ms`, `7d`, `2w`).
pub(crate) fn parse_span(text: &str) -> Result<Duration, String> {
    const RULE: &str = "a span is seconds (90) or numbers with units ms, s, m, h, d, w (1h30m)";
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(RULE.into());
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, next) = after.split_at(letters);
        let milliseconds = match unit {
            "ms" => 1.0,
            "s" => 1e3,
            "m" => 60e3,
            "h" => 3600e3,
            "d" => 86_400e3,
            "w" => 604_800e3,
            // A bare number is seconds, where it stands alone.
            "" if number.len() == text.trim().len() => 1e3,
            _ => return Err(RULE.into()),
        };
        let number: f64 = number.parse().map_err(|_| RULE)?;
        let part = Duration::try_from_secs_f64(number * milliseconds / 1e3).map_err(|_| "the span is too long")?;
        total = total.checked_add(part).ok_or("the span is too long")?;
        rest = next;
    }
    Ok(total)
}

/// Reads a span that is more than nothing.
pub(crate) fn parse_ttl(text: &str) -> Result<Duration, String> {
    match parse_span(text)? {
        Duration::ZERO => Err("more than 0".into()),
        span => Ok(span),
    }
}

/// Reads an instant: milliseconds since the Unix epoch, or RFC 3339 (`2030-01-31T12:00:00Z`).
pub(crate) fn parse_instant(text: &str) -> Result<Timestamp, String> {
    let text = text.trim();
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().map_err(|_| "beyond the year 9999".into());
    }
    rfc3339(text).ok_or_else(|| "milliseconds since 1970, or a date and time such as 2030-01-31T12:00:00Z".into())
}

fn rfc3339(text: &str) -> Option<Timestamp> {
    let number = |range: std::ops::Range<usize>| {
        let digits = text.get(range)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<i64>().ok())?
    };
    let is = |at: usize, wanted: &[u8]| text.as_bytes().get(at).is_some_and(|b| wanted.contains(b));
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    if !(is(4, b"-") && is(7, b"-") && is(10, b"Tt ") && is(13, b":") && is(16, b":")) {
        return None;
    }
    let in_range = (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !in_range {
        return None;
    }
    let mut rest = text.get(19..)?;
    let mut milliseconds = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let length = fraction.find(|c: char| !c.is_ascii_digit())?;
        let digits = format!("{:0<3}", fraction.get(..length.min(3))?);
        milliseconds = digits.parse::<i64>().ok().filter(|_| length > 0)?;
        rest = fraction.get(length..)?;
    }
    let offset_minutes = match rest.as_bytes() {
        b"Z" | b"z" => 0,
        [sign @ (b'+' | b'-'), _, _, b':', _, _] => {
            let part = |range: std::ops::Range<usize>| rest.get(range)?.parse::<u32>().ok().map(i64::from);
            let (hours, minutes) = (part(1..3)?, part(4..6)?);
            let offset = hours * 60 + minutes;
            (hours < 24 && minutes < 60).then_some(if *sign == b'-' { -offset } else { offset })?
        }
        _ => return None,
    };
    let minutes = (days_from_epoch(year, month, day) * 24 + hour) * 60 + minute - offset_minutes;
    Timestamp::try_from((minutes * 60 + second) * 1000 + milliseconds).ok()
}

/// An instant in RFC 3339, UTC, to the millisecond where it has any.
pub(crate) fn format_instant(at: Timestamp) -> String {
    let (days, within) = (at / 86_400_000, at % 86_400_000);
    let (year, month, day) = date(days);
    let (hour, minute, second, ms) = (within / 3_600_000, within / 60_000 % 60, within / 1000 % 60, within % 1000);
    let fraction = if ms == 0 { String::new() } else { format!(".{ms:03}") };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// A span as seconds, with as many decimals as it needs.
pub(crate) fn format_seconds(span: Duration) -> String {
    match (span.as_secs(), span.subsec_millis()) {
        (seconds, 0) => seconds.to_string(),
        (seconds, ms) => format!("{seconds}.{ms:03}").trim_end_matches('0').to_owned(),
    }
}

fn leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap(year) => 29,
        2 => 28,
        _ => 31,
    }
}

fn days_from_epoch(year: i64, month: i64, day: i64) -> i64 {
    let before = |year: i64| year * 365 + year / 4 - year / 100 + year / 400;
    let years = before(year - 1) - before(1969);
    let months: i64 = (1..month).map(|month| days_in(year, month)).sum();
    years + months + day - 1
}

/// Year, month and day of a day counted from the epoch.
fn date(days: u64) -> (i64, i64, i64) {
    let mut rest = i64::try_from(days).unwrap_or(i64::MAX / 2);
    // 400 years always have as many days; within them year by year is quick enough.
    let mut year = 1970 + rest / 146_097 * 400;
    rest %= 146_097;
    while rest >= 365 + i64::from(leap(year)) {
        rest -= 365 + i64::from(leap(year));
        year += 1;
    }
    let mut month = 1;
    while rest >= days_in(year, month) {
        rest -= days_in(year, month);
        month += 1;
    }
    (year, month, rest + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        for (text, ms) in [
            ("90", 90_000),
            ("0.5", 500),
            ("90s", 90_000),
            ("1h30m", 5_400_000),
            ("500ms", 500),
            ("7d", 604_800_000),
            ("2w", 1_209_600_000),
            ("1.5h", 5_400_000),
            ("100d", 8_640_000_000),
        ] {
            assert_eq!(parse_span(text).map(|span| span.as_millis()), Ok(ms), "{text}");
        }
        for text in ["", " ", "s", "-1", "1x", "1h30", "1 h", "1..5s", ".", "1e3", "99999999999999999999w", "∞"] {
            assert!(parse_span(text).is_err(), "{text}");
        }
        assert!(parse_ttl("0s").is_err());
    }

    #[test]
    fn instants() {
        for (text, ms) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1893456000000", 1_893_456_000_000),
            ("2030-01-01T00:00:00Z", 1_893_456_000_000),
            ("2030-01-01T01:30:00+01:30", 1_893_456_000_000),
            ("2029-12-31T23:00:00.250-01:00", 1_893_456_000_250),
            ("2024-02-29T12:34:56.7Z", 1_709_210_096_700),
            ("9999-12-31T23:59:59.999Z", dataknobs_kv_core::MAX_TIMESTAMP),
        ] {
            assert_eq!(parse_instant(text), Ok(ms), "{text}");
        }
        for text in [
            "",
            "tomorrow",
            "2030-01-01",
            "2030-01-01T00:00:00",
            "2023-02-29T00:00:00Z",
            "2030-13-01T00:00:00Z",
            "2030-01-01T24:00:00Z",
            "2030-01-01T00:00:00.Z",
            "2030-01-01T00:00:00+1:00",
            "1969-12-31T23:59:59Z",
            "2030-01-01T00:00:00+25:00",
            "-5",
            "2030-01-01T00:00:00é",
        ] {
            assert!(parse_instant(text).is_err(), "{text}");
        }
    }

    #[test]
    fn instants_come_back() {
        let mut at = 0;
        while at <= dataknobs_kv_core::MAX_TIMESTAMP {
            assert_eq!(parse_instant(&format_instant(at)), Ok(at));
            at += 86_400_000 * 97 + 12_345_678;
        }
        assert_eq!(format_instant(1_709_210_096_700), "2024-02-29T12:34:56.700Z");
    }

    #[test]
    fn seconds() {
        assert_eq!(format_seconds(Duration::from_millis(3_600_000)), "3600");
        assert_eq!(format_seconds(Duration::from_millis(1500)), "1.5");
        assert_eq!(format_seconds(Duration::from_millis(1)), "0.001");
    }
}
