"""Who does which job: something to call for each, which does the job once and returns the numbers that all must agree on."""

import numpy as np
import torch

import attribute
import explain
import measure
import sweep
from networks import module_name


def of(job, peer, network):
    if peer == "openvino-xai":
        import openvino_peer

        return openvino_peer.ReciproCam(network)
    if job.startswith("forward_"):
        return measure.Forward(network, int(job.removeprefix("forward_")), peer)
    return (engine(network) | methods(network))[job, peer]()


def engine(network):
    """The jobs that the engine was made for."""
    torch_cam, grad_cam = packages(network)
    return {
        ("cam", "torch-cam"): torch_cam("CAM"),
        ("grad_cam", "torch-cam"): torch_cam("GradCAM"),
        ("grad_cam_pp", "torch-cam"): torch_cam("GradCAMpp"),
        ("smooth_grad_cam_pp", "torch-cam"): torch_cam("SmoothGradCAMpp"),
        ("score_cam", "torch-cam"): torch_cam("ScoreCAM"),
        ("grad_cam", "grad-cam"): grad_cam("GradCAM"),
        ("grad_cam_pp", "grad-cam"): grad_cam("GradCAMPlusPlus"),
        ("score_cam", "grad-cam"): grad_cam("ScoreCAM"),
        ("rise", "authors"): lambda: explain.Rise(network, network.masks),
        ("recipro_cam", "torch"): lambda: explain.ReciproCam(network),
        ("deletion_insertion", "authors"): lambda: measure.DeletionInsertion(network),
        ("adcc", "torch-cam"): lambda: measure.Adcc(network),
        ("sweep", "script"): lambda: sweep.Sweep(network),
    }


def methods(network):
    """The further methods and metrics, with the sizes that ours have."""
    torch_cam, grad_cam = packages(network)
    sizes = network.about["options"]
    n = {job: options["n"] for job, options in sizes.items() if "n" in options}
    layer = module_name(network.about["early_layer"])
    # Images through the network together: as the package has it, or as many as ours.
    at_once = lambda default: 16 if network.settings.tuned else default

    def pixels(what, merge, **options):
        return lambda: explain.Attribution(network, lambda net: attribute.captum(net, what, merge, **options))

    def attribution(function, **options):
        return lambda: explain.Attribution(network, lambda net: function(net, **options))

    def lime():
        rows, labels = attribute.superpixels(network.shown["lime"])
        return attribution(attribute.lime, rows=rows, labels=labels, at_once=at_once(10))()

    def kernel_shap():
        rows, labels = attribute.superpixels(network.shown["kernel_shap"])
        rows = np.concatenate([np.ones_like(rows[:1]), rows[-1:], rows[:-1]])
        return attribution(attribute.kernel_shap, rows=rows, labels=labels, at_once=at_once(1))()

    def shap():
        rows, labels = attribute.superpixels(network.shown["kernel_shap"])
        options = {"at_once": 16, "nsamples": sizes["kernel_shap"]["n_samples"]}
        values = lambda net: attribute.shap_values(net, rows.shape[1], labels, **options)
        return explain.Attribution(network, lambda net: torch.from_numpy(values(net))[labels])

    return {
        ("layer_cam", "torch-cam"): torch_cam("LayerCAM"),
        ("layer_cam", "grad-cam"): grad_cam("LayerCAM"),
        ("x_grad_cam", "torch-cam"): torch_cam("XGradCAM"),
        ("x_grad_cam", "grad-cam"): grad_cam("XGradCAM"),
        ("hi_res_cam", "grad-cam"): grad_cam("HiResCAM"),
        ("grad_cam_elementwise", "grad-cam"): grad_cam("GradCAMElementWise"),
        ("eigen_cam", "grad-cam"): lambda: explain.Eigen("EigenCAM", network),
        ("eigen_grad_cam", "grad-cam"): lambda: explain.Eigen("EigenGradCAM", network),
        ("ablation_cam", "grad-cam"): grad_cam("AblationCAM"),
        ("full_grad", "grad-cam"): grad_cam("FullGrad"),
        ("ss_cam", "torch-cam"): torch_cam("SSCAM", layer=layer, num_samples=n["ss_cam"]),
        ("is_cam", "torch-cam"): torch_cam("ISCAM", layer=layer, num_samples=n["is_cam"]),
        ("lime", "lime"): lime,
        ("kernel_shap", "captum"): kernel_shap,
        ("kernel_shap", "shap"): shap,
        ("occlusion", "captum"): attribution(attribute.occlusion, **sizes["occlusion"], at_once=at_once(1)),
        ("saliency", "captum"): pixels("Saliency", attribute.max_abs),
        ("input_x_gradient", "captum"): pixels("InputXGradient", attribute.sum_colors),
        ("integrated_gradients", "captum"): pixels(
            "IntegratedGradients", attribute.sum_colors, n_steps=n["integrated_gradients"], method="riemann_middle"
        ),
        ("smooth_grad", "captum"): attribution(attribute.smooth_grad, **sizes["smooth_grad"]),
        ("pixel_flipping", "quantus"): lambda: measure.PixelFlipping(network, **sizes["pixel_flipping"]),
        ("road", "grad-cam"): lambda: measure.RoadOfGradCam(network),
        ("road", "quantus"): lambda: measure.RoadOfQuantus(network),
    }


def packages(network):
    """Methods of torch-cam and of pytorch-grad-cam, by their names there."""

    def torch_cam(method, **options):
        return lambda: explain.TorchCam(method, network, **options)

    def grad_cam(method):
        return lambda: explain.PytorchGradCam(method, network)

    return torch_cam, grad_cam
