"""Stores and computes a network in fp16, as it would be deployed: weights and activations, inputs and outputs left in f32.

    python halve.py NETWORK.onnx OUT.onnx

What ONNX Runtime's own converter does, the hook's operators among them.
"""

import sys

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16

network, out = sys.argv[1:]
onnx.save(convert_float_to_float16(onnx.load(network), keep_io_types=True), out)
