//! Predicted against actual values, residuals and prediction intervals; none for other tasks.

use tch::{Kind, Tensor};

use super::{Report, metric_table};
use crate::evaluate::Scores;
use crate::evaluate::numbers::percent;
use crate::model::{Outputs, ValueInterval};
use crate::report::chart::{Titles, histogram, predicted_against_actual};

pub fn section(report: &Report) -> Option<String> {
    let Outputs::Regression { interval, .. } = &report.metadata.outputs else { return None };
    let plots =
        report.evaluation.scores.as_ref().map_or(String::new(), |scores| plots(report, scores, interval));
    Some(format!("{}{plots}{}", intervals(report, interval.as_ref()), metric_table(report)))
}

fn plots(report: &Report, scores: &Scores, interval: &Option<ValueInterval>) -> String {
    let numbers = |tensor: &Tensor| {
        Vec::<f64>::try_from(tensor.to_kind(Kind::Double).reshape(-1)).expect("numbers are float64")
    };
    let (predicted, actual) = (numbers(&scores.logits), numbers(&scores.labels));
    let points: Vec<_> = actual.into_iter().zip(predicted).collect();
    let name = &report.metadata.classes[0];
    let edges = interval.map(|interval| (format!("{:.0} % interval", 100. * interval.coverage), interval));
    let scatter = predicted_against_actual(
        &Titles {
            chart: "Predicted against actual values",
            across: &format!("actual {name}"),
            down: &format!("predicted {name}"),
        },
        &points,
        edges.as_ref().map(|(name, interval)| (name.as_str(), interval.half_width)),
    );
    let residuals: Vec<f64> = points.iter().map(|(actual, predicted)| predicted - actual).collect();
    let bars = histogram(
        &Titles {
            chart: "Residuals",
            across: &format!("predicted minus actual {name}"),
            down: "validation examples",
        },
        &residuals,
    );
    format!("<div class=\"plots\">{scatter}{bars}</div>\n")
}

/// The prediction interval, and how often it contains the actual value.
fn intervals(report: &Report, interval: Option<&ValueInterval>) -> String {
    let Some(interval) = interval else {
        return "<p>The model has no prediction intervals: the validation set has too few examples for their coverage.</p>\n"
            .to_string();
    };
    let coverage = |figures: &[crate::evaluate::MetricValue]| {
        let figure = figures.iter().find(|figure| figure.name.starts_with("coverage of intervals"));
        figure.map_or("–".to_string(), |figure| figure.shown.clone())
    };
    let test = match &report.test {
        Some(test) => format!("On the test set, {} do.", coverage(&test.metrics)),
        None => "There is no test set that would show the coverage on new examples (<code>--test-list</code>, or a test split of \
                 the data)."
            .to_string(),
    };
    format!(
        "<p>The prediction interval is the predicted value ± {}. It contains the actual value of new examples with a probability of at \
         least {} (split conformal prediction), if they come from the same distribution. It was fitted to the validation set: {} of \
         its examples lie in their interval. {test}</p>\n",
        super::number(interval.half_width),
        percent(Some(interval.coverage)),
        coverage(&report.figures.metrics)
    )
}
