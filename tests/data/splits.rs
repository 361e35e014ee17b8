//! How data is split, as a user sees it: lists, folds, and what is found with them.

use std::collections::BTreeMap;
use std::path::Path;

use crate::support::{cresset, root, stderr, succeed, text};

/// The examples of each part, by split.csv.
fn split_of(run: &Path) -> BTreeMap<String, Vec<String>> {
    let mut parts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for record in csv::Reader::from_path(run.join("split.csv")).unwrap().into_records() {
        let record = record.unwrap();
        parts.entry(record[1].to_string()).or_default().push(record[0].to_string());
    }
    parts
}

#[test]
fn lists_define_the_split_and_the_test_set_is_evaluated_once() {
    let folder = tempfile::tempdir().unwrap();
    let list = |name: &str, rows: std::ops::Range<u32>| {
        let path = folder.path().join(name);
        let names: Vec<_> = rows.map(|row| row.to_string()).collect();
        std::fs::write(&path, names.join("\n")).unwrap();
        path
    };
    let (validation, test, exclude) = (list("h", 0..100), list("t", 100..300), list("x", 1700..1797));
    let run = folder.path().join("run");
    let lists =
        ["--validation-list", text(&validation), "--test-list", text(&test), "--exclude", text(&exclude)];
    let said = succeed(["train", "--epochs", "2", "--out", text(&run)].into_iter().chain(lists));
    assert!(said.contains("1,400 for training, 100 for validation, 200 for testing"), "{said}");
    assert!(said.contains("test accuracy"), "{said}");
    let parts = split_of(&run);
    let names = |rows: std::ops::Range<u32>| rows.map(|row| row.to_string()).collect::<Vec<_>>();
    assert_eq!(parts["heldout"], names(0..100));
    assert_eq!(parts["test"], names(100..300));
    assert_eq!(parts["train"], names(300..1700));

    // A list made of split.csv's names repeats the split.
    let train = folder.path().join("train");
    std::fs::write(&train, parts["train"].join("\n")).unwrap();
    let again = folder.path().join("again");
    let lists =
        ["--validation-list", text(&validation), "--test-list", text(&test), "--train-list", text(&train)];
    succeed(["train", "--epochs", "2", "--out", text(&again)].into_iter().chain(lists));
    assert_eq!(split_of(&again), parts);
}

#[test]
fn lists_that_make_no_sense_are_refused_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let list = |name: &str, contents: &str| std::fs::write(folder.path().join(name), contents).unwrap();
    list("a", "1\n2\n");
    list("b", "2\n");
    list("c", "1\nseven\n");
    let cases = [
        (&["--validation-list", "a", "--test-list", "b"][..], "b: the example 2 is in two lists"),
        (&["--validation-list", "c"], "c, line 2: no example named "),
        (&["--exclude", "absent"], "absent: cannot read the list of examples"),
        (&["--fold", "6", "--folds", "5"], "--fold 6 of --folds 5: the fold does not exist"),
        (&["--fold", "2"], "--fold 2 without --folds: the fold does not exist"),
    ];
    let digits = root().join("data/digits.csv");
    for (arguments, expected) in cases {
        let output = cresset()
            .args(["train", "--data", text(&digits), "--out", "run"])
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .unwrap();
        let said = stderr(&output);
        assert!(output.status.code() == Some(2) && said.contains(expected), "{said}");
        assert!(!folder.path().join("run").exists());
    }
}

/// The times by the number of the row, the rows of the test set, and those of the validation set.
type Case<'a> = (&'a dyn Fn(usize) -> String, [usize; 3], [usize; 3]);

/// A table of `rows` rows whose times are `time` of the row's number.
fn table_of_times(path: &Path, rows: usize, time: impl Fn(usize) -> String) {
    let row =
        |row: usize| format!("{},{},{}\n", time(row), row * 7 % 10, if row * 7 % 10 > 4 { "a" } else { "b" });
    std::fs::write(path, "when,size,kind\n".to_string() + &(0..rows).map(row).collect::<String>()).unwrap();
}

