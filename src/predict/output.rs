//! Writes predictions as CSV, JSON lines or plain text.

use std::io::{self, Write};

use cresset_options::choices;
use serde_json::{Map, Value};

use super::{Classified, Ranked, ranked};
use crate::data::terminal;
use crate::evaluate::conformal::Conformal;
use crate::evaluate::ood::OodThreshold;
use crate::model::Outputs;

/// Between the classes of a prediction set in a CSV cell.
const SET_SEPARATOR: &str = "|";

choices! {
    /// Output format of predictions.
    ///
    /// ```
    /// use cresset::predict::Output;
    ///
    /// assert_eq!("jsonl".parse(), Ok(Output::Jsonl));
    /// ```
    pub enum Output {
        /// a header and one row per input: input, class, probability, class_2, probability_2, …, p_CLASS, …, set (only with --coverage in training),
        /// energy or distance, ood (only with --ood in training), error; of several labels: input, labels, p_LABEL, …, error; of a number:
        /// input, value, low, high (the prediction interval), error
        Csv = "csv",
        /// one JSON object per line: {"input": …, "predictions": [{"class": …, "probability": …}, …]} or {"input": …, "error":
        /// …}; of several labels also "labels": […]; of a number "value": …, "interval": [low, high]; "unknown" holds the categories that the model was not trained on, by column
        Jsonl = "jsonl",
        /// the class or number alone, one line per input, empty for an error; further classes or labels after tabs
        Plain = "plain",
    }
}

/// How predictions are written.
///
/// ```
/// use cresset::predict::{Output, OutputOptions};
///
/// // CSV with the two most probable classes of each input.
/// let options =
///     OutputOptions { output: Output::Csv, top_k: 2, probabilities: false, escape_formulas: true };
/// assert_eq!(options.output.name(), "csv");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputOptions {
    /// The output format.
    pub output: Output,
    /// The number of classes per input, the most probable first; capped at the number of classes.
    pub top_k: usize,
    /// Whether to include the probabilities of all classes.
    pub probabilities: bool,
    /// Whether to put `'` in front of CSV cells that a spreadsheet would interpret as formulas.
    pub escape_formulas: bool,
}

/// Writes predictions line by line.
///
/// ```
/// use cresset::predict::{Classified, Notes, Output, OutputOptions, PredictionWriter};
///
/// let form =
///     OutputOptions { output: Output::Plain, top_k: 1, probabilities: false, escape_formulas: false };
/// let classes = ["cat".to_string(), "dog".to_string()];
/// let mut text = Vec::new();
/// let mut writer = PredictionWriter::new(&mut text, form, &classes);
/// writer.write(&[Classified {
///     input: "photo.jpg".to_string(), probabilities: Ok(vec![0.2, 0.8]), ood_score: None,
///     notes: Notes::default(),
/// }])?;
/// writer.finish()?;
/// assert_eq!(text, b"dog\n");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct PredictionWriter<'a, W: Write> {
    out: W,
    form: OutputOptions,
    classes: &'a [String],
    outputs: Outputs,
    conformal: Option<Conformal>,
    ood: Option<OodThreshold>,
    has_begun: bool,
}

/// A line of JSON output.
#[derive(serde::Serialize)]
struct Line<'a> {
    input: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    predictions: Option<Vec<Ranked>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    /// The prediction interval.
    #[serde(skip_serializing_if = "Option::is_none")]
    interval: Option<[f64; 2]>,
    /// The classes of the prediction set.
    #[serde(skip_serializing_if = "Option::is_none")]
    set: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    energy: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    distance: Option<f32>,
    /// Whether the input is unlike the training data.
    #[serde(skip_serializing_if = "Option::is_none")]
    ood: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probabilities: Option<Map<String, Value>>,
    /// Unknown categories by column.
    #[serde(skip_serializing_if = "Map::is_empty")]
    unknown: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
}

impl<'a, W: Write> PredictionWriter<'a, W> {
    /// Creates a writer for a model with these classes.
    pub fn new(out: W, form: OutputOptions, classes: &'a [String]) -> Self {
        let top_k = form.top_k.clamp(1, classes.len());
        let form = OutputOptions { top_k, ..form };
        let outputs = Outputs::default();
        PredictionWriter { out, form, classes, outputs, conformal: None, ood: None, has_begun: false }
    }

    /// Sets the meaning of the model's outputs.
    pub fn with_outputs(self, outputs: &Outputs) -> Self {
        PredictionWriter { outputs: outputs.clone(), ..self }
    }

