//! Options of compression.

use std::path::PathBuf;

use cresset_options::{choices, option, options, parse};

use crate::export::Dtype;
use crate::options::device::Threads;

choices! {
    /// Integer formats for quantization.
    ///
    /// ```
    /// use cresset::compress::QuantizedDtype;
    ///
    /// assert_eq!("int8".parse(), Ok(QuantizedDtype::Int8));
    /// assert_eq!(QuantizedDtype::Int8.name(), "int8");
    /// ```
    pub enum QuantizedDtype {
        /// 8 bits, for the CPU: static quantization of convolutional networks, dynamic quantization of others
        Int8 = "int8",
    }
}

options! {
    /// How a model is compressed. Each option makes variants, and together they make all combinations.
    ///
    /// ```
    /// use cresset::compress::CompressOptions;
    ///
    /// let options = CompressOptions { prune: vec![0.25, 0.5], ..CompressOptions::default() };
    /// assert_eq!(options.clone().or_defaults(), options);
    /// // Without a choice, the model is quantized to int8 and half of its channels are pruned.
    /// assert_eq!(CompressOptions::default().or_defaults().prune, [0.5]);
    /// ```
    pub struct CompressOptions {
        /// Quantize weights and activations to integers
        pub quantize: Option<QuantizedDtype> = option("INTEGERS"),

        /// Convert the weights and compute in a 16-bit format: `bf16` or `fp16`
        pub dtype: Option<Dtype> = option("DTYPE").parser(sixteen_bits),

        /// Prune this share of the channels and hidden units and fine-tune the rest; several shares separated by commas, such
        /// as `0.25,0.5`
        pub prune: Vec<f64> = option("SHARE").parser(share),

        /// Distill knowledge from a teacher trained on the same data: a model file or the folder of a run; for classifiers only
        pub distill: Option<PathBuf> = option("TEACHER"),

        /// With --distill: texts without labels, of which the model learns the teacher's probabilities alone: a table with the columns
        /// of the texts, or a folder of .txt or .eml files
        pub unlabelled: Option<PathBuf> = option("PATH"),

        /// Temperature of the softmax for distillation
        pub temperature: f64 = option("T").default("4").parser(parse::positive),

        /// Weight of the distillation loss; the loss of the labels has the rest
        pub teacher_share: f64 = option("SHARE").default("0.7").parser(parse::from_0_to_1),

        /// Epochs of fine-tuning [default: half of the run's]
        pub epochs: Option<u32> = option("N").parser(parse::within(1..=u32::MAX)),

        /// Learning rate of fine-tuning [default: the run's]
        pub lr: Option<f64> = option("RATE").parser(parse::positive),

        /// Maximum loss of accuracy, in percentage points, of the model that is chosen; of the F1 score of labels, or of 100 R² or NDCG@10
        pub max_loss: f64 = option("POINTS").default("0.3").parser(parse::not_negative),

        /// CPU threads for latency measurements: `auto` or a number
        pub threads: Threads = option("N").default("1"),
    }
}

impl CompressOptions {
    /// Falls back to int8 quantization and pruning half of the channels if no compression is selected.
    pub fn or_defaults(self) -> Self {
        if self.quantize.is_some() || self.dtype.is_some() || !self.prune.is_empty() || self.distill.is_some()
        {
            return self;
        }
        CompressOptions { quantize: Some(QuantizedDtype::Int8), prune: vec![0.5], ..self }
    }

    /// The model file of the teacher.
    pub fn teacher(&self) -> Option<PathBuf> {
        let path = self.distill.as_ref()?;
        Some(if path.is_dir() { path.join("model.pt") } else { path.clone() })
    }
}

fn sixteen_bits(text: &str) -> Result<Dtype, String> {
    match text.to_lowercase().parse() {
        Ok(dtype) if dtype != Dtype::F32 => Ok(dtype),
        _ => Err("it is `bf16` or `fp16`".to_string()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share: f64 = text.parse().map_err(|_| "a share is a number, such as 0.5".to_string())?;
    if share > 0. && share < 1. { Ok(share) } else { Err("a share is above 0 and below 1".to_string()) }
}
