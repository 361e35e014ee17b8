//! Rows in JSON.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use cresset::data::column::folded;
use cresset::data::format::csv::InputRow;
use cresset::error::{nearest, quoted};
use cresset::predict::{Cell, InputSpec};

/// A row of raw values: in column order, or by column name.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Row {
    Cells(Vec<Cell>),
    Named(Vec<(String, Cell)>),
}

impl Row {
    /// Converts the row to raw values.
    pub fn values(&self, spec: &Arc<InputSpec>) -> std::result::Result<InputRow, String> {
        spec.row(&self.cells(spec)?)
    }

    /// The cells in column order.
    pub fn cells(&self, spec: &InputSpec) -> std::result::Result<Cow<'_, [Cell]>, String> {
        Ok(match self {
            Row::Cells(cells) => Cow::Borrowed(cells),
            Row::Named(named) => Cow::Owned(in_order(named, &spec.names(), spec.label())?),
        })
    }
}

/// Arranges named cells in column order, with the name matching of table headers. Unknown names are ignored, and a missing cell is a
/// missing value, unless an unknown name may be a misspelling of its column.
fn in_order(
    named: &[(String, Cell)],
    columns: &[Cow<str>],
    label: Option<&str>,
) -> std::result::Result<Vec<Cell>, String> {
    let exact: HashMap<&str, &Cell> = named.iter().map(|(name, cell)| (name.as_str(), cell)).collect();
    let columns_exactly: HashSet<&str> = columns.iter().map(|name| &**name).collect();
    let mut others: BTreeMap<String, Vec<(&str, &Cell)>> = BTreeMap::new();
    for (name, cell) in exact.iter().filter(|(name, _)| !columns_exactly.contains(*name)) {
        others.entry(folded(name)).or_default().push((name, cell));
    }
    let (mut cells, mut absent) = (Vec::with_capacity(columns.len()), Vec::new());
    for column in columns {
        let name = || quoted(column);
        match (exact.get(&**column), others.remove(&folded(column)).as_deref()) {
            (Some(cell), others_of_name) => {
                // For columns that differ only by case, try the exact name.
                let others_of_name = others_of_name.map(<[_]>::to_vec);
                others.extend(others_of_name.map(|others| (folded(column), others)));
                cells.push((*cell).clone());
            }
            (None, Some([(_, cell)])) => cells.push((*cell).clone()),
            (None, Some(several)) => {
                let names: Vec<_> = several.iter().map(|(name, _)| quoted(name)).collect();
                return Err(format!("the row has {} for column {}", names.join(" and "), name()));
            }
            (None, None) => {
                absent.push(&**column);
                cells.push(Cell::Missing);
            }
        }
    }
    label.map(|label| others.remove(&folded(label)));
    let unknown: Vec<&str> = others.values().flatten().map(|(name, _)| *name).collect();
    match (absent.first(), unknown.first()) {
        (Some(absent), Some(first)) => {
            let near = nearest(absent, unknown.iter().copied()).unwrap_or(first);
            Err(format!("the row has no column {}, but the unknown column {}", quoted(absent), quoted(near)))
        }
        _ => Ok(cells),
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        struct OfRow;
        impl<'de> Visitor<'de> for OfRow {
            type Value = Row;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a row: a list of values, or an object with one value per column")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut row: A) -> std::result::Result<Row, A::Error> {
                let mut cells = Vec::with_capacity(row.size_hint().unwrap_or(0).min(1024));
                while let Some(Nested(some)) = row.next_element()? {
                    match some {
                        Ok(cell) => cells.push(cell),
                        Err(mut inner) => cells.append(&mut inner),
                    }
                }
                Ok(Row::Cells(cells))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut row: A) -> std::result::Result<Row, A::Error> {
                let mut named = Vec::new();
                while let Some((name, Nested(cell))) = row.next_entry()? {
                    named.push((
                        name,
                        cell.map_err(|_| A::Error::custom("expected one value per column, not a list"))?,
                    ));
                }
                Ok(Row::Named(named))
            }
        }
        from.deserialize_any(OfRow)
    }
}