    /// Adds the prediction sets of a model that has them. JSON lines and CSV show them.
    pub fn with_sets(self, conformal: Option<Conformal>) -> Self {
        PredictionWriter { conformal, ..self }
    }

    /// Adds the energy or the distance of a model that detects out-of-distribution inputs. JSON lines and CSV show it.
    pub fn with_ood(self, ood: Option<OodThreshold>) -> Self {
        PredictionWriter { ood, ..self }
    }

    /// The energy or the distance, and whether it is above the threshold.
    fn ood_score(&self, row: &Classified) -> Option<(f32, bool)> {
        let (ood, score) = self.ood.zip(row.ood_score)?;
        Some((score, ood.is_ood(score)))
    }

    /// The names of the classes in the prediction set.
    fn set(&self, probabilities: &[f64]) -> Option<Vec<String>> {
        Some(self.conformal?.named_set(probabilities, self.classes))
    }

    /// How predictions are written.
    pub fn form(&self) -> OutputOptions {
        self.form
    }

    /// Writes and flushes the lines of some inputs.
    pub fn write(&mut self, rows: &[Classified]) -> io::Result<()> {
        let mut text = Vec::new();
        match self.form.output {
            Output::Csv => self.csv(rows, &mut text)?,
            Output::Jsonl => rows.iter().try_for_each(|row| self.json(row, &mut text))?,
            Output::Plain => rows.iter().for_each(|row| self.plain(row, &mut text)),
        }
        self.has_begun = true;
        self.out.write_all(&text)?;
        self.out.flush()
    }

    /// Finishes the output; CSV has a header even without inputs.
    pub fn finish(mut self) -> io::Result<()> {
        if self.has_begun { Ok(()) } else { self.write(&[]) }
    }

    fn csv(&self, rows: &[Classified], text: &mut Vec<u8>) -> csv::Result<()> {
        let mut writer = csv::Writer::from_writer(text);
        if !self.has_begun {
            writer.write_record(self.header())?;
        }
        for row in rows {
            writer.write_field(&*self.cell(&row.input))?;
            match &row.probabilities {
                Ok(probabilities) => {
                    for cell in self.main_cells(probabilities) {
                        writer.write_field(cell)?;
                    }
                    for probability in probabilities.iter().filter(|_| self.has_probabilities()) {
                        writer.write_field(format!("{probability:.6}"))?;
                    }
                    if let Some(set) = self.set(probabilities) {
                        writer.write_field(&*self.cell(&set.join(SET_SEPARATOR)))?;
                    }
                    if let Some((score, is_ood)) = self.ood_score(row) {
                        writer.write_field(format!("{score:.6}"))?;
                        writer.write_field(is_ood.to_string())?;
                    }
                    writer.write_field("")?;
                }
                Err(problem) => {
                    let empty = self.header().len() - 2;
                    (0..empty).try_for_each(|_| writer.write_field(""))?;
                    writer.write_field(&*self.cell(problem))?;
                }
            }
            writer.write_record(None::<&[u8]>)?;
        }
        writer.flush()?;
        Ok(())
    }

    /// The cells of the most probable classes, of the predicted labels, or of the number.
    fn main_cells(&self, probabilities: &[f64]) -> Vec<String> {
        match &self.outputs {
            Outputs::Classification => ranked(probabilities, self.form.top_k, self.classes)
                .into_iter()
                .flat_map(|Ranked { class, probability }| [self.cell(&class), format!("{probability:.6}")])
                .collect(),
            Outputs::Multilabel { .. } => {
                let labels = self.outputs.named_labels(probabilities, self.classes).unwrap_or_default();
                vec![self.cell(&labels.join(SET_SEPARATOR))]
            }
            Outputs::Ranking => vec![probabilities[0].to_string()],
            Outputs::Regression { .. } => {
                let interval = self.outputs.interval(probabilities[0]);
                let values = [probabilities[0]].into_iter().chain(interval.into_iter().flatten());
                values.map(|value| value.to_string()).collect()
            }
        }
    }

    fn is_number(&self) -> bool {
        matches!(self.outputs, Outputs::Regression { .. } | Outputs::Ranking)
    }

    /// Whether the probabilities of all classes or labels are written.
    fn has_probabilities(&self) -> bool {
        self.form.probabilities && !self.is_number()
    }

    /// Escapes the text of a CSV cell.
    fn cell(&self, text: &str) -> String {
        let is_formula = self.form.escape_formulas && text.starts_with(['=', '+', '-', '@']);
        format!("{}{}", if is_formula { "'" } else { "" }, terminal::line(text))
    }

