"""Fine-tunes a text encoder with transformers' Trainer: `make bench-encoder`.

encoder_trainer.py ENCODER TRAIN.csv TEST.csv EPOCHS LENGTH BATCH RATE SEED
prints: test accuracy, seconds of the training loop, seconds of the process until the end of training
"""

import csv
import os
import sys
import tempfile
import time
from pathlib import Path

BEGUN = time.perf_counter()

os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np
import torch
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)


def read(path):
    csv.field_size_limit(1 << 30)
    with Path(path).open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [row[0] for row in rows], [row[1] for row in rows]


def main(encoder, train, test, epochs, length, batch, rate, seed):
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    tokenizer = AutoTokenizer.from_pretrained(encoder)
    texts, labels = read(train)
    classes = sorted(set(labels))

    def examples(texts, labels):
        encoded = tokenizer(texts, truncation=True, max_length=int(length))
        ids = zip(encoded["input_ids"], encoded["attention_mask"], labels)
        return [{"input_ids": a, "attention_mask": b, "labels": classes.index(c)} for a, b, c in ids]

    model = AutoModelForSequenceClassification.from_pretrained(encoder, num_labels=len(classes))
    with tempfile.TemporaryDirectory() as folder:
        options = TrainingArguments(
            output_dir=folder,
            num_train_epochs=float(epochs),
            per_device_train_batch_size=int(batch),
            per_device_eval_batch_size=int(batch),
            learning_rate=float(rate),
            warmup_steps=0.1,
            weight_decay=0.01,
            seed=int(seed),
            use_cpu=True,
            report_to=[],
            disable_tqdm=True,
            save_strategy="no",
            logging_strategy="no",
        )
        trainer = Trainer(
            model=model,
            args=options,
            train_dataset=examples(texts, labels),
            data_collator=DataCollatorWithPadding(tokenizer),
        )
        result = trainer.train()
        seconds = time.perf_counter() - BEGUN
        test_texts, test_labels = read(test)
        found = trainer.predict(examples(test_texts, test_labels))
    accuracy = (np.argmax(found.predictions, 1) == found.label_ids).mean()
    print(accuracy, result.metrics["train_runtime"], seconds)


if __name__ == "__main__":
    main(*sys.argv[1:])
