"""The plain forward, and metrics from the formulas of their authors' code."""

import numpy as np
import torch
from scipy.ndimage import gaussian_filter

import explain


class Forward:
    """Logits of a batch. `frozen`: traced and frozen beside channels-last, which folds the normalizations."""

    def __init__(self, network, batch, peer):
        self.images = network.images[:batch].clone()
        self.model = network.model
        if peer == "torch-frozen":
            with torch.no_grad():
                images = self.images.contiguous(memory_format=torch.channels_last)
                self.model = torch.jit.freeze(torch.jit.trace(self.model, images))
                for _ in range(3):  # the first runs of a traced module profile and recompile it
                    self.model(self.images)

    @torch.no_grad()
    def __call__(self):
        return self.model(self.images)[0, :8].tolist()


class Curve:
    """The procedure of RISE's `single_run`: one image at a time through the network, pixels replaced in NumPy."""

    def __init__(self, network, step):
        self.network, self.step = network, step
        side = 11
        impulse = np.zeros((side, side))
        impulse[side // 2, side // 2] = 1
        kernel = torch.from_numpy(gaussian_filter(impulse, 5)).float().to(network.image.device)
        self.kernel = kernel.expand(3, 1, side, side)
        self.padding = side // 2

    def blurred(self, image):
        return torch.nn.functional.conv2d(image, self.kernel, padding=self.padding, groups=3)

    def deletion(self, image, values):
        return self.area(image, image.clone(), torch.zeros_like(image), values)

    def insertion(self, image, values):
        return self.area(image, self.blurred(image), image, values)

    @torch.no_grad()
    def area(self, image, start, finish, values):
        n_pixels = values.numel()
        n_steps = -(-n_pixels // self.step)
        probability = lambda x: self.network.model(x).softmax(1)
        target = self.network.target
        probability(image)  # their code asks for the predicted class first
        order = np.flip(np.argsort(values.reshape(1, n_pixels).cpu().numpy(), axis=1), axis=-1)
        current = start.cpu().contiguous()
        pixels, new = current.numpy().reshape(1, 3, n_pixels), finish.cpu().contiguous().numpy().reshape(1, 3, n_pixels)
        scores = np.empty(n_steps + 1)
        for i in range(n_steps + 1):
            scores[i] = probability(current.to(image.device))[0, target].item()
            if i < n_steps:
                where = order[0, self.step * i : self.step * (i + 1)]
                pixels[0, :, where] = new[0, :, where]
        return (scores.sum() - scores[0] / 2 - scores[-1] / 2) / n_steps


class DeletionInsertion:
    """Both areas at 224 intervals, of a map that is the same for everyone."""

    def __init__(self, network):
        self.network = network
        self.curve = Curve(network, network.map.numel() // 224)

    def __call__(self):
        image, values = self.network.image, self.network.map
        return [self.curve.deletion(image, values), self.curve.insertion(image, values)]


class PixelFlipping:
    """Quantus' curve, in which the three colors of a pixel come one after the other; as an area, with the clean
    probability before it."""

    def __init__(self, network, steps):
        import quantus

        self.network = network
        self.metric = quantus.PixelFlipping(features_in_step=3 * network.map.numel() // steps, disable_warnings=True)
        with torch.no_grad():
            self.clean = confidence(network, network.image)

    def __call__(self):
        curve = np.concatenate([[self.clean], *judged(self.network, self.metric, self.network.map[None])])
        return [(curve.sum() - curve[0] / 2 - curve[-1] / 2) / (len(curve) - 1)]


class RoadOfQuantus:
    """Quantus' ROAD over 10 to 90 percent, once by the map and once by its negative."""

    def __init__(self, network):
        import quantus

        self.network = network
        self.metric = quantus.ROAD(percentages=SHARES, disable_warnings=True)
        # It takes the numbers of all colors for pixels, more than there are: those of two colors come last, uncounted.
        self.metric.a_size = network.map.numel()
        last = torch.full_like(network.map, -2)
        self.maps = [torch.stack([values, last, last]) for values in (network.map, -network.map)]

    def __call__(self):
        most, least = (judged(self.network, self.metric, values) for values in self.maps)
        return [sum(least[share] - most[share] for share in SHARES) / 2 / len(SHARES)]


class RoadOfGradCam:
    """ROAD as pytorch-grad-cam combines it, of the class's probability; with noise of its own."""

    def __init__(self, network):
        from pytorch_grad_cam.metrics.road import ROADCombined
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

        self.network = network
        self.road = ROADCombined(percentiles=SHARES)
        self.targets = [ClassifierOutputSoftmaxTarget(network.target)]

    def __call__(self):
        values = self.network.map[None].cpu().numpy()
        return [float(self.road(self.network.image, values, self.targets, self.network.model)[0])]


SHARES = [10, 20, 30, 40, 50, 60, 70, 80, 90]


def judged(network, metric, values):
    """What a metric of Quantus says of the network's image and a map `[colors or 1, H, W]`."""
    return metric(
        model=network.model,
        x_batch=network.image.cpu().numpy(),
        y_batch=np.array([network.target]),
        a_batch=values[None].cpu().numpy(),
        device=network.settings.device,
    )


class Adcc:
    """Grad-CAM of torch-cam, drop, coherency, complexity and their harmonic mean, as the ADCC reference combines them."""

    def __init__(self, network):
        self.network = network
        self.method = explain.TorchCam("GradCAM", network)

    def close(self):
        self.method.close()

    def __call__(self):
        image = self.network.image
        with torch.no_grad():
            clean = confidence(self.network, image)
        values = self.method.map_of(image)
        masked = image * values
        again = self.method.map_of(masked)
        with torch.no_grad():
            drop = max(0.0, clean - confidence(self.network, masked)) / clean
        coherency, complexity = coherency_of(values, again), values.mean().item()
        return [drop, coherency, complexity, adcc(drop, coherency, complexity)]


def confidence(network, image):
    return network.model(image).softmax(1)[0, network.target].item()


def coherency_of(values, again):
    pair = np.stack([values.cpu().numpy().ravel(), again.cpu().numpy().ravel()])
    return (1 + np.corrcoef(pair)[0, 1]) / 2


def adcc(drop, coherency, complexity):
    return 3 / (1 / coherency + 1 / (1 - complexity) + 1 / (1 - drop))
