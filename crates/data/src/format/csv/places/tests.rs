use super::*;
use crate::column::LabelColumn;
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
        header: Some(names),
    }
}

fn unnamed(inputs: usize) -> TableLayout {
    let names: Vec<_> = (1..=inputs + 1).map(|number| number.to_string()).collect();
    TableLayout { header: None, ..model(&names.join(",")) }
}

/// Where the columns are found, or what is wrong.
fn find(row: &str, model: &TableLayout) -> Result<Places, String> {
    let cells: Vec<_> = row.split(',').map(String::from).collect();
    places(Path::new("a"), 1, &cells, model).map_err(|misfit| {
        let kind = if misfit.is_header { "header" } else { "row" };
        format!("{kind}: {}", misfit.error)
    })
}

#[track_caller]
fn by_name(row: &str, model: &TableLayout, columns: &[usize], label: Option<usize>) {
    let places = find(row, model).unwrap_or_else(|problem| panic!("{row}: {problem}"));
    assert!(places.by_name && places.has_header, "{row}");
    assert_eq!((&*places.columns, places.label), (columns, label), "{row}");
}

#[track_caller]
fn by_place(row: &str, model: &TableLayout, columns: &[usize], label: Option<usize>) {
    let places = find(row, model).unwrap_or_else(|problem| panic!("{row}: {problem}"));
    assert!(!places.by_name && !places.has_header, "{row}");
    assert_eq!((&*places.columns, places.label), (columns, label), "{row}");
}

#[track_caller]
fn refused(row: &str, model: &TableLayout, kind: &str, words: &[&str]) {
    let problem = find(row, model).err().unwrap_or_else(|| panic!("{row} is read"));
    let has = problem.starts_with(kind) && words.iter().all(|word| problem.contains(word));
    assert!(has && problem.len() < 900, "{row}: {problem}");
}

#[test]
fn columns_are_found_by_name_in_any_order_whatever_their_case_and_white_space() {
    let model = model("sl,sw,pl,species");
    by_name("sl,sw,pl,species", &model, &[0, 1, 2], Some(3));
    by_name("PL,SW,SL", &model, &[2, 1, 0], None);
    by_name("id,\u{feff}Sl,pl\u{a0},note, sw ,Species", &model, &[1, 4, 2], Some(5));
    assert_eq!(find("id,sl,,sw,pl,Species", &model).unwrap().extra, ["id", "column 3"]);
    by_place("1,2,3", &model, &[0, 1, 2], None);
    by_place("1,2,3,a", &model, &[0, 1, 2], Some(3));
}

#[test]
fn a_header_without_all_columns_is_refused_and_names_the_missing_ones() {
    let model = model("sl,sw,pl,pw,species");
    refused("id,sl,sw,pl", &model, "header", &["`pw`", "It has id, sl, sw, pl"]);
    refused(
        "PassengerId,sl,sw,pl,PW_",
        &model,
        "header",
        &["`pw`, which the model needs; did you mean `PW_`? It has"],
    );
    refused("a,b,c,d", &model, "header", &["none of the 4 columns", "sl, sw, pl, pw", "a, b, c, d"]);
    refused("sl,species", &model, "header", &["no columns `sw`, `pl`, `pw`"]);
    refused("1,2,3", &model, "row", &["3 value(s)", "takes 4, or 5 with the label"]);
    refused("pw,PL,sl,sw,Pl", &model, "header", &["`PL` and `Pl` for the column `pl`"]);
    // A faulty cell makes no header of a row.
    by_place("1,oops,3,4", &model, &[0, 1, 2, 3], None);
}

#[test]
fn names_that_are_numbers_are_told_from_values() {
    let model = model("0,1,2,3,target");
    by_name("0,1,2,3", &model, &[0, 1, 2, 3], None);
    by_name("3,2,1,0,target", &model, &[3, 2, 1, 0], Some(4));
    by_place("5.1,3.5,1.4,0.2", &model, &[0, 1, 2, 3], None);
    by_place("1,0,0,3", &model, &[0, 1, 2, 3], None);
    refused("1,2,3,4", &model, "header", &["`0`"]);
    refused("id,0,1,2", &model, "header", &["`3`"]);
    refused("0,1,2,target", &model, "header", &["`3`"]);
}

#[test]
fn columns_of_one_name_are_kept_apart_by_their_order() {
    let model = model("value,value,label");
    by_name("value,value,label", &model, &[0, 1], Some(2));
    by_name("label,VALUE,id,Value.1", &model, &[1, 3], Some(0));
    by_name("value,value.1", &model, &[0, 1], None);
    refused("value,label", &model, "header", &["`value.1`"]);
    refused("value,value,value,label", &model, "header", &["3 columns called `value`", "has 2"]);
    refused("value,value,w", &super::tests::model("value,w,label"), "header", &["2 columns", "has 1"]);
}

#[test]
fn positions_count_where_neither_has_names_and_a_width_says_which() {
    let model = unnamed(3);
    by_place("1,2,3", &model, &[0, 1, 2], None);
    by_place("1,2,3,a", &model, &[0, 1, 2], Some(3));
    let places = find("a,b,c", &model).unwrap();
    assert!(places.has_header && !places.by_name);
    refused("1,2,3,4,5", &model, "row", &["5 value(s)"]);
    // One column was ignored in training: is it there, or the label?
    let mut model = super::tests::model("id,a,b,label");
    model.columns.remove(0);
    refused("1,2,3", &model, "row", &["3 value(s)", "takes 2, or all 4 columns"]);
    by_place("1,2", &model, &[0, 1], None);
    by_place("1,2,3,x", &model, &[1, 2], Some(3));
    assert_eq!(find("ID,a,b,extra", &model).unwrap().extra, ["extra"]);
}

#[test]
fn of_texts_alone_a_row_is_told_by_those_that_are_known() {
    let mut model = model("colour,size,label");
    for column in &mut model.columns {
        let categories = ["red", "size"].map(String::from).to_vec();
        column.kind = ColumnKind::Category { categories, unknown: true };
    }
    by_place("red,size", &model, &[0, 1], None);
    by_place("red,huge", &model, &[0, 1], None);
    by_name("size,colour", &model, &[1, 0], None);
    refused("hue,width", &model, "header", &["none of the 2 columns"]);
}
