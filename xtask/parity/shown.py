"""What was shown about other packages by running them: a line each for the documents."""

import warnings
from importlib.metadata import version

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

import packages


def everything(net, inputs, images, handed):
    return [
        grad_cam_pp_of_torch_cam(),
        *first_batches_of_quantus(),
        ten_superpixels_of_shap(net, inputs, images, handed),
    ]


class ToyNetworkA(nn.Module):
    """Three channels of a 2 x 2 image, two classes; small enough for paper."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.Conv2d(1, 3, 1), nn.ReLU())
        self.fc = nn.Linear(3, 2)
        with torch.no_grad():
            self.features[0].weight.copy_(torch.tensor([1.0, -1.0, 1.0]).view(3, 1, 1, 1))
            self.features[0].bias.copy_(torch.tensor([0.0, 0.0, -1.0]))
            self.fc.weight.copy_(torch.tensor([[2.0, -1.0, 1.0], [-1.0, 1.0, 0.5]]))
            self.fc.bias.copy_(torch.tensor([0.5, -0.5]))

    def forward(self, images):
        return self.fc(self.features(images).mean((2, 3)))


def grad_cam_pp_of_torch_cam():
    from torchcam.methods import GradCAMpp

    model = ToyNetworkA().eval()
    image = torch.tensor([[1.0, 2.0], [-1.0, 3.0]]).view(1, 1, 2, 2).requires_grad_(True)
    with GradCAMpp(model, "features", input_shape=(1, 2, 2)) as extractor:
        values = extractor(0, model(image))[0].flatten()
    return {
        "about": f"Grad-CAM++ of torch-cam {version('torchcam')}",
        "shown": f"on toy network A, class 0, the normalized map is {numbers(values)}; by the paper's formula, and here, it "
        "is [0.2075, 0.6038, 0.0000, 1.0000]",
    }


def first_batches_of_quantus():
    """Four images in toy network A, of which the last two get the class that they are not of; at once and in batches of two."""
    import quantus

    warnings.filterwarnings("ignore")
    model = ToyNetworkA().eval()
    x = np.random.default_rng(0).normal(size=(4, 1, 8, 8)).astype(np.float32)
    with torch.no_grad():
        y = model(torch.from_numpy(x)).argmax(1).numpy()
    y[2:] = 1 - y[2:]
    name = f"of Quantus {version('quantus')}"
    quiet = {"disable_warnings": True}

    def run(metric, n, batch):
        np.random.seed(0)
        a = np.abs(x[:n])
        return metric(model=model, x_batch=x[:n], y_batch=y[:n], a_batch=a, device="cpu", batch_size=batch)

    road = lambda n, batch: run(quantus.ROAD(percentages=[2], **quiet), n, batch)[2]
    sensitivity = lambda n, batch: float(np.mean(run(quantus.SensitivityN(features_in_step=8, **quiet), n, batch)))
    whole, halves, first = road(4, 4), road(4, 2), road(2, 2)
    assert halves == first != whole, (whole, halves, first)
    whole_n, halves_n, first_n = sensitivity(4, 4), sensitivity(4, 2), sensitivity(2, 2)
    assert halves_n == first_n != whole_n, (whole_n, halves_n, first_n)
    return [
        {
            "about": f"ROAD {name}",
            "shown": "only the first batch is counted: of four images, the last two with a class that they are not of, one "
            f"pixel gone, the accuracy is {whole:.2f} in one batch of four and {halves:.2f} in two batches of two, which is "
            f"that of the first two images alone ({first:.2f})",
        },
        {
            "about": f"Sensitivity-n {name}",
            "shown": f"only the first batch is counted: the score of the same four images is {whole_n:.4f} in one batch of "
            f"four and {halves_n:.4f} in two batches of two, which is that of the first two images alone ({first_n:.4f})",
        },
    ]


def ten_superpixels_of_shap(net, inputs, images, handed):
    net.look_at(inputs[:1].contiguous(), images[0]["class"])
    values, _ = packages.shap_values(net, load_file(handed)["images"].contiguous(), nsamples=200)
    return {
        "about": f"KernelExplainer of shap {version('shap')}",
        "shown": f"with its default `l1_reg`, {np.count_nonzero(values)} of {len(values)} superpixels have a value, the others "
        "are 0",
    }


def numbers(values):
    return "[" + ", ".join(f"{value:.4f}" for value in values.tolist()) + "]"
