"""What reference implementations say of the demo photographs, for the tests to compare ours with: `cargo xtask parity`.

    python make.py --cases CASES.json --weights WEIGHTS.pth --inputs FOLDER --out FOLDER

Reads what our exporter put into the inputs' folder: the networks' inputs, the classes, and for random methods what they
draw. Writes `vectors.safetensors`, a tensor of maps a case, and `vectors.json`: versions, images, scores, and what was
shown about other packages. A map larger than 32 pixels is kept as every seventh pixel, with the range of the whole.
With `--only METHOD...` the other methods' vectors stay as they are.
"""

import argparse
import json
import os
import statistics
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

sys.path.append(str(Path(__file__).parent.parent / "peers"))

import formulas  # noqa: E402
import packages  # noqa: E402
import scores  # noqa: E402
import shown  # noqa: E402
from attribute import max_abs, sum_colors  # noqa: E402
from network import Network  # noqa: E402
from packages import captum, eigen, grad_cam, torch_cam  # noqa: E402

MAPS = {
    "cam.torch_cam": torch_cam("CAM"),
    "grad_cam.torch_cam": torch_cam("GradCAM"),
    "grad_cam.torch_cam.last": torch_cam("GradCAM"),
    "grad_cam.grad_cam": grad_cam("GradCAM"),
    "grad_cam.grad_cam.scaled": packages.scaled_grad_cam,
    "grad_cam_pp.formula": formulas.grad_cam_pp,
    "grad_cam_pp.torch_cam": torch_cam("GradCAMpp"),
    "grad_cam_pp.grad_cam": grad_cam("GradCAMPlusPlus"),
    "grad_cam_pp.tensor_flow.formula": formulas.grad_cam_pp_in_tensor_flow,
    "grad_cam_pp.xplique.formula": formulas.grad_cam_pp_in_xplique,
    "smooth_grad_cam_pp.formula": formulas.smooth_grad_cam_pp,
    "smooth_grad_cam_pp.torch_cam": torch_cam("SmoothGradCAMpp", handed_noise=True),
    "smooth_grad_cam_pp.as_torch_cam": torch_cam("SmoothGradCAMpp", handed_noise=True),
    "score_cam.formula": formulas.score_cam,
    "score_cam.softmax.formula": formulas.channel_softmax,
    "score_cam.softmax.torch_cam": torch_cam("ScoreCAM"),
    "score_cam.softmax.grad_cam": grad_cam("ScoreCAM"),
    "ss_cam.formula": formulas.ss_cam,
    "ss_cam.torch_cam": torch_cam("SSCAM", num_samples=1, std=1e-12),
    "is_cam.formula": formulas.is_cam,
    "is_cam.torch_cam": torch_cam("ISCAM", num_samples=3),
    "layer_cam.torch_cam": torch_cam("LayerCAM"),
    "layer_cam.grad_cam": grad_cam("LayerCAM"),
    "x_grad_cam.torch_cam": torch_cam("XGradCAM"),
    "x_grad_cam.grad_cam": grad_cam("XGradCAM"),
    "hi_res_cam.grad_cam": grad_cam("HiResCAM"),
    "grad_cam_elementwise.grad_cam": grad_cam("GradCAMElementWise"),
    "eigen_cam.formula": formulas.eigen_cam,
    "eigen_cam.grad_cam": eigen("EigenCAM"),
    "eigen_grad_cam.grad_cam": eigen("EigenGradCAM"),
    "ablation_cam.formula": formulas.ablation_cam,
    "ablation_cam.grad_cam": grad_cam("AblationCAM"),
    "ablation_cam.grad_cam.last": grad_cam("AblationCAM"),
    "refine_cam.formula": formulas.refine_cam,
    "refine_cam.layer_cam.formula": formulas.refine_cam,
    "refine_cam.layer_cam.grad_cam": packages.refine_cam_of_grad_cam,
    "refine_cam.layer_cam.torch_cam": packages.refine_cam_of_torch_cam,
    "full_grad.formula": formulas.full_grad,
    "full_grad.layer.formula": formulas.full_grad,
    "full_grad.grad_cam": packages.full_grad,
    "recipro_cam.formula": formulas.recipro_cam,
    "recipro_cam.formula.inner": formulas.recipro_cam,
    "recipro_cam.softmax.formula": formulas.recipro_cam,
    "recipro_cam.gaussian.formula": formulas.recipro_cam,
    "recipro_cam.openvino_xai": packages.openvino,
    "rise.formula": formulas.rise,
    "occlusion.captum": packages.occlusion,
    "saliency.captum": captum("Saliency", max_abs),
    "input_x_gradient.captum": captum("InputXGradient", sum_colors),
    "integrated_gradients.captum": captum("IntegratedGradients", sum_colors, n_steps=10, method="riemann_middle"),
    "integrated_gradients.captum.right": captum("IntegratedGradients", sum_colors, n_steps=10, method="riemann_right"),
    "integrated_gradients.captum.default": captum("IntegratedGradients", sum_colors, n_steps=10),
    "smooth_grad.captum": packages.smooth_grad,
    "lime.lime": packages.lime,
    "kernel_shap.formula": formulas.kernel_shap,
    "kernel_shap.shap": packages.shap(nsamples=2048, l1_reg=0),
    "kernel_shap.shap.default": packages.shap(nsamples=200),
    "partition_shap.shap": packages.partition_shap,
    "extremal_perturbation.formula": formulas.extremal_perturbation,
}
"""The reference of each case that is a map: from the network, the case and what is handed over to the map."""

