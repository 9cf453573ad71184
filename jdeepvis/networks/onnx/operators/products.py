"""Products: with weights, and of blobs with one another."""

import math
import string

import numpy as np

from jdeepvis.networks.layers.layer_type import CannotRunError
from jdeepvis.networks.onnx.builder import Builder, Results, float_array
from jdeepvis.networks.onnx.nodes import Node
from jdeepvis.networks.onnx.operators.inputs import Inputs, number
from jdeepvis.networks.onnx.operators.pointwise import combined
from jdeepvis.networks.onnx.views import View, plain_axes, view_of

_BATCH = "Z"
_LETTERS = [x for x in string.ascii_letters if x != _BATCH]


def matmul(build: Builder, node: Node, inputs: Inputs) -> Results:
  """With weights behind, a layer of them, else a product of two blobs."""
  left, right = inputs
  if isinstance(left, View) and isinstance(right, np.ndarray):
    matrix = right.reshape(right.shape[-2:]) if _is_matrix(right) else None
    if matrix is not None and len(left.axes) > 1:
      bias, name = None, node.name
      rank = max(len(left.axes), right.ndim)
      found = build.bias_behind(node, matrix.shape[1], rank - 1, rank)
      if found:
        add, bias = found
        name = add.name
      left = left._replace(axes=((),) * (rank - len(left.axes)) + left.axes)
      made = dense(build, name, left, matrix, bias)
      if found:
        build.values[add.outputs[0]] = made
        return [None]
      return [made]
  left, right = (build.view(value, node.name) for value in inputs)
  return [_batched(build, node.name, left, right)]


def gemm(build: Builder, node: Node, inputs: Inputs) -> Results:
  """`alpha A B + beta C`."""
  left, right, more = (*inputs, None, None)[:3]
  alpha, beta = node.get("alpha", 1.0), node.get("beta", 1.0)
  if isinstance(left, View) and node.get("transA", 0):
    left = left._replace(axes=left.axes[::-1])
  elif node.get("transA", 0):
    left = left.T
  if node.get("transB", 0):
    right = (
      right._replace(axes=right.axes[::-1])
      if isinstance(right, View)
      else right.T
    )
  if isinstance(left, View) and isinstance(right, np.ndarray):
    matrix = float_array(right) * np.float32(alpha)
    bias = None
    features = matrix.shape[1]
    if isinstance(more, np.ndarray) and (
      more.size == 1 or (more.size,) == more.shape[-1:] == (features,)
    ):
      bias = float_array(more).reshape(-1) * np.float32(beta)
      bias, more = np.broadcast_to(bias, features), None
    name = node.name if more is None else f"{node.name}/product"
    made = dense(build, name, left, matrix, bias)
  else:
    left, right = build.view(left, node.name), build.view(right, node.name)
    name = node.name if more is None else f"{node.name}/product"
    made = _batched(build, name, left, right)
    if alpha != 1:
      made = combined(
        build, node, "multiply", [made, number(alpha)], "f", "alpha"
      )
  if more is None:
    return [made]
  if beta != 1:
    more = (
      combined(build, node, "multiply", [more, number(beta)], "f", "beta")
      if isinstance(more, View)
      else float_array(more) * np.float32(beta)
    )
  return [combined(build, node, "add", [made, more], "f")]


def dense(
  build: Builder,
  name: str,
  view: View,
  matrix: np.ndarray,
  bias: np.ndarray | None,
) -> View:
  """The last axis times a matrix `[inputs, outputs]`.

  Of a vector the rows of the matrix are put in the order of the blob, whatever
  map it was flattened from.
  """
  matrix = float_array(matrix)
  size, features = matrix.shape
  if view.shape[-1] != size:
    raise ValueError(
      f"it multiplies {view.shape[-1]} values by a matrix of {size} rows"
    )
  options = {"features": features}
  weights = {} if bias is None else {"bias": bias}
  if bias is None:
    options["bias"] = False
  last = view.axes[-1]
  if not any(view.axes[:-1]):
    extents = [view.atoms[i] for i in last]
    rows = matrix.reshape(*extents, features)
    order = sorted(range(len(last)), key=lambda place: last[place])
    rows = rows.transpose(*order, len(last)).reshape(size, features)
    weights["kernel"] = rows
    (made,) = build.emit(name, "inner_product", [view.blob], options, weights)
    axes = [*(None for _ in view.axes[:-1]), 0]
    return view_of(made, (features,), axes, name)
  if last:
    view = build.with_last(view, [len(view.axes) - 1])
  else:
    others = tuple(axis for axis in view.axes if axis)
    dims = tuple(math.prod(view.atoms[i] for i in axis) for axis in others)
    view = build.placed(view, others, (*dims, 1))
  weights["kernel"] = matrix
  (made,) = build.emit(name, "dense", [view.blob], options, weights)
  last = view.axes[-1]
  kept = [i for i in range(len(view.atoms)) if i not in last]
  # What was of extent 1 at the end is what the features take the place of.
  if not last:
    kept = [i for i in kept if view.atoms[i] > 1]
  places = {atom: place for place, atom in enumerate(kept)}
  axes = tuple(tuple(places[i] for i in axis) for axis in view.axes[:-1])
  return View(
    made,
    build.stored(made),
    (*(view.atoms[i] for i in kept), features),
    (*axes, (len(kept),) if features > 1 else ()),
    name,
  )


