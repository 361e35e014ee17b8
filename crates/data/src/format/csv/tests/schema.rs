//! Tables with a schema.

use super::*;
use crate::schema::{to_text, to_toml};

const TABLE: &str =
    "zip,size,when,tags,kind\n10115,low,3/4/2020,a;b,x\n80331,high,5/6/2020,b,y\n10115,mid,7/8/2020,a,x\n";

/// The table with this schema.
fn with(schema: &str) -> Result<Table> {
    let (_folder, path) = file("s.toml", schema.as_bytes());
    table_with("a.csv", TABLE, &DataOptions { schema: Some(path), ..DataOptions::default() })
}

fn entry(name: &str, rest: &str) -> String {
    format!("[[column]]\nname = \"{name}\"\ntype = {rest}\n")
}

#[test]
fn a_schema_sets_types_and_the_others_are_inferred() {
    let schema = entry("zip", "\"category\"")
        + &entry("size", "\"ordinal\"\norder = [\"low\", \"mid\", \"high\"]")
        + &entry("when", "\"date\"\ndate-order = \"day-first\"")
        + &entry("tags", "\"list\"\nseparator = \";\"");
    let table = with(&schema).unwrap();
    let names = table.layout.feature_names();
    assert_eq!(names[..4], ["zip=10115", "zip=80331", "size", "when"]);
    assert_eq!(names[8..], ["tags=a", "tags=b"]);
    // 2020-04-03 is 18355 days after 1970-01-01.
    assert_eq!(table.values[..4], [1., 0., 0., 18_355.]);
    assert_eq!((table.values[10 + 2], table.values[20 + 2]), (2., 1.));
    let table = with(&(entry("when", "\"ignore\"") + &entry("zip", "\"number\""))).unwrap();
    assert_eq!(table.layout.feature_names()[0], "zip");
    assert!(table.layout.columns.iter().all(|column| column.name != "when"));
}

#[test]
fn cells_that_do_not_fit_the_schema_are_named() {
    let ambiguous = entry("when", "\"ignore\"");
    for (schema, expected) in [
        (entry("size", "\"number\""), "a.csv, line 2, column 2 (size): `low` is not a number"),
        (entry("size", "\"boolean\""), "a.csv, line 2, column 2 (size): `low` is not a boolean"),
        (entry("size", "\"date\""), "a.csv, line 2, column 2 (size): `low` is not a date"),
        (
            entry("size", "\"ordinal\"\norder = [\"low\", \"high\"]"),
            "a.csv, column 2 (size): `mid` is not in the order of the categories of the schema",
        ),
        (
            entry("sise", "\"text\""),
            "s.toml, line 5, column 8: the table has no column `sise`; did you mean `size`?",
        ),
    ] {
        let error = with(&(ambiguous.clone() + &schema)).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn a_written_schema_gives_the_inferred_types() {
    let row = |row: usize| {
        format!("{row},{},2020-01-{:02},{},{}\n", row % 5, row % 28 + 1, ["a|b", "b", ""][row % 3], row % 2)
    };
    let text = format!("id,x,when,tags,kind\n{}", (0..30).map(row).collect::<String>());
    let (_folder, path) = file("a.csv", text.as_bytes());
    let columns = describe(&path, &DataOptions::default()).unwrap();
    let shown: Vec<_> = columns.iter().map(|column| (column.kind.as_str(), column.distinct)).collect();
    assert_eq!(shown, [("ignore", 30), ("number", 5), ("date", 28), ("list", 2)]);
    assert!((columns[3].missing - 1. / 3.).abs() < 1e-9);
    let text = to_text(&columns);
    assert!(text.lines().nth(1).unwrap().contains("left out: it numbers the rows"), "{text}");
    let (_folder, schema) = file("s.toml", to_toml("a.csv", &columns).as_bytes());
    let with = DataOptions { schema: Some(schema), ..DataOptions::default() };
    assert_eq!(read(&path, &with).unwrap().layout, read(&path, &DataOptions::default()).unwrap().layout);
}