PACKAGES = ["torch", "torchvision", "torchcam", "grad-cam", "captum", "quantus", "lime", "shap", "openvino", "openvino-xai"]


def main():
    parser = argparse.ArgumentParser()
    for name in ["--cases", "--weights", "--inputs", "--out"]:
        parser.add_argument(name, type=Path, required=True)
    parser.add_argument("--only", nargs="*", default=[])
    args = parser.parse_args()
    torch.manual_seed(0)
    net = Network(args.weights, args.inputs / "random.safetensors")
    images = json.loads((args.inputs / "images.json").read_text())
    inputs = load_file(args.inputs / "images.safetensors")["images"]
    cases = [case for case in json.loads(args.cases.read_text()) if "like" not in case]
    unknown = set(args.only) - {case["of"] for case in cases}
    assert not unknown, f"no case is of {', '.join(sorted(unknown))}"
    versions = {name: version(name) for name in PACKAGES}
    maps, found, rounding, noise, others = {}, {}, {}, {}, None
    if args.only:
        kept = {case["id"] for case in cases if case["of"] not in args.only}
        cases = [case for case in cases if case["of"] in args.only]
        maps = load_file(args.out / "vectors.safetensors")
        maps = {name: values for name, values in maps.items() if name.removesuffix(".range") in kept}
        others = json.loads((args.out / "vectors.json").read_text())
        assert others["versions"] == versions and others["images"] == images, "other packages or images than the others'"
        of_others = [others[part] for part in ("scores", "rounding", "noise")]
        found, rounding, noise = [{name: part[name] for name in part if name in kept} for part in of_others]
    for case in cases:
        print(case["id"], file=sys.stderr, flush=True)
        of_images = []
        for i in range(case["images"]):
            net.look_at(inputs[i : i + 1].contiguous(), images[i]["class"])
            handed = args.inputs / f"{case['id']}.{i}.safetensors"
            if "seeds" in case:
                of_seeds = [one(net, case, handed, seed) for seed in range(case["seeds"])]
                of_images.append(statistics.mean(of_seeds))
                noise[case["id"]] = max(statistics.stdev(of_seeds), noise.get(case["id"], 0))
                continue
            of_images.append(one(net, case, handed))
            if case.get("rounding"):
                single = unit(of_images[-1])
                with net.exact():
                    of_images[-1] = one(net, case, handed)
                off = (unit(of_images[-1]) - single).abs().max().item()
                rounding[case["id"]] = max(off, rounding.get(case["id"], 0))
        if torch.is_tensor(of_images[0]):
            maps |= stored(case["id"], torch.stack(of_images))
        else:
            found[case["id"]] = of_images
    about = {
        "versions": versions,
        "images": images,
        "scores": found,
        "rounding": rounding,
        "noise": noise,
        "shown": others["shown"] if others else everything(net, inputs, images, args.inputs),
    }
    args.out.mkdir(parents=True, exist_ok=True)
    write(args.out / "vectors.safetensors", lambda path: save_file(maps, path))
    write(args.out / "vectors.json", lambda path: path.write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n"))


def everything(net, inputs, images, folder):
    return shown.everything(net, inputs, images, folder / "kernel_shap.shap.default.0.safetensors")


def one(net, case, handed, seed=0):
    """A case of one image: a map `[h, w]`, or a number."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    with open(os.devnull, "w") as nowhere:
        # Progress bars.
        sys.stderr, stderr = nowhere, sys.stderr
        try:
            if case["id"] in MAPS:
                handed = load_file(handed)["images"].contiguous() if "hand" in case else None
                return MAPS[case["id"]](net, case, handed)
            return float(scores.SCORES[case["id"]](net, case, scores.map_of(net, case)))
        finally:
            sys.stderr = stderr


def unit(values):
    values = values.double()
    return (values - values.min()) / (values.max() - values.min())


def stored(name, maps):
    """What is kept of maps `[n, h, w]`."""
    if maps.shape[-1] <= 32:
        return {name: maps.float().contiguous()}
    ranges = torch.stack([maps.amin((1, 2)), maps.amax((1, 2))], 1)
    return {name: maps[:, 3::7, 3::7].float().contiguous(), f"{name}.range": ranges.float().contiguous()}


def write(path, how):
    """Whole or not at all."""
    aside = path.with_suffix(".new")
    how(aside)
    aside.replace(path)


if __name__ == "__main__":
    main()
