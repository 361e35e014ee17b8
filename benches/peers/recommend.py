"""MovieLens-100K, which the package of RecBole contains, and RecBole's models on it: the peer of benches/recommend.rs.

Usage: recommend.py write FILE                 writes the ratings as CSV: user, item, rating, place
       recommend.py train MODEL SEED FOLDER    trains a model with RecBole's defaults on FOLDER/ratings.csv, and prints `NDCG RECALL
                                               EPOCH_SECONDS EPOCHS SECONDS`: metrics at 10 on the test set, the median of the seconds of
                                               an epoch with its evaluation on the validation set, the epochs, and all their seconds

`place` is the position of a rating in the order of time, in which ratings of the same second keep the order of the file: so the last
choice of each user is the same one in both programs.
"""

import csv
import importlib.util
import logging
import os
import sys
import time

import numpy as np


def examples():
    """The folder of the package with the data sets."""
    return os.path.join(os.path.dirname(importlib.util.find_spec("recbole").origin), "dataset_example")


def lines(kind):
    """The rows of a file of MovieLens-100K."""
    with open(os.path.join(examples(), "ml-100k", "ml-100k." + kind), encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t") for line in file][1:]


def write(path):
    ratings = lines("inter")
    order = np.argsort(np.array([float(row[3]) for row in ratings]), kind="stable")
    places = np.empty(len(ratings), dtype=np.int64)
    places[order] = np.arange(len(ratings))
    with open(path, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["user", "item", "rating", "place"])
        for (user, item, rating, _), place in zip(ratings, places):
            table.writerow([user, item, int(float(rating)), place])


def shim():
    """What RecBole 1.2.1 needs from older versions of SciPy and PyTorch."""
    import scipy.sparse as sp
    import torch

    if not hasattr(sp.dok_matrix, "_update"):
        sp.dok_matrix._update = lambda matrix, values: matrix._dict.update(values)
    load = torch.load
    torch.load = lambda *given, **named: load(*given, **{"weights_only": False, **named})


def train(model, seed, folder):
    with open(os.path.join(folder, "ratings.csv"), newline="", encoding="utf-8") as file:
        rows = [[row["user"], row["item"], row["place"]] for row in csv.DictReader(file)]
    os.makedirs(os.path.join(folder, "choices"), exist_ok=True)
    with open(os.path.join(folder, "choices", "choices.inter"), "w", encoding="utf-8") as file:
        for row in [["user_id:token", "item_id:token", "timestamp:float"], *rows]:
            file.write("\t".join(row) + "\n")
    shim()
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    settings = {
        "data_path": folder,
        "checkpoint_dir": os.path.join(folder, "saved"),
        "seed": seed,
        "reproducibility": True,
        "use_gpu": False,
        "show_progress": False,
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
        "metrics": ["NDCG", "Recall"],
        "topk": [10],
        "valid_metric": "NDCG@10",
        "metric_decimal_place": 6,
    }
    # RecBole reads the arguments of the program, too, and writes logs to the working directory.
    sys.argv = sys.argv[:1]
    os.chdir(folder)
    config = Config(model=model, dataset="choices", config_dict=settings)
    init_seed(config["seed"], config["reproducibility"])
    logging.disable(logging.CRITICAL)
    dataset = create_dataset(config)
    training, validation, test = data_preparation(config, dataset)
    network = get_model(config["model"])(config, training.dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, network)
    seconds = []
    trainer._train_epoch = timed(trainer._train_epoch, lambda spent: seconds.append(spent))
    trainer._valid_epoch = timed(trainer._valid_epoch, lambda spent: seconds.append(seconds.pop() + spent))
    trainer.fit(training, validation, verbose=False, saved=True, show_progress=False)
    # The results below are of the epoch that was the best on the validation set.
    found = trainer.evaluate(test, load_best_model=True, show_progress=False)
    print(found["ndcg@10"], found["recall@10"], np.median(seconds), len(seconds), sum(seconds))


def timed(function, keep):
    def run(*given, **named):
        begun = time.perf_counter()
        result = function(*given, **named)
        keep(time.perf_counter() - begun)
        return result

    return run


def main():
    command, *given = sys.argv[1:]
    if command == "write":
        write(*given)
    else:
        model, seed, folder = given
        train(model, int(seed), folder)


if __name__ == "__main__":
    main()
