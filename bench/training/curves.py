"""A whole run of training in PyTorch, on batches that bench/learning-curves.ts left.
usage: python3 curves.py FOLDER THREADS
FOLDER: spec.json, weights.safetensors, validation.bin (pictures, NHWC, f32) and EPOCH.bin (for each step pictures, NHWC,
then targets, f32). Reads the number of an epoch from each line of standard input, trains it, judges averaged weights, and
prints {"losses": [mean of training, of validation, validation top-1], "seconds": [steps]}."""
import copy
import json
import os
import sys
import time

import numpy
import torch
from torch.nn import functional as F

from rival import Net, read_safetensors


def main():
    folder = sys.argv[1]
    torch.set_num_threads(int(sys.argv[2]))
    spec = json.load(open(os.path.join(folder, "spec.json")))
    net = Net(spec["net"], spec["classes"])
    weights = read_safetensors(os.path.join(folder, "weights.safetensors"))
    with torch.no_grad():
        for name, tensor in net.names.items():
            tensor.copy_(weights[name])
    average = copy.deepcopy(net)
    average.eval()
    decayed = [t for n, t in net.names.items() if n.endswith("weight")]
    others = [t for n, t in net.names.items() if n.endswith(("gamma", "beta", "bias"))]
    how = spec["optimizer"]
    optimizer = torch.optim.SGD(
        [{"params": decayed}, {"params": others}], 0.1, momentum=how["momentum"], nesterov=how["nesterov"]
    )
    batch, size, classes = spec["batch"], spec["size"], spec["classes"]
    pictures = lambda values: torch.from_numpy(values.reshape(-1, size, size, 3)).permute(0, 3, 1, 2).contiguous()
    validation = pictures(numpy.fromfile(os.path.join(folder, "validation.bin"), dtype=numpy.float32))
    truth = torch.tensor(spec["labels"])
    state = [(average.state_dict()[name], tensor) for name, tensor in net.state_dict().items() if tensor.is_floating_point()]

    def step(images, targets, rates):
        for group, decay in zip(optimizer.param_groups, (rates["decay"], 0.0)):
            group["lr"], group["weight_decay"] = rates["rate"], decay
        loss = F.cross_entropy(net(images), targets, label_smoothing=spec["smoothing"])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        with torch.no_grad():
            for mean, value in state:
                mean.lerp_(value, rates["average"])
        return loss.item()

    print(json.dumps({"version": torch.__version__}), flush=True)
    for line in sys.stdin:
        epoch = int(line)
        values = numpy.fromfile(os.path.join(folder, f"{epoch}.bin"), dtype=numpy.float32)
        values = values.reshape(spec["steps"], batch * (size * size * 3 + classes))
        net.train()
        losses, start = [], time.perf_counter()
        for i, row in enumerate(values):
            images = pictures(row[: batch * size * size * 3])
            targets = torch.from_numpy(row[batch * size * size * 3 :].reshape(batch, classes))
            losses.append(step(images, targets, spec["rates"][epoch * spec["steps"] + i]))
        seconds = time.perf_counter() - start
        with torch.no_grad():
            logits = average(validation)
        judged = F.cross_entropy(logits, truth).item()
        right = (logits.argmax(1) == truth).float().mean().item()
        print(json.dumps({"losses": [sum(losses) / len(losses), judged, right], "seconds": [seconds]}), flush=True)


main()
