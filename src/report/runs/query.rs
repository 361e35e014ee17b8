//! Filters and sorts runs.

use std::cmp::Ordering;
use std::str::FromStr;

use serde_json::Value;

use super::facts::{Facts, check_column};
use crate::error::{Error, Result, quoted};
use crate::evaluate::METRICS;

/// A condition on a column, such as `accuracy>0.97` or `model=cnn`.
///
/// ```
/// use cresset::report::runs::{Facts, Filter};
///
/// let run: Facts = serde_json::from_str(r#"{"model": "cnn", "accuracy": 0.98}"#).unwrap();
/// assert!("accuracy>0.97".parse::<Filter>()?.takes(&run)?);
/// assert!(!"model=mlp".parse::<Filter>()?.takes(&run)?);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Filter {
    column: String,
    relation: Relation,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Equal,
    Unequal,
    AtMost,
    AtLeast,
    Less,
    Greater,
    Contains,
}

/// Operators, longest first, because a shorter one may be a prefix.
const RELATIONS: [(&str, Relation); 8] = [
    ("!=", Relation::Unequal),
    ("<=", Relation::AtMost),
    (">=", Relation::AtLeast),
    ("==", Relation::Equal),
    ("=", Relation::Equal),
    ("<", Relation::Less),
    (">", Relation::Greater),
    ("~", Relation::Contains),
];

impl FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_relation = |character: char| "!=<>~".contains(character);
        let fault = || {
            let problem = format!(
                "{} is not a condition; write a column, one of = != < <= > >= ~ (contains), and a value, such as \
                 `accuracy>0.97`",
                quoted(text)
            );
            Error::Usage(problem)
        };
        let start = text.find(is_relation).ok_or_else(fault)?;
        let (column, rest) = text.split_at(start);
        let (sign, relation) =
            RELATIONS.into_iter().find(|(sign, _)| rest.starts_with(sign)).ok_or_else(fault)?;
        Ok(Filter {
            column: check_column(column.trim())?,
            relation,
            value: rest[sign.len()..].trim().to_string(),
        })
    }
}

impl Filter {
    /// Whether a run matches. A run without a value matches only `!=`.
    ///
    /// # Errors
    /// If a number is compared with a value that is not a number.
    pub fn takes(&self, facts: &Facts) -> Result<bool> {
        let Some(own) = facts.get(&self.column) else { return Ok(self.relation == Relation::Unequal) };
        let own_text = text(own);
        if self.relation == Relation::Contains {
            return Ok(own_text.contains(&self.value));
        }
        let order = match (own.as_f64(), number(&self.value)) {
            (Some(own), Some(wanted)) => own.partial_cmp(&wanted),
            (Some(_), None) => {
                let problem = format!(
                    "the column {} holds numbers, but {} is not a number",
                    self.column,
                    quoted(&self.value)
                );
                return Err(Error::Usage(problem));
            }
            (None, _) => Some(own_text.cmp(&self.value)),
        };
        Ok(order.is_some_and(|order| match self.relation {
            Relation::Equal => order == Ordering::Equal,
            Relation::Unequal => order != Ordering::Equal,
            Relation::AtMost => order != Ordering::Greater,
            Relation::AtLeast => order != Ordering::Less,
            Relation::Less => order == Ordering::Less,
            Relation::Greater => order == Ordering::Greater,
            Relation::Contains => false,
        }))
    }
}

/// Parses a number or a percentage.
fn number(text: &str) -> Option<f64> {
    match text.strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().ok().map(|percent| percent / 100.),
        None => text.parse().ok(),
    }
}

/// A value as text without quotation marks.
pub(super) fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

/// A column to sort by, and the direction.
///
/// ```
/// use cresset::report::runs::{Facts, Order};
///
/// let run = |accuracy: f64| Facts::from_iter([("accuracy".to_string(), accuracy.into())]);
/// let mut runs = [run(0.96), run(0.98)];
/// "-accuracy".parse::<Order>()?.sort(&mut runs);
/// assert_eq!(runs[0]["accuracy"], 0.98);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    column: String,
    is_descending: bool,
}

impl FromStr for Order {
    type Err = Error;

    /// Parses a column name; a leading `-` sorts in descending order.
    fn from_str(text: &str) -> Result<Self> {
        let (column, is_descending) = text.strip_prefix('-').map_or((text, false), |column| (column, true));
        Ok(Order { column: check_column(column)?, is_descending })
    }
}

