"""The default job of `cresset train` in PyTorch, as a user would write it or, by --mode, as fast as PyTorch does it."""
import time

started = time.perf_counter()
import torch
from torch import nn

import_s = time.perf_counter() - started

import digits_job

MODES = {
    "loader": "a DataLoader over a TensorDataset, the usual way",
    "plain": "batches indexed out of one tensor",
    "fused": "plain, with Adam(fused=True)",
    "compile": "fused, with the model and the loss through torch.compile",
}


def main():
    parser = digits_job.options(__doc__)
    parser.add_argument("--mode", choices=MODES, default="loader", help="; ".join(f"{name}: {what}" for name, what in MODES.items()))
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    x, y, x_heldout, y_heldout = (torch.from_numpy(part) for part in digits_job.read_parts(args))
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
    step = make_step(model, args.mode)

    run_epochs(args.warm_up_epochs, step, x, y, args.mode)
    begun = time.perf_counter()
    run_epochs(args.epochs, step, x, y, args.mode)
    train_s = time.perf_counter() - begun

    model.eval()
    with torch.inference_mode():
        accuracy = (model(x_heldout).argmax(1) == y_heldout).double().mean().item()
    if args.export:
        torch.jit.script(model).save(str(args.export))
    digits_job.report(f"torch-{args.mode}", args, len(y), accuracy, import_s, train_s)


def make_step(model, mode):
    is_fused = mode in ("fused", "compile")
    optimizer = torch.optim.Adam(model.parameters(), lr=digits_job.LEARNING_RATE, fused=is_fused)

    def loss_of(images, labels):
        return nn.functional.cross_entropy(model(images), labels)

    if mode == "compile":
        loss_of = torch.compile(loss_of)

    def step(images, labels):
        optimizer.zero_grad()
        loss_of(images, labels).backward()
        optimizer.step()

    return step


def run_epochs(epochs, step, x, y, mode):
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), digits_job.BATCH_SIZE, shuffle=True)
    for _ in range(epochs):
        if mode == "loader":
            for images, labels in loader:
                step(images, labels)
        else:
            for rows in torch.randperm(len(y)).split(digits_job.BATCH_SIZE):
                step(x[rows], y[rows])


main()
