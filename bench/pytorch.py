"""The same three models in PyTorch: `pytorch.py MODEL BATCH PRECISION EPOCHS SEED MNIST_FILE`.

A script for a Python that has torch and numpy alone. Data are shuffled and gathered as tensors, as
in our own loop; the figures are of the epochs after the first.
"""

import json
import resource
import statistics
import sys
import time

import numpy as np
import torch
from torch import nn

SAMPLES = 4000


class Lstm(nn.Module):  # type: ignore[misc]  # not installed where types are checked
    """An LSTM of 64, and the classes at every step."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.lstm, self.classes = nn.LSTM(10, 64, batch_first=True), nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, steps, features) → (batch, classes, steps), as cross-entropy takes it."""
        return self.classes(self.lstm(x)[0]).transpose(1, 2)


class Attention(nn.Module):  # type: ignore[misc]  # not installed where types are checked
    """Softmax over time of W(h) + V(s) weighs s."""

    def __init__(self) -> None:
        """Make the layers."""
        super().__init__()
        self.h, self.s = nn.Linear(10, 64), nn.Linear(10, 64)
        self.w, self.v, self.classes = nn.Linear(64, 1), nn.Linear(64, 1), nn.Linear(64, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, steps, features) → (batch, classes)."""
        h, s = torch.tanh(self.h(x)), self.s(x)
        weights = torch.softmax(self.w(h) + self.v(s), dim=1)
        return self.classes((weights * s).sum(dim=1))


def cnn() -> nn.Module:
    """Two stages of convolution and pooling, then two layers."""
    return nn.Sequential(
        *(nn.Conv2d(1, 32, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(32, 64, 3), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Flatten(), nn.Linear(1600, 128), nn.ReLU(), nn.Linear(128, 10)),
    )


def data(model: str, file: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Images of MNIST, or noise of the series' shape: the time does not depend on its values."""
    if model == "cnn":
        with np.load(file) as kept:
            x = (kept["images"][:SAMPLES, None] / np.float32(255)).astype(np.float32)
            return torch.from_numpy(x), torch.from_numpy(kept["labels"][:SAMPLES].astype(np.int64))
    random = np.random.default_rng(0)
    x = random.standard_normal((SAMPLES, 100, 10), np.float32)
    return torch.from_numpy(x), torch.from_numpy(random.integers(0, 10, SAMPLES))


def main(  # noqa: PLR0917
    model: str, batch: int, precision: str, epochs: int, seed: int, file: str
) -> None:
    """Train, and print the figures as JSON."""
    torch.manual_seed(seed)
    x, y = data(model, file)
    net = {"cnn": cnn, "rnn": Lstm, "attention": Attention}[model]()
    if model == "cnn":
        net, x = net.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    if model == "rnn":
        y = y[:, None].expand(-1, 100)
    optimizer, loss_of = torch.optim.Adam(net.parameters(), 0.001), nn.CrossEntropyLoss()
    speeds, costs, right = [], [], 0
    for _ in range(epochs):
        began_s, began_cpu_s, right = time.perf_counter(), cpu_s(), 0
        for rows in torch.randperm(SAMPLES).split(batch):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16"):
                answers = net(x[rows])
            loss_of(answers.float(), y[rows]).backward()
            optimizer.step()
            last, label = (answers[..., -1], y[rows, -1]) if model == "rnn" else (answers, y[rows])
            right += int((last.argmax(1) == label).sum())
        speeds.append(SAMPLES / (time.perf_counter() - began_s))
        costs.append((cpu_s() - began_cpu_s) / SAMPLES)
    figures = {
        "samples_per_s": statistics.median(speeds[1:]),
        "cpu_s_per_sample": statistics.median(costs[1:]),
        "accuracy": right / SAMPLES,  # of training: the series here are noise
    }
    sys.stdout.write(json.dumps(figures))


def cpu_s() -> float:
    """CPU-seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    name, size, kind, count, number, path = sys.argv[1:]
    main(name, int(size), kind, int(count), int(number), path)
