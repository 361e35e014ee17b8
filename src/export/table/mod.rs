//! TorchScript that encodes the raw cells of a table, so that a program which knows only libtorch can use the model. It computes the
//! same features as `data::format::csv`, to the bit.
//!
//! The code does not depend on the number of columns: one loop over the columns calls the method of their kind, which finds the
//! details in lists with an entry for each column.

mod boolean;
mod category;
mod cells;
mod date;
mod decimal;
mod encoding;
mod hash;
mod list;
mod number;
mod rows;
#[cfg(test)]
mod tests;
mod text;

use encoding::Encoding;

use crate::data::column::{Column, ColumnKind, TableLayout};
use crate::model::script::{Class, Collection};

/// The attribute with the encoder.
pub(super) const ENCODER: &str = "table_encoder";

/// The methods of a model of a table, which encode raw cells. [`torchscript()`](super::torchscript()) describes them.
pub(super) const METHODS: &str = r#"
def encode_table(self, rows: List[List[str]]) -> Tensor:
    return self.table_encoder.encode(rows)

def predict_table(self, rows: List[List[str]]) -> Tuple[Tensor, Tensor]:
    return self.predict(self.encode_table(rows).to(self.preprocess.offset.device))

def encode_columns(self, numbers: Tensor, texts: List[List[str]]) -> Tensor:
    return self.table_encoder.encode_columns(numbers, texts)

def predict_columns(self, numbers: Tensor, texts: List[List[str]]) -> Tuple[Tensor, Tensor]:
    return self.predict(self.encode_columns(numbers, texts).to(self.preprocess.offset.device))

def column_names(self) -> List[str]:
    return self.table_encoder.column_names()

def numeric_column_names(self) -> List[str]:
    return self.table_encoder.numeric_column_names()

def text_column_names(self) -> List[str]:
    return self.table_encoder.text_column_names()
"#;

/// The names of [`METHODS`].
pub(super) const METHOD_NAMES: [&str; 7] = [
    "encode_table",
    "predict_table",
    "encode_columns",
    "predict_columns",
    "column_names",
    "numeric_column_names",
    "text_column_names",
];

/// The encoding of a column: its TorchScript method, and what that has to know.
fn encoding(column: &Column, layout: &TableLayout) -> Encoding {
    let kind = &column.kind;
    match kind {
        ColumnKind::Number => number::encoding(&column.notation),
        ColumnKind::Category { categories, .. } => {
            category::one_hot(kind, categories, layout.missing_is_value)
        }
        ColumnKind::Code { categories, .. } | ColumnKind::Ordinal { categories } => {
            category::index(kind, categories)
        }
        ColumnKind::Hash { rows } => hash::encoding(*rows),
        ColumnKind::Boolean => boolean::encoding(),
        ColumnKind::Date { time } => date::encoding(&column.notation, *time),
        ColumnKind::List { separator, items } => list::encoding(*separator, items),
        ColumnKind::Text { features } => text::encoding(*features),
        ColumnKind::Tokens { .. } => unreachable!("models of texts have tokenizers"),
    }
}

/// The class that encodes the rows of a table. `takes_missing` is whether the model was trained with missing values.
pub(super) fn encoder(layout: &TableLayout, takes_missing: bool) -> Class {
    let encodings: Vec<Encoding> = layout.columns.iter().map(|column| encoding(column, layout)).collect();
    let mut methods: Vec<_> = encodings.iter().map(|encoding| encoding.methods).collect();
    methods.sort_unstable_by_key(|methods| methods.name);
    methods.dedup();
    let names: Vec<&str> = methods.iter().map(|methods| methods.name).collect();
    let sources: String = methods.iter().map(|methods| methods.source).collect();
    let shared = [cells::METHODS, decimal::METHODS, category::UNKNOWN].concat();
    let class = Class::new("TableEncoder", rows::methods(layout, &names) + &sources + &shared);
    let class = [
        cells::attributes,
        number::attributes,
        boolean::attributes,
        date::attributes,
        text::attributes,
        hash::attributes,
    ]
    .into_iter()
    .fold(class, |class, attributes| attributes(class));
    let kind = |encoding: &Encoding| names.iter().position(|name| *name == encoding.methods.name);
    let kinds = encodings.iter().map(|encoding| kind(encoding).expect("all methods have a name") as i64);
    let missing = |(column, encoding): (&Column, &Encoding)| {
        encoding.missing.number(takes_missing || layout.has_features_of_missing(column))
    };
    let missing = layout.columns.iter().zip(&encodings).map(missing).collect();
    let texts =
        |text: fn(&Encoding) -> &String| encodings.iter().map(|of| text(of).clone()).collect::<Vec<_>>();
    columns(class, layout)
        .collection("kinds", Collection::Ints(kinds.collect()))
        .collection("missing", Collection::Ints(missing))
        .collection("options", Collection::Ints(encodings.iter().map(|encoding| encoding.option).collect()))
        .strings("marks", &texts(|encoding| &encoding.mark))
        .strings("refusals", &texts(|encoding| &encoding.refusal))
        .collection(
            "indexes",
            Collection::Indexes(encodings.into_iter().map(|encoding| encoding.texts).collect()),
        )
}

/// Adds the names of the columns, the places of their features, and which of them are numeric.
fn columns(class: Class, layout: &TableLayout) -> Class {
    let widths: Vec<i64> = layout.columns.iter().map(|column| column.features() as i64).collect();
    let starts = widths.iter().scan(0, |next, width| {
        *next += width;
        Some(*next - width)
    });
    let (numeric, texts): (Vec<i64>, Vec<i64>) = (0..layout.columns.len() as i64)
        .partition(|column| layout.columns[*column as usize].kind == ColumnKind::Number);
    let names: Vec<String> = layout.names().into_iter().map(|name| name.into_owned()).collect();
    class
        .strings("names", &names)
        .collection("starts", Collection::Ints(starts.collect()))
        .collection("widths", Collection::Ints(widths))
        .collection("numeric_columns", Collection::Ints(numeric))
        .collection("text_columns", Collection::Ints(texts))
}
