"""A training step in PyTorch, shared by the digits and the larger networks."""
import torch


def make_step(optimizer, loss_of, is_compiled):
    """Returns a function that runs a step on a batch; `loss_of` and the step return the loss and the logits."""
    if is_compiled:
        loss_of = torch.compile(loss_of)

    def step(images, labels):
        optimizer.zero_grad()
        loss, logits = loss_of(images, labels)
        loss.backward()
        optimizer.step()
        return loss.detach(), logits.detach()

    return step
