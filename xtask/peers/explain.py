"""Explanations: torch-cam and pytorch-grad-cam as their documentation uses them, RISE and Recipro-CAM from their formulas.

Each task explains the image for the class and returns the map's check; the map itself, `[H, W]`, comes from `map_of`.
"""

import numpy as np
import torch
import torch.nn.functional as F


def unit(values, size):
    """A map of any scale at the image's size, in [0, 1]: normalized, then upsampled."""
    low, high = values.min(), values.max()
    return upsampled((values - low) / (high - low), size)


def upsampled(values, size):
    return F.interpolate(values[None, None], size, mode="bilinear", align_corners=False)[0, 0]


def check(values):
    """A map as 7 x 7 numbers: normalized at the image's size and read in the middle of every cell."""
    values = torch.as_tensor(values).float()
    values = (values - values.min()) / (values.max() - values.min())
    rows, columns = ([(2 * i + 1) * side // 14 for i in range(7)] for side in values.shape)
    return values[rows][:, columns].flatten().tolist()


class Task:
    """The image of a network, explained."""

    def __init__(self, network):
        self.network = network
        self.model = network.model
        self.size = tuple(network.image.shape[-2:])

    def __call__(self):
        return check(self.map_of(self.network.image).cpu())

    def map_of(self, image):
        """The map of an image `[1, 3, H, W]`, in [0, 1] at its size."""
        raise NotImplementedError


class Attribution(Task):
    """A function of the network that returns the map `[H, W]` of its image."""

    def __init__(self, network, function):
        super().__init__(network)
        self.function = function

    def map_of(self, image):
        return self.function(self.network)


class TorchCam(Task):
    """A method of torch-cam, whose extractor is made once and hooked to the layer by name."""

    def __init__(self, method, network, layer="features", **options):
        from torchcam import methods

        super().__init__(network)
        self.method = method
        if method == "CAM":
            options["fc_layer"] = self.model.fc
        self.extractor = getattr(methods, method)(self.model, layer, **options)

    def map_of(self, image):
        # Its documentation runs the model without gradients for the methods that need none.
        with torch.inference_mode(self.method in ("CAM", "ScoreCAM", "SSCAM", "ISCAM")):
            scores = self.model(image)
        values = self.extractor(self.network.target, scores)[0][0]
        return upsampled(values, self.size).detach()

    def close(self):
        self.extractor.remove_hooks()


class PytorchGradCam(Task):
    """A method of pytorch-grad-cam, which upsamples and normalizes by itself."""

    def __init__(self, method, network):
        import pytorch_grad_cam
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        super().__init__(network)
        # FullGrad looks for modules by itself, and would find each of them in the whole and in the half.
        model, layers = (self.model.original, []) if method == "FullGrad" else (self.model, [self.model.features])
        self.cam = getattr(pytorch_grad_cam, method)(model=model, target_layers=layers)
        self.targets = [ClassifierOutputTarget(network.target)]

    def map_of(self, image):
        return torch.from_numpy(self.cam(input_tensor=image, targets=self.targets)[0])

    def close(self):
        self.cam.activations_and_grads.release()


class Eigen(PytorchGradCam):
    """A principal component of pytorch-grad-cam, before it cuts off what is negative: the sign that the decomposition
    leaves open, and with it what is cut off, is ours."""

    def __init__(self, method, network):
        super().__init__(method, network)
        self.cam.get_cam_image, self.project = self.turned, self.cam.get_cam_image

    def turned(self, image, layer, targets, activations, gradients, smooth):
        values = self.project(image, layer, targets, activations, gradients, smooth)
        columns = activations[0] if gradients is None else activations[0] * gradients[0]
        sums = (columns - columns.mean((1, 2), keepdims=True)).sum(0)
        self.values = values[0] * (-1 if (values[0] * sums).sum() < 0 else 1)
        return values

    def map_of(self, image):
        super().map_of(image)
        return unit(torch.from_numpy(self.values), self.size)


class Rise(Task):
    """RISE as its authors' code does it: all masked images at once, 100 through the network at a time, all classes."""

    def __init__(self, network, masks, p=0.5):
        super().__init__(network)
        self.masks, self.p = masks, p

    @torch.no_grad()
    def map_of(self, image):
        n = len(self.masks)
        stack = self.masks * image
        scores = torch.cat([self.model(stack[i : i + 100]).softmax(1) for i in range(0, n, 100)])
        maps = (scores.T @ self.masks.view(n, -1)).view(-1, *self.size) / n / self.p
        return unit(maps[self.network.target], self.size)


def rise_masks(n, size, cells=7, p=0.5, seed=0):
    """Random masks `[n, 1, H, W]` with scikit-image, as RISE's authors make them once and keep them."""
    from skimage.transform import resize

    generator = np.random.default_rng(seed)
    cell = [-(-side // cells) for side in size]
    masks = np.empty((n, 1, *size), np.float32)
    for mask in masks:
        grid = (generator.random((cells, cells)) < p).astype(np.float32)
        large = resize(
            grid, [(cells + 1) * side for side in cell], order=1, mode="reflect", anti_aliasing=False
        )
        y, x = (generator.integers(0, side) for side in cell)
        mask[0] = large[y : y + size[0], x : x + size[1]]
    return torch.from_numpy(masks)


class ReciproCam(Task):
    """Recipro-CAM in torch: the activations once for every position, zero elsewhere, through the head in one batch."""

    @torch.no_grad()
    def map_of(self, image):
        features = self.model.features(image)
        height, width = features.shape[-2:]
        n = height * width
        mosaic = features * torch.eye(n, device=features.device).view(n, 1, height, width)
        scores = self.model.head(mosaic)[:, self.network.target]
        return unit(scores.view(height, width), self.size)
