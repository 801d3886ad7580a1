"""Writes the ONNX project's own test cases of single nodes: python backend.py FOLDER

A case is a folder with model.onnx and, for every run, data_N/input_M.pb and data_N/output_M.pb. cases.json names the
operators of each, and how close an answer has to be.
"""

import json
import pathlib
import sys
import warnings

import numpy as np
import onnx
from onnx.backend.test.case.node import collect_testcases


def write(path, array, name):
    if isinstance(array, onnx.TensorProto):
        path.write_bytes(array.SerializeToString())
    elif isinstance(array, (np.ndarray, np.generic)):
        path.write_bytes(onnx.numpy_helper.from_array(np.asarray(array), name).SerializeToString())
    else:
        return False
    return True


def main():
    warnings.filterwarnings("ignore")
    folder = pathlib.Path(sys.argv[1])
    cases = []
    for case in collect_testcases(None):
        operators = sorted({node.op_type for node in case.model.graph.node})
        own = folder / case.name
        own.mkdir(parents=True, exist_ok=True)
        (own / "model.onnx").write_bytes(case.model.SerializeToString())
        is_whole = True
        for run, (inputs, outputs) in enumerate(case.data_sets):
            data = own / f"data_{run}"
            data.mkdir(exist_ok=True)
            for kind, arrays in (("input", inputs), ("output", outputs)):
                for index, array in enumerate(arrays):
                    is_whole &= write(data / f"{kind}_{index}.pb", array, f"{kind}_{index}")
        opset = max(entry.version for entry in case.model.opset_import if entry.domain in ("", "ai.onnx")) if any(
            entry.domain in ("", "ai.onnx") for entry in case.model.opset_import
        ) else 0
        cases.append({
            "name": case.name, "operators": operators, "opset": opset, "rtol": case.rtol, "atol": case.atol,
            "tensors_only": is_whole,
        })
    (folder / "cases.json").write_text(json.dumps(cases))
    print(len(cases))


if __name__ == "__main__":
    main()
