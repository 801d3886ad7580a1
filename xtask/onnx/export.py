"""Exports networks with seeded weights, and what ONNX Runtime and PyTorch make of two images.

    python export.py FOLDER [NAME...]

Beside every NAME.onnx: NAME.json (how it was made), NAME.images.npy, NAME.logits.npy (ONNX Runtime's) and
NAME.gradient.npy (PyTorch's in double precision, of logit 3 of each image in the image). What is there already is kept. A
network that an exporter or ONNX Runtime cannot do has a NAME.json with its reason, and nothing else.

A ReLU near zero and a maximum of near equals have another gradient after any rounding before them. So NAME.json has
`kinks`, too: how far that gradient moves when every pixel moves by about a hundred-thousandth of its value.
"""

import copy
import functools
import json
import os
import pathlib
import sys
import warnings

import numpy as np
import onnx
import onnxruntime
import timm
import torch
import torchvision

CACHE = pathlib.Path(os.environ.get("CAMBENCH_CACHE", pathlib.Path.home() / ".cache/cambench"))
LITE0_WEIGHTS = CACHE / "weights/efficientnet_lite0.pth"

TORCHVISION = (
    "vgg16 resnet18 resnet50 resnet101 resnext50_32x4d resnext101_32x8d mobilenet_v2 mobilenet_v3_large densenet121 "
    "squeezenet1_1 googlenet mnasnet1_0 shufflenet_v2_x1_0 regnet_y_400mf convnext_tiny efficientnet_b0 "
    "efficientnet_v2_s vit_b_16 swin_t maxvit_t"
).split()
TIMM = (
    "vit_small_patch16_224 deit_small_patch16_224 deit_small_distilled_patch16_224 vit_little_patch16_reg4_gap_256 "
    "swin_tiny_patch4_window7_224 maxvit_tiny_tf_224 mobilevit_s tf_efficientnet_lite0 mixer_s16_224 resnetv2_50 "
    "ecaresnet50t mobileone_s0 repvgg_a0 ghostnet_100 poolformer_s12 edgenext_small coat_tiny"
).split()


def networks():
    """Every export: its name, how to make the network, the images' side, how to export it."""
    yield "efficientnet_lite0.real", lite0, 224, {"opset": 13}
    for name in TORCHVISION:
        make = torchvision_network(name)
        side = 299 if name == "inception_v3" else 224
        yield f"{name}.trace", make, side, {"opset": 17}
        yield f"{name}.dynamo", make, side, {"opset": 18, "dynamo": True}
    yield "inception_v3.trace", torchvision_network("inception_v3"), 299, {"opset": 17}
    for name in TIMM:
        yield f"{name}.trace", timm_network(name), 256 if name.endswith("_256") else 224, {"opset": 17}
    # One image at a time, which is what the exporters do unless they are told otherwise.
    for name in ["resnet18", "vit_b_16", "swin_t", "shufflenet_v2_x1_0", "densenet121"]:
        yield f"{name}.one", torchvision_network(name), 224, {"opset": 17, "one": True}
    yield "resnet18.opset11", torchvision_network("resnet18"), 224, {"opset": 11}
    yield "vit_b_16.opset14", torchvision_network("vit_b_16"), 224, {"opset": 14}
    yield "resnet50.opset20", torchvision_network("resnet50"), 224, {"opset": 20, "dynamo": True}
    yield "resnet18.half", torchvision_network("resnet18"), 224, {"opset": 17, "half": True}
    yield "resnet18.external", torchvision_network("resnet18"), 224, {"opset": 17, "external": True}
    yield "resnet18.softmax", softmax(torchvision_network("resnet18")), 224, {"opset": 17, "softmax": True}


def torchvision_network(name):
    options = {"init_weights": True, "aux_logits": False} if name == "inception_v3" else {}
    if name == "googlenet":
        # With its own initialization nothing of the image reaches the logits.
        options = {"init_weights": False, "aux_logits": False}
    return lambda: torchvision.models.get_model(name, weights=None, **options)


def timm_network(name):
    return lambda: timm.create_model(name, pretrained=False)


def lite0():
    import efficientnet_lite_pytorch

    model = efficientnet_lite_pytorch.EfficientNet.from_name("efficientnet-lite0")
    model.load_state_dict(torch.load(LITE0_WEIGHTS, weights_only=False))
    return model


def softmax(make):
    return lambda: torch.nn.Sequential(make(), torch.nn.Softmax(dim=1))