def einsum(build: Builder, node: Node, inputs: Inputs) -> Results:
  """Any sum of products that letters say."""
  text = node.get("equation", "").replace(" ", "")
  terms, arrow, made = text.partition("->")
  terms = terms.split(",")
  views = [build.view(value, node.name) for value in inputs]
  if len(terms) != len(views):
    raise ValueError(f"its equation {text!r} is not one of {len(views)} inputs")
  free = iter(x for x in _LETTERS if x not in text)
  count = [
    len(view.axes) - len(term.replace("...", ""))
    for term, view in zip(terms, views, strict=True)
    if "..." in term
  ]
  dots = [next(free) for _ in range(max(count, default=0))]
  spelled = []
  for term, view in zip(terms, views, strict=True):
    own = len(view.axes) - len(term.replace("...", ""))
    spelled.append(
      list(term.split("...")[0])
      + (dots[len(dots) - own :] if "..." in term else [])
      + list(term.split("...")[1] if "..." in term else "")
    )
  if arrow:
    before, middle, after = made.partition("...")
    letters = [*before, *(dots if middle else []), *after]
  else:
    every = [x for term in spelled for x in term if x not in dots]
    letters = dots + sorted(x for x in set(every) if every.count(x) == 1)
  return [contracted(build, node.name, views, spelled, letters)]


def contracted(
  build: Builder,
  name: str,
  views: list[View],
  terms: list[list[str]],
  made: list[str],
) -> View:
  """The Einstein sum of blobs, a letter for each ONNX axis."""
  blobs, spelled = [], []
  extents: dict[str, int] = {}
  spare = iter(
    x for x in reversed(_LETTERS) if x not in "".join(map("".join, terms))
  )
  for view, term in zip(views, terms, strict=True):
    view = build.settled(view)
    axes = plain_axes(view)
    if len(axes) != len(term):
      raise ValueError(f"it has {len(term)} letters for {len(axes)} axes")
    by_place = dict(zip(axes, term, strict=True))
    # An axis of 1 is nobody's letter: it broadcasts, and is summed away.
    letters = [
      by_place[place] if place in by_place else next(spare)
      for place in range(len(view.stored))
    ]
    for letter, extent in zip(term, view.shape, strict=True):
      extents[letter] = max(extent, extents.get(letter, 1))
    blobs.append(view.blob)
    spelled.append("".join(letters))
  kept = [x for x in made if extents.get(x, 0) > 1]
  one = next(spare) if not kept else ""
  if one:
    # A number an image is a vector of one here.
    spelled[0] += one
    view = views[0]
    stored = build.stored(blobs[0])
    (blobs[0],) = build.emit(
      f"{name}/of_one",
      "rearrange",
      [blobs[0]],
      {
        "atoms": stored,
        "order": tuple(range(len(stored))),
        "dims": (*stored, 1),
      },
    )
  subscripts = f"{','.join(spelled)}->{''.join(kept) or one}"
  options = {"subscripts": subscripts}
  (blob,) = build.emit(name, "einsum", blobs, options)
  axes = [kept.index(x) if x in kept else None for x in made]
  return view_of(blob, build.stored(blob), axes, name)


def _batched(build: Builder, name: str, left: View, right: View) -> View:
  """NumPy's matmul of two blobs."""
  rank = max(len(left.axes), len(right.axes), 2)
  batch = _LETTERS[: rank - 2]
  row, inner, column = _LETTERS[rank : rank + 3]
  terms = []
  for view, matrix in ((left, [row, inner]), (right, [inner, column])):
    if len(view.axes) == 1:
      terms.append([inner])
    else:
      own = len(view.axes) - 2
      terms.append([*batch[len(batch) - own :], *matrix])
  made = list(batch)
  made += [row] if len(left.axes) > 1 else []
  made += [column] if len(right.axes) > 1 else []
  inner_sizes = left.shape[-1], right.shape[-2 if len(right.axes) > 1 else -1]
  if inner_sizes[0] != inner_sizes[1]:
    raise ValueError(
      f"it multiplies axes of {inner_sizes[0]} and {inner_sizes[1]}"
    )
  return contracted(build, name, [left, right], terms, made)


def _is_matrix(array: np.ndarray) -> bool:
  return array.ndim >= 2 and math.prod(array.shape[:-2]) == 1


def integer_matmul(build: Builder, node: Node, inputs: Inputs) -> Results:
  """MatMulInteger: the product of whole numbers minus their zeros."""
  left, right = inputs[:2]
  zeros = [*inputs[2:], None, None][:2]
  moved = []
  for value, zero, part in (
    (left, zeros[0], "left"),
    (right, zeros[1], "right"),
  ):
    if zero is not None and isinstance(value, View):
      value = combined(build, node, "subtract", [value, zero], "i", part)
    elif zero is not None:
      if isinstance(zero, View):
        raise CannotRunError("its zero is computed from the images")
      value = float_array(value) - float_array(zero)
    moved.append(value)
  return matmul(build, node, moved)
