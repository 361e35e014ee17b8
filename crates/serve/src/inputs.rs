//! Parses request bodies into model inputs, with the readers of `cresset predict`.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::json;

use super::problem::Problem;
use cresset::data::column::folded;
use cresset::data::format::csv::InputRow;
use cresset::data::image::{Header, MAX_PIXELS};
use cresset::data::text;
use cresset::error::{nearest, quoted};
use cresset::predict::{Cell, InputSpec};

/// Size limits of inputs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub rows: usize,
    pub pixels: u64,
}

/// Kind of body, from the content type.
enum Kind {
    Image,
    Json,
    Csv,
    JsonLines,
    Text,
}

/// A JSON body.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    inputs: Option<Vec<Row>>,
    image: Option<String>,
}

/// A row of raw values: in column order, or by column name.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Row {
    Cells(Vec<Cell>),
    Named(Vec<(String, Cell)>),
}

type Result<T> = std::result::Result<T, Problem>;

/// Reads the inputs in a body as raw values.
pub(super) fn read(
    spec: &Arc<InputSpec>,
    limits: Limits,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<Vec<InputRow>> {
    match kind(headers)? {
        Kind::Image => Ok(vec![read_image(spec, limits, &body)?.into()]),
        Kind::Text if spec.takes_texts() => {
            let values = spec.text(&body).map_err(Problem::unprocessable)?;
            Ok(vec![values.into()])
        }
        Kind::Text => Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "the model does not take a text alone; expected application/json, text/csv or application/x-ndjson",
        )),
        Kind::Csv => table(spec, limits, "", body),
        Kind::JsonLines => table(spec, limits, "body.jsonl", body),
        Kind::Json => {
            let body: Body = json(&body)?;
            match (body.inputs, body.image) {
                (Some(inputs), None) => rows(spec, limits, &inputs),
                (None, Some(image)) => Ok(vec![read_image(spec, limits, &decode_base64(&image)?)?.into()]),
                _ => Err(Problem::unprocessable("the body must have either `inputs` or `image`")),
            }
        }
    }
}

/// The text in a body, if it is the only input and the model takes one text; none if the body cannot be read.
pub(super) fn only_text(spec: &InputSpec, headers: &HeaderMap, body: &[u8]) -> Option<String> {
    if !spec.takes_texts() {
        return None;
    }
    match kind(headers).ok()? {
        Kind::Text => Some(text::of_file(body).0),
        Kind::Json => {
            let body: Body = json(body).ok()?;
            let [row] = &body.inputs?[..] else { return None };
            match row.cells(spec).ok()?.as_ref() {
                [Cell::Text(text)] => Some(text.clone()),
                _ => None,
            }
        }
        _ => None,
    }
}

/// Rejects a body without a JSON content type.
pub(super) fn expect_json(headers: &HeaderMap) -> Result<()> {
    match kind(headers)? {
        Kind::Json => Ok(()),
        _ => {
            Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the Content-Type must be application/json"))
        }
    }
}

/// Parses a JSON body.
pub(super) fn json<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T> {
    serde_json::from_slice(body).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => Problem::unprocessable(format!("invalid body: {error}")),
        _ => Problem::malformed(format!("the body is not valid JSON: {error}")),
    })
}

/// Decodes a base64 image.
pub(super) fn decode_base64(text: &str) -> Result<Vec<u8>> {
    STANDARD.decode(text).map_err(|e| Problem::unprocessable(format!("`image` is not valid base64: {e}")))
}

/// The raw values of an encoded image. Its size is checked before decoding.
pub(super) fn read_image(spec: &InputSpec, limits: Limits, encoded: &[u8]) -> Result<Vec<f32>> {
    let most = limits.pixels.min(MAX_PIXELS);
    let counted = |(width, height): (u32, u32)| match u64::from(width) * u64::from(height) {
        pixels if pixels > most => {
            let problem = format!("the image has {width} × {height} pixels, but at most {most} are allowed");
            Err(Problem::too_large(problem))
        }
        pixels => Ok(pixels),
    };
    let pixels = match Header::read(encoded) {
        Ok(header) => counted((header.width, header.height))?,
        Err(problem) => {
            Header::declared_size(encoded).map_or(Ok(0), counted)?;
            return Err(Problem::unprocessable(problem));
        }
    };
    // Decode large images on a blocking thread, so that other requests can proceed.
    let read = || spec.image(encoded).map_err(Problem::unprocessable);
    if pixels > FEW_PIXELS { tokio::task::block_in_place(read) } else { read() }
}