#[test]
fn the_newest_rows_are_the_test_set_and_equal_times_are_in_the_order_of_the_rows() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("times.csv");
    let names = |rows: &[usize]| rows.iter().map(usize::to_string).collect::<Vec<_>>();
    // Rows 20 to 39 come first; the last six rows in time are 14 to 19. Then days, of which each has two rows, newest first.
    let as_number = |row: usize| ((row + 20) % 40).to_string();
    let as_date = |row: usize| format!("2024-02-{:02}", 29 - row / 2);
    let cases: [Case; 2] = [(&as_number, [17, 18, 19], [14, 15, 16]), (&as_date, [0, 1, 3], [2, 4, 5])];
    for (number, (time, test, validation)) in cases.into_iter().enumerate() {
        table_of_times(&data, 40, time);
        let run = folder.path().join(number.to_string());
        let share = ["--validation", "0.075", "--split", "time:when", "--out", text(&run)];
        let said = succeed(["train", "--data", text(&data), "--epochs", "2"].into_iter().chain(share));
        assert!(said.contains("34 for training, 3 for validation, 3 for testing"), "{said}");
        let parts = split_of(&run);
        assert_eq!((&parts["test"], &parts["heldout"]), (&names(&test), &names(&validation)));
    }
}

#[test]
fn the_last_choices_of_each_user_are_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("clicks.csv");
    // The user a has four choices, newest first; b has three, c two, and d one.
    let rows = ["a,1,9", "b,2,1", "a,2,8", "b,3,3", "a,3,7", "c,1,5", "b,1,2", "a,4,6", "c,3,4", "d,3,1"];
    std::fs::write(&data, "user,item,time\n".to_string() + &rows.join("\n") + "\n").unwrap();
    // By time and by the order of the rows: the test set and the validation set.
    let cases =
        [("leave-one-out:time", ["0", "3", "5"], ["2", "6"]), ("leave-one-out", ["6", "7", "8"], ["3", "4"])];
    for (method, test, validation) in cases {
        let run = folder.path().join(method);
        let columns =
            ["--user", "user", "--item", "item", "--epochs", "1", "--split", method, "--out", text(&run)];
        succeed(["train", "--data", text(&data)].into_iter().chain(columns));
        let parts = split_of(&run);
        assert_eq!(
            (&parts["test"][..], &parts["heldout"][..]),
            (&test.map(String::from)[..], &validation.map(String::from)[..])
        );
    }
}

#[test]
fn a_split_by_time_that_is_impossible_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("times.csv");
    let fails = |arguments: &[&str], expected: &str| {
        let train = ["train", "--data", text(&data), "--out", "run", "--split"];
        let output = cresset().args(train).args(arguments).current_dir(folder.path()).output().unwrap();
        let said = stderr(&output);
        assert!(output.status.code() == Some(2) && said.contains(expected), "{arguments:?}: {said}");
        assert!(!folder.path().join("run").exists());
    };
    table_of_times(&data, 40, |row| if row == 5 { String::new() } else { row.to_string() });
    fails(&["time:when"], "times.csv, line 7, column when: the time is missing");
    table_of_times(&data, 40, |row| if row == 5 { "soon".into() } else { row.to_string() });
    fails(
        &["time:when", "--ignore", "when"],
        "line 7, column when: `soon` is not a number, unlike the times above",
    );
    table_of_times(&data, 40, |row| format!("2024-01-{:02}", 1 + row % 30));
    fails(&["time:wen"], "no column `wen`; did you mean `when`?");
    fails(&["time:kind"], "line 2, column kind: `b` is neither a number nor a date");
    fails(&["time:when", "--validation", "0.5"], "leaves none of 40 for training; lower --validation");
    fails(&["newest"], "expected time:COLUMN");
    fails(&["leave-one-out"], "needs --user and --item");
    for other in [["--folds", "5"], ["--bag", "2"], ["--group", "size"], ["--test-list", "list.txt"]] {
        fails(
            &[&["time:when"][..], &other].concat(),
            &format!("--split time:when and {} both split the data", other[0]),
        );
    }
}

#[test]
fn folds_evaluate_every_row_once_and_report_mean_and_standard_deviation() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("cv");
    let said = succeed(["train", "--folds", "3", "--epochs", "2", "--out", text(&run)]);
    assert!(said.contains("fold 3 of 3") && said.contains("mean ± deviation"), "{said}");
    let mut measured: Vec<u32> = Vec::new();
    for fold in 1..=3 {
        let parts = split_of(&run.join(format!("fold-{fold}")));
        measured.extend(parts["heldout"].iter().map(|name| name.parse::<u32>().unwrap()));
    }
    measured.sort_unstable();
    assert_eq!(measured, (0..1797).collect::<Vec<_>>());

    let figures: Vec<f64> = csv::Reader::from_path(run.join("folds.csv"))
        .unwrap()
        .into_records()
        .map(|record| record.unwrap()[3].parse().unwrap())
        .collect();
    let mean = figures.iter().sum::<f64>() / 3.;
    let deviation = (figures.iter().map(|figure| (figure - mean).powi(2)).sum::<f64>() / 2.).sqrt();
    let shown = format!("{:.2} ± {:.2} %", 100. * mean, 100. * deviation);
    assert!(said.contains(&shown), "{shown} is not in {said}");
}

