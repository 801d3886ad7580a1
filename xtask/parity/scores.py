"""The reference of each case that is a score, of a map that is made here too."""

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


SCORES = {
    "drop.formula": formulas.drop,
    "increase.formula": formulas.increase,
    "complexity.formula": formulas.complexity,
    "coherency.formula": coherency,
    "adcc.formula": adcc,
    "deletion.formula": formulas.deletion,
    "insertion.formula": formulas.insertion,
    "deletion.authors": authors("deletion"),
    "insertion.authors": authors("insertion"),
}
