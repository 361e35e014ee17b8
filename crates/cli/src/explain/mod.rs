//! `cresset explain`

mod columns;
mod texts;

use std::collections::HashSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser};
use cresset::data::{TableLayout, atomic};
use cresset::error::{Error, Location, did_you_mean};
use cresset::model::Outputs;
use cresset::predict::explain::table::TableColumns;
use cresset::predict::explain::{EXPLAINERS, Explainer, Subject, overlay};
use cresset::predict::{Classifier, TextReader};
use cresset::run::RunFolder;
use image::ImageFormat;
use tch::{Kind, Tensor};

use super::model_file::model_file;
use super::screen::tell;
use super::{Compute, Ended, put};

/// Attribute predictions to the parts of the input: pixels, columns or words. Without inputs, explain the model of a table as a whole
#[derive(Debug, Args)]
pub struct Explain {
    /// Exported model (model.pt, .pt2 or .onnx), run folder, or hf:USER/NAME
    #[arg(value_name = "MODEL|RUN")]
    model: PathBuf,

    /// Images, texts and CSV files [default: of a run on a table, the importance of all columns on its test or validation set]
    #[arg(value_name = "FILE")]
    inputs: Vec<PathBuf>,

    /// Attribution method [default: integrated-gradients; of a model of tables, shapley; of models of texts without gradients, occlusion]
    #[arg(long, value_name = "NAME", value_parser = methods())]
    method: Option<String>,

    /// Options of the method, such as `samples=100,noise=0.1`
    #[arg(long, value_name = "OPTIONS", default_value = "")]
    method_options: String,

    /// Class or label whose logit is explained [default: the most probable one of each input]; of a model that predicts a number,
    /// the number itself is explained
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,

    /// Maximum number of inputs to explain
    #[arg(long, value_name = "N", default_value = "20")]
    limit: usize,

    /// Folder for images (.png), arrays (.npy), the values of the columns of a table (columns.csv), and texts with colored words (texts.html)
    #[arg(long, value_name = "DIR", default_value = "explained")]
    out: PathBuf,

    /// Write the values of columns or words to this file, as JSON; without inputs also the partial dependence of the columns
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    #[command(flatten)]
    compute: Compute,
}

/// An input to explain, and the class, label or number that is explained.
struct Explained<'a> {
    input: String,
    location: &'a Location,
    raw: &'a Tensor,
    class: usize,
    label: String,
    /// The probability, or the predicted number.
    probability: f64,
}

impl Explain {
    pub fn run(self) -> anyhow::Result<Ended> {
        let device = self.compute.prepare()?;
        // A faulty option is reported before the model is loaded.
        let explainer =
            |method: &str| Explainer::new(self.method.as_deref().unwrap_or(method), &self.method_options);
        let given = self.method.as_deref().map(explainer).transpose()?;
        if self.inputs.is_empty() {
            columns::explain_run(&self.model, device, self.json.as_deref())?;
            return Ok(Ended::Well);
        }
        let classifier = Classifier::load_on(&model_file(&self.model)?, device)?;
        let columns = TableColumns::of(classifier.metadata());
        let is_text = classifier.metadata().input.table.as_ref().is_some_and(TableLayout::is_text);
        let explainer = match given {
            Some(given) => given,
            None if columns.is_some() => explainer("shapley")?,
            None if is_text => Explainer::for_texts(&Subject::new(&classifier, 0))?,
            None => explainer("integrated-gradients")?,
        };
        let class = self.class.as_deref().map(|name| class_of(&classifier, name)).transpose()?;
        std::fs::create_dir_all(&self.out)
            .with_context(|| format!("cannot create {}", self.out.display()))?;
        let table = classifier.metadata().input.table.as_ref();
        match (columns, table.filter(|table| table.only_text().is_some())) {
            (Some(columns), _) => {
                let run = self.model.is_dir().then(|| RunFolder::open(&self.model)).transpose()?;
                let mut rows = columns::Rows::new(&classifier, columns, explainer, run.as_ref(), &self.out)?;
                self.explain_each(&classifier, class, &mut |explained| rows.add(&classifier, explained))?;
                rows.finish(self.json.as_deref())?;
            }
            (None, Some(layout)) => {
                let mut names = HashSet::new();
                let mut texts = texts::Texts::new(TextReader::new(layout), explainer, &self.out);
                self.explain_each(&classifier, class, &mut |explained| {
                    let attribution = texts.add(&classifier, explained)?;
                    let name = unique_name(explained.location, texts.method(), &mut names);
                    self.write_array(&name, &Tensor::from_slice(&attribution))?;
                    Ok((attribution.iter().map(|value| f64::from(*value)).sum(), texts.path().to_path_buf()))
                })?;
                texts.finish(self.json.as_deref())?;
            }
            (None, None) => {
                let mut names = HashSet::new();
                self.explain_each(&classifier, class, &mut |explained| {
                    self.write_map(&classifier, &explainer, explained, &mut names)
                })?;
            }
        }
        Ok(Ended::Well)
    }

