//! What is made of a run's model.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::export::Dtype;
use crate::options::device::Threads;
use crate::options::values::{not_negative, positive, whole_above_0};

/// Integers that a model can be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Integers {
    /// 8 bits: static where there are convolutions, dynamic elsewhere; for the CPU alone
    Int8,
}

/// What is made of a run's model. Each option makes models of its own, and together they make all combinations.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct Options {
    /// Compute with integers
    #[arg(long, value_name = "INTEGERS")]
    pub quantize: Option<Integers>,

    /// Write and compute weights with fewer bits
    #[arg(long, value_name = "DTYPE", value_parser = fewer_bits)]
    pub dtype: Option<Dtype>,

    /// Take this share of the channels and hidden units out, and fine-tune what is left; several shares with commas between
    /// them, such as `0.25,0.5`
    #[arg(long, value_name = "SHARE", value_delimiter = ',', value_parser = share)]
    pub prune: Vec<f64>,

    /// Learn from a better model, too: a model.pt, or the folder of a run, on the same data
    #[arg(long, value_name = "TEACHER")]
    pub distill: Option<PathBuf>,

    /// What logits are divided by when the teacher is listened to
    #[arg(long, value_name = "T", default_value = "4", value_parser = positive, allow_negative_numbers = true)]
    pub temperature: f64,

    /// How much the teacher counts; the labels have the rest
    #[arg(long, value_name = "SHARE", default_value = "0.7", value_parser = part, allow_negative_numbers = true)]
    pub teacher_share: f64,

    /// Epochs of fine-tuning [default: half of the run's]
    #[arg(long, value_name = "N", value_parser = whole_above_0, allow_negative_numbers = true)]
    pub epochs: Option<u32>,

    /// Learning rate of fine-tuning [default: the run's]
    #[arg(long, value_name = "RATE", value_parser = positive, allow_negative_numbers = true)]
    pub lr: Option<f64>,

    /// Points of accuracy (percent) that the model that is chosen may lose
    #[arg(long, value_name = "POINTS", default_value = "0.3", value_parser = not_negative, allow_negative_numbers = true)]
    pub max_loss: f64,

    /// CPU threads while latencies are taken: `auto` or a number
    #[arg(long, value_name = "N", default_value = "1")]
    pub threads: Threads,
}

impl Options {
    /// Falls back to int8 quantization and pruning half of the channels if no compression is selected.
    pub fn or_usual(self) -> Self {
        if self.quantize.is_some() || self.dtype.is_some() || !self.prune.is_empty() || self.distill.is_some()
        {
            return self;
        }
        Options { quantize: Some(Integers::Int8), prune: vec![0.5], ..self }
    }

    /// The model file of the teacher.
    pub fn teacher(&self) -> Option<PathBuf> {
        let path = self.distill.as_ref()?;
        Some(if path.is_dir() { path.join("model.pt") } else { path.clone() })
    }
}

fn fewer_bits(text: &str) -> Result<Dtype, String> {
    match Dtype::from_str(text, true) {
        Ok(dtype) if dtype != Dtype::F32 => Ok(dtype),
        _ => Err("it is `bf16` or `fp16`".to_string()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "a share is a number, such as 0.5".to_string())?;
    if share > 0. && share < 1. { Ok(share) } else { Err("a share is above 0 and below 1".to_string()) }
}

fn part(text: &str) -> Result<f64, String> {
    let part: f64 = text.parse().map_err(|_| "it is a number, such as 0.7".to_string())?;
    if (0. ..=1.).contains(&part) { Ok(part) } else { Err("it is a number from 0 to 1".to_string()) }
}
