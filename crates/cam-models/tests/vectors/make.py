"""Makes the vectors beside this file: python3 crates/cam-models/tests/vectors/make.py

Needs torch, torchvision, timm, safetensors and efficientnet_lite_pytorch; the versions used are in the vectors. Weights
are the seeded ones of src/weights/seeded.rs, made here a second time with numpy, so nothing is downloaded.
"""

import hashlib
import json
import math
import os
import pathlib

import efficientnet_lite_pytorch
import numpy as np
import safetensors.torch
import timm
import torch
import torchvision

HERE = pathlib.Path(__file__).parent
SEED = 7
N_CLASSES = 10
TORCHVISION = (
    "vgg11 vgg13 vgg16 vgg19 vgg11_bn vgg13_bn vgg16_bn vgg19_bn resnet18 resnet34 resnet50 resnet101 resnet152 "
    "resnext50_32x4d resnext101_32x8d resnext101_64x4d wide_resnet50_2 wide_resnet101_2"
).split()
LITE_SIDES = {0: 224, 1: 240, 2: 260, 3: 280, 4: 300}
GOLDEN = 0x9E3779B97F4A7C15
WORD = 2**64


def mix(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def unit(name, n, seed):
    """n numbers in [0, 1), float32, by the name of what they are for."""
    key = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")
    base = int(mix(np.array([(seed + GOLDEN) % WORD], np.uint64))[0]) ^ key
    z = np.uint64(base) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(GOLDEN)
    return (mix(z) >> np.uint64(40)).astype(np.float32) / np.float32(2**24)


def last_norms(model):
    """Names of the normalizations whose output is added to a shortcut."""
    names = set()
    for name, module in model.named_modules():
        if isinstance(module, torchvision.models.resnet.Bottleneck):
            names.add(f"{name}.bn3")
        elif isinstance(module, torchvision.models.resnet.BasicBlock):
            names.add(f"{name}.bn2")
        elif isinstance(module, efficientnet_lite_pytorch.model.MBConvBlock):
            block = module._block_args
            if block.stride == 1 and block.input_filters == block.output_filters:
                names.add(f"{name}._bn2")
    return names


def seeded(model, seed=SEED):
    """The state dict of a model, filled with seeded values."""
    state, last = model.state_dict(), last_norms(model)
    norms = {name for name, module in model.named_modules() if isinstance(module, torch.nn.BatchNorm2d)}
    f = np.float32
    for name, tensor in state.items():
        module, _, kind = name.rpartition(".")
        if kind == "num_batches_tracked":
            continue
        u = unit(name, tensor.numel(), seed)
        signed = f(2) * u - f(1)
        if kind == "running_var":
            values = f(0.8) + f(0.4) * u
        elif kind in ("bias", "running_mean"):
            values = f(0.1) * signed
        elif module in norms:
            values = f(0.25 if module in last else 1.0) * (f(0.7) + f(0.4) * u)
        else:
            fan_in = math.prod(tensor.shape[1:])
            values = f(math.sqrt(6 / fan_in)) * signed
        state[name] = torch.from_numpy(values).view(tensor.shape)
    return state


def image(height, width):
    u = unit("image", 3 * height * width, 0)
    return torch.from_numpy(np.float32(4) * u - np.float32(2)).view(1, 3, height, width)


def lite(index, n_classes=1000):
    return efficientnet_lite_pytorch.EfficientNet.from_name(f"efficientnet-lite{index}", num_classes=n_classes)


def lines(state):
    """One line a module: what it is, its name, its shape."""
    modules = {}
    for name, tensor in state.items():
        module, _, kind = name.rpartition(".")
        if kind != "num_batches_tracked":
            modules.setdefault(module, {})[kind] = tuple(tensor.shape)
    for module, parameters in modules.items():
        if "running_var" in parameters:
            assert list(parameters) == ["weight", "bias", "running_mean", "running_var"]
            assert len(set(parameters.values())) == 1
            parameters = {"norm": parameters["weight"]}
        for kind, shape in parameters.items():
            yield f"{kind} {module} {' '.join(map(str, shape))}"


def parameters():
    with torch.device("meta"):
        models = {name: torchvision.models.get_model(name) for name in TORCHVISION}
    models |= {f"tf_efficientnet_lite{i}": lite(i) for i in LITE_SIDES}
    models |= {f"timm:tf_efficientnet_lite{i}": timm.create_model(f"tf_efficientnet_lite{i}") for i in LITE_SIDES}
    text = [line for name, model in models.items() for line in [f"[{name}]", *lines(model.state_dict())]]
    (HERE / "parameters.txt").write_text("\n".join(text) + "\n")


@torch.no_grad()
def logits():
    rows = []

    def add(name, model, state, height, width):
        model.load_state_dict(state)
        values = model.eval()(image(height, width))[0].tolist()
        rows.append({"model": name, "height": height, "width": width, "logits": values})
        print(name, height, width, [round(value, 3) for value in values[:4]])

    for name in TORCHVISION:
        model = torchvision.models.get_model(name, num_classes=N_CLASSES)
        # VGG's pooling to 7x7 cells does nothing at 224 pixels: other sizes show it, up and down.
        for height, width in [(224, 224)] + [(97, 130), (300, 260)] * (name in ("vgg11", "resnet18")):
            add(name, model, seeded(model), height, width)
    for index, side in LITE_SIDES.items():
        model = lite(index, N_CLASSES)
        add(f"tf_efficientnet_lite{index}", model, seeded(model), side, side)
    # The package pads for one size only; timm computes the padding from the size that comes in.
    model = timm.create_model("tf_efficientnet_lite0", num_classes=N_CLASSES)
    state = dict(zip(model.state_dict(), seeded(lite(0, N_CLASSES)).values(), strict=True))
    for height, width in [(97, 130), (130, 97), (65, 65), (227, 196)]:
        add("tf_efficientnet_lite0", model, state, height, width)
    versions = {m.__name__: m.__version__ for m in (torch, torchvision, timm)}
    content = {"seed": SEED, "n_classes": N_CLASSES, "versions": versions, "rows": rows}
    (HERE / "logits.json").write_text(json.dumps(content, indent=1) + "\n")


@torch.no_grad()
def real():
    """What the published weights answer, from the files that the set-up lays into the cache."""
    cache = pathlib.Path.home() / ".cache/cambench/weights"
    rows = []
    for index in (0, 1, 2):
        side = LITE_SIDES[index]
        model = lite(index)
        model.load_state_dict(torch.load(cache / f"efficientnet_lite{index}.pth"))
        values = model.eval()(image(side, side))[0]
        row = {"model": f"tf_efficientnet_lite{index}", "height": side, "width": side, "logits": values[:20].tolist()}
        rows.append(row | {"class": int(values.argmax())})
    (HERE / "real.json").write_text(json.dumps(rows, indent=1) + "\n")


def tiny():
    """Small files in every format, all with the same three tensors of a quarter of 0, 1, 2, ..."""
    count = torch.arange(24, dtype=torch.float32) / 4
    state = {
        "a.weight": count.view(2, 3, 4),
        "a.half": count[:5].half(),
        "b.wide": count[:6].double().view(2, 3).t(),
        "b.num_batches_tracked": torch.tensor(3),
    }
    legacy = {"_use_new_zipfile_serialization": False}
    torch.save(state, HERE / "tiny-zip.pth")
    torch.save(state, HERE / "tiny-legacy.pth", **legacy)
    torch.save({"state_dict": {f"module.{k}": v for k, v in state.items()}, "epoch": 3}, HERE / "tiny-nested.pth")
    torch.save({"a.weight": torch.tensor([1.0, float("nan")])}, HERE / "tiny-nan.pth")
    bf16 = state | {"a.half": count[:5].bfloat16()}
    safetensors.torch.save_file({k: v.contiguous() for k, v in bf16.items()}, HERE / "tiny.safetensors")


def hostile():
    """Files whose pickles make a folder when they are executed, which a reader must never do."""

    class MakesFolder:
        def __reduce__(self):
            return os.mkdir, ("executed-by-a-pickle",)

    state = {"a.weight": torch.arange(4.0), "b.weight": MakesFolder()}
    for file, zipped in [("hostile-zip.pth", True), ("hostile-legacy.pth", False)]:
        torch.save(state, HERE / file, _use_new_zipfile_serialization=zipped)
        # It is what it claims to be: Python does make the folder, and this fails if not.
        torch.load(HERE / file, weights_only=False)
        os.rmdir("executed-by-a-pickle")


if __name__ == "__main__":
    parameters()
    tiny()
    hostile()
    logits()
    real()
