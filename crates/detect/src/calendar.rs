//! Parts of a point in time, for Sigma's `minute`, `hour`, `day`, `week`, `month` and `year`.
//!
//! A time value is read in UTC. A text is read as ISO 8601 writes it, its parts as they stand: no
//! time zone is converted (Sigma 2.1, modifiers appendix, "Time Modifiers"). Weeks are those of
//! ISO 8601, so a year may have a week 53. Anything else has no parts.

use metsuke_event::{Timestamp, ValueRef};

const NANOS_PER_MINUTE: i64 = 60_000_000_000;
const MINUTES_PER_DAY: i64 = 1_440;

/// Which part of a time is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimePart {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

/// A day, with hour and minute when they are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Moment {
    year: i64,
    month: i64,
    day: i64,
    clock: Option<(i64, i64)>,
}

impl TimePart {
    /// The part of that name in Sigma.
    pub(crate) fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "minute" => Self::Minute,
            "hour" => Self::Hour,
            "day" => Self::Day,
            "week" => Self::Week,
            "month" => Self::Month,
            "year" => Self::Year,
            _ => return None,
        })
    }

    /// The smallest and the largest number it can be.
    pub(crate) fn range(self) -> (i64, i64) {
        match self {
            Self::Minute => (0, 59),
            Self::Hour => (0, 23),
            Self::Day => (1, 31),
            Self::Week => (1, 53),
            Self::Month => (1, 12),
            Self::Year => (0, 9_999),
        }
    }

    /// That part of `value`, when it is a time that has it.
    pub(crate) fn of(self, value: ValueRef<'_>) -> Option<f64> {
        let moment = match value {
            ValueRef::Time(time) => Moment::of_time(time),
            ValueRef::Text(text) => Moment::of_text(text)?,
            _ => return None,
        };
        let part = match self {
            Self::Minute => moment.clock?.1,
            Self::Hour => moment.clock?.0,
            Self::Day => moment.day,
            Self::Week => moment.week(),
            Self::Month => moment.month,
            Self::Year => moment.year,
        };
        i32::try_from(part).ok().map(f64::from)
    }
}

impl Moment {
    fn of_time(time: Timestamp) -> Self {
        let minutes = time.as_nanos().div_euclid(NANOS_PER_MINUTE);
        let (year, month, day) = civil(minutes.div_euclid(MINUTES_PER_DAY));
        let minute = minutes.rem_euclid(MINUTES_PER_DAY);
        Self { year, month, day, clock: Some((minute / 60, minute % 60)) }
    }

    /// `YYYY-MM-DD`, then perhaps `T` or a space and `HH:MM` and whatever follows.
    fn of_text(text: &str) -> Option<Self> {
        let text = text.trim();
        let (date, rest) = text.split_at_checked(10)?;
        let number = |text: &str| {
            text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<i64>().ok())?
        };
        let dashes = date.get(4..5)? == "-" && date.get(7..8)? == "-";
        let year = number(date.get(..4)?)?;
        let month = number(date.get(5..7)?)?;
        let day = number(date.get(8..10)?)?;
        if !dashes || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
            return None;
        }
        let clock = || {
            let rest = rest.strip_prefix(['T', 't', ' '])?;
            let (hour, minute) = (number(rest.get(..2)?)?, number(rest.get(3..5)?)?);
            let real = rest.get(2..3)? == ":" && hour < 24 && minute < 60;
            real.then_some((hour, minute))
        };
        Some(Self { year, month, day, clock: clock() })
    }

    /// The week of ISO 8601: the one that holds the year's first Thursday is the first.
    fn week(&self) -> i64 {
        let days = days(self.year, self.month, self.day);
        // 1970-01-01 was a Thursday; Monday is 0.
        let weekday = (days + 3).rem_euclid(7);
        // The week is that of its Thursday, in the Thursday's year.
        let thursday = days - weekday + 3;
        let (year, _, _) = civil(thursday);
        (thursday - self::days(year, 1, 1)) / 7 + 1
    }
}

/// Days since 1970-01-01 of a day of the proleptic Gregorian calendar (years begin in March, so
/// that the leap day is the last of its year).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// Year, month and day of so many days since 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use metsuke_event::{Timestamp, ValueRef};

    use super::TimePart;

    fn parts(value: ValueRef<'_>) -> Vec<Option<f64>> {
        let all = ["minute", "hour", "day", "week", "month", "year"];
        all.iter().map(|name| TimePart::by_name(name).expect("known").of(value)).collect()
    }

    #[test]
    fn parts_of_times_and_texts() {
        let table = [
            ("1970-01-01T00:00:00Z", [0, 0, 1, 1, 1, 1970]),
            ("2024-02-29T23:59:59Z", [59, 23, 29, 9, 2, 2024]),
            ("2026-11-22T14:05:06Z", [5, 14, 22, 47, 11, 2026]),
            // The last days of a year may be of the next year's first week, and the other way.
            ("2024-12-30T01:02:03Z", [2, 1, 30, 1, 12, 2024]),
            ("2021-01-03T01:02:03Z", [2, 1, 3, 53, 1, 2021]),
            ("1969-12-31T23:58:00Z", [58, 23, 31, 1, 12, 1969]),
        ];
        for (text, expected) in table {
            let expected: Vec<_> = expected.into_iter().map(|part| Some(f64::from(part))).collect();
            assert_eq!(parts(ValueRef::Text(text)), expected, "{text}");
            let time: Timestamp = text.parse().expect("a time");
            assert_eq!(parts(ValueRef::Time(time)), expected, "{text} as a time");
        }
    }

    #[test]
    fn what_is_written_is_taken_and_nothing_else_is() {
        let hour = |text| TimePart::Hour.of(ValueRef::Text(text));
        assert_eq!(hour("2026-11-22T14:05:06+09:00"), Some(14.0), "no zone is converted");
        assert_eq!(hour("2026-11-22 14:05:06.123"), Some(14.0));
        assert_eq!(hour("2026-11-22"), None, "a day has no hour");
        assert_eq!(TimePart::Day.of(ValueRef::Text("2026-11-22")), Some(22.0));
        for text in
            ["", "14", "2026-13-22T14:05", "2026-11-22T25:00", "11/22/2026 14:05", "é026-1-1"]
        {
            assert_eq!(hour(text), None, "{text}");
        }
        assert_eq!(TimePart::Year.of(ValueRef::U64(2026)), None);
    }
}
