"""A long-lived peer of `cargo xtask peers`: one JSON object a line in, one a line out.

    python3 worker.py --folder FOLDER --device cpu|cuda --threads N --variant stock|tuned

FOLDER holds what our own worker exported: weights, inputs, and what else is equal for everyone. In:
`{"job": "rise", "peer": "authors", "model": "resnet50", "at_least": 0.3}`; out: `{"secs": 1.2, "check": [...]}`, where
`secs` is the mean over as many runs as fill `at_least` seconds (one run where it is 0), or `{"error": "..."}`.
"""

import argparse
import json
import os
import queue
import sys
import threading
import time
import traceback

import torch

import tasks
from networks import Network, Settings


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--folder", required=True)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--variant", choices=["stock", "tuned"], default="stock")
    args = parser.parse_args()
    # What libraries print (progress bars, logs) must not stand between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    sys.stderr = open(os.devnull, "w")
    torch.set_num_threads(args.threads)
    settings = Settings(args.folder, args.device, args.threads, args.variant == "tuned")
    worker = Worker(settings)
    requests = queue.SimpleQueue()
    threading.Thread(target=read, args=(requests,), daemon=True).start()
    while True:
        try:
            answer = worker.answer(json.loads(requests.get()))
        except Exception:
            answer = {"error": traceback.format_exc()}
            worker = Worker(settings)  # with a network that nothing was left at
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def read(requests):
    """Ends the process with the one that asks, even in the middle of a job."""
    for line in sys.stdin:
        requests.put(line)
    os._exit(0)


class Worker:
    """Keeps the network and the task of the last request, so that only the first one of a kind sets them up."""

    def __init__(self, settings):
        self.settings = settings
        self.network = None
        self.task = None
        self.task_of = None

    def answer(self, request):
        if request["job"] == "versions":
            return {"versions": versions()}
        key = (request["job"], request["peer"], request["model"])
        if key != self.task_of:
            self.close()
            if self.network is None or self.network.name != request["model"]:
                self.network = None  # frees the old one before the new one comes
                self.network = Network(request["model"], self.settings)
            self.task = tasks.of(request["job"], request["peer"], self.network)
            self.task_of = key
        return timed(self.task, request["at_least"], self.settings.synchronize)

    def close(self):
        if self.task is not None and hasattr(self.task, "close"):
            self.task.close()
        self.task = self.task_of = None


def timed(task, at_least, synchronize):
    """Mean seconds of a run. A short job is run once before, untimed; a long one needs no warming up."""
    if at_least > 0:
        task()
    synchronize()
    runs = 0
    start = time.perf_counter()
    while True:
        check = task()
        synchronize()
        runs += 1
        secs = time.perf_counter() - start
        if secs >= at_least:
            return {"secs": secs / runs, "runs": runs, "check": check}


def versions():
    from importlib.metadata import PackageNotFoundError, version

    def installed(name):
        try:
            return version(name)
        except PackageNotFoundError:
            return "none"

    cams = ["torchcam", "grad-cam", "openvino", "openvino-xai"]
    names = ["torch", "torchvision", *cams, "captum", "lime", "shap", "quantus", "numpy"]
    found = {name: installed(name) for name in names}
    found["python"] = sys.version.split()[0]
    if torch.cuda.is_available():
        found["gpu"] = torch.cuda.get_device_name(0)
    return found


if __name__ == "__main__":
    main()
