"""Attributions to pixels and superpixels, by captum, lime and shap as their documentation uses them.

Each function explains the image of a network (`model`, `image` `[1, 3, H, W]`, `target`) and returns `[H, W]`. Superpixels
are handed over as each pixel's number `labels`, `[H, W]`, and rows `[n, d]` of which of them are shown (1) or hidden (0).
"""

import numpy as np
import torch


def captum(net, what, merge, **options):
    """An attribution of captum to the pixels' colors, which `merge` makes one number."""
    from captum import attr

    method = getattr(attr, what)(net.model)
    values = method.attribute(net.image.clone().requires_grad_(True), target=net.target, **options)
    return merge(values.detach()[0])


def max_abs(colors):
    return colors.abs().amax(0)


def sum_colors(colors):
    return colors.sum(0)


def smooth_grad(net, n, noise):
    """captum's signed saliency behind its tunnel of noise; the size is taken of the mean."""
    from captum.attr import NoiseTunnel, Saliency

    values = NoiseTunnel(Saliency(net.model)).attribute(
        net.image.clone().requires_grad_(True),
        nt_type="smoothgrad",
        nt_samples=n,
        stdevs=noise * (net.image.max() - net.image.min()).item(),
        target=net.target,
        abs=False,
    )
    return max_abs(values.detach()[0])


def occlusion(net, window, n, at_once):
    """captum's occlusion by squares of 0 that stand where ours do."""
    from captum.attr import Occlusion

    stride = (net.image.shape[-1] - window) // (n - 1)
    values = Occlusion(lambda images: net.model(images).softmax(1)).attribute(
        net.image,
        sliding_window_shapes=(3, window, window),
        strides=(3, stride, stride),
        target=net.target,
        baselines=0,
        perturbations_per_eval=at_once,
    )
    return values[0, 0]


def superpixels(shown):
    """Rows and labels, read off what images `[n, H, W]` show and hide of their pixels."""
    flat = shown.flatten(1).cpu().numpy()
    # Pixels of one superpixel are shown by the same images.
    packed = np.ascontiguousarray(np.packbits(flat, axis=0).T)
    keys = packed.view(np.dtype((np.void, packed.shape[1])))[:, 0]
    _, first, labels = np.unique(keys, return_index=True, return_inverse=True)
    return flat[:, first].astype(float), torch.from_numpy(labels.reshape(shown.shape[1:]))


def lime(net, rows, labels, at_once):
    """The package lime with rows that are handed over instead of its own."""
    from lime.lime_image import LimeImageExplainer

    class Rows(np.random.RandomState):
        def randint(self, _low, _high, size):
            assert size == rows.size
            return rows.ravel().astype(int)

    def classify(images):
        images = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float().contiguous()
        with torch.no_grad():
            return net.model(images.to(net.image.device)).softmax(1).cpu().numpy()

    explanation = LimeImageExplainer(random_state=Rows(0)).explain_instance(
        net.image[0].permute(1, 2, 0).cpu().numpy().astype(np.float64),
        classify,
        labels=(net.target,),
        top_labels=None,
        hide_color=0,
        num_samples=len(rows),
        batch_size=at_once,
        random_seed=0,
        segmentation_fn=lambda _image: labels.numpy(),
    )
    values = dict(explanation.local_exp[net.target])
    return torch.tensor([values[i] for i in range(rows.shape[1])])[labels]


def kernel_shap(net, rows, labels, at_once):
    """captum's KernelShap with rows that are handed over, the whole and the empty one first, instead of its own."""
    from captum.attr import KernelShap

    def handed(_image, **_options):
        yield from torch.from_numpy(rows).long().to(net.image.device).split(1)

    method = KernelShap(net.model)
    method.perturb_func = handed
    values = method.attribute(
        net.image,
        target=net.target,
        feature_mask=labels[None, None].to(net.image.device),
        n_samples=len(rows),
        perturbations_per_eval=at_once,
    )
    return values[0, 0]


def shap_values(net, d, labels, at_once, **options):
    """The package shap's `[d]`, the value of a coalition being the logit of the image that shows it."""
    import shap

    @torch.no_grad()
    def game(rows):
        masks = torch.from_numpy(np.asarray(rows)).float()[:, labels].unsqueeze(1).to(net.image.device)
        logits = [net.model(net.image * chunk)[:, net.target] for chunk in masks.split(at_once)]
        return torch.cat(logits).double().cpu().numpy()

    np.random.seed(0)
    explainer = shap.KernelExplainer(game, np.zeros((1, d)))
    return np.asarray(explainer.shap_values(np.ones((1, d)), silent=True, **options))[0]