    /// Calls `explain` with each input, up to the limit, and prints a line of CSV for each.
    fn explain_each(
        &self,
        classifier: &Classifier,
        class: Option<usize>,
        explain: &mut dyn FnMut(&Explained) -> anyhow::Result<(f64, PathBuf)>,
    ) -> anyhow::Result<()> {
        put(&header(&classifier.metadata().outputs))?;
        let mut remaining = self.limit;
        for path in &self.inputs {
            let inputs = classifier.read_inputs(path)?;
            for (location, raw) in inputs.iter().take(remaining) {
                let outputs = &classifier.metadata().outputs;
                let probabilities = outputs.probabilities(&classifier.logits(&raw)?).get(0);
                let class =
                    class.unwrap_or_else(|| probabilities.argmax(-1, false).int64_value(&[]) as usize);
                let explained = Explained {
                    input: location.name(),
                    location,
                    raw: &raw,
                    class,
                    label: classifier.metadata().classes[class].clone(),
                    probability: probabilities.double_value(&[class as i64]),
                };
                let (sum, written) = explain(&explained)?;
                let Explained { input, label, probability, .. } = explained;
                let [probability, sum] = [probability, sum].map(|value| format!("{value:.6}"));
                put(&csv_line(&[input, label, probability, sum, written.display().to_string()]))?;
            }
            if inputs.len() > remaining {
                tell(&format!("explained only the first {} inputs; set --limit for more", self.limit));
                break;
            }
            remaining -= inputs.len();
        }
        Ok(())
    }

    /// Writes an attribution as an array, and returns the file.
    fn write_array(&self, name: &str, attribution: &Tensor) -> anyhow::Result<PathBuf> {
        let array = self.out.join(format!("{name}.npy"));
        atomic::replace(&array, |temporary| attribution.write_npy(temporary).map_err(Error::from))?;
        Ok(array)
    }

    /// Writes the attribution of an image, a pair of texts or an array. Returns the sum of its values and the file.
    fn write_map(
        &self,
        classifier: &Classifier,
        explainer: &Explainer,
        explained: &Explained,
        names: &mut HashSet<String>,
    ) -> anyhow::Result<(f64, PathBuf)> {
        let subject = Subject::new(classifier, explained.class);
        let attribution = explainer.attribute(&subject, explained.raw)?;
        let name = unique_name(explained.location, explainer.name(), names);
        let mut written = self.write_array(&name, &attribution)?;
        let range = classifier.metadata().input.value_range.filter(|_| subject.shape().len() == 3);
        if let Some(range) = range {
            let image = overlay(&explained.raw.view(subject.shape()), &attribution, range)?;
            written = self.out.join(format!("{name}.png"));
            let mut png = Cursor::new(Vec::new());
            image.write_to(&mut png, ImageFormat::Png)?;
            atomic::write(&written, &png.into_inner())?;
        }
        Ok((attribution.sum(Kind::Double).double_value(&[]), written))
    }
}

/// The header of the CSV output: the class or label with its probability, or the target with its predicted value.
fn header(outputs: &Outputs) -> String {
    let predicted = if matches!(outputs, Outputs::Regression { .. }) { "value" } else { "probability" };
    format!("input,{},{predicted},sum,file\n", outputs.noun())
}

fn methods() -> PossibleValuesParser {
    PossibleValuesParser::new(EXPLAINERS.iter().map(|kind| PossibleValue::new(kind.name).help(kind.summary)))
}

fn class_of(classifier: &Classifier, name: &str) -> Result<usize, Error> {
    let (classes, noun) = (&classifier.metadata().classes, classifier.metadata().outputs.noun());
    classes.iter().position(|class| class == name).ok_or_else(|| {
        let hint = did_you_mean(name, classes.iter().map(String::as_str)).unwrap_or_default();
        Error::Usage(format!("--class: the model has no {noun} `{name}`{hint}"))
    })
}

/// A unique name for the files of an input.
fn unique_name(location: &Location, method: &str, names: &mut HashSet<String>) -> String {
    let stem = Path::new(&location.path).file_stem().unwrap_or_default().to_string_lossy();
    let line = location.line.map(|line| format!("-{line}")).unwrap_or_default();
    let base = format!("{stem}{line}.{method}");
    let numbered = (2..).map(|number| format!("{stem}{line}-{number}.{method}"));
    let name = std::iter::once(base).chain(numbered).find(|name| names.insert(name.clone()));
    name.expect("the numbers do not end")
}

fn csv_line(fields: &[String]) -> String {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(fields).expect("a record can be written to memory");
    String::from_utf8(writer.into_inner().expect("a record can be written to memory")).expect("it is UTF-8")
}
