use std::sync::Arc;

use cresset_bridge::script::Module;
use proptest::prelude::*;
use tch::{Kind, Tensor};

use super::encoder;
use crate::data::column::{Column, ColumnKind, TableLayout};
use crate::data::format::csv::{RowPolicy, read_row};
use crate::data::hashing;
use crate::data::notation::{DateOrder, Decimal, Notation};
use crate::data::unknown::UnknownPolicy;

fn layout(kinds: Vec<(ColumnKind, Notation)>, missing_is_value: bool) -> TableLayout {
    let column = |(position, (kind, notation)): (usize, (ColumnKind, Notation))| Column {
        name: format!("c{position}"),
        position,
        kind,
        notation,
    };
    let columns: Vec<_> = kinds.into_iter().enumerate().map(column).collect();
    TableLayout { width: columns.len(), columns, missing_is_value, ..TableLayout::default() }
}

fn compiled(layout: &TableLayout, takes_missing: bool) -> Module {
    let (source, name, values) = encoder(layout, takes_missing).compile().unwrap();
    let mut module = Module::from_source(&source, &name, &values).unwrap();
    module.set_training(false).unwrap();
    module
}

/// The features of a row, from the TorchScript.
fn in_script(module: &Module, cells: &[String]) -> Result<Vec<u32>, String> {
    match module.call_with_cells("encode", None, &[cells.to_vec()]) {
        Ok(features) => Ok(bits(&Vec::try_from(features[0].view(-1)).unwrap())),
        Err(error) => Err(error.0),
    }
}

/// The features of a row, from the command line's parser.
fn in_rust(layout: &Arc<TableLayout>, takes_missing: bool, cells: &[String]) -> Result<Vec<u32>, String> {
    let cells: Vec<_> = cells.iter().map(|cell| format!("\"{}\"", cell.replace('"', "\"\""))).collect();
    let policy = RowPolicy { missing: takes_missing, unknown: UnknownPolicy::Allow, no_label: false };
    match read_row((cells.join(",") + "\n").as_bytes(), layout, policy) {
        Ok(row) => Ok(bits(&row.values)),
        Err(error) => Err(error.to_string()),
    }
}

/// The bits of each value; the same for all NaN.
fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| if value.is_nan() { f32::NAN.to_bits() } else { value.to_bits() }).collect()
}

/// Fails unless both encoders give the same features, or refuse the row: the only column for the same reason, and otherwise any of
/// them, because the command line looks for missing values first.
fn check(layout: &Arc<TableLayout>, takes_missing: bool, rows: &[Vec<String>]) -> Result<(), TestCaseError> {
    let module = compiled(layout, takes_missing);
    for cells in rows {
        let (script, rust) = (in_script(&module, cells), in_rust(layout, takes_missing, cells));
        match (&script, &rust) {
            (Err(_), Err(_)) if cells.len() > 1 => {}
            (Err(script), Err(rust)) => {
                // The end of the reason for a missing value differs.
                let (place, reason) = rust.split_once("): ").unwrap();
                let column = place.split_once("column ").unwrap().1;
                let expected = format!("column {column}): ");
                let reason = if reason.starts_with("missing value") { "missing value" } else { reason };
                let reason = reason.split_once('`').map_or(reason, |(before, _)| before);
                prop_assert!(script.contains(&format!("row 1, {expected}{reason}")), "{script}\n{rust}");
            }
            _ => prop_assert_eq!(&script, &rust, "{:?} in {:?}", cells, layout.columns),
        }
    }
    Ok(())
}

/// The middle between a float32 and the next one, exactly or a little beside it.
fn near_the_middle() -> impl Strategy<Value = String> {
    let beside = prop_oneof![Just(""), Just("0001"), Just("00000000000000000000000000000001"), Just("e-0")];
    (any::<u32>(), beside, any::<bool>()).prop_map(|(bits, beside, below)| {
        let bits = bits & 0x7f7f_ffff;
        let middle = (f64::from(f32::from_bits(bits)) + f64::from(f32::from_bits(bits + 1))) / 2.;
        let text = format!("{middle:.170}");
        let text = if text.contains('.') { text.trim_end_matches('0') } else { &text };
        match (below, text.strip_suffix('5')) {
            (true, Some(text)) => format!("{text}4999999999"),
            _ => format!("{text}{beside}"),
        }
    })
}