    fn header(&self) -> Vec<String> {
        let mut header = vec!["input".to_string()];
        match &self.outputs {
            Outputs::Classification => {
                for rank in 1..=self.form.top_k {
                    let suffix = if rank == 1 { String::new() } else { format!("_{rank}") };
                    header.extend([format!("class{suffix}"), format!("probability{suffix}")]);
                }
            }
            Outputs::Multilabel { .. } => header.push("labels".to_string()),
            Outputs::Ranking => header.push("score".to_string()),
            Outputs::Regression { interval, .. } => {
                let bounds = interval.iter().flat_map(|_| ["low", "high"]);
                header.extend(["value"].into_iter().chain(bounds).map(String::from));
            }
        }
        if self.has_probabilities() {
            header.extend(self.classes.iter().map(|class| format!("p_{}", terminal::line(class))));
        }
        header.extend(self.conformal.map(|_| "set".to_string()));
        header.extend(self.ood.into_iter().flat_map(|ood| [ood.score.field(), "ood"].map(String::from)));
        header.push("error".to_string());
        header
    }

    fn json(&self, row: &Classified, text: &mut Vec<u8>) -> io::Result<()> {
        let probabilities = row.probabilities.as_ref().ok();
        let (energy, distance) =
            self.ood.zip(row.ood_score).map_or((None, None), |(ood, score)| ood.named(score));
        let ood = self.ood_score(row).map(|(_, is_ood)| is_ood);
        let all = |probabilities: &Vec<f64>| {
            self.classes.iter().cloned().zip(probabilities.iter().map(|p| Value::from(*p))).collect()
        };
        let value = probabilities.map(|values| values[0]).filter(|_| self.is_number());
        let line = Line {
            input: &row.input,
            predictions: probabilities
                .filter(|_| !self.is_number())
                .map(|probabilities| ranked(probabilities, self.form.top_k, self.classes)),
            labels: probabilities
                .and_then(|probabilities| self.outputs.named_labels(probabilities, self.classes)),
            value,
            interval: value.and_then(|value| self.outputs.interval(value)),
            set: probabilities.and_then(|probabilities| self.set(probabilities)),
            energy,
            distance,
            ood,
            probabilities: probabilities.filter(|_| self.has_probabilities()).map(all),
            unknown: row
                .notes
                .unknown
                .iter()
                .map(|unknown| (unknown.column.clone(), unknown.text.clone().into()))
                .collect(),
            error: row.probabilities.as_ref().err().map(String::as_str),
        };
        serde_json::to_writer(&mut *text, &line)?;
        text.push(b'\n');
        Ok(())
    }

