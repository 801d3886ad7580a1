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
        *first_batches_of_quantus(net, inputs, images),
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


def first_batches_of_quantus(net, inputs, images):
    """Four images of which the last two get classes that they are not of, at once and in batches of two."""
    import quantus

    x = inputs[:4].contiguous().numpy()
    y = np.array([image["class"] for image in images[:4]])
    y[2:] = (y[2:] + 1) % 1000
    a = np.abs(x).mean(1, keepdims=True)
    name = f"of Quantus {version('quantus')}"
    quiet = {"disable_warnings": True}
    run = lambda metric, n, batch: metric(
        model=net.model, x_batch=x[:n], y_batch=y[:n], a_batch=a[:n], device="cpu", batch_size=batch
    )
    warnings.filterwarnings("ignore")

    def road(n, batch):
        np.random.seed(0)
        return run(quantus.ROAD(percentages=[1], **quiet), n, batch)[1]

    def sensitivity(n, batch):
        np.random.seed(0)
        metric = quantus.SensitivityN(features_in_step=112 * 224, n_max_percentage=1.0, **quiet)
        return np.size(run(metric, n, batch))

    whole, halves, first = road(4, 4), road(4, 2), road(2, 2)
    assert halves == first != whole, (whole, halves, first)
    n_whole, n_halves = sensitivity(4, 4), sensitivity(4, 2)
    return [
        {
            "about": f"ROAD {name}",
            "shown": "only the first batch is counted: of four images, the last two with a class that they are not of, 1 % of "
            f"the pixels gone, the accuracy is {whole:.2f} in one batch of four and {halves:.2f} in two batches of two, which "
            f"is that of the first two images alone ({first:.2f})",
        },
        {
            "about": f"Sensitivity-n {name}",
            "shown": f"only the first batch is counted: four images have {n_whole} scores in one batch of four and "
            f"{n_halves} in two batches of two",
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
