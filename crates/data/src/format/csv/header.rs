//! Header detection. Names are usually text above numbers; they may also be numbers (years, wavelengths),
//! which is inferred from other differences to the rows below.

use super::layout::number;
use super::notation::is_formatted;
use crate::cell::is_missing;

type Cells = Vec<Vec<u8>>;

/// The role of the first row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FirstRow {
    /// An example.
    Example,
    /// An example, despite signs of a header.
    UnusualExample,
    /// A header.
    Names,
    /// A header with numeric names.
    Numbers,
}

impl FirstRow {
    /// Infers the role of the first row. `label` is the label column, if known.
    pub fn of(rows: &[Cells], label: Option<usize>) -> Self {
        let (first, rest) = rows.split_first().expect("there is a row");
        let inputs = || (0..first.len()).filter(|column| Some(*column) != label);
        if inputs().all(|column| first[column].is_empty()) {
            return FirstRow::Example;
        }
        // A cell in the same notation as the cells below it is a value.
        let is_value = |column: usize| {
            let is_written = || is_formatted(&first[column]) && body(rest, column).any(is_formatted);
            number(&first[column]).is_some() || is_written()
        };
        if inputs().any(is_value) {
            return with_numbers(first, rest, label);
        }
        if rest.is_empty() {
            return FirstRow::Names;
        }
        let has_numbers =
            |column: usize| body(rest, column).any(|cell| number(cell).is_some() || is_formatted(cell));
        let is_header = inputs().any(has_numbers) || !inputs().any(|column| recurs(first, rest, column));
        if is_header { FirstRow::Names } else { FirstRow::Example }
    }
}

fn body(rest: &[Cells], column: usize) -> impl Iterator<Item = &[u8]> {
    rest.iter().filter_map(move |row| row.get(column)).map(Vec::as_slice).filter(|cell| !is_missing(cell))
}

fn recurs(first: &Cells, rest: &[Cells], column: usize) -> bool {
    body(rest, column).any(|cell| cell == first[column])
}

/// The score required for a header.
const MIN_SCORE: i32 = 3;

/// The minimum number of rows to compare the first one with.
const MIN_ROWS: usize = 4;

/// Whether a first row with numbers is a header: its numbers are distinct and integers or equally spaced, its
/// texts do not recur below, and there are enough other signs.
fn with_numbers(first: &Cells, rest: &[Cells], label: Option<usize>) -> FirstRow {
    let is_input = |column: &usize| Some(*column) != label;
    let columns: Vec<usize> = (0..first.len()).filter(is_input).collect();
    let numbers: Vec<usize> =
        columns.iter().copied().filter(|column| number(&first[*column]).is_some()).collect();
    let texts =
        || columns.iter().copied().filter(|column| !numbers.contains(column) && !is_missing(&first[*column]));
    let all_numbers = values(first);
    let mut sorted: Vec<f64> = numbers.iter().filter_map(|column| value(&first[*column])).collect();
    sorted.sort_by(f64::total_cmp);
    let are_different = sorted.windows(2).all(|pair| pair[0] < pair[1]);
    let are_whole = numbers.iter().all(|column| first[*column].iter().all(u8::is_ascii_digit));
    if rest.len() < MIN_ROWS
        || numbers.is_empty()
        || !are_different
        || texts().any(|column| recurs(first, rest, column))
    {
        return FirstRow::Example;
    }
    let spaced = spaced(&all_numbers);
    let sampled = rest.len().min(50);
    let spaced_below = rest.iter().take(sampled).filter(|row| self::spaced(&values(row)) > 0).count();
    if !are_whole && spaced == 0 || 5 * spaced_below > sampled {
        return FirstRow::Example;
    }
    let above_numbers =
        texts().filter(|column| is_mostly(rest, *column, |cell| number(cell).is_some())).count();
    let has_fraction = |cell: &[u8]| cell.contains(&b'.');
    let above_fractions = numbers.iter().filter(|column| is_mostly(rest, **column, has_fraction)).count();
    let is_outside = |column: &&usize| {
        let own = value(&first[**column]);
        let mut below = body(rest, **column).filter_map(value);
        below.all(|other| own.is_some_and(|own| own < other))
            || body(rest, **column).filter_map(value).all(|other| own.is_some_and(|own| own > other))
    };
    let all_outside = are_whole && numbers.iter().filter(is_outside).count() == numbers.len();
    let of_label = label.map_or(0, |label| label_signs(first, rest, label));
    let score = of_label
        + spaced
        + above_numbers.min(2) as i32
        + i32::from(are_whole && 3 * above_fractions >= 2 * numbers.len())
        + if all_outside { 1 + i32::from(numbers.len() > 2) } else { 0 };
    match score {
        MIN_SCORE.. => FirstRow::Numbers,
        _ if of_label >= 2 => FirstRow::UnusualExample,
        _ => FirstRow::Example,
    }
}