/// A cell, or the cells of a list: images may be nested rows of pixels.
struct Nested(std::result::Result<Cell, Vec<Cell>>);

impl<'de> Deserialize<'de> for Nested {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        struct OfCell;
        impl<'de> Visitor<'de> for OfCell {
            type Value = Nested;

            fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
                f.write_str("a number, a string, a boolean or null")
            }

            fn visit_bool<E>(self, value: bool) -> std::result::Result<Nested, E> {
                Ok(Nested(Ok(Cell::Text(value.to_string()))))
            }

            fn visit_f64<E>(self, value: f64) -> std::result::Result<Nested, E> {
                Ok(Nested(Ok(Cell::Number(value as f32))))
            }

            fn visit_i64<E>(self, value: i64) -> std::result::Result<Nested, E> {
                Ok(Nested(Ok(Cell::Number(value as f32))))
            }

            fn visit_u64<E>(self, value: u64) -> std::result::Result<Nested, E> {
                Ok(Nested(Ok(Cell::Number(value as f32))))
            }

            fn visit_str<E>(self, value: &str) -> std::result::Result<Nested, E> {
                Ok(Nested(Ok(Cell::Text(value.to_string()))))
            }

            fn visit_unit<E>(self) -> std::result::Result<Nested, E> {
                Ok(Nested(Ok(Cell::Missing)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> std::result::Result<Nested, A::Error> {
                let mut cells = Vec::new();
                while let Some(Nested(some)) = list.next_element()? {
                    match some {
                        Ok(cell) => cells.push(cell),
                        Err(mut inner) => cells.append(&mut inner),
                    }
                }
                Ok(Nested(Err(cells)))
            }
        }
        from.deserialize_any(OfCell)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_flat_nested_or_by_name() {
        let row = |text: &str| serde_json::from_str::<Row>(text).map_err(|error| error.to_string());
        let numbers = Row::Cells([1., 2., 3., 4.].map(Cell::Number).to_vec());
        assert_eq!(row("[1, 2.0, 3, 4]"), Ok(numbers.clone()));
        assert_eq!(row("[[1, 2], [3, 4]]"), Ok(numbers.clone()));
        assert_eq!(row("[[[1, 2], [3, 4]]]"), Ok(numbers));
        let named = vec![("a".to_string(), Cell::Text("x".into())), ("b".to_string(), Cell::Missing)];
        assert_eq!(row("{\"a\": \"x\", \"b\": null}"), Ok(Row::Named(named)));
        assert_eq!(row("[true]"), Ok(Row::Cells(vec![Cell::Text("true".into())])));
        for wrong in ["3", "{\"a\": [1]}", "[{}]"] {
            assert!(row(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn named_cells_are_found_whatever_their_case_and_order() {
        let find = |names: &[&str]| {
            let named: Vec<_> = names
                .iter()
                .zip(1..)
                .map(|(name, value)| (name.to_string(), Cell::Number(value as f32)))
                .collect();
            in_order(&named, &["sl".into(), "sw".into()], Some("species")).map(|cells| format!("{cells:?}"))
        };
        assert_eq!(find(&["sw", "sl"]).unwrap(), "[Number(2.0), Number(1.0)]");
        assert_eq!(find(&["SW ", "id", "Sl", "Species"]).unwrap(), "[Number(3.0), Number(1.0)]");
        assert_eq!(find(&["sl", "SL", "sw"]).unwrap(), "[Number(1.0), Number(3.0)]");
        assert_eq!(find(&["sw"]).unwrap(), "[Missing, Number(1.0)]");
        assert_eq!(find(&["sw", "species"]).unwrap(), "[Missing, Number(1.0)]");
        assert!(
            find(&["sw", "id", "sl_"]).unwrap_err().contains("no column `sl`, but the unknown column `sl_`")
        );
        assert!(find(&["sw", "SL", "Sl"]).unwrap_err().contains("for column `sl`"));
    }
}