fn cell() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        4 => "[+-]?[0-9]{0,20}\\.?[0-9]{0,20}([eE][+-]?[0-9]{0,3})?",
        2 => any::<f32>().prop_map(|number| number.to_string()),
        2 => any::<f64>().prop_map(|number| format!("{number:e}")),
        2 => near_the_middle(),
        4 => "[-+(−]?[$€]? ?[0-9]{1,3}([,. '’\u{202f}][0-9]{2,3}){0,3}([.,][0-9]{0,3})?(e[0-9])?( ?%)?( ?[€$])?\\)?",
        2 => "[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{2,4}",
        4 => "(19|20)[0-9]{2}-0[1-9]-[0-2][0-9][T ][0-2][0-9]:[0-5][0-9](:[0-6][0-9](\\.[0-9]{0,9})?)?( ?[AaPp]M)?(Z|[+-][0-9]{2}:?[0-9]{0,2})?",
        2 => "[0-3]?[0-9]([./])[01]?[0-9]([./])(19|20)?[0-9]{2}( [0-9]{1,2}:[0-9]{2} PM)?",
        4 => "(a|b|é|ß|A|\u{ffff}|a b|)([;, ](a|b|é|\u{a0}c ))*",
        2 => prop::sample::select(vec!["", "?", "NA", "n/a", "NaN", "Null", "none", "inf", "-nan", "+Infinity", "nann"])
            .prop_map(String::from),
        2 => prop::sample::select(vec!["true", "FALSE", "Yes", "no", "On", "off", "t", "F", "y", "N", "1", "0", "2"])
            .prop_map(String::from),
        1 => "\\PC{0,80}",
        1 => "([A-Za-z0-9é]{1,9}[ ,.!\n]{1,2}){0,9}",
    ];
    let space = || "[ \t\r\u{b}\u{a0}\u{feff}\u{3000}\u{200b}]{0,2}";
    prop_oneof![3 => text.clone().boxed(), 1 => (space(), text, space()).prop_map(|(a, b, c)| a + &b + &c).boxed()]
}

fn kind() -> impl Strategy<Value = (ColumnKind, Notation)> {
    let categories = || {
        prop::sample::subsequence(vec!["", "0", "A", "a", "a b", "b", "é"], 1..7)
            .prop_map(|texts| texts.into_iter().map(String::from).collect::<Vec<_>>())
    };
    let order =
        || prop::sample::select(vec![DateOrder::YearFirst, DateOrder::DayFirst, DateOrder::MonthFirst]);
    let currency = prop::sample::select(vec![None, Some("$"), Some("€")]);
    let formatted = (any::<bool>(), currency).prop_map(|(comma, currency)| Notation::Written {
        decimal: if comma { Decimal::Comma } else { Decimal::Point },
        currency: currency.map(String::from),
    });
    let plain = |kind| (kind, Notation::Plain);
    prop_oneof![
        2 => Just(plain(ColumnKind::Number)),
        2 => formatted.prop_map(|notation| (ColumnKind::Number, notation)),
        1 => order().prop_map(|order| (ColumnKind::Number, Notation::Date(order))),
        1 => (categories(), any::<bool>())
            .prop_map(move |(categories, unknown)| plain(ColumnKind::Category { categories, unknown })),
        1 => (categories(), any::<bool>())
            .prop_map(move |(categories, unknown)| plain(ColumnKind::Code { categories, unknown })),
        1 => (2usize..=hashing::MAX_ROWS).prop_map(move |rows| plain(ColumnKind::Hash { rows })),
        1 => categories().prop_map(move |categories| plain(ColumnKind::Ordinal { categories })),
        1 => Just(plain(ColumnKind::Boolean)),
        2 => (order(), any::<bool>()).prop_map(|(order, time)| (ColumnKind::Date { time }, Notation::Date(order))),
        1 => (categories(), prop::sample::select(vec![';', ',', ' ', '•']))
            .prop_map(move |(items, separator)| plain(ColumnKind::List { separator, items })),
        1 => (1usize..70).prop_map(move |features| plain(ColumnKind::Text { features })),
    ]
}

fn table() -> impl Strategy<Value = (TableLayout, bool, Vec<Vec<String>>)> {
    (prop::collection::vec(kind(), 1..4), any::<bool>(), any::<bool>()).prop_flat_map(
        |(kinds, value, missing)| {
            let rows = prop::collection::vec(prop::collection::vec(cell(), kinds.len()), 40);
            (Just(layout(kinds, value)), Just(missing), rows)
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn raw_cells_have_the_features_of_the_command_line((layout, takes_missing, rows) in table()) {
        check(&Arc::new(layout), takes_missing, &rows)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3, ..ProptestConfig::default() })]

    #[test]
    fn numbers_are_the_nearest_float32(cells in prop::collection::vec(near_the_middle(), 400)) {
        let layout = Arc::new(layout(vec![(ColumnKind::Number, Notation::Plain)], false));
        let rows: Vec<_> = cells.into_iter().map(|cell| vec![cell]).collect();
        check(&layout, true, &rows)?;
    }
}

