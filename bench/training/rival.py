"""MobileOne's training step in PyTorch, as the rival of bench/training.ts.
usage: python3 rival.py SPEC.json WEIGHTS.safetensors THREADS [bf16]
SPEC: {"net": {...}, "batch": n, "size": px, "classes": k, "rate": x, "momentum": x, "decay": x, "smoothing": x}
Reads a number of steps from each line of standard input and prints {"losses": [...], "seconds": [...]} for it.
Weights are written by the benchmark, so that both start from the same numbers; the batch is a formula of both."""
import json
import resource
import struct
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F


def read_safetensors(path):
    raw = open(path, "rb").read()
    (length,) = struct.unpack("<Q", raw[:8])
    header = json.loads(raw[8 : 8 + length])
    data = raw[8 + length :]
    return {
        name: torch.frombuffer(bytearray(data[slice(*entry["data_offsets"])]), dtype=torch.float32).reshape(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__"
    }


class Net(nn.Module):
    """Modules by the names of our parameters; forward follows the same structure."""

    def __init__(self, net, classes):
        super().__init__()
        self.layers = nn.ModuleDict()
        self.names = {}
        self.blocks = []
        self.block("stem", 3, net["stem"], 3, 2, 1, 1, False)
        channels = net["stem"]
        for s, stage in enumerate(net["stages"]):
            for pair in range(stage["pairs"]):
                first = pair == 0
                k = net["branches"]
                self.block(f"stages.{s}.{2 * pair}", channels, channels, 3, 2 if first else 1, channels, k, not first)
                self.block(f"stages.{s}.{2 * pair + 1}", channels, stage["channels"], 1, 1, 1, k, channels == stage["channels"])
                channels = stage["channels"]
        self.head = self.add("head", nn.Linear(channels, classes))

    def add(self, name, module):
        self.layers[name.replace(".", "/")] = module
        norm = isinstance(module, nn.BatchNorm2d)
        words = {"weight": "gamma", "bias": "beta", "running_mean": "mean", "running_var": "variance"} if norm else {"weight": "weight", "bias": "bias"}
        for key, word in words.items():
            tensor = getattr(module, key, None)
            if tensor is not None:
                self.names[f"{name}.{word}"] = tensor
        return module

    def block(self, name, inside, out, kernel, stride, groups, k, skip):
        def normed(path, kernel, padding):
            return nn.Sequential(
                self.add(path, nn.Conv2d(inside, out, kernel, stride, padding, groups=groups, bias=False)),
                self.add(f"{path}.bn", nn.BatchNorm2d(out)),
            )

        branches = [self.add(f"{name}.skip.bn", nn.BatchNorm2d(out))] if skip else []
        if kernel > 1:
            branches.append(normed(f"{name}.scale", 1, 0))
        branches += [normed(f"{name}.conv.{i}", kernel, kernel // 2) for i in range(k)]
        self.blocks.append(branches)

    def forward(self, x):
        for branches in self.blocks:
            x = F.relu(sum(branch(x) for branch in branches))
        return self.head(x.mean((2, 3)))


def main():
    spec = json.load(open(sys.argv[1]))
    torch.set_num_threads(int(sys.argv[3]))
    bf16 = "bf16" in sys.argv[4:]
    net = Net(spec["net"], spec["classes"])
    weights = read_safetensors(sys.argv[2])
    with torch.no_grad():
        for name, tensor in net.names.items():
            tensor.copy_(weights[name])
    decayed = [t for n, t in net.names.items() if n.endswith("weight")]
    others = [t for n, t in net.names.items() if n.endswith(("gamma", "beta", "bias"))]
    optimizer = torch.optim.SGD(
        [{"params": decayed, "weight_decay": spec["decay"]}, {"params": others, "weight_decay": 0.0}],
        spec["rate"], momentum=spec["momentum"],
    )
    batch, size = spec["batch"], spec["size"]
    index = torch.arange(batch * size * size * 3, dtype=torch.float64)
    noise = torch.sin(index * 12.9898) * 43758.5453
    whole = lambda every: torch.div(index, every, rounding_mode="floor")
    c, x, y, n = index % 3, whole(3) % size, whole(3 * size) % size, whole(3 * size * size)
    wave = torch.sin((x * (n % 7 - 3) + y * (n % 5 - 2)) * 0.06 * (c + 1) + n)
    images = wave + ((n * 7 + c * 5) % 11) / 5 - 1 + 0.5 * (noise - torch.floor(noise))
    images = images.float().reshape(batch, size, size, 3).permute(0, 3, 1, 2)
    if spec.get("channelsLast"):
        net, images = net.to(memory_format=torch.channels_last), images.contiguous(memory_format=torch.channels_last)
    else:
        images = images.contiguous()
    labels = torch.arange(batch) % spec["classes"]
    net.train()

    def step():
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = F.cross_entropy(net(images).float(), labels, label_smoothing=spec["smoothing"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    print(json.dumps({"version": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        losses, seconds = [], []
        for _ in range(int(line)):
            start = time.perf_counter()
            losses.append(step())
            seconds.append(time.perf_counter() - start)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"losses": losses, "seconds": seconds, "peakMegabytes": peak}), flush=True)


if __name__ == "__main__":
    main()
