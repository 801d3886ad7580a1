"""The reference of each case that is a score, of a map that is made here too."""

import math

import numpy as np
import torch

import explain
import formulas
import measure


def map_of(net, case):
    """The map that is scored, `[H, W]` in [0, 1]: Recipro-CAM's, or torch-cam's Grad-CAM where the method runs twice."""
    if case.get("map") == "grad_cam":
        method = explain.TorchCam("GradCAM", net)
        values = method.map_of(net.image)
        method.close()
        return values
    return explain.unit(formulas.recipro_cam(net, {"layer": case["layer"], "options": {}}, None).float(), net.size)


def coherency(net, _case, values):
    method = explain.TorchCam("GradCAM", net)
    again = method.map_of(net.image * values)
    method.close()
    return measure.coherency_of(values, again)


def adcc(net, case, values):
    """The harmonic mean for one image."""
    return measure.adcc(
        formulas.drop(net, case, values), coherency(net, case, values), formulas.complexity(net, case, values)
    )


def authors(name):
    """RISE's procedure with its own order of equal values."""

    def reference(net, case, values):
        curve = measure.Curve(net, values.numel() // case["options"]["steps"])
        return getattr(curve, name)(net.image, values)

    return reference


def quantus(what, scale=lambda n: 1.0, **options):
    """A measure of Quantus of the map alone, not normalized by it."""

    def reference(net, _case, values):
        import quantus as package

        metric = getattr(package, what)(abs=False, normalise=False, disable_warnings=True, **options)
        a = values[None, None].numpy()
        y = np.array([net.target])
        return metric(model=net.model, x_batch=net.image.numpy(), y_batch=y, a_batch=a)[0] * scale(values.numel())

    return reference


def pixel_flipping_of_quantus(net, case, values):
    """Its curve over the colors of pixels one by one, as an area."""
    import quantus as package

    metric = package.PixelFlipping(
        features_in_step=values.numel() // case["options"]["steps"],
        abs=False,
        normalise=False,
        return_auc_per_sample=True,
        disable_warnings=True,
    )
    a = values[None, None].numpy()
    area = metric(model=net.model, x_batch=net.image.numpy(), y_batch=np.array([net.target]), a_batch=a, device="cpu")[0]
    return area


def road_of_grad_cam():
    """ROAD as pytorch-grad-cam combines it, halves of differences of the class's probability; with noise."""

    def reference(net, _case, values):
        from pytorch_grad_cam.metrics.road import ROADCombined
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputSoftmaxTarget

        road = ROADCombined(percentiles=[10, 20, 30, 40, 50, 60, 70, 80, 90])
        return float(road(net.image, values[None].numpy(), [ClassifierOutputSoftmaxTarget(net.target)], net.model)[0])

    return reference


def quantus_in_a_box(what):
    """A measure of Quantus of the map and the box that the object takes."""

    def reference(net, case, values):
        import quantus as package

        left, top, right, bottom = case["region"]
        region = np.zeros((1, 1, *net.size), dtype=bool)
        region[:, :, top:bottom, left:right] = True
        metric = getattr(package, what)(abs=False, normalise=False, disable_warnings=True)
        a = values[None, None].numpy()
        y = np.array([net.target])
        return metric(model=net.model, x_batch=net.image.numpy(), y_batch=y, a_batch=a, s_batch=region)[0]

    return reference


def max_sensitivity(net, case, values):
    """Quantus' of torch-cam's Grad-CAM at the image's size, with our number and size of perturbations."""
    import quantus as package

    method = explain.TorchCam("GradCAM", net)

    def maps(model, inputs, targets, **_options):
        return np.stack([method.map_of(torch.from_numpy(image)[None]).numpy()[None] for image in inputs])

    metric = package.MaxSensitivity(
        nr_samples=10, lower_bound=0.02, abs=False, normalise=False, disable_warnings=True
    )
    found = metric(
        model=net.model,
        x_batch=net.image.numpy(),
        y_batch=np.array([net.target]),
        a_batch=values[None, None].numpy(),
        explain_func=maps,
        device="cpu",
    )
    method.close()
    return found[0]


SCORES = {
    "drop.formula": formulas.drop,
    "increase.formula": formulas.increase,
    "complexity.formula": formulas.complexity,
    "coherency.formula": coherency,
    "adcc.formula": adcc,
    "deletion.formula": formulas.deletion,
    "insertion.formula": formulas.insertion,
    "pixel_flipping.formula": formulas.pixel_flipping,
    "pixel_flipping.quantus": pixel_flipping_of_quantus,
    "average_gain.formula": formulas.average_gain,
    "sufficiency.formula": formulas.sufficiency,
    "infidelity.formula": formulas.infidelity,
    "road.grad_cam": road_of_grad_cam(),
    "arcc.formula": formulas.arcc,
    "max_sensitivity.quantus": max_sensitivity,
    "model_randomization.formula": formulas.model_randomization,
    "pointing_game.quantus": quantus_in_a_box("PointingGame"),
    "relevance_rank.quantus": quantus_in_a_box("RelevanceRankAccuracy"),
    "energy_pointing_game.quantus": quantus_in_a_box("RelevanceMassAccuracy"),
    "sparseness.quantus": quantus("Sparseness"),
    "entropy.quantus": quantus("Complexity", scale=lambda n: 1 / math.log(n)),
    "effective_complexity.quantus": quantus("EffectiveComplexity", scale=lambda n: 1 / n),
    "deletion.authors": authors("deletion"),
    "insertion.authors": authors("insertion"),
}
