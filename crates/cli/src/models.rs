//! `cresset models`

use std::fmt::Write;

use clap::Args;
use cresset::data::InputShape;
use cresset::model::pretrained::{ENCODERS, PretrainedEncoder, PretrainedModel};
use cresset::model::{ARCHITECTURES, Architecture, Network, Task};

use super::{Ended, show, thousands};

/// List the architectures with their parameters and FLOPs, or the layers of one of them
#[derive(Debug, Args)]
pub struct Models {
    /// Architecture to show [default: all]
    #[arg(value_name = "NAME")]
    name: Option<String>,

    /// Shape of an example: channels, height and width of an image, or the number of columns of a table
    #[arg(long, value_name = "SHAPE", default_value = "1x8x8", value_parser = shape)]
    input: InputShape,

    /// Number of classes
    #[arg(long, value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    classes: u32,

    /// Options of the architecture, such as `width=64,dropout=0.2`
    #[arg(long, value_name = "OPTIONS", default_value = "", requires = "name")]
    model_options: String,

    /// List pretrained weights for `cresset train --pretrained NAME`
    #[arg(long, conflicts_with_all = ["name", "input", "classes"])]
    pretrained: bool,
}

impl Models {
    pub fn run(self) -> anyhow::Result<Ended> {
        if self.pretrained {
            show(&pretrained()?)?;
            return Ok(Ended::Well);
        }
        let task = Task::new(self.input, self.classes.into());
        let text = match &self.name {
            Some(name) => layers(Architecture::named(name)?, &self.model_options, &task)?,
            None => list(&task)?,
        };
        show(&text)?;
        Ok(Ended::Well)
    }
}

fn list(task: &Task) -> anyhow::Result<String> {
    let width = ARCHITECTURES.iter().map(|architecture| architecture.name.len()).max().unwrap_or(0);
    let mut text = format!(
        "{:<width$}  {:>10}  {:>8}  for {}, {} classes\n",
        "model", "parameters", "FLOPs", task.input, task.classes
    );
    for architecture in ARCHITECTURES {
        let network = Network::of_zeros(architecture.name, "", task);
        let network = network.or_else(|error| match task.input.image() {
            None if architecture.is_for_ranking() => {
                Network::of_zeros(architecture.name, "", &choices_task())
            }
            None => Network::of_zeros(architecture.name, "", &text_task(task)),
            Some(_) => Err(error),
        });
        let (parameters, flops) = match network {
            Ok(network) => {
                let flops = network.summary(&task.input).iter().map(|row| 2 * row.multiply_adds).sum();
                (thousands(network.parameter_count()), rounded(flops))
            }
            // A model of tables or texts, which --input NUMBER measures.
            Err(_) if task.input.image().is_some() => ("–".to_string(), "–".to_string()),
            // A model of images.
            Err(_) => continue,
        };
        writeln!(
            text,
            "{:<width$}  {parameters:>10}  {flops:>8}  {}",
            architecture.name, architecture.summary
        )?;
    }
    text += "\nFLOPs: operations for one example; a multiply-add counts as two.\n";
    text += "`cresset models NAME` shows the layers and the options; --input and --classes set the size.\n";
    Ok(text)
}

/// The number of tokens of a text, if `--input` is the shape of an image.
const TOKENS: usize = 256;

/// The task with texts of as many tokens as the examples have columns.
fn text_task(task: &Task) -> Task {
    let length = if task.input.image().is_some() { TOKENS } else { task.input.features() as usize };
    Task::of_texts(length, task.classes)
}

/// A task with a thousand users and a thousand items.
fn choices_task() -> Task {
    Task::of_choices(1_000, 1_000)
}

