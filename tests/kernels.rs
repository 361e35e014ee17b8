//! Cresset's own kernels: which of them run, that `--kernels libtorch` switches all off, and that results agree within rounding.

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cresset_bridge::kernels::{Kernel, TABLE};
use support::{cresset, root, stderr, text, unlabelled_digits};

/// Runs the program on two threads, and gives what it printed and the names of the kernels that ran.
fn kernels_of(arguments: &[&str]) -> (String, BTreeSet<String>) {
    let output =
        cresset().args(arguments).args(["-v", "--threads", "2", "--device", "cpu"]).output().unwrap();
    let said = stderr(&output);
    assert!(output.status.success(), "{arguments:?}: {said}");
    let line = said.lines().find_map(|line| line.split_once("kernels that ran: ")).expect("-v names them").1;
    let names = line.trim().split(", ").filter(|runs| *runs != "none");
    // The number of runs comes last.
    let names = names.map(|runs| runs.rsplit_once(' ').expect("a name and a number").0.to_string());
    (String::from_utf8(output.stdout).unwrap(), names.collect())
}

/// Whether the processor has AVX2 and what comes with it, without which some kernels leave their work to libtorch.
fn has_avx2() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// Whether Linux says that the processor multiplies tiles of bfloat16.
fn has_amx() -> bool {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    processor.split_whitespace().any(|flag| flag == "amx_bf16")
}

/// Whether MKL leaves the CPU's AVX-512 unused: it uses it on Intel's only.
fn has_avx512_without_mkl() -> bool {
    let processor = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let flags: BTreeSet<_> = processor.split_whitespace().collect();
    !flags.contains("GenuineIntel")
        && ["avx512f", "avx512bw", "avx512dq", "avx512vl"].iter().all(|flag| flags.contains(flag))
}

fn names(kernels: &[Kernel]) -> BTreeSet<String> {
    let needs_avx2 = [
        Kernel::MlpInference,
        Kernel::BatchNorm,
        Kernel::Bf16Convolution,
        Kernel::Lstm,
        Kernel::DecimalParser,
    ];
    let can_run = |kernel: &Kernel| match kernel {
        Kernel::Bf16Convolution => has_amx(),
        Kernel::MatrixProduct => has_avx512_without_mkl(),
        Kernel::SubnormalFlush => cfg!(target_arch = "x86_64"),
        kernel => has_avx2() || !needs_avx2.contains(kernel),
    };
    kernels
        .iter()
        .filter(|kernel| can_run(kernel))
        .map(|kernel| TABLE[*kernel as usize].name.into())
        .collect()
}

/// The losses of training and validation after each epoch.
fn losses(run: &Path) -> Vec<f64> {
    let mut metrics = csv::Reader::from_path(run.join("metrics.csv")).unwrap();
    let headers = metrics.headers().unwrap().clone();
    let columns =
        ["train_loss", "held_out_loss"].map(|name| headers.iter().position(|own| own == name).unwrap());
    let rows = metrics.records().map(Result::unwrap).collect::<Vec<_>>();
    rows.iter().flat_map(|row| columns.map(|column| row[column].parse().unwrap())).collect()
}

/// Trains (the digits, if there is no `--data`) by all kernels, which must be the ones that are expected besides those of every training, and by libtorch
/// alone.
fn trains_by(options: &[&str], expected: &[Kernel], tolerance: f64) {
    let folder = tempfile::tempdir().unwrap();
    let train = |kernels: &str| {
        let run = folder.path().join(kernels);
        let base = ["train", "--kernels", kernels, "--epochs", "2", "--out", text(&run)];
        let (_, ran) = kernels_of(&[&base, options].concat());
        (ran, losses(&run))
    };
    let always = [Kernel::TensorMemory, Kernel::SmallAdam, Kernel::SubnormalFlush, Kernel::LossAndConfusion];
    let ((own, own_losses), (theirs, losses)) = (train("auto"), train("libtorch"));
    assert_eq!(own, names(&[&always, expected].concat()));
    assert_eq!(theirs, BTreeSet::new());
    assert_eq!(losses.len(), 4);
    for (own, theirs) in own_losses.iter().zip(&losses) {
        assert!((own / theirs - 1.).abs() < tolerance, "{own_losses:?} and {losses:?}");
    }
}

#[test]
fn an_mlp_trains_by_its_kernels() {
    trains_by(
        &[],
        // The last evaluation multiplies all examples at once.
        &[Kernel::MatrixProduct, Kernel::MlpTraining, Kernel::MlpInference, Kernel::DecimalParser],
        1e-4,
    );
}

