//! Options of training, other than epochs, batch size, learning rate and optimizer.

use cresset_options::{Choice, choices, flag, option, options, parse};
use tch::Device;

use super::Monitor;
use super::head::HEADS;
use super::objective::OBJECTIVES;
use super::schedule::SCHEDULES;
use crate::error::Result;
use crate::model::Network;
use cresset_options::headings::{AUGMENTATION, DISTRIBUTED, HARDWARE, LOGGING, MODEL, OPTIMIZATION};

options! {
    /// Options of training.
    ///
    /// ```
    /// use cresset::prelude::*;
    /// use cresset::train::TrainOptions;
    ///
    /// let training = TrainOptions { schedule: "cosine".into(), clip: Some(1.), ..TrainOptions::default() };
    /// let config = Config { training, ..Config::default() };
    /// assert!(config.to_toml().contains("schedule = \"cosine\""));
    /// ```
    pub struct TrainOptions {
        /// Options of the optimizer, such as `momentum=0.8,nesterov=1`
        pub optimizer_options: String = option("OPTIONS").default("").heading(OPTIMIZATION),

        /// Weight decay, not applied to biases and normalization layers
        pub weight_decay: f64 =
            option("RATE").default("0").parser(parse::not_negative).heading(OPTIMIZATION),

        /// Loss function
        pub loss: String = option("NAME")
            .default("cross-entropy")
            .choices(OBJECTIVES.iter().map(|loss| Choice::new(loss.name, loss.summary)))
            .heading(OPTIMIZATION)
            ,

        /// Options of the loss function, such as `smoothing=0.1`
        pub loss_options: String = option("OPTIONS").default("").heading(OPTIMIZATION),

        /// Learning rate schedule
        pub schedule: String = option("NAME")
            .default("constant")
            .choices(SCHEDULES.iter().map(|schedule| Choice::new(schedule.name, schedule.summary)))
            .heading(OPTIMIZATION)
            ,

        /// Options of the schedule, such as `every=30,factor=0.2`
        pub schedule_options: String = option("OPTIONS").default("").heading(OPTIMIZATION),

        /// Epochs of linear learning rate warmup before the schedule
        pub warmup_epochs: f64 = option("N").default("0").parser(parse::not_negative).heading(OPTIMIZATION),

        /// Gradient accumulation: number of batches whose gradients are averaged for each optimizer step
        pub accumulate: u32 = option("N").default("1").parser(parse::within(1..=u32::MAX)).heading(OPTIMIZATION),

        /// Clip gradients to this norm (torch.nn.utils.clip_grad_norm_)
        pub clip: Option<f64> = option("NORM").parser(parse::positive).heading(OPTIMIZATION),

        /// Floating-point format of the forward pass (automatic mixed precision); the weights stay float32
        pub precision: Precision = option("FORMAT").default("f32").heading(HARDWARE).essential(),

        /// Use TF32 for float32 matrix products on GPUs that support it
        pub tf32: bool = flag().default("false").heading(HARDWARE),

        /// Compute the blocks of a transformer of texts again in the backward pass instead of keeping their inner values (gradient
        /// checkpointing): the same weights with less memory, in more time
        pub gradient_checkpointing: bool = flag().default("false").heading(HARDWARE),

        /// Memory format channels last (NHWC), which makes most convolutions faster
        pub channels_last: ChannelsLast =
            option("WHEN").default("auto").alone("yes").entry(ChannelsLast::entry).heading(HARDWARE),

        /// Synchronize batch normalization across processes (torch.nn.SyncBatchNorm)
        pub sync_batch_norm: bool = flag().default("false").heading(DISTRIBUTED),

        /// Timeout for other processes of the job, in seconds
        pub peer_timeout: f64 = option("SECONDS").default("600").parser(parse::positive).heading(DISTRIBUTED),

        /// Capture the training step as a CUDA graph
        pub cuda_graph: CudaGraph = option("WHEN").default("auto").heading(HARDWARE),

        /// Weight averaging; the averaged weights are evaluated and exported
        pub average: AverageKind = option("METHOD").default("none").heading(OPTIMIZATION),

        /// Decay of the exponential moving average, per step
        pub average_decay: f64 =
            option("DECAY").default("0.999").parser(parse::from_0_below_1).heading(OPTIMIZATION),

        /// Share of the epochs before stochastic weight averaging starts
        pub average_start: f64 =
            option("SHARE").default("0.75").parser(parse::from_0_below_1).heading(OPTIMIZATION),

        /// Freeze the parameters whose names begin with one of these prefixes, such as `conv1,layer1`
        pub freeze: String = option("NAMES").default("").heading(MODEL),

        /// Number of first epochs that train only the last layer
        pub head_epochs: u32 = option("N").default("0").heading(MODEL),

        /// Train only the last layer, on features that the other layers compute once for each image or text. They are cached on disk
        pub head_only: bool = flag().default("false").heading(MODEL),

        /// What --head-only trains in place of the last layer
        pub head: String = option("NAME")
            .default("linear")
            .choices(HEADS.iter().map(|head| Choice::new(head.name, head.summary)))
            .heading(MODEL),

        /// Options of --head, such as `regularization=0.01`
        pub head_options: String = option("OPTIONS").default("").heading(MODEL),

        /// With --head-only: number of augmented views of each training image whose features are computed [0: the image itself]
        pub head_views: u32 = option("N").default("0").parser(parse::within(0..=1000)).heading(AUGMENTATION),

        /// With --head-only: then train all layers for --epochs (linear probing, then fine-tuning)
        pub finetune: bool = flag().default("false").heading(MODEL),

        /// Layer-wise learning rate decay: factor from each layer to the one before it
        pub layer_decay: f64 = option("FACTOR").default("1").parser(parse::positive).heading(OPTIMIZATION),

        /// What to do when the training loss or the validation loss is NaN or infinite
        pub on_nan: OnNan = option("ACTION").default("stop").heading(OPTIMIZATION),

        /// Metric on the validation set that selects the best epoch, and by which --patience and the plateau schedule decide; of
        /// equal epochs, the first one is the best
        pub monitor: Monitor = option("METRIC").default("loss").heading(OPTIMIZATION),

        /// Stop after this many epochs without an improvement of the monitored metric (early stopping)
        pub patience: Option<u32> =
            option("N").parser(parse::within(1..=u32::MAX)).heading(OPTIMIZATION).essential(),

        /// Stop after this many minutes of training; schedules with an end (cosine, one-cycle, wsd) then end with them
        pub max_minutes: Option<f64> = option("N").parser(parse::positive).heading(OPTIMIZATION),

        /// Minutes between checkpoints within an epoch; each epoch ends with one in any case
        pub checkpoint_minutes: f64 = option("N").default("10").parser(parse::positive).heading(LOGGING),
    }
}

