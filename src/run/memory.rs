//! Advice for out-of-memory errors.

use crate::error::Error;
use crate::options::Config;

/// Adds advice to an out-of-memory error of a training step.
pub(super) fn advise_on_step(config: &Config, error: Error) -> Error {
    let (batch, accumulate) = (config.batch_size, config.training.accumulate);
    advise(error, |problem| {
        format!(
            "out of memory with batch size {batch}. For the same steps with less memory, use --batch-size {} \
             --accumulate {}; --precision bf16 also saves memory ({problem})",
            (batch / 2).max(1),
            accumulate * 2,
        )
    })
}

/// Adds advice to an out-of-memory error while a model is created.
pub(super) fn advise_on_model(error: Error) -> Error {
    advise(error, |problem| {
        format!(
            "out of memory while creating the model. Choose a smaller one, or smaller --model-options ({problem})"
        )
    })
}

fn advise(error: Error, text: impl FnOnce(&str) -> String) -> Error {
    match error {
        Error::Libtorch(problem) if is_out_of_memory(&problem.0) => Error::Memory(text(&problem.0)),
        other => other,
    }
}

/// Whether a message is that of libtorch's CUDA allocator or of its CPU allocator.
fn is_out_of_memory(problem: &str) -> bool {
    problem.contains("out of memory") || problem.contains("can't allocate memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUDA: &str = "CUDA out of memory. Tried to allocate 2 GiB";
    const CPU: &str = "DefaultCPUAllocator: can't allocate memory: you tried to allocate 17179869184 bytes";

    fn libtorch(problem: &str) -> Error {
        Error::Libtorch(cresset_bridge::Error(problem.into()))
    }

    #[test]
    fn running_out_of_memory_suggests_smaller_batches_or_models() {
        let config = Config { batch_size: 256, ..Config::default() };
        for problem in [CUDA, CPU] {
            let advice = advise_on_step(&config, libtorch(problem)).to_string();
            assert!(
                advice.contains("--batch-size 128 --accumulate 2") && advice.contains(problem),
                "{advice}"
            );
            let advice = advise_on_model(libtorch(problem)).to_string();
            assert!(advice.contains("smaller --model-options") && advice.contains(problem), "{advice}");
        }
        let other = advise_on_step(&config, libtorch("mat1 and mat2 shapes cannot be multiplied"));
        assert!(matches!(other, Error::Libtorch(_)), "{other}");
    }
}