/// The losses are those of other random numbers.
#[test]
fn dropout_is_drawn_by_its_kernel() {
    let expected = [Kernel::MatrixProduct, Kernel::Bernoulli, Kernel::MlpInference, Kernel::DecimalParser];
    trains_by(&["--model-options", "dropout=0.2"], &expected, 0.25);
}

#[test]
fn a_vision_transformer_trains_by_its_kernels() {
    trains_by(
        &["--model", "vit", "--model-options", "dropout=0"],
        &[Kernel::MatrixProduct, Kernel::DecimalParser],
        1e-2,
    );
}

#[test]
fn a_cnn_trains_by_its_kernels() {
    trains_by(
        &["--model", "cnn", "--model-options", "dropout=0"],
        &[Kernel::MatrixProduct, Kernel::BatchNorm, Kernel::DecimalParser],
        0.1,
    );
}

#[test]
fn a_cnn_in_bfloat16_trains_by_its_kernels() {
    let options = ["--model", "cnn", "--model-options", "dropout=0", "--precision", "bf16"];
    let expected = [Kernel::MatrixProduct, Kernel::BatchNorm, Kernel::Bf16Convolution, Kernel::DecimalParser];
    trains_by(&options, &expected, 0.1);
}

#[test]
fn an_lstm_trains_by_its_kernels() {
    trains_by(
        &["--model", "lstm", "--model-options", "width=16,dropout=0"],
        &[Kernel::Lstm, Kernel::DecimalParser],
        1e-3,
    );
}

#[test]
fn a_bag_of_words_trains_by_its_kernels() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("notes.csv");
    let words = ["red", "green", "blue", "one", "two", "three"];
    let row = |row: usize| {
        let class = row % 2;
        format!("{} and {} for you,{}\n", words[3 * class + row % 3], words[row % 6], ["a", "b"][class])
    };
    std::fs::write(&data, (0..80).map(row).fold("note,kind\n".to_string(), |text, row| text + &row)).unwrap();
    let options = ["--data", text(&data), "--text", "note", "--label", "kind", "--model", "bow"];
    trains_by(&options, &[Kernel::EmbeddingBag, Kernel::RowAdagrad], 1e-3);
}

#[test]
fn a_streamed_table_trains_by_its_kernels() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("clicks.csv");
    // A number, a column of 200 categories and one of 35,000, whose gradients are sparse.
    let row =
        |row: usize| format!("{},s{},u{},{}\n", row % 7, row % 200, row % 35_000, ["no", "yes"][row % 2]);
    std::fs::write(
        &data,
        (0..36_000).map(row).fold("age,site,user,clicked\n".to_string(), |text, row| text + &row),
    )
    .unwrap();
    let options = ["--data", text(&data), "--stream", "always", "--model", "mlp", "--batch-size", "1024"];
    let expected = [
        Kernel::MatrixProduct,
        // Of the last batch, which is smaller.
        Kernel::EmbeddingBag,
        Kernel::ColumnVectors,
        Kernel::RowAdagrad,
    ];
    trains_by(&[&options[..], &["--recipe", "none", "--mask-categories", "0"]].concat(), &expected, 1e-3);
}

#[test]
fn a_table_is_predicted_by_its_kernels() {
    let folder = tempfile::tempdir().unwrap();
    let rows = unlabelled_digits(folder.path(), 200);
    for model in ["mlp", "cnn"] {
        let run = folder.path().join(model);
        kernels_of(&["train", "--epochs", "1", "--model", model, "--out", text(&run)]);
        let file: PathBuf = run.join("model.pt");
        let predict = |kernels| kernels_of(&["predict", "--kernels", kernels, text(&file), text(&rows)]);
        let ((own, own_kernels), (theirs, no_kernels)) = (predict("auto"), predict("libtorch"));
        let expected =
            [Kernel::HeapMemory, Kernel::GraphInterpreter, Kernel::FoldedGraph, Kernel::Preprocessing];
        assert_eq!(own_kernels, names(&expected), "{model}");
        assert_eq!(no_kernels, BTreeSet::new(), "{model}");
        let classes = |printed: &str| -> Vec<String> {
            let records = csv::Reader::from_reader(printed.as_bytes()).into_records();
            records.map(|record| record.unwrap()[1].to_string()).collect()
        };
        assert_eq!(classes(&own).len(), 200);
        assert_eq!(classes(&own), classes(&theirs), "{model}");
    }
}

#[test]
fn each_kernel_has_a_source_and_a_test() {
    for entry in &TABLE {
        assert!(root().join(entry.source).is_file(), "{}: {}", entry.name, entry.source);
        let (file, name) = entry.proof;
        let tests = std::fs::read_to_string(root().join(file)).unwrap();
        assert!(tests.contains(&format!("#[test]\nfn {name}()")), "{}: {name}", entry.name);
    }
}