def seeded(make, is_real):
    torch.manual_seed(0)
    model = make().eval()
    if not is_real:
        # Statistics of training, so that a normalization is not the identity.
        for module in model.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.running_mean.normal_(0, 0.1)
                module.running_var.uniform_(0.5, 1.5)
        # Heads, offsets and tokens of zeros hide what is done with them.
        for parameter in model.parameters():
            if not parameter.any():
                torch.nn.init.normal_(parameter, 0, 0.02)
    return model


def exported(model, example, path, how):
    dynamo = how.get("dynamo", False)
    many = {} if how.get("one") else (
        {"dynamic_shapes": ({0: torch.export.Dim("batch")},)} if dynamo else {"dynamic_axes": {"images": {0: "batch"}}}
    )
    torch.onnx.export(
        model, (example,), str(path), input_names=["images"], output_names=["logits"], opset_version=how["opset"],
        dynamo=dynamo, external_data=bool(how.get("external")), verbose=False, **many,
    )
    if how.get("external") and not dynamo:
        onnx.save(onnx.load(path), path, save_as_external_data=True, location=path.name + ".data")
    if how.get("half"):
        graph = onnx.load(path)
        for tensor in graph.graph.initializer:
            if tensor.data_type == onnx.TensorProto.FLOAT:
                halved(graph.graph, tensor)
        onnx.save(graph, path)


def halved(graph, tensor):
    """Keeps a weight in half precision, with a cast behind it."""
    values = onnx.numpy_helper.to_array(tensor).astype(np.float16)
    name = tensor.name
    tensor.CopyFrom(onnx.numpy_helper.from_array(values, name + ".half"))
    graph.node.insert(0, onnx.helper.make_node("Cast", [name + ".half"], [name], to=onnx.TensorProto.FLOAT))


def gradients(model, images):
    """The gradient in the images, and how far a hundred-thousandth in them moves it."""
    model = copy.deepcopy(model).double()

    def gradient(images):
        images = images.clone().requires_grad_(True)
        model(images)[:, 3].sum().backward()
        return images.grad

    images = images.double()
    moved = images * (1 + 1e-5 * torch.randn(images.shape, generator=torch.Generator().manual_seed(2)))
    here, there = gradient(images), gradient(moved)
    return here.float().numpy(), float((there - here).abs().max() / here.abs().max())


@functools.lru_cache(maxsize=None)
def gradients_of(name, side):
    """Those of a network by its name; exports of it share them."""
    make = next(make for other, make, *_ in networks() if other.split(".")[0] == name)
    return gradients(seeded(make, name == "efficientnet_lite0"), images_of(side))


def images_of(side):
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))


def run(path, images, one):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    batches = [image[None] for image in images] if one else [images]
    return np.concatenate([session.run(None, {session.get_inputs()[0].name: batch})[0] for batch in batches])


def make(folder, name, network, side, how):
    path = folder / f"{name}.onnx"
    images = images_of(side)
    model = seeded(network, name.endswith(".real"))
    # Two images, for an exporter may take one for a fixed number.
    exported(model, images[:1] if how.get("one") else images, path, how)
    logits = run(path, images.numpy(), how.get("one"))
    np.save(folder / f"{name}.logits.npy", logits)
    np.save(folder / f"{name}.images.npy", images.numpy())
    if how.get("softmax"):
        model = model[0]
        np.save(folder / f"{name}.logits.npy", model(images).detach().numpy())
    if how.get("half"):
        return {}
    gradient, kinks = gradients_of(name.split(".")[0], side)
    np.save(folder / f"{name}.gradient.npy", gradient)
    return {"kinks": kinks}


def main():
    warnings.filterwarnings("ignore")
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[2:]
    for name, network, side, how in networks():
        note = folder / f"{name}.json"
        if note.exists() or (wanted and not any(name.startswith(word) for word in wanted)):
            continue
        entry = {
            "exporter": "torch.onnx, dynamo" if how.get("dynamo") else "torch.onnx, trace",
            "opset": how["opset"],
            "batch": "one" if how.get("one") else "any",
            "side": side,
            "reason": None,
        }
        try:
            entry |= make(folder, name, network, side, how)
        except Exception as error:  # whatever an exporter says is the result
            entry["reason"] = " ".join(str(error).split())[:300]
            (folder / f"{name}.onnx").unlink(missing_ok=True)
        note.write_text(json.dumps(entry))
        print(f"{name}: {entry['reason'] or 'exported'}", flush=True)


if __name__ == "__main__":
    main()
