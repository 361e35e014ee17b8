"""A generated click log in the shape of Criteo's, and PyTorch's DataLoader on it: the peer of benches/stream_tables.rs.

Usage: stream_tables.py write ROWS FILE          writes the log: a label, 13 numbers, 26 categories
       stream_tables.py train COLUMNS FILE       reads the log alone, then trains on it, and prints `parameters N`,
                                                 `read ROWS_PER_SECOND` and `train ROWS_PER_SECOND`

COLUMNS is a file of benches/stream_tables.rs with the columns of its model, so that both sides train the same network. The rows come
from batches of pyarrow in a process of their own, whose categories pyarrow looks up.
"""

import json
import sys
import time

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

# The numbers of different categories of Criteo's columns, at most 100,000.
CATEGORIES = [
    1460, 583, 100000, 50000, 305, 24, 12517, 633, 3, 93145, 5683, 80000, 3194, 27, 14992, 60000, 10, 5652, 2173, 4,
    70000, 18, 15, 90000, 105, 100000,
]
ROW_GROUP = 100_000
THREADS, BUFFER, WIDTH, EMBEDDING = 2, 65_536, 128, 8


def write(rows, path):
    random = np.random.default_rng(0)
    names = [
        pa.array(["%08x" % ((index * 2654435761 + column * 97) & 0xFFFFFFFF) for index in range(count)])
        for column, count in enumerate(CATEGORIES)
    ]
    effects = [random.normal(size=count) for count in CATEGORIES]
    writer, written = None, 0
    while written < rows:
        count = min(ROW_GROUP, rows - written)
        score, columns = np.full(count, -1.2), []
        for column in range(13):
            values = np.floor(np.exp(random.normal(1.5, 1.2 + 0.1 * column, size=count))).astype(np.int64)
            missing = random.random(count) < 0.03 * (column % 5)
            columns.append(pa.array(values, mask=missing))
            if column < 4:
                score += 0.15 * np.where(missing, 0, np.log1p(values) - 1.5)
        for column, different in enumerate(CATEGORIES):
            # The first categories are the most frequent.
            indexes = np.minimum((different * random.random(count) ** 3).astype(np.int64), different - 1)
            missing = random.random(count) < 0.02 * (column % 4)
            columns.append(names[column].take(pa.array(indexes, mask=missing)))
            if column % 5 == 0:
                score += 0.3 * np.where(missing, 0, effects[column][indexes])
        clicked = (random.random(count) < 1 / (1 + np.exp(-score))).astype(np.int64)
        header = ["clicked"] + [f"i{column + 1}" for column in range(13)] + [f"c{column + 1}" for column in range(26)]
        table = pa.table([pa.array(clicked)] + columns, names=header)
        writer = writer or pq.ParquetWriter(path, table.schema, compression="snappy")
        writer.write_table(table, row_group_size=ROW_GROUP)
        written += count
    writer.close()


def train(columns_path, path):
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, IterableDataset

    with open(columns_path) as file:
        columns = json.load(file)
    batch_size = columns["batch_size"]
    numbers = [column for column in columns["columns"] if column["kind"] == "number"]
    hot = [column for column in columns["columns"] if column["kind"] == "category"]
    codes = [column for column in columns["columns"] if column["kind"] == "code"]
    torch.set_num_threads(THREADS)
    torch.manual_seed(0)

    class Log(IterableDataset):
        """Shuffled batches of numbers with indicators of missing ones, and of indices of categories, 0 for an unknown one."""

        def __iter__(self):
            random = np.random.default_rng(1)
            sets = {column["name"]: pa.array(column["categories"]) for column in hot + codes}
            for part in pq.ParquetFile(path).iter_batches(batch_size=BUFFER):
                order = random.permutation(part.num_rows)
                values, marks = [], []
                for column in numbers:
                    own = part.column(column["name"])
                    missing = own.is_null().to_numpy(zero_copy_only=False)
                    own = pc.fill_null(own, 0).to_numpy().astype(np.float32)
                    own = (own - column["offset"]) / column["scale"]
                    values.append(np.where(missing, 0, own).astype(np.float32))
                    if column["is_marked"]:
                        marks.append(missing.astype(np.float32))
                values = np.stack(values + marks, 1)
                indexes = []
                for column in hot + codes:
                    own = pc.index_in(part.column(column["name"]), value_set=sets[column["name"]])
                    indexes.append(pc.fill_null(own, -1).to_numpy().astype(np.int64) + 1)
                indexes, labels = np.stack(indexes, 1), part.column("clicked").to_numpy()
                values, indexes, labels = values[order], indexes[order], labels[order]
                for start in range(0, part.num_rows, batch_size):
                    rows = slice(start, start + batch_size)
                    yield torch.from_numpy(values[rows]), torch.from_numpy(indexes[rows]), torch.from_numpy(labels[rows])

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            counts = [len(column["categories"]) + 1 for column in codes]
            self.embedding = nn.Embedding(sum(counts), EMBEDDING)
            self.register_buffer("first", torch.tensor(np.cumsum([0] + counts[:-1])))
            marks = sum(column["is_marked"] for column in numbers)
            self.hot = [len(column["categories"]) for column in hot]
            inputs = len(numbers) + marks + sum(self.hot) + EMBEDDING * len(codes)
            self.hidden, self.output = nn.Linear(inputs, WIDTH), nn.Linear(WIDTH, 2)

        def forward(self, values, indexes):
            one_hot = [
                nn.functional.one_hot(indexes[:, column], count + 1)[:, 1:].float()
                for column, count in enumerate(self.hot)
            ]
            vectors = self.embedding(indexes[:, len(self.hot) :] + self.first).flatten(1)
            return self.output(torch.relu(self.hidden(torch.cat([values, *one_hot, vectors], 1))))

    def loader():
        return DataLoader(Log(), batch_size=None, num_workers=1, prefetch_factor=4)

    rows, begun = 0, time.perf_counter()
    for _, _, labels in loader():
        rows += len(labels)
    print("read", rows / (time.perf_counter() - begun), flush=True)

    network = Network()
    print("parameters", sum(parameter.numel() for parameter in network.parameters()), flush=True)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)
    criterion = nn.CrossEntropyLoss()
    rows, begun = 0, time.perf_counter()
    for values, indexes, labels in loader():
        optimizer.zero_grad()
        loss = criterion(network(values, indexes), labels)
        loss.backward()
        optimizer.step()
        rows += len(labels)
    print("train", rows / (time.perf_counter() - begun), flush=True)


if sys.argv[1] == "write":
    write(int(sys.argv[2]), sys.argv[3])
else:
    train(sys.argv[2], sys.argv[3])