choices! {
    /// Floating-point format of the forward pass.
    ///
    /// ```
    /// use cresset::train::Precision;
    ///
    /// assert_eq!("bf16".parse(), Ok(Precision::Bf16));
    /// ```
    pub enum Precision {
        /// float32
        F32 = "f32",
        /// bfloat16 autocast: half the memory, and faster on many machines
        Bf16 = "bf16",
        /// float16 autocast with loss scaling
        Fp16 = "fp16",
    }
}

choices! {
    /// When the memory format channels last is used.
    ///
    /// ```
    /// use cresset::model::Task;
    /// use cresset::prelude::*;
    /// use cresset::train::ChannelsLast;
    /// use tch::Device;
    ///
    /// let task = Task::new(InputShape(vec![1, 8, 8]), 10);
    /// let mut network = Network::new("cnn", "width=8", &task, Device::Cpu, 0)?;
    /// ChannelsLast::Yes.lay_out(&mut network)?;
    /// assert_eq!(network.state()["stage1.conv2.weight"].stride()[1], 1);
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    pub enum ChannelsLast {
        /// for convolutional networks on the CPU
        Auto = "auto",
        /// always
        Yes = "yes" | "true",
        /// never
        No = "no" | "false",
    }
}

impl ChannelsLast {
    /// Converts a network to this memory format.
    ///
    /// # Errors
    /// Parameters that cannot be converted.
    pub fn lay_out(self, network: &mut Network) -> Result<()> {
        let is_wanted = match self {
            ChannelsLast::Auto => network.device() == Device::Cpu && network.is_convolutional(),
            ChannelsLast::Yes => true,
            ChannelsLast::No => false,
        };
        if is_wanted { network.use_channels_last() } else { Ok(()) }
    }

    /// The value in run files, where earlier versions had only `true` and `false`.
    fn entry(&self) -> toml::Value {
        match self {
            ChannelsLast::Auto => self.name().into(),
            ChannelsLast::Yes => true.into(),
            ChannelsLast::No => false.into(),
        }
    }
}

choices! {
    /// Whether training steps are captured as a CUDA graph.
    ///
    /// ```
    /// use cresset::train::CudaGraph;
    ///
    /// assert_eq!("auto".parse(), Ok(CudaGraph::Auto));
    /// ```
    pub enum CudaGraph {
        /// where possible
        Auto = "auto",
        /// where possible, with a warning where it is not
        Yes = "yes",
        /// never; each operation is launched separately, and each loss is checked
        No = "no",
    }
}

choices! {
    /// Which weights are evaluated and exported.
    ///
    /// ```
    /// use cresset::train::AverageKind;
    ///
    /// assert_eq!("ema".parse(), Ok(AverageKind::Ema));
    /// ```
    pub enum AverageKind {
        /// no averaging
        None = "none",
        /// exponential moving average over the steps
        Ema = "ema",
        /// stochastic weight averaging: mean over the last epochs
        Swa = "swa",
    }
}

choices! {
    /// The reaction to a training or validation loss that is NaN or infinite.
    ///
    /// ```
    /// use cresset::train::OnNan;
    ///
    /// assert_eq!("rollback".parse(), Ok(OnNan::Rollback));
    /// ```
    pub enum OnNan {
        /// stop the run and keep the last good checkpoint
        Stop = "stop",
        /// skip the batch (ten in a row stop the run); such an epoch is never the best one
        Skip = "skip",
        /// return to the last checkpoint with half the learning rate
        Rollback = "rollback",
    }
}
