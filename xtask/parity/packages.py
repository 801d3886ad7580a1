"""Explanations by the packages themselves: their own output, before they resize it or normalize it a second time."""

import numpy as np
import torch

import attribute


def torch_cam(what, handed_noise=False, **options):
    """A method of torch-cam, not normalized; `handed_noise` gives it our noise instead of its own."""

    def reference(net, case, handed):
        from torchcam import methods

        extra = {"fc_layer": net.model.fc} if what == "CAM" else {}
        extractor = getattr(methods, what)(net.model, net.name(case["layer"]), **extra, **options)
        if handed_noise:
            extractor._distrib = Handed(handed - net.image)
        image = net.image.clone().requires_grad_(True)
        values = extractor.compute_cams(net.target, net.model(image), normalized=False)[0][0]
        extractor.remove_hooks()
        return values.detach()

    return reference


class Handed:
    """A distribution that gives what it was given, one after the other."""

    def __init__(self, samples):
        self.samples = iter(samples.split(1))

    def sample(self, size):
        sample = next(self.samples)
        assert sample.shape == size
        return sample


def grad_cam(what, relu=True):
    """A method of pytorch-grad-cam: what its `get_cam_image` makes, before `scale_cam_image`."""

    def reference(net, case, _handed):
        import pytorch_grad_cam
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        extra = {"ablation_layer": ablation_layer()} if what == "AblationCAM" else {}
        cam = getattr(pytorch_grad_cam, what)(model=net.model, target_layers=[net.module(case["layer"])], **extra)
        made, make = [], cam.get_cam_image
        cam.get_cam_image = lambda *arguments: made.append(make(*arguments)) or made[0]
        cam(input_tensor=net.image.clone().requires_grad_(True), targets=[ClassifierOutputTarget(net.target)])
        cam.activations_and_grads.release()
        values = torch.from_numpy(np.asarray(made[0][0]))
        return values.relu() if relu else values

    return reference


def ablation_layer():
    """Its own, which stands where a module was, taking what this network's blocks are called with."""
    from pytorch_grad_cam.ablation_layer import AblationLayer

    class Layer(AblationLayer):
        def __call__(self, features, **_rate):
            return super().__call__(features)

    return Layer()


def scaled_grad_cam(net, case, _handed):
    """Grad-CAM as pytorch-grad-cam hands it out: normalized, resized, summed over its layers and normalized again."""
    from pytorch_grad_cam import GradCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with GradCAM(model=net.model, target_layers=[net.module(case["layer"])]) as cam:
        image = net.image.clone().requires_grad_(True)
        return torch.from_numpy(cam(input_tensor=image, targets=[ClassifierOutputTarget(net.target)])[0])


def eigen(what):
    """A principal component of pytorch-grad-cam, whose sign is left to the decomposition: turned as ours is."""

    def reference(net, case, handed):
        values = grad_cam(what, relu=False)(net, case, handed).double()
        layer = case["layer"]
        features = net.clean_features(layer)
        columns = features.double()[0]
        if what == "EigenGradCAM":
            columns = columns * net.gradient(layer, features)[0]
        sums = (columns - columns.mean((1, 2), keepdim=True)).sum(0)
        return values * (-1 if (values * sums).sum() < 0 else 1)

    return reference


def refine_cam_of_torch_cam(net, _case, _handed):
    """torch-cam's RefineCAM, not normalized at the end, and resized to the image."""
    from formulas import LEVELS, upsampled
    from torchcam.methods import LayerCAM, RefineCAM

    extractor = RefineCAM(net.model, [net.name(layer) for layer in LEVELS], base_method=LayerCAM)
    image = net.image.clone().requires_grad_(True)
    values = extractor(net.target, net.model(image), normalized=False)[0][0]
    extractor.remove_hooks()
    return upsampled(values.detach(), net.size)


