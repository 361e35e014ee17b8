//! The features of dates: the days since 1970-01-01 in UTC, and the month, the day of the week and the hour as points on a
//! circle, so that December is next to January.

use std::f64::consts::TAU;

/// The suffixes of the names of a date's features, with or without the time of day.
pub fn suffixes(time: bool) -> &'static [&'static str] {
    const ALL: [&str; 7] =
        ["", ".month-sin", ".month-cos", ".weekday-sin", ".weekday-cos", ".hour-sin", ".hour-cos"];
    if time { &ALL } else { &ALL[..5] }
}

/// The features of a date, given in days since 1970-01-01; one for each of [`suffixes`].
pub fn features(days: f64, time: bool) -> Vec<f32> {
    let day = days.floor();
    let month = month(day as i64) as f64 - 1.;
    // 1970-01-01 was a Thursday; the week begins on Monday.
    let weekday = (day + 3.).rem_euclid(7.);
    let cyclic = |share: f64| [(TAU * share).sin() as f32, (TAU * share).cos() as f32];
    let mut features = vec![days as f32];
    features.extend(cyclic(month / 12.));
    features.extend(cyclic(weekday / 7.));
    if time {
        features.extend(cyclic(days - day));
    }
    features
}

/// The month, from 1, of a day since 1970-01-01.
pub fn month(day: i64) -> i64 {
    civil(day).1
}

/// Year, month and day of a day since 1970-01-01 in the proleptic Gregorian calendar.
///
/// Years are counted from March, so that a leap day is the last one of its year. Algorithm:
/// <https://howardhinnant.github.io/date_algorithms.html#civil_from_days>.
pub fn civil(day: i64) -> (i64, i64, i64) {
    const DAYS_TO_MARCH_OF_YEAR_0: i64 = 719_468;
    const DAYS_OF_400_YEARS: i64 = 146_097;
    let days = day + DAYS_TO_MARCH_OF_YEAR_0;
    let (era, day_of_era) = (days.div_euclid(DAYS_OF_400_YEARS), days.rem_euclid(DAYS_OF_400_YEARS));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / (DAYS_OF_400_YEARS - 1)) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (400 * era + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notation::{DateOrder, days};

    fn of(text: &str) -> Vec<f32> {
        features(days(text, DateOrder::YearFirst).unwrap(), text.contains(':'))
    }

    #[test]
    fn months_are_those_of_the_calendar_before_and_after_1970() {
        for year in [1600, 1899, 1900, 1969, 1970, 2000, 2023, 2024, 2100] {
            for month in 1..=12 {
                for day in ["01", "28"] {
                    let text = format!("{year}-{month:02}-{day}");
                    let days = days(&text, DateOrder::YearFirst).unwrap();
                    assert_eq!(civil(days as i64), (year, month, day.parse().unwrap()), "{text}");
                }
            }
        }
        assert_eq!(month(days("2024-02-29", DateOrder::YearFirst).unwrap() as i64), 2);
    }

    #[test]
    fn parts_repeat_after_their_period() {
        let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
        assert!(close(&of("2024-03-04")[1..3], &of("1961-03-30")[1..3]), "the same month");
        assert!(close(&of("2024-03-04")[3..5], &of("1969-12-29")[3..5]), "both are Mondays");
        assert!(close(&of("1969-12-29")[3..5], &[0., 1.]));
        let times = ["2024-03-04 06:00", "1960-01-01T08:00+02:00"].map(of);
        assert!(times.iter().all(|time| close(&time[5..], &[1., 0.])), "{times:?}");
        assert_eq!((of("1970-01-02")[0], of("1969-12-31")[0]), (1., -1.));
        assert_eq!((of("2024-03-04").len(), times[0].len()), (suffixes(false).len(), suffixes(true).len()));
    }
}
