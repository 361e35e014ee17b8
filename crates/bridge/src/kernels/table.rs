//! The table of kernels: what each replaces, when it runs, its speedup, and the test that proves it.

use super::Kernel;

/// An entry of the table.
#[derive(Debug)]
pub struct Entry {
    /// The kernel, for its switch and its counter.
    pub kernel: Kernel,
    /// Its name, as reported by `-v`.
    pub name: &'static str,
    /// Path of its source, relative to the repository root.
    pub source: &'static str,
    /// The operations that it replaces.
    pub replaces: &'static str,
    /// The conditions under which it runs.
    pub condition: &'static str,
    /// Time with the kernel / time without it, measured by `benches/kernels/`, on an AMD EPYC with two cores unless another
    /// machine is named.
    pub gain: &'static str,
    /// How results relate to libtorch's.
    pub bits: Bits,
    /// The test that proves by the counter that the kernel runs, as (file, function).
    pub proof: (&'static str, &'static str),
}

/// How the results of a kernel relate to libtorch's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bits {
    /// They are bit-identical.
    Same,
    /// They differ by rounding.
    Rounded,
    /// They are other random numbers of the same distribution.
    Random,
}

const DIGITS: (&str, &str) = ("tests/kernels.rs", "an_mlp_trains_by_its_kernels");
const DROPOUT: (&str, &str) = ("tests/kernels.rs", "dropout_is_drawn_by_its_kernel");
const CNN: (&str, &str) = ("tests/kernels.rs", "a_cnn_trains_by_its_kernels");
const LSTM: (&str, &str) = ("tests/kernels.rs", "an_lstm_trains_by_its_kernels");
const BOW: (&str, &str) = ("tests/kernels.rs", "a_bag_of_words_trains_by_its_kernels");
const CLICKS: (&str, &str) = ("tests/kernels.rs", "a_streamed_table_trains_by_its_kernels");
const BF16: (&str, &str) = ("tests/kernels.rs", "a_cnn_in_bfloat16_trains_by_its_kernels");
const VIT: (&str, &str) = ("tests/kernels.rs", "a_vision_transformer_trains_by_its_kernels");
const PREDICT: (&str, &str) = ("tests/kernels.rs", "a_table_is_predicted_by_its_kernels");

