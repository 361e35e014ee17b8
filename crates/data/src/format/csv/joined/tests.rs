use super::*;
use crate::format;

/// Reads choices and a table of items.
fn read(choices: &str, items: &str, more: impl FnOnce(&mut DataOptions)) -> Result<Dataset> {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("clicks.csv"), choices).unwrap();
    std::fs::write(path("items.csv"), items).unwrap();
    let mut options = DataOptions {
        user: Some(ColumnChoice::Name("user".to_string())),
        item: Some(ColumnChoice::Name("item".to_string())),
        item_table: Some(path("items.csv")),
        ..DataOptions::default()
    };
    more(&mut options);
    format::read(&path("clicks.csv"), &options)
}

fn problem(choices: &str, items: &str) -> String {
    read(choices, items, |_| {}).unwrap_err().to_string()
}

const CHOICES: &str = "user,item\nu1,7\nu1,10\nu2,7\n";

#[test]
fn items_of_the_table_follow_in_order_and_their_rows_are_found_by_name() {
    let items = "year,item,genres\n1990,8,a|b\n1991,7,b\n,10,a\n";
    let found = read(CHOICES, items, |_| {}).unwrap();
    let Inputs::Floats(values) = &found.inputs else { panic!("a table has numbers") };
    assert_eq!(*values, [0., 0., 0., 2., 1., 0.]);
    let table = found.table.as_ref().unwrap();
    let ColumnKind::Code { categories, .. } = &table.columns[1].kind else { panic!("items are indexes") };
    assert_eq!(*categories, ["7", "8", "10"]);
    let joined = found.choices.tables[1].as_ref().unwrap();
    assert_eq!(["7", "8", "10", "9"].map(|name| joined.row(name)), [Some(1), Some(0), Some(2), None]);
    let names: Vec<_> =
        joined.rows.table.as_ref().unwrap().columns.iter().map(|column| &column.name).collect();
    assert_eq!(names, ["year", "genres"]);
    assert!(found.choices.tables[0].is_none());
    let other = read(CHOICES, &items.replace("1991", "1992"), |_| {}).unwrap();
    assert_ne!(found.sha256, other.sha256);
}

#[test]
fn a_table_of_one_text_is_hashed_and_columns_are_ignored_and_kept_in_the_table_that_has_them() {
    let row = |item: usize| {
        format!("{item},the {item} quick brown fox number {item} jumps over lazy dogs,c{item}\n")
    };
    let items = "item,title,code\n".to_string() + &(7..60).map(row).collect::<String>();
    let ignoring = |options: &mut DataOptions| options.ignore = Some("code".to_string());
    let kinds = |found: &Dataset| {
        let columns = &found.choices.tables[1].as_ref().unwrap().rows.table.as_ref().unwrap().columns;
        columns.iter().map(|column| column.kind.name().to_string()).collect::<Vec<_>>()
    };
    let found = read(CHOICES, &items, ignoring).unwrap();
    assert_eq!(kinds(&found), ["text"]);
    let keeping = |options: &mut DataOptions| options.keep = Some("code".to_string());
    assert_eq!(kinds(&read(CHOICES, &items, keeping).unwrap()), ["text", "category"]);
    let wrong = |options: &mut DataOptions| options.ignore = Some("codes".to_string());
    let said = read(CHOICES, &items, wrong).unwrap_err().to_string();
    assert!(said.starts_with("--ignore codes: no table has a column of this name"), "{said}");
}

#[test]
fn what_is_wrong_with_a_table_is_said_with_its_line() {
    let said = problem(CHOICES, "item,year\n7,1990\n8,1991\n7,1992\n");
    assert!(
        said.contains("items.csv, line 4: `7` has a row already: ")
            && said.ends_with("items.csv, line 2; remove one of them"),
        "{said}"
    );
    let said = problem(CHOICES, "item,year\n7,1990\n,1991\n");
    assert!(said.contains("items.csv, line 3: the row has no name in column `item`"), "{said}");
    let said = problem(CHOICES, "items,year\n7,1990\n");
    assert!(said.contains("items.csv: the header has no column `item`; did you mean `items`?"), "{said}");
    let said = problem(CHOICES, "item,year\n70,1990\n71,1991\n");
    assert!(said.contains("items.csv: none of the 2 values of column `item` of"), "{said}");
    let said = read(CHOICES, "item,year\n7,1990\n", |options| options.user = None).unwrap_err().to_string();
    assert!(said.starts_with("--item-table is for choices of items by users"), "{said}");
    let numbers = |options: &mut DataOptions| {
        options.user = Some(ColumnChoice::Number(1));
        options.item = Some(ColumnChoice::Number(2));
    };
    let said = read("1,7\n2,8\n", "item,year\n7,1990\n", numbers).unwrap_err().to_string();
    assert!(said.contains("clicks.csv: the table has no header"), "{said}");
}
