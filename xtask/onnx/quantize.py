"""Quantizes a network to int8, as it would be deployed: weights by channel, activations by the range that photographs make.

    python quantize.py NETWORK.onnx PHOTOGRAPHS SIDE RESIZE MEAN STD OUT.onnx

Every operator that ONNX Runtime quantizes by default is, the hook's among them.
"""

import pathlib
import sys

import numpy as np
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from PIL import Image


class Photographs(CalibrationDataReader):
    def __init__(self, folder, name, side, resize, mean, std):
        self.name = name
        self.images = iter(
            [
                ((np.asarray(framed(path, side, resize), np.float32) / 255 - mean) / std).transpose(2, 0, 1)[None]
                for path in sorted(folder.iterdir())
                if path.suffix.lower() in (".jpg", ".jpeg", ".png")
            ]
        )

    def get_next(self):
        image = next(self.images, None)
        return None if image is None else {self.name: image.astype(np.float32)}


def framed(path, side, resize):
    """The shorter side resized, the center cut out."""
    image = Image.open(path).convert("RGB")
    scale = resize / min(image.size)
    width, height = (round(length * scale) for length in image.size)
    left, top = (width - side) // 2, (height - side) // 2
    return image.resize((width, height), Image.Resampling.BICUBIC).crop((left, top, left + side, top + side))


def main():
    network, folder, side, resize, mean, std, out = sys.argv[1:]
    import onnx

    name = onnx.load(network, load_external_data=False).graph.input[0].name
    reader = Photographs(pathlib.Path(folder), name, int(side), int(resize), float(mean), float(std))
    quantize_static(
        network,
        out,
        reader,
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )


main()
