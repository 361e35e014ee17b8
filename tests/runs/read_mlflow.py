"""Compares a run on an MLflow server with its run folder: read_mlflow.py URI RUN

The variable CRESSET_PYTHON names the Python whose packages include torch.
"""

import csv
import json
import os
import pathlib
import subprocess
import sys

# Behind the own packages, which both environments have.
code = "import sysconfig; print(sysconfig.get_path('purelib'))"
sys.path.append(subprocess.run([os.environ["CRESSET_PYTHON"], "-c", code], capture_output=True, text=True, check=True).stdout.strip())

import mlflow  # noqa: E402
import numpy  # noqa: E402
import torch  # noqa: E402


def main():
    uri, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    mlflow.set_tracking_uri(uri)
    client = mlflow.MlflowClient()
    experiment = client.get_experiment_by_name("tests of cresset")
    runs = client.search_runs([experiment.experiment_id], f"attributes.run_name = '{folder.name}'")
    assert len(runs) == 1, runs
    run = runs[0]
    assert run.data.params["epochs"] == "3", run.data.params
    rows = list(csv.DictReader((folder / "metrics.csv").open()))
    history = client.get_metric_history(run.info.run_id, "train_loss")
    finite = [row for row in rows if row["train_loss"] not in ("NaN", "inf")]
    assert [point.step for point in history] == [int(row["epoch"]) for row in finite], history
    assert [point.value for point in history] == [float(row["train_loss"]) for row in finite], history
    if folder.name == "diverged":
        assert run.info.status == "FAILED", run.info.status
        return
    assert run.info.status == "FINISHED", run.info.status
    assert run.data.metrics["validation/accuracy"] > 0.3, run.data.metrics
    names = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert {"config.toml", "metrics.csv", "split.csv", "model"} <= names, names
    config = pathlib.Path(client.download_artifacts(run.info.run_id, "config.toml"))
    assert config.read_bytes() == (folder / "config.toml").read_bytes()
    history = json.loads(run.data.tags["mlflow.log-model.history"])
    assert history[-1]["artifact_path"] == "model", history

    model = f"runs:/{run.info.run_id}/model"
    signature = mlflow.models.get_model_info(model).signature
    shape = [size if size > 0 else 5 for size in signature.inputs.inputs[0].shape]
    values = numpy.random.default_rng(0).random(shape, dtype=numpy.float32)
    found = mlflow.pyfunc.load_model(model).predict(values)
    with torch.no_grad():
        expected = torch.jit.load(folder / "model.pt", map_location="cpu").eval()(torch.from_numpy(values)).numpy()
    numpy.testing.assert_allclose(numpy.asarray(found), expected, rtol=1e-5, atol=1e-5)


if __name__ == "__main__":
    main()
