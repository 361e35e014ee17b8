//! How training goes about it: the options beside the essential ones (epochs, batch size, learning rate, optimizer).

use clap::{Args, ValueEnum};
use tch::Device;

use super::objective::OBJECTIVES;
use super::schedule::SCHEDULES;
use crate::error::Result;
use crate::model::Network;
use crate::options::values::{fraction, named, not_negative, positive, whole_above_0, yes_or_no};

/// How training goes about it.
#[derive(Debug, Clone, PartialEq, Args)]
pub struct TrainOptions {
    /// Options of the optimizer, such as `momentum=0.8,nesterov=1`
    #[arg(long, value_name = "OPTIONS", default_value = "")]
    pub optimizer_options: String,

    /// Weight decay of matrices and kernels; biases and normalisation have none
    #[arg(long, value_name = "RATE", default_value = "0", value_parser = not_negative, allow_negative_numbers = true)]
    pub weight_decay: f64,

    /// What training makes small
    #[arg(long, value_name = "NAME", default_value = "cross-entropy", value_parser = named(OBJECTIVES.iter().map(|o| (o.name, o.summary))))]
    pub loss: String,

    /// Options of the loss, such as `smoothing=0.1`
    #[arg(long, value_name = "OPTIONS", default_value = "")]
    pub loss_options: String,

    /// How the learning rate changes in the course of the run
    #[arg(long, value_name = "NAME", default_value = "constant", value_parser = named(SCHEDULES.iter().map(|s| (s.name, s.summary))))]
    pub schedule: String,

    /// Options of the schedule, such as `every=30,factor=0.2`
    #[arg(long, value_name = "OPTIONS", default_value = "")]
    pub schedule_options: String,

    /// Epochs in which the learning rate grows to its full height, before the schedule
    #[arg(long, value_name = "N", default_value = "0", value_parser = not_negative, allow_negative_numbers = true)]
    pub warmup_epochs: f64,

    /// Batches whose gradients are averaged for a step, so that a large batch fits into memory
    #[arg(long, value_name = "N", default_value = "1", value_parser = whole_above_0, allow_negative_numbers = true)]
    pub accumulate: u32,

    /// Greatest norm of the gradients; longer ones are shortened to it
    #[arg(long, value_name = "NORM", value_parser = positive, allow_negative_numbers = true)]
    pub clip: Option<f64>,

    /// Number format of the forward pass; the weights stay float32
    #[arg(long, value_name = "FORMAT", default_value = "f32")]
    pub precision: Precision,

    /// Round the factors of float32 products to 19 bits, on GPUs that are then faster
    #[arg(long, value_name = "YES", default_value = "false", default_missing_value = "true", num_args = 0..=1, value_parser = yes_or_no)]
    pub tf32: bool,

    /// Keep the channels of a pixel side by side in memory, which most convolutions are faster with
    #[arg(long, value_name = "WHEN", default_value = "auto", default_missing_value = "yes", num_args = 0..=1)]
    pub channels_last: ChannelsLast,

    /// Normalise the batches of all processes as one (synchronised batch normalisation)
    #[arg(long, value_name = "YES", default_value = "false", default_missing_value = "true", num_args = 0..=1, value_parser = yes_or_no)]
    pub sync_batch_norm: bool,

    /// Seconds that a process waits for the others of its job
    #[arg(long, value_name = "SECONDS", default_value = "600", value_parser = positive, allow_negative_numbers = true)]
    pub peer_timeout: f64,

    /// Record the training step as a CUDA graph and launch it as one, on GPUs
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub cuda_graph: CudaGraph,

    /// Measure and export averaged weights
    #[arg(long, value_name = "WAY", default_value = "none")]
    pub average: AverageKind,

    /// Share of the averaged weights that a step keeps (`ema`)
    #[arg(long, value_name = "SHARE", default_value = "0.999", value_parser = fraction, allow_negative_numbers = true)]
    pub average_decay: f64,

    /// Share of the epochs after which averaging begins (`swa`)
    #[arg(long, value_name = "SHARE", default_value = "0.75", value_parser = fraction, allow_negative_numbers = true)]
    pub average_start: f64,

    /// Parameters that stay as they are: beginnings of names with commas between them, such as `conv1,layer1`
    #[arg(long, value_name = "NAMES", default_value = "")]
    pub freeze: String,

    /// Epochs at first in which only the last layer is trained
    #[arg(long, value_name = "N", default_value = "0", value_parser = clap::value_parser!(u32), allow_negative_numbers = true)]
    pub head_epochs: u32,

    /// What the learning rate is multiplied with from each layer to the one before it
    #[arg(long, value_name = "FACTOR", default_value = "1", value_parser = positive, allow_negative_numbers = true)]
    pub layer_decay: f64,

