"""The networks of the peers: original architectures, our weights, cut where the explanation is taken."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
import torchvision
from safetensors.torch import load_file
from torch import nn


@dataclass
class Settings:
    """What all of a worker's networks have in common."""

    folder: str
    device: str
    threads: int
    tuned: bool  # channels-last; on CUDA bfloat16 as well

    @property
    def dtype(self):
        return torch.bfloat16 if self.tuned and self.device == "cuda" else torch.float32

    def synchronize(self):
        if self.device == "cuda":
            torch.cuda.synchronize()


class Network:
    """One network with the inputs that were exported for it."""

    def __init__(self, name, settings):
        self.name = name
        self.settings = settings
        folder = Path(settings.folder)
        self.about = json.loads((folder / f"{name}.json").read_text())
        self.target = self.about["class"]
        inputs = load_file(folder / f"{name}.inputs.safetensors", device=settings.device)
        self.images = inputs["images"]  # [16, 3, H, W]
        self.image = self.images[:1].clone()
        self.masks = inputs["masks"]  # [N, 1, H, W], RISE's
        self.shown = {job: inputs[job].bool() for job in ["lime", "kernel_shap"]}  # [n, H, W], of the superpixels
        self.map = inputs["map"]  # [H, W], for the metrics that judge one
        self.model = self.load()
        with torch.no_grad():
            self.model(self.images)  # warms up

    def load(self):
        """The network from its weights file, ready to run."""
        model = Split(original(self.name), self.settings)
        model.original.load_state_dict(self.weights(), strict=True)
        return model.to(self.settings.device).arranged().eval()

    def weights(self):
        weights = load_file(Path(self.settings.folder) / f"{self.name}.safetensors")
        # torch counts the batches a normalization was trained on; nothing reads the count in inference.
        for norm in [name for name in weights if name.endswith(".running_var")]:
            weights[norm.replace("running_var", "num_batches_tracked")] = torch.tensor(0)
        return weights


def original(name):
    """The architecture as its library builds it."""
    if name.startswith("tf_efficientnet_lite"):
        from efficientnet_lite_pytorch import EfficientNet

        return EfficientNet.from_name(f"efficientnet-lite{name[-1]}")
    return torchvision.models.get_model(name, weights=None)


def module_name(layer):
    """An inner layer of ours as a module of `Split`; the cut where there is none."""
    if layer is None:
        return "features"
    kind, _, number = layer.partition(".")
    return {"blocks": f"original._blocks.{number}", "conv1": "original.relu"}[kind]


class Split(nn.Module):
    """A classifier whose last activations are the output of a module of their own, where hooks can find it."""

    def __init__(self, model, settings):
        super().__init__()
        self.original = model
        self.dtype = settings.dtype
        self.format = torch.channels_last if settings.tuned else torch.contiguous_format
        if hasattr(model, "extract_features"):
            self.features = Half(Lite(model), self)
            self.pool, self.fc = nn.Sequential(model._avg_pooling, nn.Flatten(1), model._dropout), model._fc
        elif hasattr(model, "classifier"):
            self.features = Half(model.features, self)
            self.pool, self.fc = nn.Sequential(model.avgpool, nn.Flatten(1)), model.classifier
        else:
            self.features = Half(nn.Sequential(*list(model.children())[:-2]), self)
            self.pool, self.fc = nn.Sequential(model.avgpool, nn.Flatten(1)), model.fc

    def arranged(self):
        return self.to(dtype=self.dtype, memory_format=self.format)

    def head(self, features):
        return self.fc(self.pool(features.to(self.dtype))).float()

    def forward(self, images):
        return self.head(self.features(images))


class Half(nn.Module):
    """Everything before the cut, single precision on both sides."""

    def __init__(self, body, split):
        super().__init__()
        self.body = body
        self.dtype, self.format = split.dtype, split.format

    def forward(self, images):
        return self.body(images.to(self.dtype, memory_format=self.format)).float()


class Lite(nn.Module):
    """EfficientNet-Lite's own method as a module."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, images):
        return self.model.extract_features(images)
