//! A real shift of the domain: what was learned of the digits 0 to 4 is to help with 5 to 9, of which there are few examples.

use std::path::{Path, PathBuf};

use cresset::data::random::{Purpose, stream};
use cresset::data::{self, DataOptions, Inputs};
use cresset::distributed::World;
use cresset::options::Config;
use cresset::run::{self, Outcome};
use cresset::train::{MetricsLog, Silent, TrainOptions};
use rand::seq::SliceRandom;

/// Examples of each of the new classes that are trained on; all others are measured on.
const EXAMPLES: usize = 20;

/// The digits 0 to 4 and 5 to 9 as data sets of their own, in MNIST's form, and a model of the first ones.
pub struct Shift {
    folder: tempfile::TempDir,
    labels: Vec<usize>,
}

impl Shift {
    /// Writes the data sets and trains the model.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder for the data");
        let digits = data::load("digits", &DataOptions::default()).expect("`make data` fetches the digits");
        let Inputs::Floats(values) = &digits.inputs else { unreachable!("the digits are numbers") };
        let mut kept = Vec::new();
        for (name, classes) in [("before", 0..5), ("after", 5..10)] {
            let rows: Vec<usize> =
                (0..digits.rows()).filter(|row| classes.contains(&digits.labels[*row])).collect();
            let of_row = |row: &usize| values[64 * row..64 * (row + 1)].iter();
            let pixels =
                rows.iter().flat_map(of_row).map(|value| (value * 255. / 16.).round() as u8).collect();
            let labels: Vec<u8> = rows.iter().map(|row| digits.labels[*row] as u8).collect();
            write_idx(&folder.path().join(name), pixels, &labels);
            kept =
                labels.iter().map(|label| usize::from(*label) - 5 * usize::from(name == "after")).collect();
        }
        let shift = Shift { folder, labels: kept };
        let data = shift.path("before").to_string_lossy().into_owned();
        shift.train(Config { data, epochs: 15, ..Config::default() }, "model-before");
        shift
    }

    /// What the new training can start from.
    pub fn model_before(&self) -> PathBuf {
        self.path("model-before/model.pt")
    }

    /// The accuracy on the new digits after training on a few of them, which `seed` draws, by the last epoch's weights.
    pub fn accuracy(&self, init: bool, training: TrainOptions, seed: u64) -> f64 {
        let (train, validation) = self.lists(seed);
        let config = Config {
            data: self.path("after").to_string_lossy().into_owned(),
            train_list: Some(train),
            validation_list: Some(validation),
            init: init.then(|| self.model_before()),
            fresh_head: init,
            epochs: 30,
            seed,
            training,
            ..Config::default()
        };
        self.train(config, &format!("run-{}", self.folder.path().read_dir().expect("it exists").count()))
    }

    fn train(&self, config: Config, name: &str) -> f64 {
        let out = self.path(name);
        let config = Config { model: "cnn".to_string(), recipe: "none".to_string(), ..config };
        let run = run::start(&config, Some(&out), &World::alone()).expect("the run begins");
        let outcome = run::finish(run, &mut Silent, &|| false).expect("the run ends");
        assert!(matches!(outcome, Outcome::Trained(_)));
        let records = MetricsLog::read(&out.join("metrics.csv")).expect("the run left its metrics");
        records.last().expect("there are epochs").validation_accuracy
    }

    /// The lists of the examples to train on and of all others.
    fn lists(&self, seed: u64) -> (PathBuf, PathBuf) {
        let mut rows: Vec<usize> = (0..self.labels.len()).collect();
        rows.shuffle(&mut stream(seed, Purpose::Split, 1));
        let mut counts = [0; 5];
        let (chosen, rest): (Vec<usize>, Vec<usize>) = rows.into_iter().partition(|row| {
            counts[self.labels[*row]] += 1;
            counts[self.labels[*row]] <= EXAMPLES
        });
        let write = |name: &str, rows: &[usize]| {
            let path = self.path(&format!("{name}-{seed}.txt"));
            std::fs::write(&path, rows.iter().map(|row| format!("{row}\n")).collect::<String>())
                .expect("the list is written");
            path
        };
        (write("train", &chosen), write("validation", &rest))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn write_idx(folder: &Path, pixels: Vec<u8>, labels: &[u8]) {
    std::fs::create_dir(folder).expect("the folder is new");
    let header = |kind: u8, sizes: &[usize]| {
        let sizes = sizes.iter().flat_map(|size| (*size as u32).to_be_bytes());
        [0, 0, 8, kind].into_iter().chain(sizes).collect::<Vec<u8>>()
    };
    let images = [header(3, &[labels.len(), 8, 8]), pixels].concat();
    std::fs::write(folder.join("train-images-idx3-ubyte"), images).expect("the images are written");
    let labels = [header(1, &[labels.len()]), labels.to_vec()].concat();
    std::fs::write(folder.join("train-labels-idx1-ubyte"), labels).expect("the labels are written");
}
