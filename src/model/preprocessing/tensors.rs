//! Examples of a data set as tensors.

use cresset_data::{Dataset, Inputs, Targets, gather};
use tch::{Device, Kind, Tensor};

use crate::error::Result;

/// Examples of a data set, in memory.
///
/// ```
/// use cresset::data::{self, DataOptions};
/// use cresset::model::preprocessing::TensorDataset;
/// use tch::Device;
///
/// let dataset = data::load("iris", &DataOptions::default())?;
/// let examples = TensorDataset::of(&dataset, &[0, 50, 100], Device::Cpu);
/// assert_eq!((examples.inputs.size(), examples.rows()), (vec![3, 4], 3));
/// assert_eq!(Vec::<i64>::try_from(&examples.labels).unwrap(), [0, 1, 2]);
/// # Ok::<(), cresset::error::Error>(())
/// ```
#[derive(Debug)]
pub struct TensorDataset {
    /// Raw or preprocessed values, (N, …).
    pub inputs: Tensor,
    /// Class indices, int64 (N); or multi-hot labels or numbers, float32 (N, outputs).
    pub labels: Tensor,
}

impl TensorDataset {
    /// The examples `indexes` as tensors on `device`, also rows in a file.
    ///
    /// # Errors
    /// A file that cannot be read.
    ///
    /// # Panics
    /// If the inputs are encoded images.
    pub fn read(dataset: &Dataset, indexes: &[i64], device: Device) -> Result<Self> {
        let Inputs::Stored(rows) = &dataset.inputs else {
            return Ok(TensorDataset::of(dataset, indexes, device));
        };
        let inputs = Tensor::from_slice(&rows.gather(indexes)?).view([-1, rows.width() as i64]);
        let labels: Vec<_> = indexes.iter().map(|index| dataset.labels[*index as usize]).collect();
        let labels = target_tensor(&dataset.targets, &labels, dataset.classes.len());
        Ok(TensorDataset { inputs: inputs.to_device(device), labels: labels.to_device(device) })
    }

    /// The examples `indexes` as tensors on `device`.
    ///
    /// # Panics
    /// If the inputs are encoded images, or rows in a file.
    pub fn of(dataset: &Dataset, indexes: &[i64], device: Device) -> Self {
        let width = dataset.shape.features() as usize;
        let kind = if matches!(dataset.inputs, Inputs::Bytes(_)) { Kind::Uint8 } else { Kind::Float };
        let inputs = Tensor::empty([indexes.len() as i64, width as i64], (kind, device));
        // In chunks, so that only one chunk is in memory twice.
        let at_once = (GATHERED / width.max(1)).max(1);
        for (place, indexes) in indexes.chunks(at_once).enumerate() {
            let wanted = indexes.iter().map(|index| *index as usize);
            let rows = match &dataset.inputs {
                Inputs::Floats(values) => Tensor::from_slice(&gather(values, width, wanted)),
                Inputs::Bytes(values) => Tensor::from_slice(&gather(values, width, wanted)),
                Inputs::Images(_) | Inputs::Stored(_) => unreachable!("the examples are streamed"),
            };
            let count = indexes.len() as i64;
            inputs.narrow(0, (place * at_once) as i64, count).copy_(&rows.view([count, width as i64]));
        }
        let labels: Vec<_> = indexes.iter().map(|index| dataset.labels[*index as usize]).collect();
        let labels = target_tensor(&dataset.targets, &labels, dataset.classes.len());
        TensorDataset { inputs, labels: labels.to_device(device) }
    }

    /// The number of examples.
    pub fn rows(&self) -> usize {
        self.labels.size()[0] as usize
    }
}

/// The targets of examples with these labels, on the CPU: class indices or
/// the numbers of users, int64 (N); or multi-hot labels or numbers, float32 (N, outputs).
pub(crate) fn target_tensor(targets: &Targets, labels: &[i64], outputs: usize) -> Tensor {
    let rows = labels.len() as i64;
    match targets {
        Targets::Classes | Targets::Interactions => Tensor::from_slice(labels),
        Targets::Sets(sets) => {
            let mut hot = vec![0f32; labels.len() * outputs];
            for (row, label) in labels.iter().enumerate() {
                sets[*label as usize].iter().for_each(|label| hot[row * outputs + label] = 1.);
            }
            Tensor::from_slice(&hot).view([rows, outputs as i64])
        }
        Targets::Values(values) => {
            let values: Vec<f32> = labels.iter().map(|label| values[*label as usize]).collect();
            Tensor::from_slice(&values).view([rows, 1])
        }
    }
}

/// The raw training set. Code that fits to data takes this type, so that it cannot use other examples.
#[derive(Debug)]
pub struct TrainTensors(pub TensorDataset);

/// Values per chunk.
const GATHERED: usize = 1 << 20;
