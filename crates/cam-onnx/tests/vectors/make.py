"""Makes the vectors beside this file: python3 crates/cam-onnx/tests/vectors/make.py

Needs onnx, onnxruntime and torch; the versions used are in the vectors. Three folders: operators/ has a graph of one
node for every operator, and what ONNX Runtime makes of it; networks/ has classifiers of a few kilobytes, what ONNX
Runtime makes of three images, and PyTorch's gradients; hostile/ has files that must be refused.
"""

import json
import pathlib
import shutil

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

HERE = pathlib.Path(__file__).parent
RANDOM = np.random.default_rng(0)


def floats(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def ints(*values, kind=np.int64):
    return np.array(values, kind)


def described(array):
    if array is None:
        return None
    array = np.asarray(array)
    numbers = [float(f"{x:.8g}") if isinstance(x, float) else x for x in array.flatten().tolist()]
    numbers = ["NaN" if x != x else x for x in numbers]
    return {"shape": list(array.shape), "type": str(array.dtype), "numbers": numbers}


def session(model):
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


class Operators:
    """Graphs of one node."""

    def __init__(self):
        self.folder = fresh("operators")
        self.cases = []

    def add(self, name, operator, inputs, opset=17, n_outputs=1, **attributes):
        names = [None if array is None else f"x{index}" for index, array in enumerate(inputs)]
        outputs = [f"y{index}" for index in range(n_outputs)]
        node = helper.make_node(operator, [name or "" for name in names], outputs, **attributes)
        given = [(n, a) for n, a in zip(names, inputs) if n]
        values = [
            helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(np.asarray(a).dtype), np.asarray(a).shape)
            for n, a in given
        ]
        results = [onnx.ValueInfoProto(name=output) for output in outputs]
        graph = helper.make_graph([node], "one", values, results)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        model = onnx.shape_inference.infer_shapes(model)
        found = session(model).run(outputs, {n: np.asarray(a) for n, a in given})
        (self.folder / f"{name}.onnx").write_bytes(model.SerializeToString())
        self.cases.append({
            "name": name,
            "operator": operator,
            "inputs": [described(array) for _, array in given],
            "outputs": [described(array) for array in found],
        })

    def finish(self):
        lines = ",\n".join(json.dumps(case) for case in self.cases)
        versions = json.dumps({"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__})
        (self.folder / "expected.json").write_text(f'{{"versions": {versions}, "cases": [\n{lines}\n]}}\n')


def operators():
    o = Operators()
    x, y, image = floats(2, 3), floats(2, 3), floats(1, 3, 6, 5)
    for name in "Abs Ceil Cos Erf Exp Floor HardSwish Identity Mish Neg Reciprocal Relu Round Selu Sigmoid Sign Sin Softplus Softsign Tanh".split():
        o.add(name.lower(), name, [x], opset=18)
    o.add("round_half", "Round", [np.array([0.5, 1.5, -0.5, 2.5], np.float32)])
    o.add("log", "Log", [abs(x)])
    o.add("sqrt", "Sqrt", [abs(x)])
    o.add("not", "Not", [x > 0])
    o.add("elu", "Elu", [x], alpha=0.7)
    o.add("celu", "Celu", [x], alpha=0.7)
    o.add("leaky_relu", "LeakyRelu", [x], alpha=0.2)
    o.add("thresholded_relu", "ThresholdedRelu", [x], alpha=0.3)
    o.add("hard_sigmoid", "HardSigmoid", [x], alpha=0.3, beta=0.4)
    o.add("gelu", "Gelu", [x], opset=20)
    o.add("gelu_tanh", "Gelu", [x], opset=20, approximate="tanh")
    o.add("prelu", "PRelu", [image, floats(3, 1, 1)])
    o.add("dropout", "Dropout", [x])
    o.add("dropout_off", "Dropout", [x, np.float32(0.5), np.bool_(False)])
    o.add("clip", "Clip", [x, np.float32(-0.5), np.float32(0.5)])
    o.add("clip_low", "Clip", [x, np.float32(0)])
    o.add("clip_high", "Clip", [x, None, np.float32(0)])
    o.add("clip_old", "Clip", [x], opset=10, min=-0.2, max=0.3)
    for name in "Add Sub Mul Div".split():
        o.add(name.lower(), name, [x, y])
        o.add(f"{name.lower()}_broadcast", name, [x, floats(1, 3)])
    o.add("div_whole", "Div", [ints(7, -7, 9), ints(2, 2, -4)])
    o.add("pow", "Pow", [abs(x), y])
    o.add("pow_whole_exponent", "Pow", [x, ints(2)])
    o.add("mod", "Mod", [ints(7, -7, 9), ints(4, 4, -4)])
    o.add("mod_as_in_c", "Mod", [x, y], fmod=1)
    for name in "Equal Greater GreaterOrEqual Less LessOrEqual".split():
        o.add(name.lower(), name, [ints(1, 2, 3), ints(3, 2, 1)])
    for name in "And Or Xor".split():
        o.add(name.lower(), name, [np.array([True, True, False]), np.array([True, False, False])])
    for name in "Sum Mean Max Min".split():
        o.add(name.lower(), name, [x, y, floats(3)])
    o.add("where", "Where", [np.array([[True, False, True]]), x, y])
    o.add("cast", "Cast", [np.array([1.7, -1.7, 3.0], np.float32)], to=TensorProto.INT64)
    o.add("cast_like", "CastLike", [ints(1, 2), np.float32(0)])

    kernel = floats(4, 3, 3, 2)
    o.add("conv", "Conv", [image, kernel, floats(4)])
    o.add("conv_uneven", "Conv", [image, kernel], pads=[0, 1, 2, 1], strides=[2, 1], dilations=[1, 2])
    o.add("conv_same_upper", "Conv", [image, kernel], auto_pad="SAME_UPPER", strides=[2, 2])
    o.add("conv_same_lower", "Conv", [image, kernel], auto_pad="SAME_LOWER", strides=[2, 2])
    o.add("conv_groups", "Conv", [image, floats(6, 1, 3, 3)], group=3, pads=[1, 1, 1, 1])
    o.add("conv_one_axis", "Conv", [floats(1, 2, 9), floats(3, 2, 4)], pads=[1, 2])
    o.add("max_pool", "MaxPool", [image], kernel_shape=[3, 2], strides=[2, 2], pads=[1, 0, 1, 1])
    o.add("max_pool_ceil", "MaxPool", [image], kernel_shape=[2, 2], strides=[3, 3], ceil_mode=1)
    o.add("max_pool_dilated", "MaxPool", [image], kernel_shape=[2, 2], dilations=[2, 3])
    o.add("average_pool", "AveragePool", [image], kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    o.add("average_pool_with_padding", "AveragePool", [image], kernel_shape=[3, 3], pads=[1, 0, 2, 1], count_include_pad=1)
    o.add("average_pool_uneven", "AveragePool", [image], kernel_shape=[3, 3], pads=[0, 1, 2, 0], strides=[2, 2])
    o.add("average_pool_dilated", "AveragePool", [image], opset=19, kernel_shape=[2, 2], dilations=[2, 2])
    o.add("average_pool_same", "AveragePool", [image], kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER")
    o.add("global_average_pool", "GlobalAveragePool", [image])
    o.add("global_max_pool", "GlobalMaxPool", [image])
    o.add("batch_norm", "BatchNormalization", [image, floats(3), floats(3), floats(3), abs(floats(3)) + 0.1], epsilon=1e-3)
    o.add("instance_norm", "InstanceNormalization", [image, floats(3), floats(3)], epsilon=1e-3)
    o.add("group_norm", "GroupNormalization", [floats(2, 6, 4), floats(6), floats(6)], opset=21, num_groups=3)
    o.add("layer_norm", "LayerNormalization", [x, floats(3), floats(3)])
    o.add("layer_norm_axis", "LayerNormalization", [image, floats(6, 5)], axis=2, epsilon=1e-3)
    o.add("lrn", "LRN", [floats(1, 5, 2, 2)], size=3, alpha=0.1, beta=0.6, bias=1.5)
    o.add("lp_norm", "LpNormalization", [x], axis=1, p=2)
    o.add("softmax", "Softmax", [image], axis=1)
    o.add("softmax_old", "Softmax", [image], opset=11, axis=1)
    o.add("log_softmax", "LogSoftmax", [x])

    o.add("gemm", "Gemm", [floats(2, 3), floats(3, 4), floats(4)])
    o.add("gemm_transposed", "Gemm", [floats(3, 2), floats(4, 3), floats(2, 1)], transA=1, transB=1, alpha=0.5, beta=2.0)
    o.add("mat_mul", "MatMul", [floats(2, 1, 3, 4), floats(5, 4, 2)])
    o.add("mat_mul_vector", "MatMul", [floats(3, 4), floats(4)])
    o.add("einsum", "Einsum", [floats(2, 3, 4), floats(2, 5, 4)], equation="bid,bjd->bij")

    o.add("concat", "Concat", [x, floats(2, 1)], axis=-1)
    o.add("split", "Split", [floats(5, 2), ints(2, 3)], n_outputs=2)
    o.add("split_evenly", "Split", [floats(5, 2)], opset=18, n_outputs=3, num_outputs=3)
    o.add("split_old", "Split", [floats(5, 2)], opset=11, n_outputs=2, split=[1, 4])
    o.add("slice", "Slice", [image, ints(1, -3), ints(100, -1), ints(2, 3), ints(2, 1)])
    o.add("slice_backwards", "Slice", [image, ints(-1), ints(-100), ints(2), ints(-2)])
    o.add("slice_old", "Slice", [image], opset=9, starts=[0, 1], ends=[3, -1], axes=[1, 2])
    o.add("pad", "Pad", [image, ints(0, 0, 1, 2, 0, 0, 0, 1), np.float32(0.5)])
    o.add("pad_crop", "Pad", [image, ints(0, 0, -1, 0, 0, 0, 0, 1)])
    o.add("pad_reflect", "Pad", [image, ints(0, 0, 2, 1, 0, 0, 1, 3)], mode="reflect")
    o.add("pad_edge", "Pad", [image, ints(2, 1, 2, 1), None, ints(2, 3)], opset=18, mode="edge")
    o.add("pad_wrap", "Pad", [image, ints(0, 0, 2, 1, 0, 0, 1, 3)], opset=19, mode="wrap")
    o.add("pad_old", "Pad", [image], opset=10, pads=[0, 0, 1, 1, 0, 0, 1, 1], mode="constant")
    o.add("reshape", "Reshape", [image, ints(0, -1, 5)])
    o.add("flatten", "Flatten", [image], axis=2)
    o.add("transpose", "Transpose", [image], perm=[0, 2, 3, 1])
    o.add("transpose_reversed", "Transpose", [image])
    o.add("squeeze", "Squeeze", [floats(1, 2, 1, 3), ints(-2)])
    o.add("squeeze_all", "Squeeze", [floats(1, 2, 1, 3)])
    o.add("squeeze_old", "Squeeze", [floats(1, 2, 1, 3)], opset=11, axes=[0])
    o.add("unsqueeze", "Unsqueeze", [x, ints(0, -1)])
    o.add("unsqueeze_old", "Unsqueeze", [x], opset=11, axes=[1, 3])
    o.add("gather", "Gather", [image, ints(2, -1, 0)], axis=1)
    o.add("gather_one", "Gather", [image, np.int64(-1)], axis=2)
    o.add("gather_elements", "GatherElements", [x, np.array([[0, 2], [-1, 1]])], axis=1)
    o.add("gather_nd", "GatherND", [x, np.array([[0, 2], [1, -1]])])
    o.add("scatter_nd", "ScatterND", [x, np.array([[1], [0]]), floats(2, 3)])
    o.add("shape", "Shape", [image], start=1, end=-1)
    o.add("size", "Size", [image])
    o.add("constant_of_shape", "ConstantOfShape", [ints(2, 3)], value=numpy_helper.from_array(np.array([4], np.int64)))
    o.add("expand", "Expand", [floats(3, 1), ints(2, 1, 4)])
    o.add("tile", "Tile", [x, ints(2, 1)])
    o.add("range", "Range", [np.float32(1), np.float32(0), np.float32(-0.3)])
    for name in "L1 L2 LogSum LogSumExp Max Mean Min Prod Sum SumSquare".split():
        o.add(f"reduce_{name.lower()}", f"Reduce{name}", [abs(image), ints(1, -1)], opset=18, keepdims=0)
    o.add("reduce_mean_old", "ReduceMean", [image], opset=13, axes=[2, 3])
    o.add("reduce_sum_all", "ReduceSum", [image])
    o.add("reduce_sum_none", "ReduceSum", [image], noop_with_empty_axes=1)
    o.add("arg_max", "ArgMax", [x], axis=1)
    o.add("arg_min_last", "ArgMin", [ints(3, 1, 1)], axis=0, keepdims=0, select_last_index=1)
    o.add("cum_sum", "CumSum", [x, np.int64(1)], exclusive=1, reverse=1)
    o.add("depth_to_space", "DepthToSpace", [floats(1, 8, 2, 3)], blocksize=2)
    o.add("depth_to_space_crd", "DepthToSpace", [floats(1, 8, 2, 3)], blocksize=2, mode="CRD")
    o.add("space_to_depth", "SpaceToDepth", [floats(1, 2, 4, 6)], blocksize=2)
    o.add("trilu", "Trilu", [floats(4, 4), np.int64(1)], upper=0)
    sizes = ints(1, 3, 9, 4)
    o.add("resize_nearest", "Resize", [image, None, None, sizes])
    o.add("resize_floor", "Resize", [image, None, np.array([1, 1, 2, 2], np.float32)], nearest_mode="floor", coordinate_transformation_mode="asymmetric")
    o.add("resize_linear", "Resize", [image, None, None, sizes], mode="linear")
    o.add("resize_linear_corners", "Resize", [image, None, None, sizes], mode="linear", coordinate_transformation_mode="align_corners")
    o.add("resize_cubic", "Resize", [image, None, None, sizes], mode="cubic", coordinate_transformation_mode="pytorch_half_pixel")
    o.finish()


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width),
        )

    def forward(self, x):
        return torch.relu(self.main(x) + x)


class Residual(nn.Module):
    """What ResNets are made of, with a pooled linear head."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 6, 3, 2, 1), nn.BatchNorm2d(6), nn.ReLU6(), nn.MaxPool2d(3, 2, 1))
        self.blocks = nn.Sequential(Block(6), Block(6))
        self.head = nn.Linear(6, 4)

    def forward(self, x):
        x = self.blocks(self.stem(x))
        return self.head(torch.flatten(nn.functional.adaptive_avg_pool2d(x, 1), 1))


class Excited(nn.Module):
    """What EfficientNets and MobileNets are made of: uneven padding, depthwise, SiLU, squeeze and excitation."""

    def __init__(self):
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 8, 3, 2, bias=False), nn.BatchNorm2d(8, eps=1e-3)
        self.depthwise = nn.Conv2d(8, 8, 5, 1, 2, groups=8)
        self.reduce, self.expand = nn.Conv2d(8, 2, 1), nn.Conv2d(2, 8, 1)
        self.project = nn.Conv2d(8, 12, 1)
        self.head = nn.Linear(12, 4)

    def forward(self, x):
        silu = nn.functional.silu
        x = silu(self.norm(self.stem(nn.functional.pad(x, (0, 1, 0, 1)))))
        x = silu(self.depthwise(x))
        x = x * torch.sigmoid(self.expand(silu(self.reduce(x.mean((2, 3), keepdim=True)))))
        x = nn.functional.hardswish(self.project(x))
        return self.head(nn.functional.dropout(x.mean((2, 3)), 0.2, self.training))


class Tokens(nn.Module):
    """What vision transformers are made of: a token that is no place, attention, layer normalization."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 8, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, 8))
        self.places = nn.Parameter(torch.randn(1, 17, 8))
        self.norm, self.qkv, self.out = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 8)
        self.mlp = nn.Sequential(nn.LayerNorm(8), nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
        self.last, self.head = nn.LayerNorm(8), nn.Linear(8, 4)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        return self.head(self.last(self.blocks(x))[:, 0])

    def blocks(self, x):
        n, tokens, width = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(n, tokens, 3, 2, width // 2).permute(2, 0, 3, 1, 4).unbind(0)
        attention = ((q @ k.transpose(-2, -1)) * (width // 2) ** -0.5).softmax(-1)
        x = x + self.out((attention @ v).transpose(1, 2).reshape(n, tokens, width))
        return x + self.mlp(x)


class Registers(Tokens):
    """Two more tokens that are no place, and two blocks, of the same weights."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.randn(1, 3, 8))
        self.places = nn.Parameter(torch.randn(1, 19, 8))

    def blocks(self, x):
        return super().blocks(super().blocks(x))


class Windows(nn.Module):
    """Attention within windows of a map with channels last, which is averaged at the end."""

    def __init__(self):
        super().__init__()
        self.patches, self.first = nn.Conv2d(3, 8, 4, 4), nn.LayerNorm(8)
        self.norm, self.qkv, self.out = nn.LayerNorm(8), nn.Linear(8, 24), nn.Linear(8, 8)
        self.last, self.head = nn.LayerNorm(8), nn.Linear(8, 4)

    def forward(self, x):
        x = self.first(self.patches(x).permute(0, 2, 3, 1))
        n, height, width, channels = x.shape
        windows = self.norm(x).reshape(n, height // 2, 2, width // 2, 2, channels).permute(0, 1, 3, 2, 4, 5)
        q, k, v = self.qkv(windows.reshape(-1, 4, channels)).chunk(3, -1)
        windows = self.out(((q @ k.transpose(-2, -1)) * channels ** -0.5).softmax(-1) @ v)
        windows = windows.reshape(n, height // 2, width // 2, 2, 2, channels).permute(0, 1, 3, 2, 4, 5)
        x = x + windows.reshape(n, height, width, channels)
        return self.head(self.last(x).mean((1, 2)))


class Mixed(nn.Module):
    """Its images meet each other, so they cannot be run together."""

    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 6, 4, 4), nn.Linear(6, 4)

    def forward(self, x):
        x = self.stem(x)
        x = x - x.reshape(6, 16).mean(0).reshape(1, 1, 4, 4)
        return self.head(x.mean((2, 3)))


class Positional(nn.Module):
    """Sums of what one convolution makes of a tensor and that tensor, before and behind the activation."""

    def __init__(self):
        super().__init__()
        self.stem, self.head = nn.Conv2d(3, 6, 3, 4, 1), nn.Linear(6, 4)
        self.position, self.mix = nn.Conv2d(6, 6, 3, padding=1, groups=6), nn.Conv2d(6, 6, 1)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = self.position(x) + x
        x = torch.relu(self.mix(x)) + x
        x = nn.functional.relu6(torch.relu(self.mix(x))) * 2
        return self.head(x.mean((2, 3)))


def networks():
    folder = fresh("networks")
    torch.manual_seed(0)
    same = torch.randn(3, 3, 16, 16)
    entries = []

    def add(name, module, opset=17, one=False, **how):
        module.eval()
        for norm in module.modules():
            if isinstance(norm, nn.BatchNorm2d):
                norm.running_mean.normal_(0, 0.3), norm.running_var.uniform_(0.5, 1.5)
                norm.weight.data.uniform_(0.5, 1.5), norm.bias.data.normal_(0, 0.3)
        images = same.clone()
        path = folder / f"{name}.onnx"
        axes = None if one else {"images": {0: "batch"}}
        example = images[:1] if one else images[:2]
        exported = nn.Sequential(module, nn.Softmax(1)).eval() if how.get("softmax") else module
        torch.onnx.export(
            exported, (example,), str(path), input_names=["images"], output_names=["scores"], opset_version=opset,
            dynamic_axes=axes, dynamo=False, do_constant_folding=how.get("fold", True),
            training=torch.onnx.TrainingMode.PRESERVE if how.get("unfused") else torch.onnx.TrainingMode.EVAL,
        )
        model = onnx.load(path)
        if how.get("half"):
            halve(model.graph)
        if how.get("channels_last"):
            channels_last(model.graph)
        if how.get("external"):
            onnx.save(model, path, save_as_external_data=True, location=f"{name}.data", size_threshold=64)
        else:
            onnx.save(model, path)
        if one:
            logits = torch.cat([module(image[None]) for image in images])
        else:
            logits = module(images)
        images.requires_grad_(True)
        batches = [image[None] for image in images] if one else [images]
        sum(module(batch)[:, 1].sum() for batch in batches).backward()
        entries.append({
            "name": name,
            "logits": described(logits.detach().numpy()),
            "gradient": described(images.grad.numpy()),
            "tolerance": 2e-3 if how.get("half") else 1e-5,
        })

    add("residual", Residual())
    add("residual_unfused", Residual(), unfused=True)
    add("residual_opset11", Residual(), opset=11)
    add("residual_softmax", Residual(), softmax=True)
    add("residual_half", Residual(), half=True)
    add("residual_external", Residual(), external=True)
    add("residual_channels_last", Residual(), channels_last=True)
    add("excited", Excited())
    add("excited_one", Excited(), one=True)
    add("tokens", Tokens())
    add("tokens_opset14", Tokens(), opset=14)
    add("tokens_one", Tokens(), one=True)
    add("mixed", Mixed(), one=True)
    add("registers", Registers())
    add("windows", Windows())
    add("positional", Positional())
    lines = ",\n".join(json.dumps(entry) for entry in entries)
    versions = json.dumps({"onnx": onnx.__version__, "torch": torch.__version__})
    (folder / "expected.json").write_text(f'{{"versions": {versions}, "images": {json.dumps(described(same.numpy()))}, "networks": [\n{lines}\n]}}\n')


def halve(graph):
    """Keeps weights in half precision, with casts behind them."""
    for tensor in list(graph.initializer):
        if tensor.data_type == TensorProto.FLOAT:
            values, name = numpy_helper.to_array(tensor).astype(np.float16), tensor.name
            tensor.CopyFrom(numpy_helper.from_array(values, name + ".half"))
            graph.node.insert(0, helper.make_node("Cast", [name + ".half"], [name], to=TensorProto.FLOAT))


def channels_last(graph):
    """Takes images as TensorFlow does."""
    first = graph.input[0]
    graph.node.insert(0, helper.make_node("Transpose", ["pixels"], [first.name], perm=[0, 3, 1, 2]))
    graph.input[0].CopyFrom(helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 16, 16, 3]))


def hostile():
    folder = fresh("hostile")
    floats_of = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    def write(name, nodes, weights=(), image=(1, 3, 8, 8), opset=17, change=None):
        graph = helper.make_graph(nodes, name, [floats_of("images", image)], [floats_of("scores", None)], list(weights))
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
        if change:
            change(model)
        (folder / f"{name}.onnx").write_bytes(model.SerializeToString())

    def weight(name, array):
        return numpy_helper.from_array(np.asarray(array), name)

    node = helper.make_node
    pool, flat = node("GlobalAveragePool", ["x"], ["p"]), node("Flatten", ["p"], ["scores"])
    write("cycle", [node("Add", ["images", "b"], ["a"]), node("Relu", ["a"], ["b"]), node("Flatten", ["b"], ["scores"])])
    write("itself", [node("Add", ["images", "x"], ["x"]), pool, flat])
    write("missing_input", [node("Relu", ["nothing"], ["x"]), pool, flat])
    write("missing_output", [node("Relu", ["images"], ["x"])])
    write("no_output", [node("Relu", ["images"], ["x"]), pool, flat], change=lambda model: model.graph.ClearField("output"))
    write("made_twice", [node("Relu", ["images"], ["x"]), node("Abs", ["images"], ["x"]), pool, flat])
    write("unknown_operator", [node("Frobnicate", ["images"], ["x"], name="strange"), pool, flat])
    write("unknown_domain", [node("Relu", ["images"], ["x"], domain="com.example"), pool, flat])
    write("unknown_attribute", [node("Relu", ["images"], ["x"], wrong=1), pool, flat])
    write("wrong_attribute_type", [node("MaxPool", ["images"], ["x"], kernel_shape="big"), pool, flat])
    write("huge_stride", [node("MaxPool", ["images"], ["x"], kernel_shape=[2, 2], strides=[2**62, 0]), pool, flat])
    write("zero_groups", [node("Conv", ["images", "w"], ["x"], group=0), pool, flat], [weight("w", floats(3, 3, 1, 1))])
    write("wrong_weights", [node("Conv", ["images", "w"], ["x"]), pool, flat], [weight("w", floats(3, 4, 1, 1))])
    write("flat_weights", [node("Conv", ["images", "w"], ["x"]), pool, flat], [weight("w", floats(3))])
    write("huge_pad", [node("Pad", ["images", "pads"], ["x"]), pool, flat], [weight("pads", ints(0, 0, 2**60, 0, 0, 0, 2**60, 0))])
    write("huge_fill", [node("ConstantOfShape", ["n"], ["c"]), node("Add", ["images", "c"], ["x"]), pool, flat], [weight("n", ints(2**31, 2**31))])
    write("large_fill", [node("ConstantOfShape", ["n"], ["c"]), node("Add", ["images", "c"], ["x"]), pool, flat], [weight("n", ints(1, 3, 50_000, 50_000))])
    write("negative_fill", [node("ConstantOfShape", ["n"], ["c"]), node("Add", ["images", "c"], ["x"]), pool, flat], [weight("n", ints(-5))])
    write("huge_expand", [node("Expand", ["images", "n"], ["x"]), pool, flat], [weight("n", ints(2**40, 3, 8, 8))])
    write("huge_tile", [node("Tile", ["images", "n"], ["x"]), pool, flat], [weight("n", ints(1, 2**40, 1, 1))])
    write("huge_range", [node("Range", ["a", "b", "a"], ["r"]), node("Add", ["images", "r"], ["x"]), pool, flat], [weight("a", np.int64(1)), weight("b", np.int64(2**60))])
    write("endless_range", [node("Range", ["a", "b", "a"], ["r"]), node("Add", ["images", "r"], ["x"]), pool, flat], [weight("a", np.int64(0)), weight("b", np.int64(9))])
    write("outer_product", [node("MatMul", ["a", "b"], ["c"]), node("Add", ["images", "c"], ["x"]), pool, flat], [weight("a", floats(20_000, 1)), weight("b", floats(1, 20_000))])
    write("huge_resize", [node("Resize", ["images", "", "s"], ["x"]), pool, flat], [weight("s", np.array([1, 1, 1e9, 1e9], np.float32))])
    write("strange_scales", [node("Resize", ["images", "", "s"], ["x"]), pool, flat], [weight("s", np.array([1, 1, np.nan, -1], np.float32))])
    write("huge_image", [node("Relu", ["images"], ["x"]), pool, flat], image=(1, 3, 2**40, 2**40))
    write("gray", [node("Relu", ["images"], ["x"]), pool, flat], image=(1, 1, 8, 8))
    write("two_dimensions", [node("Relu", ["images"], ["scores"])], image=(1, 3))
    write("no_classes", [node("Relu", ["images"], ["scores"])])
    write("constant_output", [node("Constant", [], ["scores"], value=weight("v", floats(1, 4)))])
    write("far_index", [node("Gather", ["images", "i"], ["x"], axis=1), pool, flat], [weight("i", ints(0, 7))])
    write("old_opset", [node("Relu", ["images"], ["x"]), pool, flat], opset=3)
    write("future_opset", [node("Relu", ["images"], ["x"]), pool, flat], opset=999)
    write("no_opset", [node("Relu", ["images"], ["x"]), pool, flat], change=lambda model: model.ClearField("opset_import"))
    write("no_graph", [], change=lambda model: model.ClearField("graph"))
    add = [node("Add", ["images", "w"], ["x"]), pool, flat]

    def claim(shape, kind=TensorProto.FLOAT, **data):
        tensor = TensorProto(name="w", dims=shape, data_type=kind, **data)
        return [tensor]

    write("claims_two_gigabytes", add, claim([512, 1024, 1024], raw_data=b"1234"))
    write("overflowing_shape", add, claim([2**40, 2**40], raw_data=b"1234"))
    write("negative_shape", add, claim([-1, 4], raw_data=b"1234"))
    write("broken_number", add, claim([1], raw_data=b"12345"))
    write("unknown_type", add, claim([1], kind=99, raw_data=b"1234"))
    write("text_weights", add, claim([1], kind=TensorProto.STRING, string_data=[b"text"]))

    def outside(location, **entries):
        tensor = TensorProto(name="w", dims=[1], data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
        for key, value in {"location": location, **entries}.items():
            tensor.external_data.add(key=key, value=value)
        return [tensor]

    write("climbs_out", add, outside("../networks/expected.json"))
    write("absolute_path", add, outside("/etc/hostname"))
    write("hides_climbing", add, outside("a/../../networks/expected.json"))
    write("no_such_data", add, outside("nothing.data"))
    write("folder_as_data", add, outside("."))
    write("far_offset", add, outside("cycle.onnx", offset=str(2**63)))
    write("wrong_length", add, outside("cycle.onnx", length=str(2**31)))
    deep = b""
    for _ in range(5000):
        deep = b"\x32" + varint(len(deep)) + deep  # attributes that hold graphs that hold nodes that hold attributes
    (folder / "deep.onnx").write_bytes(b"\x3a" + varint(len(deep)) + deep)
    (folder / "long_field.onnx").write_bytes(b"\x08\x08\x3a" + varint(2**31) + b"\x0a\x00")
    (folder / "empty.onnx").write_bytes(b"")
    (folder / "text.onnx").write_bytes(b"This is no network.\n" * 10)


def varint(number):
    digits = []
    while number >= 128:
        digits.append(number % 128 + 128)
        number //= 128
    return bytes([*digits, number])


def fresh(name):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


if __name__ == "__main__":
    operators()
    networks()
    hostile()