    fn plain(&self, row: &Classified, text: &mut Vec<u8>) {
        if let Ok(probabilities) = &row.probabilities {
            let names = match &self.outputs {
                Outputs::Classification => {
                    let ranked = ranked(probabilities, self.form.top_k, self.classes);
                    ranked.into_iter().map(|ranked| ranked.class).collect()
                }
                Outputs::Multilabel { .. } => {
                    self.outputs.named_labels(probabilities, self.classes).unwrap_or_default()
                }
                Outputs::Regression { .. } | Outputs::Ranking => vec![probabilities[0].to_string()],
            };
            let names: Vec<_> = names.iter().map(|name| terminal::line(name)).collect();
            text.extend_from_slice(names.join("\t").as_bytes());
        }
        text.push(b'\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::unknown::UnknownCategory;
    use crate::evaluate::ood::OodScore;
    use crate::predict::Notes;

    fn text(output: Output, probabilities: bool) -> String {
        let classes = ["y", "x"].map(String::from);
        let unknown = vec![UnknownCategory { column: "c".into(), text: "new".into() }];
        let notes = Notes { unknown, ..Notes::default() };
        let rows = [
            Classified {
                input: "a,b.csv:1".into(),
                probabilities: Ok(vec![0.25, 0.75]),
                ood_score: Some(-2.5),
                notes,
            },
            Classified {
                input: "b.png".into(),
                probabilities: Err("it is \"bad\"".into()),
                ood_score: None,
                notes: Notes::default(),
            },
        ];
        let mut bytes = Vec::new();
        let mut writer = PredictionWriter::new(
            &mut bytes,
            OutputOptions { output, top_k: 2, probabilities, escape_formulas: false },
            &classes,
        );
        rows.chunks(1).for_each(|rows| writer.write(rows).unwrap());
        writer.finish().unwrap();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn csv_has_one_header_despite_errors_and_quotes_cells() {
        let expected = "input,class,probability,class_2,probability_2,error\n\
                        \"a,b.csv:1\",x,0.750000,y,0.250000,\nb.png,,,,,\"it is \"\"bad\"\"\"\n";
        assert_eq!(text(Output::Csv, false), expected);
        let expected = "input,class,probability,class_2,probability_2,p_y,p_x,error\n\
                        \"a,b.csv:1\",x,0.750000,y,0.250000,0.250000,0.750000,\nb.png,,,,,,,\"it is \"\"bad\"\"\"\n";
        assert_eq!(text(Output::Csv, true), expected);
    }

    #[test]
    fn energies_come_before_the_error_and_only_of_models_that_have_them() {
        let classes = ["x".to_string()];
        let row = |score: Option<f32>| Classified {
            input: "a.png".into(),
            probabilities: if score.is_some() { Ok(vec![1.]) } else { Err("unreadable".into()) },
            ood_score: score,
            notes: Notes::default(),
        };
        let ood = |threshold| Some(OodThreshold { share: 0.05, threshold, score: OodScore::Energy, k: None });
        let text = |output, ood| {
            let mut bytes = Vec::new();
            let form = OutputOptions { output, top_k: 1, probabilities: false, escape_formulas: false };
            let mut writer = PredictionWriter::new(&mut bytes, form, &classes).with_ood(ood);
            writer.write(&[row(Some(-2.5)), row(None)]).unwrap();
            String::from_utf8(bytes).unwrap()
        };
        let csv = text(Output::Csv, ood(Some(-3.)));
        let (header, rows) = csv.split_once('\n').unwrap();
        assert_eq!(header, "input,class,probability,energy,ood,error");
        assert_eq!(rows, "a.png,x,1.000000,-2.500000,true,\na.png,,,,,unreadable\n");
        assert!(text(Output::Csv, ood(None)).contains("-2.500000,false,\n"));
        assert!(!text(Output::Csv, None).contains("energy"));
        let json = text(Output::Jsonl, ood(Some(-2.)));
        assert!(json.contains(r#""energy":-2.5,"ood":false}"#), "{json}");
        assert!(json.ends_with("{\"input\":\"a.png\",\"error\":\"unreadable\"}\n"), "{json}");
        assert!(!text(Output::Jsonl, None).contains("energy"));
        let distances = ood(Some(-3.)).map(|ood| OodThreshold { score: OodScore::Knn, k: Some(2), ..ood });
        assert!(text(Output::Csv, distances).starts_with("input,class,probability,distance,ood,error\n"));
        let json = text(Output::Jsonl, distances);
        assert!(json.contains(r#""distance":-2.5,"ood":true}"#), "{json}");
    }

    #[test]
    fn cells_hold_no_control_characters_and_no_formulas_if_these_are_escaped() {
        let classes = ["=1+1", "a\n\u{1b}[2J"].map(String::from);
        let text = |output, escape_formulas, probabilities: [f64; 2]| {
            let row = Classified {
                input: "-x.png".into(),
                probabilities: Ok(probabilities.to_vec()),
                ood_score: None,
                notes: Notes::default(),
            };
            let mut bytes = Vec::new();
            let form = OutputOptions { output, top_k: 1, probabilities: false, escape_formulas };
            let mut writer = PredictionWriter::new(&mut bytes, form, &classes);
            writer.write(&[row]).unwrap();
            String::from_utf8(bytes).unwrap().lines().last().unwrap().to_string()
        };
        assert_eq!(text(Output::Csv, false, [1., 0.]), "-x.png,=1+1,1.000000,");
        assert_eq!(text(Output::Csv, true, [1., 0.]), "'-x.png,'=1+1,1.000000,");
        assert_eq!(text(Output::Csv, true, [0., 1.]), "'-x.png,a\\n\\u{1b}[2J,1.000000,");
        assert_eq!(text(Output::Plain, true, [0., 1.]), "a\\n\\u{1b}[2J");
        assert_eq!(text(Output::Plain, true, [1., 0.]), "=1+1");
    }

    #[test]
    fn a_json_line_is_an_object() {
        let lines: Vec<Value> =
            text(Output::Jsonl, true).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(
            (&lines[0]["predictions"][1]["class"], &lines[0]["probabilities"]["x"]),
            (&"y".into(), &0.75.into())
        );
        assert_eq!(lines[0]["unknown"], serde_json::json!({ "c": "new" }));
        assert_eq!(lines[1].as_object().unwrap().keys().collect::<Vec<_>>(), ["input", "error"]);
    }

    #[test]
    fn plain_output_has_a_line_for_each_input() {
        assert_eq!(text(Output::Plain, false), "x\ty\n\n");
    }
}