/// All kernels, in the order of [`Kernel`].
pub static TABLE: [Entry; 19] = [
    Entry {
        kernel: Kernel::TensorMemory,
        name: "tensor memory",
        source: "crates/bridge/src/kernels/allocator.cc",
        replaces: "the C library's allocator, which returns large blocks to the system after each step",
        condition: "training on a CPU, blocks of 128 KiB and more; never more memory than was in use at once",
        gain: "0.85 (digits CNN, batch 64: step), 0.75 to 0.84 (ResNet-18 in float32: step)",
        bits: Bits::Same,
        proof: DIGITS,
    },
    Entry {
        kernel: Kernel::HeapMemory,
        name: "heap memory",
        source: "crates/bridge/src/api/memory.cc",
        replaces: "the C library's limits for freed memory (`mallopt`)",
        condition: "an exported model is loaded on a CPU; glibc; up to 64 MiB, for the rest of the process",
        gain: "0.76 (digits CNN, 64 rows: call)",
        bits: Bits::Same,
        proof: PREDICT,
    },
    Entry {
        kernel: Kernel::MatrixProduct,
        name: "matrix products",
        source: "crates/bridge/src/kernels/matrix_product.cc",
        replaces: "MKL's products in `mm` and `addmm`, also of gradients: oneDNN computes them",
        condition: "float32, at least 2 million multiplications, on a CPU with AVX-512 that is not Intel's: MKL uses AVX-512 on Intel's only",
        gain: "0.58 (MLP of width 512 on 28×28, batch 256: step), 0.69 (ViT-tiny on 32×32, batch 64: step)",
        bits: Bits::Rounded,
        proof: VIT,
    },
    Entry {
        kernel: Kernel::Bernoulli,
        name: "dropout",
        source: "crates/bridge/src/kernels/bernoulli.cc",
        replaces: "`bernoulli_`, which draws one number after the other on one core",
        condition: "float32 or bool on the CPU, at least 1,024 values",
        gain: "0.73 (MLP of width 512 on 28×28, batch 256: step)",
        bits: Bits::Random,
        proof: DROPOUT,
    },
    Entry {
        kernel: Kernel::MlpTraining,
        name: "MLP training",
        source: "crates/bridge/src/kernels/perceptron.cc",
        replaces: "forward pass, cross-entropy and autograd's backward pass",
        condition: "MLP without dropout, float32 on the CPU, plain cross-entropy, one process, no `--accumulate`, no teacher; small batches use this project's matrix products (`product.cc`), batches of more than 4 million multiplications libtorch's or the kernel above",
        gain: "0.22 (digits MLP, batch 32: step)",
        bits: Bits::Rounded,
        proof: DIGITS,
    },
    Entry {
        kernel: Kernel::MlpInference,
        name: "MLP inference",
        source: "crates/bridge/src/kernels/packed_layers.cc",
        replaces: "`linear` and `relu` in validation during training",
        condition: "MLP with small layers in float32 on a CPU with AVX2, no gradients recorded",
        gain: "0.82 (digits MLP, 100,000 rows: evaluation)",
        bits: Bits::Rounded,
        proof: DIGITS,
    },
    Entry {
        kernel: Kernel::BatchNorm,
        name: "batch norm with ReLU",
        source: "crates/bridge/src/kernels/norm.cc",
        replaces: "`batch_norm` and `relu` in training, forward and backward",
        condition: "float32 or bfloat16 on a CPU with AVX2, channels last, channels a multiple of 16, one process",
        gain: "0.93 (digits CNN, batch 64: step) on an AMD EPYC, 0.76 on an Intel Xeon",
        bits: Bits::Rounded,
        proof: CNN,
    },
    Entry {
        kernel: Kernel::Bf16Convolution,
        name: "bfloat16 convolution",
        source: "crates/bridge/src/kernels/convolution.cc",
        replaces: "oneDNN's weight gradient of `conv2d`",
        condition: "training with `--precision bf16` on a CPU with AMX, channels last, outputs at most eight columns wide",
        gain: "0.25 (weight gradient, 512 channels at 4×4, batch 128) on an Intel Xeon",
        bits: Bits::Rounded,
        proof: BF16,
    },
    Entry {
        kernel: Kernel::Lstm,
        name: "LSTM",
        source: "crates/bridge/src/kernels/lstm.cc",
        replaces: "`lstm` in training, forward and backward",
        condition: "float32 on a CPU with AVX2, hidden size at most 256 and a multiple of 16",
        gain: "0.42 (LSTM of width 16 on 28×28, batch 16: step), 0.93 (width 128, batch 64)",
        bits: Bits::Rounded,
        proof: LSTM,
    },
    Entry {
        kernel: Kernel::EmbeddingBag,
        name: "embedding bag",
        source: "crates/bridge/src/kernels/embedding_bag.cc",
        replaces: "`embedding_bag` and `embedding` with sparse gradients, their backward passes and `coalesce`",
        condition: "`bow` and columns of tables with many categories, float32 on the CPU",
        gain: "0.21 (bag of words, batch 32: step)",
        bits: Bits::Rounded,
        proof: BOW,
    },
    Entry {
        kernel: Kernel::RowAdagrad,
        name: "row-wise Adagrad",
        source: "crates/bridge/src/kernels/embedding_bag.cc",
        replaces: "`index_select`, `index_copy_` and `index_add_` of the optimizer of tables with sparse gradients",
        condition: "`bow`, `two-tower` and columns of tables with many categories, float32 on the CPU",
        gain: "0.78 (bag of words, batch 32: step)",
        bits: Bits::Rounded,
        proof: BOW,
    },
    Entry {
        kernel: Kernel::ColumnVectors,
        name: "columns of categories",
        source: "crates/bridge/src/kernels/column_vectors.cc",
        replaces: "`embedding`, the operations on its indices, `cat`, and their backward passes: one pass writes the vectors and the other values of a row",
        condition: "models of tables with columns of many categories and without embeddings of numbers, float32 on the CPU; at most 64 rows of a sparse table for each use",
        gain: "0.65 (click log, batch 4096: step)",
        bits: Bits::Rounded,
        proof: CLICKS,
    },
    Entry {
        kernel: Kernel::SmallAdam,
        name: "Adam of few parameters",
        source: "crates/bridge/src/kernels/adam.cc",
        replaces: "`_fused_adam_` and `_fused_adamw_`",
        condition: "at most 65,536 float32 parameters on the CPU",
        gain: "0.78 (digits MLP, batch 32: step)",
        bits: Bits::Rounded,
        proof: DIGITS,
    },
    Entry {
        kernel: Kernel::SubnormalFlush,
        name: "flushed subnormals",
        source: "crates/bridge/src/kernels/subnormals.h",
        replaces: "arithmetic with subnormal numbers in the steps of all optimizers: they are flushed to zero",
        condition: "x86-64",
        gain: "0.33 (Adam, moments of 100,000 parameters subnormal: step)",
        bits: Bits::Rounded,
        proof: DIGITS,
    },
    Entry {
        kernel: Kernel::LossAndConfusion,
        name: "loss and confusion matrix",
        source: "crates/bridge/src/kernels/tally.cc",
        replaces: "`log_softmax`, `nll_loss`, `argmax` and `bincount` in evaluation",
        condition: "logits on the CPU",
        gain: "0.57 (digits MLP, 100,000 rows: evaluation)",
        bits: Bits::Rounded,
        proof: DIGITS,
    },
    Entry {
        kernel: Kernel::GraphInterpreter,
        name: "graph interpreter",
        source: "crates/bridge/src/kernels/compiled.cc",
        replaces: "TorchScript's graph executor, which records and looks up shapes at each call",
        condition: "an exported model on a CPU",
        gain: "0.58 (digits MLP, one row, not optimized: call), 0.86 (digits CNN)",
        bits: Bits::Same,
        proof: PREDICT,
    },
    Entry {
        kernel: Kernel::FoldedGraph,
        name: "folded graph",
        source: "crates/bridge/src/kernels/compiled.cc",
        replaces: "`conv2d`, `batch_norm` and `linear` of an exported model: normalization is folded into the convolutions, their weights are in the memory format that suits the batch size, and chains of small linear layers are one operation (`linear_chains.cc`)",
        condition: "an exported model in float32 on a CPU that is called repeatedly (evaluation, prediction of many rows, serving), with the graph interpreter on; logits of two examples agree with the original model's to 10⁻⁴",
        gain: "0.34 (digits MLP, one row: call), 0.67 (digits MLP, 64 rows), 0.81 (digits CNN, one row and 64 rows)",
        bits: Bits::Rounded,
        proof: PREDICT,
    },
    Entry {
        kernel: Kernel::Preprocessing,
        name: "preprocessing",
        source: "crates/bridge/src/kernels/compiled.cc",
        replaces: "`sub` and `div` of an exported model's preprocessing",
        condition: "an exported model on a CPU whose preprocessing is a shift and a scale, with the graph interpreter on",
        gain: "0.47 (digits MLP, one row: call)",
        bits: Bits::Same,
        proof: PREDICT,
    },
    Entry {
        kernel: Kernel::DecimalParser,
        name: "decimal parser",
        source: "crates/bridge/decimals/src/decimals.cc",
        replaces: "parsing the numbers of a CSV file one by one",
        condition: "numbers of at most seven digits on a CPU with AVX2",
        gain: "0.58 (CSV of 64 numbers and a label, 100,000 rows: load)",
        bits: Bits::Same,
        proof: DIGITS,
    },
];
