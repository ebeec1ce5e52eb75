//! Points in time as text: TS 29.571 DateTime, RFC 3339.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tern_types::Instant;

const MICROS: u64 = 1_000_000;
const SECONDS_A_DAY: u64 = 86_400;

/// TS29571_CommonData DateTime, in UTC with microseconds; read with any offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DateTime(pub Instant);

impl From<Instant> for DateTime {
    fn from(instant: Instant) -> Self {
        Self(instant)
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        let seconds = micros / MICROS;
        let (year, month, day) = civil_from_days(seconds / SECONDS_A_DAY);
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        if year > 9999 {
            write!(f, "{}", year / 10_000)?;
        }
        for (number, end) in [
            (year, 4),
            (month, 7),
            (day, 10),
            (seconds / 3600 % 24, 13),
            (seconds / 60 % 60, 16),
            (seconds % 60, 19),
            (micros % MICROS, 26),
        ] {
            put_digits(number, &mut text[..end]);
        }
        f.write_str(std::str::from_utf8(&text).expect("invariant: digits"))
    }
}

/// Writes a number's last digits over the zeros that `text` ends with.
fn put_digits(mut number: u64, text: &mut [u8]) {
    for digit in text.iter_mut().rev().take_while(|digit| **digit == b'0') {
        *digit += (number % 10) as u8;
        number /= 10;
    }
}

impl FromStr for DateTime {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).ok_or("expected a date and time, such as 2026-01-31T12:00:00Z")
    }
}

impl Serialize for DateTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for DateTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        tern_types::deserialize_text(deserializer, str::parse)
    }
}

fn parse(text: &str) -> Option<DateTime> {
    let (year, month, day) = (digits(text, 0, 4, "-")?, digits(text, 5, 2, "-")?, digits(text, 8, 2, "Tt ")?);
    let (hour, minute) = (digits(text, 11, 2, ":")?, digits(text, 14, 2, ":")?);
    let second = digits(text, 17, 2, ".Zz+-")?;
    let in_range = (1970..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=31).contains(&day)
        && hour < 24
        && minute < 60
        && second <= 60;
    let mut rest = text.get(19..)?;
    let mut micros = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let len = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let six = format!("{:0<6}", &fraction[..len.min(6)]);
        micros = if len == 0 { return None } else { six.parse::<u64>().ok()? };
        rest = &fraction[len..];
    }
    let days = days_from_civil(year, month, day);
    let local = i64::try_from(days * SECONDS_A_DAY + hour * 3600 + minute * 60 + second).ok()?;
    let utc = u64::try_from(local - offset(rest)?).ok()?;
    in_range.then(|| DateTime(Instant::from_micros(utc * MICROS + micros)))
}

/// `len` digits at `at`, followed by one of `ends`.
fn digits(text: &str, at: usize, len: usize, ends: &str) -> Option<u64> {
    let field = text.get(at..at + len)?;
    let end = char::from(*text.as_bytes().get(at + len)?);
    (ends.contains(end) && field.bytes().all(|b| b.is_ascii_digit())).then(|| field.parse().ok())?
}

/// Seconds east of UTC.
fn offset(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = text.get(1..)?.split_once(':')?;
    let two = |t: &str| t.len() == 2 && t.bytes().all(|b| b.is_ascii_digit());
    if !two(hours) || !two(minutes) {
        return None;
    }
    Some(sign * (hours.parse::<i64>().ok()? * 3600 + minutes.parse::<i64>().ok()? * 60))
}

/// Days before a year of the Gregorian calendar that begins in March.
fn days_before(year: u64) -> u64 {
    year * 365 + year / 4 - year / 100 + year / 400
}

/// Days from 1 March of year 0 to 1 January 1970.
const EPOCH: u64 = 719_468;

fn days_from_civil(year: u64, month: u64, day: u64) -> u64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    (days_before(year) + (153 * month + 2) / 5 + day).saturating_sub(1 + EPOCH)
}

fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let days = days + EPOCH;
    let mut year = days / 365;
    while days_before(year) > days {
        year -= 1;
    }
    let day_of_year = days - days_before(year);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    if month < 10 { (year, month + 3, day) } else { (year + 1, month - 9, day) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_and_read() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00.000000Z"),
            (951_782_400, "2000-02-29T00:00:00.000000Z"),
            (1_767_225_599, "2025-12-31T23:59:59.000000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000000Z"),
        ] {
            let time = DateTime(Instant::from_micros(seconds * MICROS));
            assert_eq!(time.to_string(), text);
            assert_eq!(text.parse(), Ok(time));
        }
        let time: DateTime = "2025-12-31T23:59:59.5+01:00".parse().unwrap();
        assert_eq!(time.to_string(), "2025-12-31T22:59:59.500000Z");
        for wrong in
            ["", "2025-12-31", "2025-13-01T00:00:00Z", "2025-12-31T23:59:59", "1970-01-01T00:00:00+01:00"]
        {
            assert!(wrong.parse::<DateTime>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn far_times_do_not_panic() {
        assert!(DateTime(Instant::from_micros(u64::MAX)).to_string().starts_with("586"));
    }
}
