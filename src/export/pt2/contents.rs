//! Reads what a package contains, without running it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use serde_json::Value;
use zip::ZipArchive;

use super::schema::dtype_name;
use crate::error::{Error, Result};
use crate::export::{METADATA, Metadata};
use crate::model::archive::{MOST_TEXT, open};
use crate::model::loading::open_file;

/// The contents of a torch.export package.
#[derive(Debug)]
pub struct PackageContents {
    /// The version of PyTorch that wrote it, or whose format it has.
    pub torch: String,
    /// The metadata of a model exported by cresset.
    pub metadata: Option<Metadata>,
    /// The number of calls of each operator, such as `aten.linear.default`.
    pub operators: BTreeMap<String, usize>,
    /// Parameters and buffers: name, dtype and sizes.
    pub tensors: Vec<(String, &'static str, Vec<i64>)>,
}

impl PackageContents {
    /// Reads a file; `None` if it is not a torch.export package.
    ///
    /// ```
    /// use cresset::export::{ExportFormat, PackageContents};
    /// use cresset::prelude::*;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let out = folder.path().join("run");
    /// let options = Config { model_options: "depth=1".into(), epochs: 3, ..Config::default() };
    /// let fitted = Trainer::new("iris").options(options).out(&out).fit()?;
    /// let exported = fitted.classifier()?.into_exported();
    /// let path = out.join("model.pt2");
    /// (ExportFormat::of_file(&path).write)(&exported, &path)?;
    /// let contents = PackageContents::read(&path)?.unwrap();
    /// assert_eq!(contents.operators["aten.linear.default"], 2);
    /// assert_eq!(contents.tensors[0].0, "fc1.bias");
    /// assert!(PackageContents::read(&out.join("model.pt"))?.is_none());
    /// # Ok::<(), cresset::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// A file that cannot be read, and a damaged package.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let file = open_file(path)?;
        let Ok(mut archive) = open(BufReader::new(file)) else { return Ok(None) };
        let Some(folder) = archive.file_names().flatten().find_map(|name| {
            let folder = name.strip_suffix("/archive_format")?;
            (!folder.contains('/')).then(|| folder.to_string())
        }) else {
            return Ok(None);
        };
        let mut member = |name: &str| {
            let problem = |reason: String| Error::artifact(path, format!("its member {name} {reason}"));
            let text = text(&mut archive, &format!("{folder}/{name}"))
                .map_err(|e| problem(format!("is damaged: {e}")));
            text?.ok_or_else(|| problem("is missing".to_string()))
        };
        let json = |text: String| -> Result<Value> {
            serde_json::from_str(&text)
                .map_err(|e| Error::artifact(path, format!("its JSON is damaged: {e}")))
        };
        let program = json(member("models/model.json")?)?;
        let weights = json(member("data/weights/model_weights_config.json")?)?;
        let metadata = member(&format!("extra/{METADATA}")).ok();
        Ok(Some(PackageContents {
            torch: program["torch_version"].as_str().unwrap_or("?").to_string(),
            metadata: metadata.and_then(|text| serde_json::from_str(&text).ok()),
            operators: operators(&program),
            tensors: tensors(&weights),
        }))
    }
}

/// The text of a member of an archive; `None` if it is missing.
fn text(archive: &mut ZipArchive<BufReader<File>>, name: &str) -> std::io::Result<Option<String>> {
    let Ok(member) = archive.by_name(name) else { return Ok(None) };
    let mut text = String::new();
    member.take(MOST_TEXT).read_to_string(&mut text)?;
    Ok(Some(text))
}

fn operators(program: &Value) -> BTreeMap<String, usize> {
    let nodes = program.pointer("/graph_module/graph/nodes").and_then(Value::as_array);
    let mut counts = BTreeMap::new();
    for target in nodes.into_iter().flatten().filter_map(|node| node["target"].as_str()) {
        *counts.entry(target.trim_start_matches("torch.ops.").to_string()).or_default() += 1;
    }
    counts
}

fn tensors(weights: &Value) -> Vec<(String, &'static str, Vec<i64>)> {
    let config = weights["config"].as_object();
    let described = config.into_iter().flatten().map(|(name, of)| {
        let meta = &of["tensor_meta"];
        let sizes = meta["sizes"].as_array().into_iter().flatten();
        let sizes = sizes.map(|size| size["as_int"].as_i64().unwrap_or(0).max(0)).collect();
        (name.clone(), dtype_name(meta["dtype"].as_i64().unwrap_or(0)), sizes)
    });
    described.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::export::zip_archive::stored;

    #[test]
    fn a_damaged_package_is_refused_and_another_archive_is_not_a_package() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.pt2");
        let read = |members: &[(&str, &[u8])]| {
            std::fs::write(&path, stored("model", members.iter().copied()).unwrap()).unwrap();
            PackageContents::read(&path)
        };
        assert!(read(&[("data.pkl", b"")]).unwrap().is_none());
        let problem = read(&[("archive_format", b"pt2")]).unwrap_err().to_string();
        assert!(problem.contains("models/model.json is missing"), "{problem}");
        let problem =
            read(&[("archive_format", b"pt2"), ("models/model.json", b"\xff")]).unwrap_err().to_string();
        assert!(problem.contains("models/model.json is damaged"), "{problem}");
        let config = "data/weights/model_weights_config.json";
        let found =
            read(&[("archive_format", b"pt2"), ("models/model.json", b"[]"), (config, b"{\"config\": 3}")]);
        let found = found.unwrap().unwrap();
        assert!(found.operators.is_empty() && found.tensors.is_empty() && found.metadata.is_none());
        std::fs::write(&path, "text").unwrap();
        assert!(PackageContents::read(&path).unwrap().is_none());
    }
}
