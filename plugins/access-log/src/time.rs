//! Points in time as text, in UTC.

use std::io::Write;

/// A compiled time format.
#[derive(Debug, PartialEq)]
pub(crate) struct TimeFormat {
    parts: Vec<Part>,
}

#[derive(Debug, PartialEq)]
enum Part {
    Text(char),
    Field(char),
    /// The first digits of the fraction of a second.
    Fraction(u32),
}

/// What can follow a `%`, besides `%f`, `%3f` and the like.
const FIELDS: &str = "YmdHMSjyebBaAIpsTFDRzZ";

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

impl TimeFormat {
    /// Compiles a `strftime` format; without one, ISO 8601 with milliseconds.
    pub(crate) fn parse(format: Option<&str>) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut chars = format.unwrap_or("%Y-%m-%dT%H:%M:%S.%3fZ").chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                parts.push(Part::Text(c));
                continue;
            }
            parts.push(match chars.next() {
                Some('%') => Part::Text('%'),
                Some('f') => Part::Fraction(9),
                Some(digit @ '1'..='9') if chars.next() == Some('f') => {
                    Part::Fraction(digit.to_digit(10).unwrap_or(9))
                }
                Some(field) if FIELDS.contains(field) => Part::Field(field),
                other => {
                    let field = other.map_or_else(String::new, |c| c.to_string());
                    return Err(format!("%START_TIME%: the time format knows no %{field}"));
                }
            });
        }
        Ok(Self { parts })
    }

    /// Appends a point in time, given in nanoseconds since the Unix epoch.
    pub(crate) fn write(&self, nanoseconds: u64, out: &mut Vec<u8>) {
        let moment = Moment::new(nanoseconds);
        for part in &self.parts {
            match part {
                Part::Text(c) => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                Part::Field(field) => moment.field(*field, out),
                Part::Fraction(digits) => {
                    let value = moment.fraction / 10_u64.pow(9 - digits);
                    put(out, format_args!("{value:0width$}", width = *digits as usize));
                }
            }
        }
    }
}

/// A point in time by its parts.
struct Moment {
    seconds: u64,
    fraction: u64,
    year: u64,
    month: u64,
    day: u64,
    weekday: u64,
    day_of_year: u64,
}

impl Moment {
    fn new(nanoseconds: u64) -> Self {
        let seconds = nanoseconds / 1_000_000_000;
        let days = seconds / 86_400;
        // The proleptic Gregorian calendar, in years that begin in March: the leap day comes last.
        let since_march_0000 = days + 719_468;
        let (era, day_of_era) = (since_march_0000 / 146_097, since_march_0000 % 146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_march_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let march_month = (5 * day_of_march_year + 2) / 153;
        let day = day_of_march_year - (153 * march_month + 2) / 5 + 1;
        let month = if march_month < 10 {
            march_month + 3
        } else {
            march_month - 9
        };
        let year = era * 400 + year_of_era + u64::from(month <= 2);
        let leap = u64::from(year % 4 == 0 && (year % 100 != 0 || year % 400 == 0));
        let day_of_year = if month > 2 {
            day_of_march_year + 60 + leap
        } else {
            day_of_march_year - 305
        };
        let (fraction, weekday) = (nanoseconds % 1_000_000_000, (days + 4) % 7);
        Self {
            seconds,
            fraction,
            year,
            month,
            day,
            weekday,
            day_of_year,
        }
    }

    fn field(&self, field: char, out: &mut Vec<u8>) {
        let (hour, minute, second) = (
            self.seconds / 3_600 % 24,
            self.seconds / 60 % 60,
            self.seconds % 60,
        );
        let month = name(&MONTHS, self.month.saturating_sub(1));
        let weekday = name(&DAYS, self.weekday);
        let half_day = (hour + 11) % 12 + 1;
        match field {
            'Y' => put(out, format_args!("{:04}", self.year)),
            'y' => put(out, format_args!("{:02}", self.year % 100)),
            'm' => put(out, format_args!("{:02}", self.month)),
            'd' => put(out, format_args!("{:02}", self.day)),
            'e' => put(out, format_args!("{:2}", self.day)),
            'j' => put(out, format_args!("{:03}", self.day_of_year)),
            'H' => put(out, format_args!("{hour:02}")),
            'I' => put(out, format_args!("{half_day:02}")),
            'p' => put(out, format_args!("{}", if hour < 12 { "AM" } else { "PM" })),
            'M' => put(out, format_args!("{minute:02}")),
            'S' => put(out, format_args!("{second:02}")),
            's' => put(out, format_args!("{}", self.seconds)),
            'b' => put(out, format_args!("{month:.3}")),
            'B' => put(out, format_args!("{month}")),
            'a' => put(out, format_args!("{weekday:.3}")),
            'A' => put(out, format_args!("{weekday}")),
            'T' => put(out, format_args!("{hour:02}:{minute:02}:{second:02}")),
            'R' => put(out, format_args!("{hour:02}:{minute:02}")),
            'F' => put(
                out,
                format_args!("{:04}-{:02}-{:02}", self.year, self.month, self.day),
            ),
            'D' => put(
                out,
                format_args!("{:02}/{:02}/{:02}", self.month, self.day, self.year % 100),
            ),
            'z' => put(out, format_args!("+0000")),
            'Z' => put(out, format_args!("UTC")),
            // Parsing lets no other field through.
            _ => {}
        }
    }
}

fn name(names: &[&'static str], at: u64) -> &'static str {
    usize::try_from(at)
        .ok()
        .and_then(|at| names.get(at))
        .copied()
        .unwrap_or_default()
}

fn put(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing into memory cannot fail.
    let _ = out.write_fmt(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_in_utc() {
        let check = |format: Option<&str>, seconds: u64, expect: &str| {
            let mut out = Vec::new();
            TimeFormat::parse(format)
                .unwrap()
                .write(seconds * 1_000_000_000 + 7_089_000, &mut out);
            assert_eq!(String::from_utf8(out).unwrap(), expect, "{format:?}");
        };
        check(None, 0, "1970-01-01T00:00:00.007Z");
        check(None, 951_782_399, "2000-02-28T23:59:59.007Z");
        check(None, 951_868_799, "2000-02-29T23:59:59.007Z");
        check(None, 1_795_262_400, "2026-11-21T12:00:00.007Z");
        check(Some("%F %T %s"), 1_795_262_400, "2026-11-21 12:00:00 1795262400");
        check(
            Some("%d/%b/%Y:%H:%M:%S %z"),
            1_709_210_096,
            "29/Feb/2024:12:34:56 +0000",
        );
        check(
            Some("%a %A %B %j %e %I%p %y %%"),
            1_709_210_096,
            "Thu Thursday February 060 29 12PM 24 %",
        );
        check(
            Some("%j %D %R %6f %f"),
            1_735_603_200,
            "366 12/31/24 00:00 007089 007089000",
        );
        check(Some("%j"), 1_740_787_200, "060");
    }
}
