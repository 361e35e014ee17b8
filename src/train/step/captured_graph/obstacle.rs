//! Reasons why a training step cannot be captured.

use tch::Device;

use crate::train::options::{OnNan, Precision, TrainOptions};

/// What decides whether training steps can be captured.
pub(crate) struct CaptureConditions<'a> {
    /// Where the network is.
    pub device: Device,
    /// Whether the CUDA plugin could be opened.
    pub has_plugin: bool,
    /// The options of the training.
    pub options: &'a TrainOptions,
    /// Whether the optimizer can read its learning rate from the device.
    pub optimizer_reads_rate: bool,
    /// Whether a teacher's outputs are part of the loss.
    pub has_teacher: bool,
    /// Whether the batches are mixed of two (mixup, CutMix).
    pub is_mixed: bool,
    /// Whether the network is a bag.
    pub is_bag: bool,
    /// How many processes train together.
    pub processes: u32,
}

/// The first reason why a step cannot be captured; none where it can be. Dropout is no reason: the generator is part of the
/// graph, and each replay draws new numbers.
pub(crate) fn obstacle(of: &CaptureConditions) -> Option<&'static str> {
    let options = of.options;
    let obstacles = [
        (!of.device.is_cuda(), "the network is not on a CUDA device"),
        (!of.has_plugin, "the CUDA plugin cannot be opened (`cresset doctor` says why)"),
        (of.processes > 1, "several processes train together"),
        (options.accumulate > 1, "with --accumulate, not all steps are the same"),
        (options.clip.is_some(), "--clip reads the gradients of each step"),
        (
            options.precision == Precision::Fp16,
            "--precision fp16 adapts the loss scale to the previous gradients",
        ),
        (options.on_nan != OnNan::Stop, "--on-nan skip and rollback check the loss of each step"),
        (
            !of.optimizer_reads_rate,
            "the optimizer has no kernel that reads the learning rate from the device",
        ),
        (of.has_teacher, "the loss includes a teacher"),
        (options.gradient_checkpointing, "--gradient-checkpointing computes blocks again"),
        (of.is_mixed, "the batches are mixed (mixup, CutMix)"),
        (of.is_bag, "the members of a bag take other examples in each step"),
    ];
    obstacles.into_iter().find(|(stands, _)| *stands).map(|(_, reason)| reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(change: impl FnOnce(&mut CaptureConditions, &mut TrainOptions)) -> Option<&'static str> {
        let defaults = TrainOptions::default();
        let mut options = defaults.clone();
        let mut circumstances = CaptureConditions {
            device: Device::Cuda(0),
            has_plugin: true,
            options: &defaults,
            optimizer_reads_rate: true,
            has_teacher: false,
            is_mixed: false,
            is_bag: false,
            processes: 1,
        };
        change(&mut circumstances, &mut options);
        obstacle(&CaptureConditions { options: &options, ..circumstances })
    }

    #[test]
    fn the_defaults_on_a_gpu_meet_none() {
        assert_eq!(found(|_, _| ()), None);
        assert_eq!(found(|_, options| options.precision = Precision::Bf16), None);
        assert_eq!(found(|_, options| options.head_epochs = 1), None);
    }

    #[test]
    fn each_obstacle_is_named() {
        let cases: [(Option<&str>, &str); 11] = [
            (found(|of, _| of.is_bag = true), "members of a bag"),
            (found(|of, _| of.device = Device::Cpu), "not on a CUDA device"),
            (found(|of, _| of.has_plugin = false), "the CUDA plugin"),
            (found(|of, _| of.processes = 2), "several processes"),
            (found(|_, options| options.accumulate = 2), "--accumulate"),
            (found(|_, options| options.clip = Some(1.)), "--clip"),
            (found(|_, options| options.precision = Precision::Fp16), "fp16"),
            (found(|_, options| options.on_nan = OnNan::Skip), "--on-nan"),
            (found(|of, _| of.optimizer_reads_rate = false), "the optimizer"),
            (found(|of, _| of.has_teacher = true), "a teacher"),
            (found(|of, _| of.is_mixed = true), "mixed"),
        ];
        for (found, expected) in cases {
            assert!(found.is_some_and(|found| found.contains(expected)), "{found:?}, not {expected}");
        }
        let back = found(|_, options| options.on_nan = OnNan::Rollback);
        assert_eq!(back, found(|_, options| options.on_nan = OnNan::Skip));
    }
}
