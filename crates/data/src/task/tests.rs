use super::*;
use crate::image::Decoding;
use crate::targets::are_quantities;
use crate::{InputShape, Inputs, Names};
use proptest::prelude::*;

/// Examples with these label texts, as a format without columns reads them.
fn examples(texts: &[&str]) -> Dataset {
    let mut builder = crate::LabelsBuilder::default();
    texts.iter().for_each(|text| builder.push(text));
    let (classes, labels) = builder.finish();
    Dataset {
        path: "data".into(),
        sha256: String::new(),
        classes,
        labels,
        targets: Targets::Classes,
        shape: InputShape(vec![1]),
        range: None,
        inputs: Inputs::Bytes(vec![0; texts.len()]),
        names: Names::Rows((0..texts.len() as u64).collect()),
        table: None,
        portions: None,
        groups: None,
        decoding: Decoding::default(),
        texts: None,
        choices: Default::default(),
    }
}

fn of(texts: &[&str], task: TaskKind) -> Result<Dataset> {
    examples(texts).for_task(TargetChoice { task: Some(task), is_selected: false })
}

fn shown(dataset: &Dataset) -> Vec<String> {
    (0..dataset.rows()).map(|row| dataset.target_text(row)).collect()
}

#[test]
fn labels_are_separated_by_the_first_separator_that_occurs() {
    for text in ["b|a", "b;a", "b, a", "b a", " b | a |", "b|a|b"] {
        let data = of(&[text, "a", "", "b"], TaskKind::Multilabel).unwrap();
        assert_eq!(data.classes, ["a", "b"], "{text}");
        assert_eq!(shown(&data), ["a|b", "a", "", "b"], "{text}");
    }
    // Names of several words, and a separator within names beside another one between them.
    let data = of(&["New York", "Los Angeles"], TaskKind::Multilabel).unwrap();
    assert_eq!(data.classes, ["Los Angeles", "New York"]);
    let data = of(&["b, c|a", "a"], TaskKind::Multilabel).unwrap();
    assert_eq!(data.classes, ["a", "b, c"]);
}

#[test]
fn equal_sets_in_another_order_have_one_label() {
    let data = of(&["a|b", "b|a", "a"], TaskKind::Multilabel).unwrap();
    assert_eq!((data.labels[0], data.labels[0] != data.labels[2]), (data.labels[1], true));
    assert_eq!(data.label_counts(), [3, 2]);
}

#[test]
fn a_text_among_numbers_names_its_row() {
    let problem = of(&["1", "2.5", "n/a"], TaskKind::Regression).unwrap_err().to_string();
    assert!(
        problem.starts_with("data, example 2") && problem.contains("`n/a` is not a finite number"),
        "{problem}"
    );
    assert!(of(&["1", "inf"], TaskKind::Regression).is_err());
    let data = of(&["1e2", "-2.5", "100"], TaskKind::Regression).unwrap();
    assert_eq!(
        (data.classes.clone(), shown(&data)),
        (vec!["value".to_string()], vec!["100".into(), "-2.5".into(), "100".into()])
    );
}

#[test]
fn data_with_nothing_to_learn_is_refused() {
    let problem = |texts: &[&str], task| of(texts, task).unwrap().check().unwrap_err().to_string();
    assert!(problem(&["", ""], TaskKind::Multilabel).contains("no example has a label"));
    assert!(problem(&["a|b", "b|a"], TaskKind::Multilabel).contains("every example has the labels `a|b`"));
    assert!(problem(&["3", "3"], TaskKind::Regression).contains("`value` is 3 in every example"));
    assert!(problem(&["a", "a"], TaskKind::Classification).contains("at least two classes"));
    assert!(of(&["a", ""], TaskKind::Multilabel).unwrap().check().is_ok());
}

#[test]
fn labels_of_a_model_are_found_by_name_and_unknown_ones_named() {
    let model = ["b", "c", "a"].map(String::from);
    let data = of(&["a|b", ""], TaskKind::Multilabel).unwrap().with_classes(&model).unwrap();
    let Targets::Sets(sets) = &data.targets else { panic!("the data has labels") };
    assert_eq!(sets[data.labels[0] as usize], [0, 2]);
    let unknown = of(&["a", "a|d"], TaskKind::Multilabel).unwrap().with_classes(&model).unwrap_err();
    assert_eq!(unknown.to_string(), "data, example 1: unknown label `d`; the labels are b, c, a");
}

#[test]
fn strata_are_the_rarest_labels_and_the_deciles() {
    let data = of(&["a|b", "a", "", "a|c", "b"], TaskKind::Multilabel).unwrap();
    assert_eq!(data.strata(), Strata { of_example: vec![2, 1, 0, 3, 2], count: 4 });
    let numbers: Vec<String> = (0..100).map(|row| format!("{}.5", row * 37 % 100)).collect();
    let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
    let Strata { of_example, count } = of(&numbers, TaskKind::Regression).unwrap().strata();
    assert_eq!((of_example[0], of_example[1], of_example[99], count), (0, 3, 6, 10));
}

#[test]
fn quantities_are_many_numbers_of_which_some_are_fractions_or_most_are_rare() {
    let numbers =
        |count: u32, step: f32| (0..count).map(|n| (n as f32 * step).to_string()).collect::<Vec<_>>();
    assert!(are_quantities(&numbers(30, 0.5), 3_000) && are_quantities(&numbers(30, 1.), 100));
    assert!(!are_quantities(&numbers(30, 1.), 1_000) && !are_quantities(&numbers(20, 0.5), 40));
    assert!(!are_quantities(&[numbers(30, 0.5), vec!["a".into()]].concat(), 100));
}

proptest! {
    #[test]
    fn sets_are_those_of_the_texts(sets in prop::collection::vec(prop::collection::btree_set("[a-e]", 0..4), 2..30)) {
        let texts: Vec<String> =
            sets.iter().map(|set| set.iter().cloned().collect::<Vec<_>>().join("|")).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let data = of(&texts, TaskKind::Multilabel).unwrap();
        prop_assert_eq!(shown(&data), texts);
        let total: usize = sets.iter().map(|set| set.len()).sum();
        prop_assert_eq!(data.label_counts().iter().sum::<usize>(), total);
        let Strata { of_example, count } = data.strata();
        prop_assert!(of_example.iter().all(|stratum| (0..count as i64).contains(stratum)));
    }
}
