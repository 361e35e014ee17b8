//! Columns that identify the rows and say nothing about new ones: row numbers, keys.

/// Whether the values are integers that count 0, 1, 2, … or 1, 2, 3, …, or that are nearly all different in a
/// column with a name such as `id`.
pub(crate) fn is_row_number(name: &str, values: &[f32]) -> bool {
    if !are_whole(values) {
        return false;
    }
    if counts_up(values) {
        return true;
    }
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f32::total_cmp);
    is_index_name(name) && sorted.windows(2).filter(|pair| pair[0] == pair[1]).count() * 100 <= values.len()
}

/// Whether the values are 0, 1, 2, … or 1, 2, 3, …
pub(crate) fn counts_up(values: &[f32]) -> bool {
    let begins = values.first().is_some_and(|first| *first == 0. || *first == 1.);
    begins && values.windows(2).all(|pair| pair[1] - pair[0] == 1.)
}

pub(crate) fn are_whole(values: &[f32]) -> bool {
    values.iter().all(|value| value.is_finite() && value.fract() == 0.)
}

/// Whether the name suggests row numbers or identifiers.
pub(crate) fn is_index_name(name: &str) -> bool {
    let words = name.trim().to_lowercase().replace([' ', '-', '.'], "_");
    matches!(
        words.as_str(),
        "" | "id"
            | "ids"
            | "index"
            | "idx"
            | "row"
            | "rows"
            | "row_id"
            | "row_number"
            | "rownames"
            | "no"
            | "nr"
            | "number"
            | "key"
    ) || words.starts_with("unnamed:_")
        || words.ends_with("_id")
        || words.ends_with("_index")
        || name.ends_with("Id") && name.len() > 2
        || name.ends_with("ID") && name.len() > 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_numbers_are_recognized() {
        let up: Vec<f32> = (0..20u8).map(f32::from).collect();
        let shuffled: Vec<f32> = (0..20u8).map(|row| f32::from(row * 7 % 20) + 100.).collect();
        let often: Vec<f32> = (0..20u8).map(|row| f32::from(row / 4)).collect();
        assert!(is_row_number("x", &up) && is_row_number("", &up));
        for name in ["", "id", "Unnamed: 0", "PassengerId", "row id", "customerID", "Index"] {
            assert!(is_row_number(name, &shuffled), "{name}");
            assert!(!is_row_number(name, &often), "{name}");
        }
        for name in ["width", "age", "grid", "paid", "humid"] {
            assert!(!is_row_number(name, &shuffled), "{name}");
        }
        assert!(!is_row_number("id", &[0.5; 20]) && !is_row_number("id", &[f32::NAN; 20]));
    }
}
