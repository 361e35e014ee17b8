//! The archive of a package: an uncompressed zip file.

use tch::{Device, Kind, Tensor};

use super::schema::{ExportedProgram, PayloadConfig, PayloadMeta};
use super::tensor::{Role, Stored};
use crate::data::InputShape;
use crate::error::Result;
use crate::export::recording::EXAMPLE_BATCH;
use crate::export::{pth, zip_archive};
use crate::model::weights::safetensors::bytes_of;

/// The folder that holds all members.
const FOLDER: &str = "model";

/// The members of an archive, by name.
pub struct Archive(Vec<(String, Vec<u8>)>);

impl Archive {
    /// An archive with a program and its tensors.
    pub fn new(program: &ExportedProgram, tensors: &[Stored], input: &InputShape) -> Result<Self> {
        let mut archive = Archive(Vec::new());
        archive.add("archive_format", b"pt2".to_vec());
        archive.add("archive_version", b"0".to_vec());
        archive.add("byteorder", b"little".to_vec());
        // The version of the zip layout, which libtorch's reader requires.
        archive.add("version", b"6\n".to_vec());
        let (constants, weights): (Vec<_>, Vec<_>) =
            tensors.iter().partition(|stored| stored.role == Role::Constant);
        archive.add_tensors("weights", "weight", &weights)?;
        archive.add_tensors("constants", "tensor", &constants)?;
        archive.add("models/model.json", json(program));
        let size: Vec<_> = std::iter::once(EXAMPLE_BATCH).chain(input.0.iter().copied()).collect();
        let example = Tensor::f_zeros(&size[..], (Kind::Float, Device::Cpu))?;
        archive.add("data/sample_inputs/model.pt", pth::example_inputs(&example)?);
        Ok(archive)
    }

    /// Adds an extra file.
    pub fn add_extra(&mut self, name: &str, text: &str) {
        self.add(&format!("extra/{name}"), text.as_bytes().to_vec());
    }

    /// The bytes of the file.
    pub fn finish(self) -> std::io::Result<Vec<u8>> {
        zip_archive::stored(FOLDER, self.0.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())))
    }

    fn add(&mut self, name: &str, bytes: Vec<u8>) {
        self.0.push((name.to_string(), bytes));
    }

    /// Adds the values of tensors, one file each, and the list of the files.
    fn add_tensors(&mut self, folder: &str, stem: &str, tensors: &[&Stored]) -> Result<()> {
        let mut config = PayloadConfig::default();
        for (index, stored) in tensors.iter().enumerate() {
            let path_name = format!("{stem}_{index}");
            self.add(&format!("data/{folder}/{path_name}"), bytes_of(&stored.tensor)?);
            let payload = PayloadMeta {
                path_name,
                is_param: stored.role == Role::Parameter,
                use_pickle: false,
                tensor_meta: stored.meta.clone(),
            };
            config.config.insert(stored.name.clone(), payload);
        }
        self.add(&format!("data/{folder}/model_{folder}_config.json"), json(&config));
        Ok(())
    }
}

fn json(value: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("the schema serializes to JSON")
}
