"""EfficientNet-Lite0 of its own package with the published weights, which can be cut at any of its blocks."""

import math
from contextlib import contextmanager

import torch
from safetensors.torch import load_file

from networks import Settings, Split, module_name, original

LAST = "conv_head"


class Network:
    """`logits(x) == head(layer, features(layer, x))`, for one class of one image at a time."""

    def __init__(self, weights, random):
        self.settings = Settings(folder="", device="cpu", threads=torch.get_num_threads(), tuned=False)
        self.model = Split(original("tf_efficientnet_lite0"), self.settings)
        self.model.original.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
        self.model.eval()
        self.random = random
        self.image = self.target = None

    def look_at(self, image, target):
        """What every reference explains next: an image `[1, 3, H, W]` and a class."""
        self.image, self.target = image, target
        self.size = tuple(image.shape[-2:])

    @contextmanager
    def exact(self):
        """In double precision."""
        image = self.image
        self.cast(torch.float64)
        self.image = image.double()
        try:
            yield
        finally:
            self.cast(torch.float32)
            self.image = image

    def cast(self, dtype):
        self.model.to(dtype)
        self.model.dtype = self.model.features.dtype = dtype

    @contextmanager
    def randomized(self, share):
        """With random weights in the last share of its stages, which are the first convolution, every block, the last
        convolution, and the classifier."""
        net = self.model.original
        trained = {name: values.clone() for name, values in net.state_dict().items()}
        blocks = [f"_blocks.{i}." for i in range(len(net._blocks))]
        stages = [("_conv_stem.", "_bn0."), *[(block,) for block in blocks], ("_conv_head.", "_bn1."), ("_fc.",)]
        last = stages[len(stages) - math.ceil(share * len(stages)) :]
        names = tuple(name for stage in last for name in stage)
        random = {name: values for name, values in load_file(self.random).items() if name.startswith(names)}
        net.load_state_dict(trained | random)
        try:
            yield
        finally:
            net.load_state_dict(trained)

    def name(self, layer):
        """A layer's name as a module of `model`."""
        return module_name(None if layer == LAST else layer)

    def module(self, layer):
        return self.model.get_submodule(self.name(layer))

    def features(self, layer, images):
        found = []
        handle = self.module(layer).register_forward_hook(lambda _module, _inputs, output: found.append(output))
        self.model(images)
        handle.remove()
        return found[0]

    def head(self, layer, features):
        if layer != LAST:
            net = self.model.original
            for rest in net._blocks[block(layer) + 1 :]:
                features = rest(features)
            features = net._swish(net._bn1(net._conv_head(features)))
        return self.model.head(features)

    @torch.no_grad()
    def clean_features(self, layer):
        return self.features(layer, self.image)

    @torch.no_grad()
    def logit(self, images):
        """The class's logit of images, in double precision."""
        logits = [self.model(chunk)[:, self.target] for chunk in images.split(16)]
        return torch.cat(logits).double()

    @torch.no_grad()
    def probability(self, images):
        """The class's softmax probability of images, in double precision."""
        logits = torch.cat([self.model(chunk) for chunk in images.split(16)])
        return logits.double().softmax(1)[:, self.target]

    def gradient(self, layer, features):
        """The gradient of the class's logit at activations, in double precision."""
        features = features.detach().requires_grad_(True)
        total = self.head(layer, features)[:, self.target].sum()
        return torch.autograd.grad(total, features)[0].double()


def block(layer):
    return int(layer.removeprefix("blocks."))
