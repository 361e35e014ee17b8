"""The default job of `cresset train` in PyTorch, as a user would write it or, with --mode, as fast as PyTorch can run it."""
import time

started = time.perf_counter()
import torch
from torch import nn

import_s = time.perf_counter() - started

import digits_job
import torch_step

MODES = {
    "loader": "a DataLoader over a TensorDataset, the usual way",
    "plain": "batches indexed from one tensor",
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
    batches = make_batches(x, y, args.mode)

    clock = digits_job.Clock(args.warm_up_epochs)
    for _ in range(args.warm_up_epochs + args.epochs):
        model.train()
        clock.begin()
        train(batches, step, clock)
        clock.end()
        accuracy = evaluate(model, x_heldout, y_heldout)[1]
    if args.export:
        torch.jit.script(model).save(str(args.export))
    digits_job.report(f"torch-{args.mode}", args, len(y), accuracy, import_s, clock)


def make_step(model, mode):
    is_fused = mode in ("fused", "compile")
    optimizer = torch.optim.Adam(model.parameters(), lr=digits_job.LEARNING_RATE, fused=is_fused)

    def loss_of(images, labels):
        logits = model(images)
        return nn.functional.cross_entropy(logits, labels), logits

    return torch_step.make_step(optimizer, loss_of, mode == "compile")


def make_batches(x, y, mode):
    """Returns a function that yields an epoch's batches, shuffled."""
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), digits_job.BATCH_SIZE, shuffle=True)
    if mode == "loader":
        return lambda: loader
    return lambda: ((x[rows], y[rows]) for rows in torch.randperm(len(y)).split(digits_job.BATCH_SIZE))


def train(batches, step, clock):
    """Runs an epoch, with the running loss and accuracy that a script prints."""
    loss_sum, correct = torch.zeros(()), torch.zeros((), dtype=torch.int64)
    for images, labels in batches():
        loss, logits = step(images, labels)
        loss_sum += loss * len(labels)
        correct += (logits.argmax(1) == labels).sum()
        clock.step_ended()
    return loss_sum.item(), correct.item()


@torch.inference_mode()
def evaluate(model, x, y):
    """Mean loss and accuracy."""
    model.eval()
    logits = model(x)
    return nn.functional.cross_entropy(logits, y).item(), (logits.argmax(1) == y).double().mean().item()


main()