impl Order {
    /// Sorts runs stably; runs without a value come last.
    pub fn sort(&self, runs: &mut [Facts]) {
        runs.sort_by(|a, b| match (a.get(&self.column), b.get(&self.column)) {
            (Some(a), Some(b)) if self.is_descending => compare(b, a),
            (Some(a), Some(b)) => compare(a, b),
            (a, b) => b.is_some().cmp(&a.is_some()),
        });
    }
    /// Whether a run has a value in the column.
    pub fn applies_to(&self, facts: &Facts) -> bool {
        facts.contains_key(&self.column)
    }
}

fn compare(a: &Value, b: &Value) -> Ordering {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => text(a).cmp(&text(b)),
    }
}

/// The order that puts the best run by a metric first.
///
/// ```
/// use cresset::report::runs::{Order, best_order};
///
/// assert_eq!(best_order("accuracy")?, "-accuracy".parse::<Order>()?);
/// assert_eq!(best_order("loss")?, "loss".parse::<Order>()?);
/// # Ok::<(), cresset::error::Error>(())
/// ```
///
/// # Errors
/// If the column is not a metric.
pub fn best_order(column: &str) -> Result<Order> {
    let column = check_column(column)?;
    let plain = column.strip_prefix("test_").or(column.strip_prefix("train_")).unwrap_or(&column);
    let metric = METRICS.iter().find(|metric| metric.column() == plain);
    let is_share = match metric {
        Some(metric) => metric.is_higher_better,
        None if plain == "loss" => false,
        None => {
            let names: Vec<_> = METRICS.iter().map(|metric| metric.column()).collect();
            let problem = format!(
                "{column} is not a metric, so it has no best value; use --sort, or one of \
                 loss, {}",
                names.join(", ")
            );
            return Err(Error::Usage(problem));
        }
    };
    Ok(Order { column, is_descending: is_share })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn facts(value: Value) -> Facts {
        value.as_object().unwrap().clone()
    }

    fn takes(filter: &str, value: Value) -> bool {
        filter.parse::<Filter>().unwrap().takes(&facts(value)).unwrap()
    }

    #[test]
    fn numbers_are_compared_as_numbers_and_texts_as_texts() {
        let run = || json!({"model": "cnn", "epochs": 10, "accuracy": 0.975, "augment": "flip,crop=4"});
        for filter in [
            "model=cnn",
            "model == cnn",
            "model!=mlp",
            "epochs>=10",
            "epochs=10.0",
            "accuracy>0.97",
            "accuracy > 97%",
            "epochs<100",
            "model~nn",
            "augment=flip,crop=4",
            "test_accuracy!=1",
        ] {
            assert!(takes(filter, run()), "{filter}");
        }
        for filter in ["model=mlp", "epochs<10", "accuracy>98%", "test_accuracy>0", "epochs!=10"] {
            assert!(!takes(filter, run()), "{filter}");
        }
    }

    #[test]
    fn errors_suggest_the_closest_name() {
        let problem = |text: &str| text.parse::<Filter>().unwrap_err().to_string();
        assert!(problem("acuracy>1").contains("there is no column `acuracy`; did you mean `accuracy`?"));
        assert!(problem("cnn").contains("`cnn` is not a condition"));
        let compared = "epochs>many".parse::<Filter>().unwrap().takes(&facts(json!({"epochs": 1})));
        assert!(compared.unwrap_err().to_string().contains("holds numbers, but `many` is not a number"));
        assert!(best_order("lr").unwrap_err().to_string().contains("lr is not a metric"));
    }

    fn sorted(order: Order) -> Vec<String> {
        let mut runs: Vec<_> = [
            json!({"name": "a", "loss": 0.5}),
            json!({"name": "b"}),
            json!({"name": "c", "loss": 0.25}),
            json!({"name": "d", "loss": 2}),
        ]
        .map(facts)
        .into();
        order.sort(&mut runs);
        runs.iter().map(|run| text(&run["name"])).collect()
    }

    #[test]
    fn runs_without_a_value_come_last_in_both_directions() {
        assert_eq!(sorted("loss".parse().unwrap()), ["c", "a", "d", "b"]);
        assert_eq!(sorted("-loss".parse().unwrap()), ["d", "a", "c", "b"]);
        assert_eq!(sorted(best_order("loss").unwrap()), ["c", "a", "d", "b"]);
    }

    proptest! {
        #[test]
        fn no_condition_makes_the_reader_panic(text in ".{0,40}") {
            let _ = text.parse::<Filter>();
            let _ = text.parse::<Order>();
        }
    }
}