/// Images with at most this many pixels decode in about a millisecond.
const FEW_PIXELS: u64 = 1 << 16;

/// The raw values of rows of cells.
pub(super) fn rows(spec: &Arc<InputSpec>, limits: Limits, rows: &[Row]) -> Result<Vec<InputRow>> {
    counted(rows.len(), limits)?;
    let values = (1..).zip(rows).map(|(number, row)| (format!("row {number}"), row.values(spec)));
    sound(values)
}

/// Reads the rows of a table, whose format is that of the file name.
fn table(spec: &Arc<InputSpec>, limits: Limits, name: &str, text: Bytes) -> Result<Vec<InputRow>> {
    let inputs = tokio::task::block_in_place(|| spec.table(name, text.into()));
    counted(inputs.len(), limits)?;
    sound(inputs.into_iter().map(|input| {
        let line = input.name.rsplit_once(':').map(|(_, line)| format!("line {line}"));
        let unknown = input.notes.unknown;
        (line.unwrap_or_default(), input.values.map(|values| InputRow { values, unknown }))
    }))
}

fn counted(rows: usize, limits: Limits) -> Result<()> {
    match rows {
        0 => Err(Problem::unprocessable("the body has no inputs")),
        rows if rows > limits.rows => Err(Problem::too_large(format!(
            "the body has {rows} inputs, but at most {} are allowed",
            limits.rows
        ))),
        _ => Ok(()),
    }
}

/// Maximum number of invalid rows in an error.
const MAX_NAMED: usize = 20;

/// All values, or an error with the invalid rows.
pub(super) fn sound(
    inputs: impl Iterator<Item = (String, std::result::Result<InputRow, String>)>,
) -> Result<Vec<InputRow>> {
    let (mut sound, mut faults) = (Vec::new(), Vec::new());
    for (place, row) in inputs {
        match row {
            Ok(row) => sound.push(row),
            Err(problem) => faults.push((place, problem)),
        }
    }
    invalid_rows(&faults).map_or(Ok(sound), Err)
}

/// An error about invalid rows; `None` if there are none.
pub(super) fn invalid_rows(faults: &[(String, String)]) -> Option<Problem> {
    let (place, problem) = faults.first()?;
    let colon = if place.is_empty() { "" } else { ": " };
    let others = match faults.len() {
        1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    let named: Vec<_> = faults
        .iter()
        .take(MAX_NAMED)
        .map(|(place, problem)| json!({ "input": place, "message": problem }))
        .collect();
    Some(Problem::unprocessable(format!("{place}{colon}{problem}{others}")).with("inputs", named))
}

fn kind(headers: &HeaderMap) -> Result<Kind> {
    let unsupported = |what: String| {
        Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            format!(
                "{what}; expected application/json, text/csv, application/x-ndjson, text/plain or an image type such as image/png"
            ),
        )
    };
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Err(unsupported("missing Content-Type".to_string()));
    };
    let text =
        value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match text.as_str() {
        "application/json" => Ok(Kind::Json),
        "text/csv" => Ok(Kind::Csv),
        "text/plain" | "message/rfc822" => Ok(Kind::Text),
        "application/x-ndjson" | "application/jsonl" => Ok(Kind::JsonLines),
        "application/octet-stream" => Ok(Kind::Image),
        text if text.starts_with("image/") => Ok(Kind::Image),
        text => Err(unsupported(format!("unsupported Content-Type {}", quoted(text)))),
    }
}

impl Row {
    /// Converts the row to raw values.
    pub fn values(&self, spec: &Arc<InputSpec>) -> std::result::Result<InputRow, String> {
        spec.row(&self.cells(spec)?)
    }

    /// The cells in column order.
    fn cells(&self, spec: &InputSpec) -> std::result::Result<Cow<'_, [Cell]>, String> {
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
    use proptest::prelude::*;

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

    proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(body: Vec<u8>, text in "[\\[\\]{}\":,a-z0-9.eE-]{0,60}") {
            let _ = json::<Body>(&body);
            let _ = json::<Body>(text.as_bytes());
            let _ = json::<Body>(format!("{{\"inputs\": {text}}}").as_bytes());
            let _ = decode_base64(&text);
        }
    }
}
