//! Predictions as text for other programs.

use super::Prediction;

/// A form of the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// A header and a row an input: input, class, probability, class_2, probability_2, …
    Csv,
    /// A JSON object a line: {"input": …, "predictions": [{"class": …, "probability": …}, …]}
    Jsonl,
}

/// Predictions, all with the same number of classes, as text.
pub fn to_text(predictions: &[Prediction], output: Output) -> String {
    match output {
        Output::Csv => csv(predictions),
        Output::Jsonl => predictions.iter().map(|prediction| json(prediction) + "\n").collect(),
    }
}

fn json(prediction: &Prediction) -> String {
    serde_json::to_string(prediction).expect("a prediction is plain data")
}

fn csv(predictions: &[Prediction]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let ranks = predictions.first().map_or(0, |prediction| prediction.predictions.len());
    let mut rows = vec![vec!["input".to_string()]];
    for rank in 1..=ranks {
        let suffix = if rank == 1 { String::new() } else { format!("_{rank}") };
        rows[0].extend([format!("class{suffix}"), format!("probability{suffix}")]);
    }
    rows.extend(predictions.iter().map(|prediction| {
        let cells =
            prediction.predictions.iter().flat_map(|r| [r.class.clone(), format!("{:.6}", r.probability)]);
        std::iter::once(prediction.input.clone()).chain(cells).collect()
    }));
    for row in rows {
        writer.write_record(&row).expect("a row can be written to memory");
    }
    let bytes = writer.into_inner().expect("rows can be written to memory");
    String::from_utf8(bytes).expect("rows of strings are UTF-8")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::predict::Ranked;

    fn text(output: Output) -> String {
        let ranked = |class: &str, probability| Ranked { class: class.into(), probability };
        let predictions = vec![ranked("x", 0.75), ranked("y", 0.25)];
        to_text(&[Prediction { input: "a,b.csv:1".into(), predictions }], output)
    }

    #[test]
    fn csv_quotes_what_needs_it() {
        let expected = "input,class,probability,class_2,probability_2\n\"a,b.csv:1\",x,0.750000,y,0.250000\n";
        assert_eq!(text(Output::Csv), expected);
    }

    #[test]
    fn a_json_line_is_an_object() {
        let value: serde_json::Value = serde_json::from_str(text(Output::Jsonl).trim()).unwrap();
        assert_eq!(value["predictions"][1]["class"], "y");
    }
}