    /// What happens when the training loss or the validation loss is NaN or infinite
    #[arg(long, value_name = "WAY", default_value = "stop")]
    pub on_nan: OnNan,

    /// Stop after so many epochs without a lower held-out loss
    #[arg(long, value_name = "N", value_parser = whole_above_0, allow_negative_numbers = true)]
    pub patience: Option<u32>,

    /// Stop after so many minutes of training
    #[arg(long, value_name = "N", value_parser = positive, allow_negative_numbers = true)]
    pub max_minutes: Option<f64>,

    /// Minutes between two checkpoints within an epoch; one is written after every epoch anyway
    #[arg(long, value_name = "N", default_value = "10", value_parser = positive, allow_negative_numbers = true)]
    pub checkpoint_minutes: f64,
}

/// The number format of the forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// float32
    F32,
    /// bfloat16 where it is safe (autocast), half the memory and on many machines faster
    Bf16,
    /// float16 where it is safe, with the loss scaled so that small gradients are not lost
    Fp16,
}

/// Whether the channels of a pixel lie side by side in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ChannelsLast {
    /// in convolutional networks on a CPU
    Auto,
    /// always
    #[value(alias = "true")]
    Yes,
    /// never
    #[value(alias = "false")]
    No,
}

impl ChannelsLast {
    /// Has a network keep them so, where it is to.
    ///
    /// # Errors
    /// Parameters that cannot be laid out anew.
    pub fn lay_out(self, network: &mut Network) -> Result<()> {
        let is_wanted = match self {
            ChannelsLast::Auto => network.device() == Device::Cpu && network.is_convolutional(),
            ChannelsLast::Yes => true,
            ChannelsLast::No => false,
        };
        if is_wanted { network.use_channels_last() } else { Ok(()) }
    }

    /// As run files have it.
    fn entry(self) -> toml::Value {
        match self {
            ChannelsLast::Auto => name(self),
            ChannelsLast::Yes => true.into(),
            ChannelsLast::No => false.into(),
        }
    }
}

/// Whether training steps are recorded as a CUDA graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CudaGraph {
    /// where it can be done
    Auto,
    /// likewise, with a warning where it cannot
    Yes,
    /// never: every operation is launched by itself, and every loss looked at
    No,
}

/// Which weights are measured and exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AverageKind {
    /// those of the last step
    None,
    /// an exponential moving average over the steps
    Ema,
    /// the mean over the last epochs (stochastic weight averaging)
    Swa,
}

/// What happens when the training loss or the validation loss is NaN or infinite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OnNan {
    /// end the run, with the last good checkpoint kept
    Stop,
    /// leave the batch out (ten in a row end the run); an epoch is not taken for the best one
    Skip,
    /// go back to the last checkpoint, with half the learning rate
    Rollback,
}

impl Default for TrainOptions {
    fn default() -> Self {
        crate::options::Config::default().training
    }
}

impl TrainOptions {
    /// The options that have a value, as (name, value), in the order of their definition.
    pub fn entries(&self) -> Vec<(&'static str, toml::Value)> {
        let mut entries: Vec<(_, toml::Value)> = vec![
            ("optimizer_options", self.optimizer_options.clone().into()),
            ("weight_decay", self.weight_decay.into()),
            ("loss", self.loss.clone().into()),
            ("loss_options", self.loss_options.clone().into()),
            ("schedule", self.schedule.clone().into()),
            ("schedule_options", self.schedule_options.clone().into()),
            ("warmup_epochs", self.warmup_epochs.into()),
            ("accumulate", i64::from(self.accumulate).into()),
        ];
        entries.extend(self.clip.map(|norm| ("clip", norm.into())));
        entries.extend([
            ("precision", name(self.precision)),
            ("tf32", self.tf32.into()),
            ("channels_last", self.channels_last.entry()),
            ("sync_batch_norm", self.sync_batch_norm.into()),
            ("peer_timeout", self.peer_timeout.into()),
            ("cuda_graph", name(self.cuda_graph)),
            ("average", name(self.average)),
            ("average_decay", self.average_decay.into()),
            ("average_start", self.average_start.into()),
            ("freeze", self.freeze.clone().into()),
            ("head_epochs", i64::from(self.head_epochs).into()),
            ("layer_decay", self.layer_decay.into()),
            ("on_nan", name(self.on_nan)),
        ]);
        entries.extend(self.patience.map(|epochs| ("patience", i64::from(epochs).into())));
        entries.extend(self.max_minutes.map(|minutes| ("max_minutes", minutes.into())));
        entries.push(("checkpoint_minutes", self.checkpoint_minutes.into()));
        entries
    }
}

fn name(value: impl ValueEnum) -> toml::Value {
    value.to_possible_value().expect("no value is hidden").get_name().into()
}
