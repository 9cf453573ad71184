"""Operators that ONNX itself defines by others, spelled out."""

import logging

from jdeepvis.networks.onnx.operators.table import OPERATORS


def with_known_operators(model, opset: int):
  """The model with operators that are functions of others spelled out."""
  import onnx
  import onnx.inliner
  import onnx.shape_inference

  known = {x.name for x in model.graph.initializer}
  computed = {x.name for x in model.graph.input} - known
  unknown = set()
  for node in model.graph.node:
    # What follows from constants and shapes alone is folded as it is.
    if node.op_type not in ("Shape", "Size") and computed & set(node.input):
      computed |= set(node.output)
      if node.domain in ("", "ai.onnx") and node.op_type not in OPERATORS:
        unknown.add(node.op_type)
  spelled = [("", name) for name in sorted(unknown) if _has_body(name, opset)]
  if not spelled:
    return model
  # What a function does may depend on its inputs' types.
  typed = onnx.ModelProto()
  typed.CopyFrom(model)
  for tensor in model.graph.initializer:
    info = onnx.helper.make_tensor_value_info(
      tensor.name, tensor.data_type, tensor.dims
    )
    typed.graph.value_info.append(info)
  for node in typed.graph.node:
    if ("", node.op_type) in spelled:
      _add_defaults(node, opset)
  for name in spelled:
    try:
      inferred = onnx.shape_inference.infer_shapes(typed)
      typed = onnx.inliner.inline_selected_functions(
        inferred, [name], inline_schema_functions=True
      )
    except Exception as error:  # what cannot be spelled out is left out
      logging.getLogger("jdeepvis").debug("%s: %s", name[1], error)
  return typed


def _has_body(name: str, opset: int) -> bool:
  """Whether an operator is defined by others."""
  import onnx

  try:
    schema = onnx.defs.get_schema(name, opset, "")
  except onnx.defs.SchemaError:
    return False
  return schema.has_function or schema.has_context_dependent_function


def _add_defaults(node, opset: int) -> None:
  """Attributes that are left out, which a function's body may refer to."""
  import onnx

  said = {attribute.name for attribute in node.attribute}
  known = onnx.defs.get_schema(node.op_type, opset, "").attributes
  for name, attribute in known.items():
    if name not in said and attribute.default_value.name:
      node.attribute.append(attribute.default_value)