def refine_cam_of_grad_cam(net, _case, _handed):
    """pytorch-grad-cam's RefineCAM as handed out, at the image's size."""
    from formulas import LEVELS
    from pytorch_grad_cam import LayerCAM
    from pytorch_grad_cam.refine_cam import RefineCAM
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    cam = RefineCAM(net.model, [net.module(layer) for layer in LEVELS], base_method=LayerCAM)
    values = cam(net.image.clone().requires_grad_(True), [ClassifierOutputTarget(net.target)])[0]
    for base in cam.base_cam_per_layer:
        base.activations_and_grads.release()
    return torch.from_numpy(np.asarray(values))


def full_grad(net, _case, _handed):
    """FullGrad of pytorch-grad-cam before it is scaled."""
    from pytorch_grad_cam import FullGrad
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    # Not the halves: it looks for modules, and would find each of them twice.
    cam = FullGrad(model=net.model.original, target_layers=[])
    made, make = [], cam.compute_cam_per_layer
    cam.compute_cam_per_layer = lambda *arguments: made.append(make(*arguments)) or made[0]
    cam(input_tensor=net.image.clone().requires_grad_(True), targets=[ClassifierOutputTarget(net.target)])
    cam.activations_and_grads.release()
    return torch.from_numpy(np.asarray(made[0])[0, 0])


def captum(what, merge, **options):
    """An attribution of captum to the pixels' colors, which `merge` makes one number."""
    return lambda net, _case, _handed: attribute.captum(net, what, merge, **options)


def occlusion(net, case, _handed):
    """captum's occlusion by squares that stand where ours do."""
    options = case["options"]
    return attribute.occlusion(net, options.get("window", 32), options.get("n", 13), at_once=16)


def smooth_grad(net, _case, handed):
    """The mean of captum's signed saliency over noisy copies that we hand over."""
    from captum.attr import Saliency

    saliency = Saliency(net.model)
    gradients = [
        saliency.attribute(copy.clone().requires_grad_(True), target=net.target, abs=False).detach()
        for copy in handed.split(1)
    ]
    return attribute.max_abs(torch.stack(gradients).mean(0)[0])


def superpixels(handed):
    """Rows and labels, read off images that hide some superpixels."""
    return attribute.superpixels((handed != 0).any(1))


def lime(net, _case, handed):
    """The package lime with our superpixels and our rows of what is shown."""
    return attribute.lime(net, *superpixels(handed), at_once=10)


def shap(**options):
    """The package shap with our superpixels, the value of a coalition being the logit of the image that shows it."""

    def reference(net, _case, handed):
        values, labels = shap_values(net, handed, **options)
        return torch.from_numpy(values)[labels]

    return reference


def shap_values(net, handed, **options):
    rows, labels = superpixels(handed)
    return attribute.shap_values(net, rows.shape[1], labels, at_once=16, **options), labels


def partition_shap(net, case, _handed):
    """shap's halvings of the image, a hidden color being 0, the value the class's logit; what a pixel's colors have, summed."""
    import shap as package

    def game(images):
        return net.logit(torch.from_numpy(images).permute(0, 3, 1, 2).float().contiguous()).numpy()

    image = net.image.permute(0, 2, 3, 1).numpy().astype(np.float64)
    explainer = package.PartitionExplainer(game, package.maskers.Image(np.zeros_like(image[0])))
    np.random.seed(0)
    options = {"max_evals": case["options"].get("max_evals", 500), "batch_size": 2 * case["options"].get("at_once", 5)}
    return torch.from_numpy(explainer(image, silent=True, **options).values[0].sum(-1))


def openvino(net, _case, _handed):
    """Recipro-CAM by OpenVINO-XAI, which hands out whole numbers from 0 to 255."""
    import openvino_peer

    class Peer:
        image, target, settings, model, size = net.image, net.target, net.settings, net.model, net.size

    peer = openvino_peer.ReciproCam(Peer)
    return torch.from_numpy(peer.model(peer.image)["saliency_map"][0, net.target]).double()
