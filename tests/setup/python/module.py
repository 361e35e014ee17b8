"""Tests of the Python module of the wheel: python -m unittest module, in an empty folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
import unittest
import unittest.mock
import warnings
from pathlib import Path
from typing import Any

import numpy
import pandas
from PIL import Image

import cresset


def colors(folder: Path) -> None:
    """Images of 12 × 12 pixels, 20 of each of two classes."""
    random = numpy.random.default_rng(0)
    for channel, name in enumerate(["red", "green"]):
        (folder / name).mkdir(parents=True)
        for number in range(20):
            pixels = random.integers(0, 90, (12, 12, 3), dtype=numpy.uint8)
            pixels[..., channel] += 150
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


class Training(unittest.TestCase):
    def test_a_run_has_metrics_paths_and_options(self) -> None:
        events: list[dict[str, Any]] = []
        run = cresset.train("digits", epochs=3, device="cpu", report=True, on_event=events.append)
        self.assertTrue(run.model.is_file() and run.paths["report"].is_file())
        self.assertEqual([epoch.epoch for epoch in run.epochs], [1, 2, 3])
        self.assertGreater(run.validation.metrics["accuracy"], 0.8)
        self.assertIsNone(run.test)
        self.assertEqual((run.options["epochs"], len(run.classes), run.task), (3, 10, "classification"))
        self.assertEqual(events[0]["event"], "started")
        frame = run.frame()
        self.assertEqual(frame.index.tolist(), [1, 2, 3])
        self.assertTrue((frame["train_loss"].diff().dropna() < 0).all())

    def test_options_of_all_types_reach_the_program(self) -> None:
        options: dict[str, Any] = {"recipe": "none", "model_options": {"width": 8}, "tf32": True, "lr": 0.01}
        run = cresset.train("iris", epochs=5, fresh_head=False, patience=None, **options)
        self.assertEqual((run.options["model_options"], run.options["tf32"]), ("width=8", True))
        again = cresset.train(resume=run.path, epochs=7)
        self.assertEqual([epoch.epoch for epoch in again.epochs], [6, 7])
        unchanged = cresset.train("iris", epochs=7, out=run.path, continue_=True, **options)
        self.assertEqual((unchanged.epochs, unchanged.validation), ([], again.validation))

    def test_a_frame_is_saved_beside_the_run(self) -> None:
        frame = pandas.read_csv(Path(cresset.__file__).parent / "share/cresset/data/iris.csv")
        run = cresset.train(frame, label="species", epochs=20, out=Path("tables/run"))
        self.assertEqual(len(list(Path("tables").glob("data-*.csv"))), 1)
        self.assertEqual(set(run.classes), {"setosa", "versicolor", "virginica"})
        # Prediction takes the columns by their names.
        found = run.load().predict(frame[frame.columns[::-1]])
        self.assertGreater(numpy.mean([a == b for a, b in zip(found.classes, frame["species"], strict=True)]), 0.8)
        self.assertEqual([row.input for row in found][:3], [0, 1, 2])

    def test_a_cross_validation_has_a_run_for_each_fold_and_ranks_the_labels(self) -> None:
        folds = cresset.cross_validate("iris", folds=3, epochs=2, find_label_errors=True)
        self.assertEqual([run.options["fold"] for run in folds.runs], [1, 2, 3])
        self.assertEqual([len(run.epochs) for run in folds.runs], [2, 2, 2])
        losses = [run.validation.loss for run in folds.runs]
        self.assertEqual([fold.loss for fold in folds.folds], losses)
        self.assertAlmostEqual(folds.mean["loss"], float(numpy.mean(losses)))
        self.assertAlmostEqual(folds.deviation["loss"], float(numpy.std(losses, ddof=1)))
        assert folds.label_errors is not None
        self.assertEqual(len(pandas.read_csv(folds.label_errors)), 150)
        unchanged = cresset.cross_validate(resume=folds.path)
        self.assertEqual((unchanged.runs, unchanged.mean), ([], folds.mean))
        with self.assertRaises(TypeError):
            cresset.train("iris", folds=3)

    # As notebooks set it.
    @unittest.mock.patch.dict(os.environ, {"CLICOLOR_FORCE": "1", "FORCE_COLOR": "1"})
    def test_errors_of_the_program_are_exceptions(self) -> None:
        for options, problem in [
            ({"data": "missing.csv"}, "missing.csv"),
            ({"lr": "fast"}, "invalid value 'fast' for '--lr"),
            ({"epohcs": 3}, "unexpected argument '--epohcs'"),
        ]:
            with self.assertRaises(cresset.Error) as raised:
                cresset.train(**options)  # type: ignore[arg-type]
            self.assertIn(problem, str(raised.exception))
            self.assertNotIn("error:", str(raised.exception))
            self.assertNotIn("\x1b", str(raised.exception))
            self.assertNotIn("--help", str(raised.exception))
            self.assertEqual(raised.exception.exit_code, 2)
        with self.assertRaises(TypeError):
            cresset.train([1, 2])  # type: ignore[arg-type]

    def test_warnings_of_the_program_are_warnings(self) -> None:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            run = cresset.train("digits", epochs=3, lr=30, device="cpu")
        messages = [str(warning.message) for warning in caught if warning.category is cresset.RunWarning]
        self.assertTrue(messages)
        self.assertEqual(messages, run.warnings)
        self.assertTrue(all(warning.filename == __file__ for warning in caught))

    def test_ctrl_c_saves_the_run(self) -> None:
        interrupted: list[bool] = []

        def interrupt(event: dict[str, Any]) -> None:
            if event["event"] == "checkpoint" and not interrupted:
                interrupted.append(True)
                signal.raise_signal(signal.SIGINT)

        with self.assertRaises(cresset.Interrupted) as raised:
            cresset.train("digits", epochs=100_000, device="cpu", on_event=interrupt)
        run = raised.exception.run
        assert run is not None
        self.assertTrue((run / "checkpoints/last.safetensors").is_file())
        self.assertFalse((run / "model.pt").exists())

    def test_ctrl_c_in_a_terminal_ends_the_program_too(self) -> None:
        code = "import cresset; cresset.train('digits', epochs=10**6, device='cpu', out='stopped', progress=True)"
        process = subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)
        deadline = time.monotonic() + 60
        metrics = Path("stopped/metrics.csv")
        while not metrics.exists() or metrics.read_text().count("\n") < 4:
            self.assertLess(time.monotonic(), deadline)
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, shown = process.communicate(timeout=60)
        self.assertIn("epoch 1/1000000", shown)
        self.assertIn("cresset.train(resume='stopped') continues", shown)
        self.assertNotEqual(process.returncode, 0)
        # The lock of the folder is free, so the program has ended.
        self.assertEqual(len(cresset.train(resume="stopped", max_minutes=1e-9).epochs), 1)

    def test_an_exception_of_the_callback_ends_the_program(self) -> None:
        def fail(event: dict[str, Any]) -> None:
            raise ValueError(event["event"])

        with self.assertRaisesRegex(ValueError, "started"):
            cresset.train("digits", epochs=100_000, device="cpu", on_event=fail)

    def test_a_thread_can_train(self) -> None:
        found: list[cresset.Run] = []
        thread = threading.Thread(target=lambda: found.append(cresset.train("iris", epochs=1)))
        thread.start()
        thread.join()
        self.assertEqual(found[0].best_epoch, 1)


class Predicting(unittest.TestCase):
    def test_tables_and_arrays_give_the_same(self) -> None:
        path = Path(cresset.__file__).parent / "share/cresset/data/digits.csv"
        rows = pandas.read_csv(path, header=None)
        model = cresset.load(cresset.train("digits", epochs=5, device="cpu").path)
        values = rows.iloc[:50, :64].to_numpy()
        flat = model.predict(values)
        self.assertEqual(flat.probabilities.shape, (50, 10))
        numpy.testing.assert_allclose(flat.probabilities.sum(axis=1), 1, atol=1e-6)
        self.assertEqual(flat.classes, [model.classes[best] for best in flat.probabilities.argmax(axis=1)])
        others: list[Any] = [
            values.astype("float32").reshape(50, 8, 8),
            rows.iloc[:50, :64],
            values.astype("uint8").reshape(50, 8, 8),
        ]
        for same in others:
            numpy.testing.assert_allclose(model.predict(same, batch_size=7).probabilities, flat.probabilities, atol=1e-6)
        frame = flat.frame()
        self.assertEqual(frame["class"].tolist(), flat.classes)
        self.assertAlmostEqual(frame["p_3"][7], flat.probabilities[7, 3])
        self.assertEqual((len(flat[10:20]), flat[-1].label), (10, flat.classes[-1]))
        with self.assertRaisesRegex(ValueError, "63 values per example.*the model takes 64"):
            model.predict(values[:, 1:])

    def test_images_of_all_kinds_give_the_same(self) -> None:
        colors(Path("colors"))
        run = cresset.train("colors", model="cnn", epochs=3, image_size=12, recipe="none", device="cpu")
        model = run.load()
        paths = sorted(Path("colors").glob("*/*.png"))
        expected = model.predict(paths)
        self.assertEqual(len(expected), 40)
        pictures = [Image.open(path) for path in paths]
        pixels = numpy.stack([numpy.asarray(picture) for picture in pictures])
        for inputs in ["colors", pixels, pictures]:
            numpy.testing.assert_allclose(model.predict(inputs).probabilities, expected.probabilities, atol=1e-6)
        # Other sizes are resized as in training.
        self.assertEqual(len(model.predict(pixels[:3].repeat(2, axis=1).repeat(2, axis=2))), 3)
        self.assertEqual(model.predict(pictures[0]).classes, expected.classes[:1])

    def test_an_input_that_cannot_be_read_has_an_error(self) -> None:
        model = cresset.load(cresset.train("iris", epochs=1).model)
        found = model.predict(pandas.DataFrame([[5.1, 3.5, 1.4, 0.2], [4.9, "wide", 1.4, 0.2]], columns=self.columns()))
        self.assertEqual((found[0].error, found[1].label, list(found.errors)), (None, None, [1]))
        self.assertIn("wide", found.errors[1])
        self.assertTrue(numpy.isnan(found.probabilities[1]).all())
        with self.assertRaisesRegex(ValueError, "lacks the columns 'sepal length.*petal width"):
            model.predict(pandas.DataFrame({"height": [1.0]}))
        missing = model.predict(["nowhere.csv"])[0]
        self.assertEqual(Path(str(missing.input)).name, "nowhere.csv")
        self.assertIn("No such file", missing.error or "")
        with self.assertRaises(TypeError):
            model.predict([1, 2])

    def columns(self) -> list[str]:
        return ["sepal length (cm)", "sepal width (cm)", "petal length (cm)", "petal width (cm)"]

    def test_a_number_has_a_value_and_an_interval(self) -> None:
        run = cresset.train("diabetes", epochs=5, coverage=0.9)
        self.assertEqual(run.task, "regression")
        self.assertIn("validation_r2", run.epochs[0].metrics)
        path = Path(cresset.__file__).parent / "share/cresset/data/diabetes.csv"
        found = run.load().predict(path)
        self.assertEqual(found.values.shape, (442,))
        interval = found[0].interval
        assert interval is not None
        self.assertTrue(interval[0] < found.values[0] < interval[1])
        self.assertEqual(list(found.frame().columns), ["input", "value", "low", "high", "error"])

    def test_files_of_others_are_refused(self) -> None:
        Path("other.pt").write_bytes(b"no model")
        for path, problem in [("other.pt", "is not a model"), ("missing.pt", "cannot read the model")]:
            with self.assertRaisesRegex(cresset.Error, problem):
                cresset.load(path)


class Module(unittest.TestCase):
    def test_it_imports_nothing_large(self) -> None:
        code = "import sys, cresset; print([name for name in ('torch', 'numpy', 'pandas') if name in sys.modules])"
        shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
        self.assertEqual(shown.strip(), "[]")

    def test_the_version_is_that_of_the_program(self) -> None:
        shown = subprocess.run([sys.executable, "-m", "cresset", "--version"], capture_output=True, text=True, check=True)
        self.assertEqual(shown.stdout.split()[1], cresset.version())

    def test_the_examples_of_the_docs_run(self) -> None:
        page = (Path(__file__).parents[3] / "docs/python.md").read_text()
        blocks = [rest.split("```")[0] for rest in page.split("```python\n")[1:]]
        self.assertGreaterEqual(len(blocks), 3)
        exec(compile("\n".join(blocks), "docs/python.md", "exec"), {})

    def test_public_names_are_documented(self) -> None:
        for name in cresset.__all__:
            self.assertTrue(getattr(cresset, name).__doc__, name)


if __name__ == "__main__":
    assert not os.listdir(), "run it in an empty folder"
    unittest.main()
