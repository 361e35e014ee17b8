"""A training step in PyTorch, which the digits and the larger networks share."""
import torch


def make_step(optimizer, loss_of, is_compiled):
    """A function of a batch that makes a step; `loss_of` gives the loss and the logits, and so does the step."""
    if is_compiled:
        loss_of = torch.compile(loss_of)

    def step(images, labels):
        optimizer.zero_grad()
        loss, logits = loss_of(images, labels)
        loss.backward()
        optimizer.step()
        return loss.detach(), logits.detach()

    return step
