"""Milliseconds per image at batch 16 of stock PyTorch (eager, NCHW), for `speed.sh`: one line a network.

python3 speed.py [THREADS] [SECONDS] [NAME...]
"""

import statistics
import sys
import time

import efficientnet_lite_pytorch
import torch
import torchvision

BATCH = 16


def model(name):
    if name.startswith("tf_efficientnet_lite"):
        return efficientnet_lite_pytorch.EfficientNet.from_name(f"efficientnet-lite{name[-1]}")
    return torchvision.models.get_model(name)


def main():
    threads, seconds, *names = sys.argv[1:] + ["2", "5"][len(sys.argv) - 1 :]
    torch.set_num_threads(int(threads))
    images = torch.randn(BATCH, 3, 224, 224)
    for name in names or ["tf_efficientnet_lite0", "resnet18", "resnet50"]:
        network = model(name).eval()
        times = []
        start = time.perf_counter()
        while time.perf_counter() - start < float(seconds) or len(times) < 4:
            before = time.perf_counter()
            with torch.no_grad():
                network(images)
            times.append((time.perf_counter() - before) * 1e3 / BATCH)
        times = times[1:]
        print(f"python {name} {statistics.median(times):.3f} {min(times):.3f}", flush=True)


if __name__ == "__main__":
    main()
