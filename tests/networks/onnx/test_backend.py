"""The onnx package's own cases: of each operator the first, and whole nets."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from jdeepvis.networks.onnx.files import read_model
from jdeepvis.networks.onnx.operators.table import OPERATORS

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
import onnx
import onnx_cases
from onnx.backend.test.case import node
from onnx_graphs import compared

# Modules of the package, each with the cases of an operator. All of them take
# a quarter of an hour; docs/onnx.md has their count.
_MODULES = (
  "batch_normalization",
  "clip",
  "concat",
  "conv",
  "depthtospace",
  "einsum",
  "gather",
  "gemm",
  "layernormalization",
  "lrn",
  "matmul",
  "prelu",
  "slice",
  "softmax",
  "squeeze",
  "transpose",
  "where",
)
_MOST = 6
_OUT = ("its values are no arrays of numbers", "nothing is left")
_LIGHT = Path(onnx.__file__).parent / "backend/test/data/light"


def test_there_are_only_known_operators():
  every = {schema.name for schema in onnx.defs.get_all_schemas()}
  assert set(OPERATORS) <= every


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("module", _MODULES)
def test_cases_of_an_operator(module):
  name = f"{node.__name__}.{module}"
  operators = {
    value.__name__
    for value in vars(importlib.import_module(name)).values()
    if isinstance(value, type) and value.__module__ == name
  }
  cases = [
    case
    for case in node._NodeTestCases
    if case.model.graph.node[0].op_type in operators
    and len(case.model.graph.node) == 1
    and "training" not in case.name
  ]
  outcomes = {case.name: onnx_cases.run_case(case) for case in cases[:_MOST]}
  assert outcomes
  wrong = {
    name: outcome.reason
    for name, outcome in outcomes.items()
    if not outcome.passed and not any(x in outcome.reason for x in _OUT)
  }
  assert not wrong


@pytest.mark.slow
def test_a_whole_net_of_theirs():
  model = read_model(_LIGHT / "light_squeezenet.onnx")
  graph, count = compared(model, tolerance=1e-4)
  assert count == 66
  assert np.prod(graph.shape) == 224 * 224 * 3