#[test]
fn an_interrupted_cross_validation_resumes_to_the_same_metrics() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, cut) = (folder.path().join("whole"), folder.path().join("cut"));
    let train = |run: &Path| succeed(["train", "--folds", "3", "--epochs", "2", "--out", text(run)]);
    train(&whole);
    train(&cut);
    // As a kill leaves it: one fold done, one between its first checkpoint and its model, one that has just begun.
    std::fs::remove_file(cut.join("folds.csv")).unwrap();
    std::fs::remove_file(cut.join("fold-2/model.pt")).unwrap();
    std::fs::remove_file(cut.join("fold-3/model.pt")).unwrap();
    std::fs::remove_dir_all(cut.join("fold-3/checkpoints")).unwrap();
    succeed(["train", "--resume", text(&cut)]);
    for file in ["folds.csv", "fold-1/model.pt", "fold-2/model.pt", "fold-3/model.pt"] {
        assert!(std::fs::read(whole.join(file)).unwrap() == std::fs::read(cut.join(file)).unwrap(), "{file}");
    }
    let output = cresset().args(["train", "--epochs", "9", "--resume", text(&cut)]).output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
}

#[test]
fn flipped_labels_head_the_label_error_ranking() {
    let folder = tempfile::tempdir().unwrap();
    let digits = std::fs::read_to_string(root().join("data/digits.csv")).unwrap();
    // Every 20th label is moved on by one.
    let changed: Vec<String> = digits
        .lines()
        .enumerate()
        .map(|(row, line)| {
            let (values, label) = line.rsplit_once(',').unwrap();
            let label: u32 = label.parse().unwrap();
            format!("{values},{}", if row % 20 == 7 { (label + 1) % 10 } else { label })
        })
        .collect();
    let data = folder.path().join("digits.csv");
    std::fs::write(&data, changed.join("\n")).unwrap();
    let run = folder.path().join("run");
    let said = succeed([
        "train",
        "--recipe",
        "none",
        "--data",
        text(&data),
        "--find-label-errors",
        "--out",
        text(&run),
    ]);
    assert!(said.contains("labels are probably wrong"), "{said}");
    let ranking: Vec<u32> = csv::Reader::from_path(run.join("label_errors.csv"))
        .unwrap()
        .into_records()
        .map(|record| record.unwrap()[0].parse().unwrap())
        .collect();
    assert_eq!(ranking.len(), 1797);
    let first = &ranking[..1797 * 7 / 100];
    let changed = (0..1797).filter(|row| row % 20 == 7).collect::<Vec<_>>();
    let found = changed.iter().filter(|row| first.contains(row)).count();
    assert!(found * 10 >= changed.len() * 8, "{found} of {}", changed.len());
}

/// 19 rows of one class for each of the other, which overlaps it: without help, the rare class is hardly predicted.
#[test]
fn balanced_sampling_and_weights_raise_the_recall_of_a_rare_class() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("rare.csv");
    let row = |row: u32| {
        let (a, b) = (f64::from(row * 37 % 101) / 101., f64::from(row * 53 % 97) / 97.);
        if row.is_multiple_of(20) { format!("{},{b},rare\n", a + 0.4) } else { format!("{a},{b},common\n") }
    };
    std::fs::write(&data, (0..2000).map(row).collect::<String>()).unwrap();
    let recall = |name: &str, arguments: &[&str]| {
        let run = folder.path().join(name);
        succeed(
            ["train", "--recipe", "none", "--data", text(&data), "--epochs", "5", "--out", text(&run)]
                .iter()
                .chain(arguments),
        );
        let said = succeed(["eval", text(&run)]);
        let line = said.lines().find(|line| line.starts_with("rare")).unwrap().to_string();
        line.split_whitespace().nth(4).unwrap().parse::<f64>().unwrap()
    };
    let plain = recall("plain", &[]);
    let sampled = recall("sampled", &["--sampling", "balanced"]);
    let weighted = recall("weighted", &["--class-weights", "balanced"]);
    assert!(sampled > plain + 20. && weighted > plain + 20., "{plain} {sampled} {weighted}");
}
