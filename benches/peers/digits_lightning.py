"""The default job of `cresset train` in Lightning, without logging, checkpoints and progress bars."""
import logging
import time
import warnings

started = time.perf_counter()
import lightning
import torch
from torch import nn

import_s = time.perf_counter() - started

import digits_job

# Silences start messages, and the warning that a loader over data in memory has no worker processes.
logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
warnings.filterwarnings("ignore")


class Digits(lightning.LightningModule):
    def __init__(self, clock):
        super().__init__()
        self.model = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 10))
        self.clock = clock

    def configure_optimizers(self):
        return torch.optim.Adam(self.parameters(), lr=digits_job.LEARNING_RATE, fused=True)

    def on_train_epoch_start(self):
        self.clock.begin()
        self.loss_sum, self.correct = torch.zeros(()), torch.zeros((), dtype=torch.int64)

    def training_step(self, batch, _):
        images, labels = batch
        logits = self.model(images)
        loss = nn.functional.cross_entropy(logits, labels)
        self.loss_sum += loss.detach() * len(labels)
        self.correct += (logits.detach().argmax(1) == labels).sum()
        return loss

    def on_train_batch_end(self, *_):
        self.clock.step_ended()

    def on_validation_epoch_start(self):
        # Validation runs before the epoch's end hook.
        self.clock.end()
        self.right = self.rows = 0

    def validation_step(self, batch, _):
        images, labels = batch
        logits = self.model(images)
        nn.functional.cross_entropy(logits, labels).item()
        self.right += (logits.argmax(1) == labels).sum().item()
        self.rows += len(labels)


def main():
    args = digits_job.options(__doc__).parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    x, y, x_heldout, y_heldout = (torch.from_numpy(part) for part in digits_job.read_parts(args))
    clock = digits_job.Clock(args.warm_up_epochs)
    model = Digits(clock)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x, y), digits_job.BATCH_SIZE, shuffle=True)
    held_out = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(x_heldout, y_heldout), len(y_heldout))
    trainer = lightning.Trainer(
        max_epochs=args.warm_up_epochs + args.epochs, accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, num_sanity_val_steps=0,
    )
    trainer.fit(model, loader, held_out)
    if args.export:
        torch.jit.script(model.model.eval()).save(str(args.export))
    digits_job.report("lightning", args, len(y), model.right / model.rows, import_s, clock)


main()
