"""Runs hooked graphs in ONNX Runtime and OpenVINO, beside the graphs that they are made of.

    python hooks.py CAMBENCH RECIPRO_MAPS ZOO FOLDER [NAME...]

CAMBENCH hooks, RECIPRO_MAPS gives our maps of the same images, ZOO has the exports (what is missing is made), FOLDER is for
what is written on the way. A line of JSON for the versions, and one for each network.
"""

import importlib.metadata
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

import numpy as np
import onnxruntime
import openvino as ov
import openvino_xai as xai

CONVOLUTIONAL = (
    "vgg16.trace resnet18.trace resnet50.trace resnet101.trace resnext50_32x4d.trace resnext101_32x8d.trace "
    "efficientnet_lite0.real mobilenet_v3_large.trace densenet121.trace squeezenet1_1.trace regnet_y_400mf.trace "
    "convnext_tiny.trace"
).split()
TRANSFORMERS = "vit_b_16.trace deit_small_patch16_224.trace swin_t.trace".split()
THREADS = 2
ROUNDS = 9
# So long a network's turns may last, in seconds, after the first three.
PATIENCE = 20


def onnx_runtime(path, optimized=True):
    """A function of images: all outputs."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = THREADS
    # A waiting session must not slow the one whose turn it is.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not optimized:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda images: session.run(None, {name: images})


def openvino(model):
    """A function of images: all outputs."""
    if isinstance(model, pathlib.Path):
        model = ov.Core().read_model(model)
    options = {
        "INFERENCE_NUM_THREADS": THREADS, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY",
    }
    compiled = ov.Core().compile_model(model, "CPU", options)

    def run(images):
        found = compiled([images])
        return [found[output].copy() for output in compiled.outputs]

    return run


def for_one(path, shape):
    """The graph for a single image, as OpenVINO is given it where it is to be fast."""
    model = ov.Core().read_model(path)
    model.reshape([1, *shape[1:]])
    return model


def with_branch(path, shape):
    """OpenVINO-XAI's own insertion; None where it fails."""
    try:
        model = xai.insert_xai(
            for_one(path, shape), xai.Task.CLASSIFICATION, explain_method=xai.Method.RECIPROCAM
        )
        run = openvino(model)
        return run if run(np.zeros([1, *shape[1:]], np.float32)) else None
    except Exception as error:  # whatever it says, it has no time
        print(f"OpenVINO-XAI: {str(error)[:300]}", file=sys.stderr)
        return None


def equality(plain, none, u8, images, classes, ours):
    """How far a hooked graph's outputs are from the plain one's, and its maps from ours."""
    logits = plain(images)[0]
    low, high = ours.min((2, 3), keepdims=True), ours.max((2, 3), keepdims=True)
    levels = np.round((ours - low) / (high - low) * 255)
    hooked_logits, maps = none(images)
    levelled_logits, found_levels = u8(images)
    off = np.abs(maps[:, classes] - ours)
    return {
        "bits": all(found.tobytes() == logits.tobytes() for found in (hooked_logits, levelled_logits)),
        "logits": float(max(np.abs(found - logits).max() for found in (hooked_logits, levelled_logits))
                        / np.abs(logits).max()),
        "maps": float((off / (high - low)).max()),
        "maps_of_logits": float(off.max() / np.abs(logits).max()),
        "levels": int(np.abs(found_levels[:, classes].astype(int) - levels).max()),
    }


def times(runs, image):
    """Medians of seconds; the functions take turns."""
    for run in runs.values():
        run(image)
    found = {name: [] for name in runs}
    start = time.perf_counter()
    for turn in range(ROUNDS):
        if turn >= 3 and time.perf_counter() - start > PATIENCE:
            break
        for name, run in runs.items():
            before = time.perf_counter()
            run(image)
            found[name].append(time.perf_counter() - before)
    return {"rounds": len(found["onnxruntime"])} | {name: statistics.median(all) for name, all in found.items()}


def row(name, cambench, recipro_maps, zoo, folder):
    path = zoo / f"{name}.onnx"
    if not path.exists():
        subprocess.run(
            [sys.executable, pathlib.Path(__file__).with_name("export.py"), zoo, name], check=True, stdout=sys.stderr
        )
    images = np.load(zoo / f"{name}.images.npy")
    plain = onnx_runtime(path)
    classes = sorted({int(plain(images)[0][0].argmax()), 3, 500})
    ours = folder / "maps.npy"
    about = subprocess.run(
        [recipro_maps, path, zoo / f"{name}.images.npy", ours, *map(str, classes)], check=True, stdout=subprocess.PIPE
    )
    ours = np.load(ours)
    hooked = {scale: folder / f"hooked.{scale}.onnx" for scale in ("none", "u8")}
    for scale, out in hooked.items():
        subprocess.run([cambench, "hook", path, "--scale", scale, "-o", out], check=True, stdout=sys.stderr)
    found = {"name": name, "classes": classes, "shape": list(ours.shape[2:])} | json.loads(about.stdout)

    def compared(open_graph):
        graphs = [open_graph(graph) for graph in (path, hooked["none"], hooked["u8"])]
        return equality(*graphs, images, classes, ours)

    found["onnxruntime"] = compared(onnx_runtime)
    if not found["onnxruntime"]["bits"]:
        found["unoptimized"] = {"onnxruntime": compared(lambda graph: onnx_runtime(graph, optimized=False))}
    found["openvino"] = compared(openvino)
    runs = {
        "onnxruntime": plain,
        "onnxruntime_hooked": onnx_runtime(hooked["u8"]),
        "openvino": openvino(for_one(path, images.shape)),
        "openvino_hooked": openvino(for_one(hooked["u8"], images.shape)),
    }
    branch = with_branch(path, images.shape) if name in CONVOLUTIONAL else None
    if branch:
        runs["openvino_xai"] = branch
    found["seconds"] = times(runs, images[:1])
    return found


def main():
    cambench, recipro_maps, zoo, folder, *wanted = map(pathlib.Path, sys.argv[1:])
    wanted = [str(word) for word in wanted]
    versions = {package: importlib.metadata.version(package) for package in ("onnxruntime", "openvino", "openvino-xai")}
    names = re.findall(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    machine = {"cpu": names[0] if names else None, "cores": os.cpu_count(), "threads": THREADS}
    print(json.dumps({"versions": versions} | machine), flush=True)
    for name in CONVOLUTIONAL + TRANSFORMERS:
        if wanted and not any(name.startswith(word) for word in wanted):
            continue
        try:
            found = row(name, cambench, recipro_maps, zoo, folder)
        except Exception as error:  # whatever it says is the result
            found = {"name": name, "error": " ".join(str(error).split())[:300]}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