fn pretrained() -> anyhow::Result<String> {
    let width =
        |of: fn(&PretrainedModel) -> &str| PretrainedModel::available().map(|model| of(model).len()).max();
    let (names, models) =
        (width(|model| model.name).unwrap_or(4), width(|model| model.architecture).unwrap_or(5));
    let mut text =
        format!("{:<names$}  {:<models$}  parameters  top-1 accuracy  input    license\n", "name", "model");
    for PretrainedModel { name, architecture, megaparameters, top1, input_side, license } in
        PretrainedModel::available()
    {
        writeln!(
            text,
            "{name:<names$}  {architecture:<models$}  {megaparameters:>8.2} M  {:>7.1} % at {}  {input_side}x{input_side}  {license}",
            top1.0, top1.1
        )?;
    }
    text += "\nTop-1 accuracy on ImageNet-1k, as timm or torchvision publishes it for images of this height and width.\n\n";
    let names = ENCODERS.iter().map(|encoder| encoder.name.len()).max().unwrap_or(0);
    writeln!(text, "{:<names$}  {:<10}  parameters  tokens  license", "name (texts)", "model")?;
    for PretrainedEncoder { name, architecture, megaparameters, tokens, license } in ENCODERS {
        writeln!(
            text,
            "{name:<names$}  {architecture:<10}  {megaparameters:>8.2} M  {tokens:>6}  {license}"
        )?;
    }
    text += "\n`cresset train --pretrained NAME` downloads the weights once. Other models of the hub with weights of these\n";
    text += "architectures, in the format of timm or, for texts, of transformers, can be used by their names, too.\n";
    Ok(text)
}

fn layers(architecture: &Architecture, options: &str, task: &Task) -> anyhow::Result<String> {
    let network = Network::of_zeros(architecture.name, options, task).or_else(|error| {
        if architecture.is_for_ranking() {
            return Network::of_zeros(architecture.name, options, &choices_task());
        }
        // A model of texts.
        Network::of_zeros(architecture.name, options, &text_task(task)).map_err(|_| error)
    })?;
    let rows = network.summary(&network.task().input);
    let width = |of: fn(&cresset::model::layer::LayerRow) -> &str, minimum: usize| {
        rows.iter().map(|row| of(row).chars().count()).max().unwrap_or(0).max(minimum)
    };
    let (name_width, what_width) = (width(|row| &row.name, 5), width(|row| &row.what, 5));
    let mut text = format!("{}: {}\n\n", architecture.name, architecture.summary);
    let line = |name: &str, what: &str, output: &str, parameters: &str, flops: &str| {
        format!("{name:<name_width$}  {what:<what_width$}  {output:<14}  {parameters:>10}  {flops:>8}\n")
    };
    text += &line("layer", "", "output", "parameters", "FLOPs");
    for row in &rows {
        let output: Vec<_> = row.output[1..].iter().map(i64::to_string).collect();
        let flops = rounded(2 * row.multiply_adds);
        text += &line(&row.name, &row.what, &output.join("×"), &thousands(row.parameters), &flops);
    }
    let flops = rounded(rows.iter().map(|row| 2 * row.multiply_adds).sum());
    text += &line("total", "", "", &thousands(network.parameter_count()), &flops);
    text += "\noptions (--model-options NAME=NUMBER,…)\n";
    for option in architecture.options {
        writeln!(text, "  {:<9}  {} [default: {}]", option.name, option.help, option.default)?;
    }
    Ok(text)
}

/// 3627122688 as `3.63 G`.
fn rounded(operations: u64) -> String {
    let scales = [(1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")];
    match scales.iter().find(|(scale, _)| operations as f64 >= *scale) {
        Some((scale, unit)) => format!("{:.2}{unit}", operations as f64 / scale),
        None => operations.to_string(),
    }
}

/// `3x32x32` or `64`.
pub fn shape(text: &str) -> Result<InputShape, String> {
    let sizes = text
        .split(['x', '×', ','])
        .map(|size| size.trim().parse().ok().filter(|size| (1..=65_536).contains(size)));
    match sizes.collect::<Option<Vec<i64>>>() {
        Some(sizes) if [1, 3].contains(&sizes.len()) => Ok(InputShape(sizes)),
        _ => Err("expected CHANNELSxHEIGHTxWIDTH, such as 3x32x32, or the number of columns of a table"
            .to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_rounded_to_three_figures() {
        assert_eq!([rounded(0), rounded(999), rounded(3_627_122_688)], ["0", "999", "3.63 G"]);
    }

    #[test]
    fn shapes_are_read_in_the_notations_in_use() {
        assert_eq!(shape("3x32x32").unwrap(), shape("3×32×32").unwrap());
        assert_eq!(shape("64").unwrap().0, [64]);
        ["", "3x", "3x32", "0x8x8", "-1", "3x99999999x1"]
            .iter()
            .for_each(|text| assert!(shape(text).is_err(), "{text}"));
    }
}