/// The score for the difference between the first row's label and the labels below.
fn label_signs(first: &Cells, rest: &[Cells], label: usize) -> i32 {
    let Some(own) = first.get(label).filter(|cell| !is_missing(cell)) else { return 0 };
    let is_number = number(own).is_some();
    if is_mostly(rest, label, |cell| number(cell).is_some() != is_number) {
        return 2;
    }
    if recurs(first, rest, label) {
        // A number may occur by chance both as a column name and as a class.
        return if is_number { -1 } else { -MIN_SCORE };
    }
    let mut labels: Vec<&[u8]> = body(rest, label).collect();
    labels.sort_unstable();
    let all_recur = labels.chunk_by(|a, b| a == b).all(|same| same.len() > 1);
    match (all_recur, is_number) {
        (true, false) => 2,
        (true, true) => 1,
        (false, _) => 0,
    }
}

fn is_mostly(rest: &[Cells], column: usize, predicate: impl Fn(&[u8]) -> bool) -> bool {
    let cells = body(rest, column).count();
    cells > 1 && 10 * body(rest, column).filter(|cell| predicate(cell)).count() >= 9 * cells
}

fn value(cell: &[u8]) -> Option<f64> {
    fast_float2::parse::<f64, _>(cell).ok().filter(|value| value.is_finite())
}

/// The numbers in a row.
fn values(row: &Cells) -> Vec<f64> {
    row.iter().filter_map(|cell| value(cell)).collect()
}

/// The score for equally spaced numbers: 0 if they are not.
fn spaced(values: &[f64]) -> i32 {
    let steps: Vec<f64> = values.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let Some(step) = steps.first().copied().filter(|step| *step != 0.) else { return 0 };
    // Wavelengths such as 400.1, 400.2, … are not exact in binary.
    if steps.iter().any(|other| (other - step).abs() > 1e-6 * step.abs()) {
        return 0;
    }
    match values.len() {
        2 => i32::from(step == 1.),
        3 => 1,
        4..8 => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first_row(text: &str) -> FirstRow {
        let row = |line: &str| line.split(',').map(|cell| cell.as_bytes().to_vec()).collect::<Vec<_>>();
        let rows: Vec<_> = text.lines().map(row).collect();
        FirstRow::of(&rows, Some(rows[0].len() - 1))
    }

    /// Iris rows with this first row.
    fn flowers(first: &str) -> FirstRow {
        let rows = [
            "6.1,2.8,4.0,1.3,versicolor",
            "6.7,2.5,5.8,1.8,virginica",
            "5.1,3.5,1.4,0.2,setosa",
            "4.9,3.0,1.4,0.2,setosa",
            "6.5,2.8,4.6,1.5,versicolor",
            "7.7,2.6,6.9,2.3,virginica",
        ];
        first_row(&format!("{first}\n{}", rows.join("\n")))
    }

    /// Rows of integers with the labels 0 and 1 and this first row.
    fn counts(first: &str) -> FirstRow {
        let rows = ["3,17,5,1", "12,4,9,0", "7,7,2,1", "1,30,6,0", "22,3,8,1", "9,9,1,0"];
        first_row(&format!("{first}\n{}", rows.join("\n")))
    }

    #[test]
    fn names_that_are_numbers_make_a_header() {
        for first in [
            "0,1,2,3,target",
            "1,2,3,4,species",
            "0,1,2,3,4",
            "1990,1991,1992,1993,label",
            "400.5,401,401.5,402,kind",
        ] {
            assert_eq!(flowers(first), FirstRow::Numbers, "{first}");
        }
        for first in ["0,1,2,target", "2019,2020,2021,label", "id,2019,2020,label", ",0,1,label"] {
            assert_eq!(counts(first), FirstRow::Numbers, "{first}");
        }
    }

    #[test]
    fn dates_and_texts_above_numbers_are_names() {
        for first in ["a,b,c,label", "2020-01-01,2020-02-01,2020-03-01,label", "10%,50%,90%,label", "a,b,c,1"]
        {
            assert_eq!(counts(first), FirstRow::Names, "{first}");
        }
        assert_eq!(first_row("kind,share,y\na,10%,u\nb,20%,v\na,30%,u\n"), FirstRow::Names);
    }

    #[test]
    fn examples_are_not_a_header() {
        for first in ["5.9,3.0,5.1,1.8,virginica", "6,3,5,2,setosa", "6.0,3.0,4.8,1.8,rare", "5,3,1,0,setosa"]
        {
            assert_eq!(flowers(first), FirstRow::Example, "{first}");
        }
        for first in ["3,4,5,1", "8,2,2,0", "oops,4,9,0", "1,2,3,0", "9,4,oops,1"] {
            assert_eq!(counts(first), FirstRow::Example, "{first}");
        }
        // A class with one example, and no other sign.
        assert_eq!(
            first_row("5,3,8,rare\n4,2,9,a\n7,1,6,b\n2,8,7,a\n5,5,5,b\n9,2,4,a\n3,3,8,b"),
            FirstRow::UnusualExample
        );
        // All rows are equally spaced.
        assert_eq!(first_row("1,2,3,a\n4,5,6,b\n7,8,9,b\n10,11,12,c\n13,14,15,c"), FirstRow::Example);
        assert_eq!(first_row("9%,1.5,a\n8%,2.5,b\n7%,3.5,a"), FirstRow::Example);
    }
}
