"""MovieLens-100K, which the package of RecBole contains, and RecBole's models on it: the peer of benches/recommend.rs.

Usage: recommend.py write FILE                 writes the ratings as CSV: user, item, rating, place
       recommend.py train MODEL SEED FOLDER    trains a model with RecBole's defaults on FOLDER/ratings.csv, and prints `NDCG RECALL
                                               EPOCH_SECONDS EPOCHS SECONDS`: metrics at 10 on the test set, the median of the seconds of
                                               an epoch with its evaluation on the validation set, the epochs, and all their seconds
       recommend.py write-clicks SEED FOLDER   writes a random split: train.csv and test.csv, and the same as files of RecBole
       recommend.py train-clicks SEED FOLDER   trains DeepFM with RecBole's defaults on it, and prints `AUC LOGLOSS EPOCH_SECONDS EPOCHS
                                               SECONDS`

A click is a rating of 4 or 5. Both programs get the same columns of users and items, and RecBole's validation set is the last ninth of
train.csv.

`place` is the position of a rating in the order of time, in which ratings of the same second keep the order of the file: so the last
choice of each user is the same one in both programs.
"""

import csv
import importlib.util
import logging
import os
import shutil
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


def write_clicks(seed, folder):
    ratings = lines("inter")
    users, items = ({row[0]: row[1:] for row in lines(kind)} for kind in ("user", "item"))
    order = np.random.default_rng(seed).permutation(len(ratings))
    count = len(order)
    parts = {"train": order[: count * 8 // 10], "valid": order[count * 8 // 10 : count * 9 // 10], "test": order[count * 9 // 10 :]}
    os.makedirs(os.path.join(folder, "clicks"))
    rows_of = {}
    for part, rows in parts.items():
        rows_of[part] = []
        with open(os.path.join(folder, "clicks", f"clicks.{part}.inter"), "w", encoding="utf-8") as file:
            file.write("user_id:token\titem_id:token\tlabel:float\n")
            for user, item, rating, _ in (ratings[row] for row in rows):
                clicked = int(float(rating) >= 4)
                file.write(f"{user}\t{item}\t{clicked}\n")
                (age, gender, occupation, _), (_, year, genres) = users[user], items[item]
                # Letters make categories of numbers, as RecBole's tokens are.
                rows_of[part].append([f"u{user}", f"i{item}", age, gender, occupation, f"y{year}", genres.replace(" ", "|"), clicked])
    for name, rows in {"train": rows_of["train"] + rows_of["valid"], "test": rows_of["test"]}.items():
        with open(os.path.join(folder, f"{name}.csv"), "w", newline="", encoding="utf-8") as file:
            table = csv.writer(file)
            table.writerow(["user", "item", "age", "gender", "occupation", "year", "genres", "clicked"])
            table.writerows(rows)
    for kind in ("user", "item"):
        shutil.copy(os.path.join(examples(), "ml-100k", "ml-100k." + kind), os.path.join(folder, "clicks", "clicks." + kind))


def train_clicks(seed, folder):
    settings = {
        "load_col": {
            "inter": ["user_id", "item_id", "label"],
            "user": ["user_id", "age", "gender", "occupation"],
            "item": ["item_id", "release_year", "class"],
        },
        "benchmark_filename": ["train", "valid", "test"],
        "train_neg_sample_args": None,
        "eval_args": {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "RO", "group_by": None, "mode": "labeled"},
        "metrics": ["AUC", "LogLoss"],
        "valid_metric": "AUC",
    }
    report(fit("DeepFM", "clicks", seed, folder, settings), "auc", "logloss")


def train(model, seed, folder):
    with open(os.path.join(folder, "ratings.csv"), newline="", encoding="utf-8") as file:
        rows = [[row["user"], row["item"], row["place"]] for row in csv.DictReader(file)]
    os.makedirs(os.path.join(folder, "choices"), exist_ok=True)
    with open(os.path.join(folder, "choices", "choices.inter"), "w", encoding="utf-8") as file:
        for row in [["user_id:token", "item_id:token", "timestamp:float"], *rows]:
            file.write("\t".join(row) + "\n")
    settings = {
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "group_by": "user", "mode": "full"},
        "metrics": ["NDCG", "Recall"],
        "topk": [10],
        "valid_metric": "NDCG@10",
    }
    report(fit(model, "choices", seed, folder, settings), "ndcg@10", "recall@10")


def fit(model, dataset, seed, folder, settings):
    """The metrics on the test set of the epoch that was the best on the validation set, and the seconds of each epoch."""
    shim()
    from recbole.config import Config
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import get_model, get_trainer, init_seed

    common = {
        "data_path": folder,
        "checkpoint_dir": os.path.join(folder, "saved"),
        "seed": seed,
        "reproducibility": True,
        "use_gpu": False,
        "show_progress": False,
        "metric_decimal_place": 6,
    }
    # RecBole reads the arguments of the program, too, and writes logs to the working directory.
    sys.argv = sys.argv[:1]
    os.chdir(folder)
    config = Config(model=model, dataset=dataset, config_dict={**common, **settings})
    init_seed(config["seed"], config["reproducibility"])
    logging.disable(logging.CRITICAL)
    training, validation, test = data_preparation(config, create_dataset(config))
    network = get_model(config["model"])(config, training.dataset).to(config["device"])
    trainer = get_trainer(config["MODEL_TYPE"], config["model"])(config, network)
    seconds = []
    trainer._train_epoch = timed(trainer._train_epoch, lambda spent: seconds.append(spent))
    trainer._valid_epoch = timed(trainer._valid_epoch, lambda spent: seconds.append(seconds.pop() + spent))
    trainer.fit(training, validation, verbose=False, saved=True, show_progress=False)
    return trainer.evaluate(test, load_best_model=True, show_progress=False), seconds


def report(results, first, second):
    found, seconds = results
    print(found[first], found[second], np.median(seconds), len(seconds), sum(seconds))


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
    elif command == "train":
        model, seed, folder = given
        train(model, int(seed), folder)
    else:
        seed, folder = given
        {"write-clicks": write_clicks, "train-clicks": train_clicks}[command](int(seed), folder)


if __name__ == "__main__":
    main()
