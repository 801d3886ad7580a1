"""Recipro-CAM by OpenVINO-XAI: its branch inserted into the graph, run by OpenVINO on the processor in single precision."""

import openvino as ov
import openvino_xai as xai
import torch

import explain


class ReciproCam:
    """One inference gives the maps of all classes; the one that is asked for is upsampled."""

    def __init__(self, network):
        self.network = network
        image = network.image.cpu()
        self.image = image.numpy()
        self.size = tuple(image.shape[-2:])
        original = network.model.original
        model = ov.convert_model(original.cpu(), example_input=image, input=[1, 3, *self.size])
        model = xai.insert_xai(model, xai.Task.CLASSIFICATION, explain_method=xai.Method.RECIPROCAM)
        options = {
            "INFERENCE_NUM_THREADS": network.settings.threads,
            "INFERENCE_PRECISION_HINT": "f32",
            "PERFORMANCE_HINT": "LATENCY",
        }
        self.model = ov.Core().compile_model(model, "CPU", options)

    def __call__(self):
        maps = self.model(self.image)["saliency_map"]
        values = torch.from_numpy(maps[0, self.network.target]).float() / 255
        return explain.check(explain.upsampled(values, self.size))
