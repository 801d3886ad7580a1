"""Seven methods times seven metrics on one image, as a script of the other peers' parts.

Everything counts that a run of cambench does: the network from its file, the photograph from its file, masks, maps,
scores, and a table on the disk.
"""

import csv
import tempfile

import torch
from PIL import Image
from torchvision import transforms

import explain
import measure

INTERPOLATIONS = {
    "bilinear": transforms.InterpolationMode.BILINEAR,
    "bicubic": transforms.InterpolationMode.BICUBIC,
}
N_MASKS = 128
N_STEPS = 28
METRICS = ["drop", "increase", "deletion", "insertion", "coherency", "complexity", "adcc"]
CHECKED = ["grad_cam", "recipro_cam"]  # the methods that everyone computes by one formula


class Sweep:
    def __init__(self, network):
        self.network = network

    def __call__(self):
        network = self.network
        network.model = network.load()
        image = self.photograph()
        size = tuple(image.shape[-2:])
        masks = explain.rise_masks(N_MASKS, size).to(image.device)
        curve = measure.Curve(network, size[0] * size[1] // N_STEPS)
        with torch.no_grad():
            clean = measure.confidence(network, image)
        methods = {
            "cam": lambda: explain.TorchCam("CAM", network),
            "grad_cam": lambda: explain.TorchCam("GradCAM", network),
            "grad_cam_pp": lambda: explain.TorchCam("GradCAMpp", network),
            "smooth_grad_cam_pp": lambda: explain.TorchCam("SmoothGradCAMpp", network),
            "score_cam": lambda: explain.TorchCam("ScoreCAM", network),
            "rise": lambda: explain.Rise(network, masks),
            "recipro_cam": lambda: explain.ReciproCam(network),
        }
        rows = {}
        for name, make in methods.items():
            method = make()
            rows[name] = self.row(method, image, clean, curve)
            if hasattr(method, "close"):
                method.close()  # or its hooks would run in all that follows
        with tempfile.NamedTemporaryFile("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(["method", *METRICS])
            table.writerows([name, *row] for name, row in rows.items())
        return [value for name in CHECKED for value in rows[name]]

    def row(self, method, image, clean, curve):
        values = method.map_of(image).to(image.device)
        masked = image * values
        with torch.no_grad():
            score = measure.confidence(self.network, masked)
        drop, increase = max(0.0, clean - score) / clean, float(score > clean)
        deletion, insertion = curve.deletion(image, values), curve.insertion(image, values)
        coherency = measure.coherency_of(values, method.map_of(masked))
        complexity = values.mean().item()
        return [
            drop, increase, deletion, insertion, coherency, complexity,
            measure.adcc(drop, coherency, complexity),
        ]

    def photograph(self):
        about = self.network.about
        how = about["preprocessing"]
        steps = transforms.Compose([
            transforms.Resize(how["resize"], INTERPOLATIONS[how["interpolation"]]),
            transforms.CenterCrop(how["crop"]),
            transforms.ToTensor(),
            transforms.Normalize(how["mean"], how["std"]),
        ])
        return steps(Image.open(about["photograph"]).convert("RGB"))[None].to(self.network.settings.device)
