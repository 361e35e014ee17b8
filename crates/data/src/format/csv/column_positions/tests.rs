use super::*;
use crate::column::LabelColumn;
use crate::column::{Column, ColumnKind};
use crate::notation::Notation;

fn model(header: &str) -> TableLayout {
    let names: Vec<_> = header.split(',').map(String::from).collect();
    let unique_names: Vec<_> =
        unique_names(names.iter().map(String::as_str)).iter().map(|name| name.to_string()).collect();
    let (label, inputs) = unique_names.split_last().unwrap();
    let column = |(position, name): (usize, &String)| Column {
        name: name.clone(),
        position,
        kind: ColumnKind::Number,
        notation: Notation::Plain,
    };
    TableLayout {
        columns: inputs.iter().enumerate().map(column).collect(),
        width: names.len(),
        label: Some(LabelColumn { name: label.clone(), position: inputs.len() }),
        label_columns: Vec::new(),
        header: Some(names),
        missing_is_value: false,
    }
}

fn unnamed(inputs: usize) -> TableLayout {
    let names: Vec<_> = (1..=inputs + 1).map(|number| number.to_string()).collect();
    TableLayout { header: None, ..model(&names.join(",")) }
}

/// The positions of the columns, or the error.
fn find(row: &str, model: &TableLayout) -> Result<ColumnPositions, String> {
    let cells: Vec<_> = row.split(',').map(String::from).collect();
    positions(Path::new("a"), 1, &cells, model).map_err(|mismatch| {
        let kind = if mismatch.is_header { "header" } else { "row" };
        format!("{kind}: {}", mismatch.error)
    })
}

#[track_caller]
fn by_name(row: &str, model: &TableLayout, columns: &[usize], label: Option<usize>) {
    let positions = find(row, model).unwrap_or_else(|problem| panic!("{row}: {problem}"));
    assert!(positions.by_name && positions.has_header, "{row}");
    assert_eq!((&*positions.columns, positions.label), (columns, label), "{row}");
}

#[track_caller]
fn by_position(row: &str, model: &TableLayout, columns: &[usize], label: Option<usize>) {
    let positions = find(row, model).unwrap_or_else(|problem| panic!("{row}: {problem}"));
    assert!(!positions.by_name && !positions.has_header, "{row}");
    assert_eq!((&*positions.columns, positions.label), (columns, label), "{row}");
}

#[track_caller]
fn refused(row: &str, model: &TableLayout, kind: &str, words: &[&str]) {
    let problem = find(row, model).err().unwrap_or_else(|| panic!("{row} is read"));
    let has = problem.starts_with(kind) && words.iter().all(|word| problem.contains(word));
    assert!(has && problem.len() < 900, "{row}: {problem}");
}

#[test]
fn columns_are_found_by_name_in_any_order_ignoring_case_and_white_space() {
    let model = model("sl,sw,pl,species");
    by_name("sl,sw,pl,species", &model, &[0, 1, 2], Some(3));
    by_name("PL,SW,SL", &model, &[2, 1, 0], None);
    by_name("id,\u{feff}Sl,pl\u{a0},note, sw ,Species", &model, &[1, 4, 2], Some(5));
    assert_eq!(find("id,sl,,sw,pl,Species", &model).unwrap().extra, ["id", "column 3"]);
    by_position("1,2,3", &model, &[0, 1, 2], None);
    by_position("1,2,3,a", &model, &[0, 1, 2], Some(3));
}

#[test]
fn missing_columns_are_reported() {
    let model = model("sl,sw,pl,pw,species");
    refused("id,sl,sw,pl", &model, "header", &["`pw`", "It has id, sl, sw, pl"]);
    refused(
        "PassengerId,sl,sw,pl,PW_",
        &model,
        "header",
        &["`pw`, which the model requires; did you mean `PW_`? It has"],
    );
    refused("a,b,c,d", &model, "header", &["none of the 4 columns", "sl, sw, pl, pw", "a, b, c, d"]);
    refused("sl,species", &model, "header", &["no columns `sw`, `pl`, `pw`"]);
    refused("1,2,3", &model, "row", &["3 value(s)", "takes 4, or 5 with the label"]);
    refused("pw,PL,sl,sw,Pl", &model, "header", &["`PL` and `Pl` for the column `pl`"]);
    // An invalid cell does not make the row a header.
    by_position("1,oops,3,4", &model, &[0, 1, 2, 3], None);
}

#[test]
fn numeric_names_are_distinguished_from_values() {
    let model = model("0,1,2,3,target");
    by_name("0,1,2,3", &model, &[0, 1, 2, 3], None);
    by_name("3,2,1,0,target", &model, &[3, 2, 1, 0], Some(4));
    by_position("5.1,3.5,1.4,0.2", &model, &[0, 1, 2, 3], None);
    by_position("1,0,0,3", &model, &[0, 1, 2, 3], None);
    refused("1,2,3,4", &model, "header", &["`0`"]);
    refused("id,0,1,2", &model, "header", &["`3`"]);
    refused("0,1,2,target", &model, "header", &["`3`"]);
}

#[test]
fn columns_with_the_same_name_are_matched_in_order() {
    let model = model("value,value,label");
    by_name("value,value,label", &model, &[0, 1], Some(2));
    by_name("label,VALUE,id,Value.1", &model, &[1, 3], Some(0));
    by_name("value,value.1", &model, &[0, 1], None);
    refused("value,label", &model, "header", &["`value.1`"]);
    refused("value,value,value,label", &model, "header", &["3 columns named `value`", "has 2"]);
    refused("value,value,w", &super::tests::model("value,w,label"), "header", &["2 columns", "has 1"]);
}

#[test]
fn columns_without_names_are_matched_by_position_and_width() {
    let model = unnamed(3);
    by_position("1,2,3", &model, &[0, 1, 2], None);
    by_position("1,2,3,a", &model, &[0, 1, 2], Some(3));
    let positions = find("a,b,c", &model).unwrap();
    assert!(positions.has_header && !positions.by_name);
    refused("1,2,3,4,5", &model, "row", &["5 value(s)"]);
    // One column was ignored in training: is it there, or the label?
    let mut model = super::tests::model("id,a,b,label");
    model.columns.remove(0);
    refused("1,2,3", &model, "row", &["3 value(s)", "takes 2, or all 4 columns"]);
    by_position("1,2", &model, &[0, 1], None);
    by_position("1,2,3,x", &model, &[1, 2], Some(3));
    assert_eq!(find("ID,a,b,extra", &model).unwrap().extra, ["extra"]);
}

#[test]
fn a_row_of_categories_is_recognized_by_known_values() {
    let mut model = model("color,size,label");
    for column in &mut model.columns {
        let categories = ["red", "size"].map(String::from).to_vec();
        column.kind = ColumnKind::Category { categories, unknown: true };
    }
    by_position("red,size", &model, &[0, 1], None);
    by_position("red,huge", &model, &[0, 1], None);
    by_name("size,color", &model, &[1, 0], None);
    refused("hue,width", &model, "header", &["none of the 2 columns"]);
}
