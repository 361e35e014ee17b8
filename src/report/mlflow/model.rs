//! The exported model as an MLflow model: the flavor `pytorch`, which loads TorchScript files.
//! Format: <https://mlflow.org/docs/latest/ml/model/>.

use std::time::SystemTime;

use cresset_mlflow::Record;
use serde_json::{Value, json};

use super::MODEL;
use crate::export::Metadata;
use crate::run::{RunFolder, date};

/// The version of Python that the environment of the model names. The model runs with others, too.
const PYTHON: &str = "3.11";

/// The records of the model's files and its description.
pub fn records(folder: &RunFolder, metadata: &Metadata) -> Vec<Record> {
    let torch = cresset_bridge::LIBTORCH_VERSION;
    let text = |name: &str, text: String| Record::Text { name: format!("{MODEL}/{name}"), text };
    let requirements = format!("mlflow\nnumpy\ntorch=={torch}\n");
    let python =
        format!("python: \"{PYTHON}\"\nbuild_dependencies: [pip]\ndependencies: [-r requirements.txt]\n");
    let conda = json!({
        "name": "mlflow-env",
        "channels": ["conda-forge"],
        "dependencies": [format!("python={PYTHON}"), "pip", { "pip": requirements.lines().collect::<Vec<_>>() }],
    });
    let Some(path) = super::relative(folder, &folder.model()) else { return Vec::new() };
    vec![
        Record::File { name: format!("{MODEL}/data/model.pth"), path: path.into() },
        text("data/pickle_module_info.txt", "pickle".to_string()),
        text("requirements.txt", requirements.clone()),
        text("python_env.yaml", python),
        text("conda.yaml", conda.to_string()),
        Record::Model { folder: MODEL.to_string(), description: description(metadata, torch) },
    ]
}

/// The contents of `MLmodel`.
fn description(metadata: &Metadata, torch: &str) -> Value {
    let mut shape = vec![-1];
    shape.extend(&metadata.input.shape.0);
    let tensor =
        |shape: &[i64]| json!([{ "type": "tensor", "tensor-spec": { "dtype": "float32", "shape": shape } }]);
    let outputs = metadata.classes.len() as i64;
    json!({
        "artifact_path": MODEL,
        "flavors": {
            "python_function": {
                "data": "data",
                "env": { "conda": "conda.yaml", "virtualenv": "python_env.yaml" },
                "loader_module": "mlflow.pytorch",
                "pickle_module_name": "pickle",
                "python_version": PYTHON,
            },
            "pytorch": { "model_data": "data", "pytorch_version": torch, "code": null },
        },
        "signature": {
            "inputs": tensor(&shape).to_string(),
            "outputs": tensor(&[-1, outputs]).to_string(),
            "params": null,
        },
        "metadata": { "classes": metadata.classes, "task": metadata.outputs.task().name() },
        "utc_time_created": date::second(SystemTime::now()),
    })
}