#[test]
fn numbers_at_the_limits_are_the_nearest_float32() {
    let layout = Arc::new(layout(vec![(ColumnKind::Number, Notation::Plain)], false));
    let written = Notation::Written { decimal: Decimal::Point, currency: None };
    let percentage = Arc::new(self::layout(vec![(ColumnKind::Number, written)], false));
    let numbers = [
        "0",
        "-0",
        "-0.0e5",
        "16777217",
        "33554431",
        "9007199254740993",
        "8589973504.5",
        "1e22",
        "1e23",
        "1e-45",
        "7.006492321624085e-46",
        "7.006492321624086e-46",
        "1.1754943508222875e-38",
        "1.17549429e-38",
        "3.4028235e38",
        "3.4028235677973366e38",
        "3.4028235677973367e38",
        "1e39",
        "-1e400",
        "1e99999999999999999999",
        "1e-400",
        "0e999",
        "0.1000000014901161193847656250",
        "0.1000000052154064178466796875",
        "0.10000000521540641784667968751",
        "5.",
        ".5",
        ".",
        "1e",
        "1e+",
        "e5",
        "0x10",
        "1_000",
        "infinity",
        "infinit",
    ];
    let rows: Vec<_> = numbers.iter().map(|number| vec![number.to_string()]).collect();
    check(&layout, true, &rows).unwrap();
    let rows: Vec<_> = numbers.iter().map(|number| vec![format!("{number}%")]).collect();
    check(&percentage, true, &rows).unwrap();
}

#[test]
fn numbers_as_a_tensor_and_texts_have_the_features_of_the_cells() {
    let categories = ["x", "y"].map(String::from).to_vec();
    let kinds = vec![
        (ColumnKind::Category { categories, unknown: false }, Notation::Plain),
        (ColumnKind::Number, Notation::Plain),
        (ColumnKind::Boolean, Notation::Plain),
        (ColumnKind::Number, Notation::Plain),
    ];
    let layout = layout(kinds, false);
    let cells = |rows: &[&[&str]]| -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(|cell| cell.to_string()).collect()).collect()
    };
    let module = compiled(&layout, true);
    let expected = module
        .call_with_cells("encode", None, &cells(&[&["x", "1.5", "no", ""], &["y", "-2", "t", "0.1"]]))
        .unwrap();
    assert_eq!(expected[0].size(), [2, 5]);
    let texts = cells(&[&["x", "no"], &["y", "t"]]);
    for kind in [Kind::Float, Kind::Double] {
        let numbers = Tensor::from_slice2(&[[1.5, f64::NAN], [-2., 0.1]]).to_kind(kind);
        let found = module.call_with_cells("encode_columns", Some(&numbers), &texts).unwrap();
        let [found, expected] =
            [&found[0], &expected[0]].map(|x| bits(&Vec::<f32>::try_from(x.view(-1)).unwrap()));
        assert_eq!(found, expected);
    }
    let refusal = |module: &Module, numbers: &[[f64; 2]], texts: &[Vec<String>]| {
        module.call_with_cells("encode_columns", Some(&Tensor::from_slice2(numbers)), texts).unwrap_err().0
    };
    let strict = compiled(&layout, false);
    for (error, says) in [
        (refusal(&module, &[[1., 2.]], &texts), "1 row(s) of numbers do not match 2 row(s) of texts"),
        (
            refusal(&module, &[[1., 2.], [3., f64::INFINITY]], &texts),
            "row 2, column 4 (c3): an infinite number",
        ),
        (refusal(&module, &[[1., 2.], [3., 1e39]], &texts), "row 2, column 4 (c3): an infinite number"),
        (refusal(&strict, &[[1., 2.], [f64::NAN, 1.]], &texts), "row 2, column 2 (c1): missing value (NaN)"),
        (
            refusal(&module, &[[1., 2.]], &cells(&[&["z", "no"]])),
            "row 1, column 1 (c0): unknown category `z` in this column; known categories are x, y; retrain the model",
        ),
        (refusal(&module, &[[1., 2.]], &cells(&[&["x"]])), "row 1, the row has 1 text(s); expected 2"),
        (
            module.call_with_cells("encode", None, &cells(&[&["x", "1", "no", "2"], &["x"]])).unwrap_err().0,
            "row 2, the row has 1 cell(s); expected 4, those of column_names()",
        ),
    ] {
        assert!(error.contains(says), "{error}");
    }
    let nothing = module.call_with_cells("encode", None, &[]).unwrap();
    assert_eq!(nothing[0].size(), [0, 5]);
}
