//! Several label columns of a table, with 0 or 1 for each label of a row.

use crate::column::LabelColumn;
use crate::error::quoted;

/// Between the names of the labels of a row.
pub const SEPARATOR: char = '|';

/// The names of the labels of a row as one text, separated by [`SEPARATOR`]. `cell` returns the text of a cell.
///
/// # Errors
/// The first label column whose cell is neither 0 nor 1, with the problem.
pub fn joined<'a>(
    columns: &'a [LabelColumn],
    cell: impl Fn(usize) -> Option<&'a [u8]>,
) -> Result<String, (usize, String)> {
    let mut names = Vec::new();
    for LabelColumn { name, position } in columns {
        let cell = cell(*position).unwrap_or_default();
        match is_set(cell) {
            Some(true) => names.push(name.as_str()),
            Some(false) => {}
            None => {
                let shown = quoted(&String::from_utf8_lossy(cell));
                return Err((*position, format!("{shown} is neither 0 nor 1, so it does not set a label")));
            }
        }
    }
    Ok(names.join(&SEPARATOR.to_string()))
}

/// Whether a cell sets its label: 1, true, yes or x; or 0, false, no or nothing. `None` for other texts.
fn is_set(cell: &[u8]) -> Option<bool> {
    let text = std::str::from_utf8(cell).ok()?.trim().to_lowercase();
    match text.as_str() {
        "true" | "yes" | "x" => Some(true),
        "" | "false" | "no" => Some(false),
        _ => match text.parse::<f64>().ok()? {
            1. => Some(true),
            0. => Some(false),
            _ => None,
        },
    }
}

/// Rejects names that cannot be joined.
///
/// # Errors
/// The problem.
pub fn check(columns: &[LabelColumn]) -> Result<(), String> {
    match columns.iter().find(|column| column.name.contains(SEPARATOR) || column.name.trim().is_empty()) {
        None => Ok(()),
        Some(column) => Err(format!(
            "{} cannot be the name of a label column; rename it to one without `{SEPARATOR}`",
            quoted(&column.name)
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cells: &[&'static str]) -> Result<String, (usize, String)> {
        let columns: Vec<_> = ["a", "b", "c"]
            .iter()
            .enumerate()
            .map(|(position, name)| LabelColumn { name: name.to_string(), position })
            .collect();
        let cells: Vec<&'static [u8]> = cells.iter().map(|cell| cell.as_bytes()).collect();
        let columns: &'static [LabelColumn] = columns.leak();
        joined(columns, |position| cells.get(position).copied())
    }

    #[test]
    fn cells_of_zero_and_one_in_any_notation_set_labels() {
        assert_eq!(of(&["1", "0", "1.0"]).unwrap(), "a|c");
        assert_eq!(of(&["True", "", "yes"]).unwrap(), "a|c");
        assert_eq!(of(&["0", "no", "false"]).unwrap(), "");
    }

    #[test]
    fn another_number_or_text_names_its_column() {
        assert_eq!(of(&["0", "2", "1"]).unwrap_err().0, 1);
        assert!(of(&["maybe", "0", "1"]).unwrap_err().1.contains("`maybe` is neither 0 nor 1"));
    }

    #[test]
    fn a_name_with_the_separator_is_refused() {
        let column = |name: &str| LabelColumn { name: name.to_string(), position: 0 };
        assert!(check(&[column("a|b")]).is_err() && check(&[column(" ")]).is_err());
        assert!(check(&[column("a b, c")]).is_ok());
    }
}
