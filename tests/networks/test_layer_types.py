"""Every kind of layer against NumPy in Caffe's order of axes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from jax.test_util import check_grads

from jdeepvis.networks import caffe_axes
from jdeepvis.networks.layer_types import LAYER_TYPES
from jdeepvis.networks.layers.layer_type import LayerType
from jdeepvis.networks.network import LayerInfo
from jdeepvis.types import JdeepvisError

_RANDOM = np.random.default_rng(0)
_MAP = np.float32(_RANDOM.normal(size=(2, 6, 5, 4)))
_VECTOR = np.float32(_RANDOM.normal(size=(2, 6)))
_OTHER = np.float32(_RANDOM.normal(size=(2, 6, 5, 4)))
_CHANNELS = np.float32(_RANDOM.normal(size=6))


def _run(kind, *inputs, weights=None, outputs=1, relu=jax.nn.relu, **fields):
  """One layer on arrays in Caffe's order; the answer is in that order too."""
  windows = ("kernel", "stride", "pad", "dilation")
  info = {name: fields.pop(name) for name in windows if name in fields}
  names = tuple(f"in{i}" for i in range(len(inputs)))
  made = tuple(f"out{i}" for i in range(outputs))
  options = tuple(sorted(fields.items()))
  layer = LayerInfo("x", kind, names, made, options=options, **info)
  inputs = tuple(caffe_axes.from_caffe(jnp.asarray(x)) for x in inputs)
  found = LAYER_TYPES[kind].apply(layer, weights or {}, inputs, relu)
  if isinstance(found, tuple):
    return [np.asarray(caffe_axes.to_caffe(x)) for x in found]
  return np.asarray(caffe_axes.to_caffe(found))


def _column(values):
  return values[None, :, None, None]


_POINTWISE = {
  "relu": ({}, lambda x: np.maximum(x, 0)),
  "relu slope": ({"slope": 0.2}, lambda x: np.where(x > 0, x, 0.2 * x)),
  "elu": ({"alpha": 0.7}, lambda x: np.where(x > 0, x, 0.7 * np.expm1(x))),
  "sigmoid": ({}, scipy.special.expit),
  "tanh": ({}, np.tanh),
  "abs": ({}, np.abs),
  "bnll": ({}, lambda x: np.log1p(np.exp(x))),
  "power": (
    {"power": 2.0, "scale": 0.5, "shift": -1.0},
    lambda x: (0.5 * x - 1) ** 2,
  ),
  "power root": (
    {"power": 0.5, "scale": 0.1, "shift": 1.0},
    lambda x: np.sqrt(0.1 * x + 1),
  ),
  "exp": (
    {"base": 2.0, "scale": 3.0, "shift": 1.0},
    lambda x: 2 ** (3 * x + 1),
  ),
  "exp natural": ({"scale": 0.5}, lambda x: np.exp(0.5 * x)),
  "log": (
    {"base": 10.0, "scale": 0.1, "shift": 2.0},
    lambda x: np.log10(0.1 * x + 2),
  ),
  "pixels": ({"scale": 0.5, "reverse": True}, lambda x: 0.5 * x[:, ::-1]),
  "gelu": ({}, lambda x: x * scipy.special.ndtr(np.float64(x))),
  "hard_sigmoid": (
    {"slope": 0.3, "shift": 0.4},
    lambda x: np.clip(0.3 * x + 0.4, 0, 1),
  ),
  "hard_swish": ({}, lambda x: x * np.clip(x + 3, 0, 6) / 6),
  "selu": (
    {"alpha": 1.6, "scale": 1.1},
    lambda x: 1.1 * np.where(x > 0, x, 1.6 * np.expm1(x)),
  ),
  "celu": ({"alpha": 0.5}, lambda x: np.where(x > 0, x, np.expm1(2 * x) / 2)),
  "softsign": ({}, lambda x: x / (1 + np.abs(x))),
  "shrink": (
    {"edge": 0.5, "bias": 0.2},
    lambda x: np.sign(x) * (np.abs(x) - 0.2) * (np.abs(x) > 0.5),
  ),
  "thresholded_relu": ({"threshold": 0.3}, lambda x: x * (x > 0.3)),
  "arithmetic": (
    {"operation": "subtract", "operands": (-2, -1), "numbers": (3.0,)},
    lambda x: 3 - x,
  ),
  "arithmetic root": ({"operation": "erf"}, scipy.special.erf),
}


@pytest.mark.parametrize("case", _POINTWISE)
@pytest.mark.parametrize("x", [_MAP, _VECTOR], ids=["map", "vector"])
def test_pointwise(case, x):
  options, expected = _POINTWISE[case]
  found = _run(case.split()[0], x, **options)
  np.testing.assert_allclose(found, expected(x), rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
  "case", ["elu", "sigmoid", "tanh", "bnll", "power", "power root", "log"]
)
def test_pointwise_gradient(case):
  options, expected = _POINTWISE[case]
  x, step = np.float64(_MAP), 1e-6
  slope = (expected(x + step) - expected(x - step)) / (2 * step)
  layer = LayerInfo(
    "x", case.split()[0], ("a",), ("b",), options=tuple(sorted(options.items()))
  )
  apply = LAYER_TYPES[layer.kind].apply
  found = jax.grad(lambda x: apply(layer, {}, (x,), jax.nn.relu).sum())(_MAP)
  np.testing.assert_allclose(found, slope, rtol=1e-4, atol=1e-5)


def test_a_rule_of_the_callers_replaces_the_slope():
  found = _run("relu", _MAP, slope=0.2, relu=lambda x: x * 3)
  np.testing.assert_allclose(found, _MAP * 3)


def test_square_has_gradient_at_zero_and_below():
  layer = LayerInfo("x", "power", ("a",), ("b",), options=(("power", 2.0),))
  apply = LAYER_TYPES["power"].apply
  x = jnp.array([[-2.0, 0.0, 3.0]])
  found = jax.grad(lambda x: apply(layer, {}, (x,), None).sum())(x)
  np.testing.assert_allclose(found, 2 * x)


def test_rounding_passes_its_derivative_on():
  options = {"operands": (-1, -2, -2, -2, -2), "operation": "quantize"}
  options["numbers"] = (0.5, 3.0, 0.0, 5.0)
  layer = LayerInfo(
    "x", "arithmetic", ("a",), ("b",), options=tuple(sorted(options.items()))
  )
  apply = LAYER_TYPES["arithmetic"].apply
  x = jnp.array([[-9.0, -0.6, 0.2, 0.76, 9.0]])
  found = apply(layer, {}, (x,), None)
  np.testing.assert_array_equal(found, [[0, 2, 3, 5, 5]])
  slope = jax.grad(lambda x: apply(layer, {}, (x,), None).sum())(x)
  np.testing.assert_array_equal(slope[0, 1:3], [2, 2])
  np.testing.assert_array_equal(slope[0, [0, 4]], [0, 0])


@pytest.mark.parametrize("x", [_MAP, _VECTOR], ids=["map", "vector"])
def test_weights_of_one_value_a_channel(x):
  column = _CHANNELS.reshape(1, 6, *(1,) * (x.ndim - 2))
  variance = np.abs(_CHANNELS)
  found = _run("prelu", x, weights={"slope": _CHANNELS})
  np.testing.assert_allclose(found, np.where(x > 0, x, column * x))
  found = _run("prelu", x, weights={"slope": _CHANNELS[:1]}, shared=True)
  np.testing.assert_allclose(found, np.where(x > 0, x, _CHANNELS[0] * x))
  weights = {"scale": _CHANNELS, "bias": _CHANNELS + 1}
  found = _run("scale", x, weights=weights, bias=True)
  np.testing.assert_allclose(
    found, x * column + column + 1, rtol=1e-5, atol=1e-6
  )
  found = _run("bias", x, weights={"bias": _CHANNELS})
  np.testing.assert_allclose(found, x + column)
  weights = {"mean": _CHANNELS, "variance": variance}
  found = _run("batch_norm", x, weights=weights, eps=1e-3)
  expected = (x - column) / np.sqrt(np.abs(column) + 1e-3)
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
  "axis, count", [(1, 3), (1, -1), (2, 1), (2, 2), (-1, 1)]
)
def test_scale_over_other_axes(axis, count):
  first = axis % 4
  last = 4 if count == -1 else first + count
  options = (("axes", count), ("axis", axis))
  layer = LayerInfo("x", "scale_axes", ("a",), ("b",), options=options)
  own = LAYER_TYPES["scale_axes"].weights(layer, [(5, 4, 6)])["scale"]
  full = [s if first <= i < last else 1 for i, s in enumerate(_MAP.shape)][1:]
  values = np.float32(_RANDOM.normal(size=full))
  leaf = np.moveaxis(values, 0, -1).reshape(own)
  found = _run(
    "scale_axes", _MAP, weights={"scale": leaf}, axis=axis, axes=count
  )
  np.testing.assert_allclose(found, _MAP * values[None], rtol=1e-6)


def test_scale_and_bias_by_another_blob():
  gate = _VECTOR
  found = _run("scale_axes", _MAP, gate, axis=0)
  np.testing.assert_allclose(found, _MAP * gate[:, :, None, None])
  found = _run("bias_axes", _MAP, _MAP[:, :, :, 0], axis=0)
  np.testing.assert_allclose(found, _MAP + _MAP[:, :, :, :1])


def test_eltwise():
  found = _run("eltwise", _MAP, _OTHER, coefficients=(1.0, -0.5))
  np.testing.assert_allclose(found, _MAP - 0.5 * _OTHER, rtol=1e-6)
  found = _run("eltwise", _MAP, _OTHER, _MAP, operation="product")
  np.testing.assert_allclose(found, _MAP * _OTHER * _MAP, rtol=1e-5)
  found = _run("eltwise", _MAP, _OTHER, operation="maximum")
  np.testing.assert_allclose(found, np.maximum(_MAP, _OTHER))


def test_eltwise_maximum_gives_its_gradient_to_one():
  options = (("operation", "maximum"),)
  layer = LayerInfo("x", "eltwise", ("a", "b"), ("c",), options=options)
  apply = LAYER_TYPES["eltwise"].apply
  one = jnp.ones((1, 3))
  first, second = jax.grad(
    lambda a, b: apply(layer, {}, (a, b), None).sum(), argnums=(0, 1)
  )(one, one)
  # Caffe takes the second of two equals.
  assert first.sum() == 0 and second.sum() == 3


@pytest.mark.parametrize("axis", [1, 2, 3, -1, -3])
def test_softmax_concat_slice_along_an_axis(axis):
  found = _run("softmax_axis", _MAP, axis=axis)
  np.testing.assert_allclose(
    found, scipy.special.softmax(_MAP, axis), rtol=1e-5
  )
  found = _run("concat_axis", _MAP, _OTHER, axis=axis)
  np.testing.assert_array_equal(found, np.concatenate([_MAP, _OTHER], axis))
  found = _run("slice_axis", _MAP, axis=axis, outputs=2, points=(1,))
  for part, expected in zip(found, np.split(_MAP, [1], axis), strict=True):
    np.testing.assert_array_equal(part, expected)


def test_slice_evenly_and_split():
  thirds = _run("slice", _MAP, outputs=3)
  np.testing.assert_array_equal(thirds[2], _MAP[:, 4:])
  for copy in _run("identity", _MAP, outputs=2):
    np.testing.assert_array_equal(copy, _MAP)


@pytest.mark.parametrize(
  "axis, end, shape",
  [
    (1, -1, (2, 120)),
    (2, 3, (2, 6, 20)),
    (1, 2, (2, 30, 4)),
    (-2, -1, (2, 6, 20)),
  ],
)
def test_flatten(axis, end, shape):
  found = _run("flatten", _MAP, axis=axis, end=end)
  np.testing.assert_array_equal(found, _MAP.reshape(shape))


@pytest.mark.parametrize(
  "dims, axis, count, shape",
  [
    ((0, -1), 0, -1, (2, 120)),
    ((0, 0, -1), 0, -1, (2, 6, 20)),
    ((0, 3, 8, 5), 0, -1, (2, 3, 8, 5)),
    ((2, -1), 1, 1, (2, 2, 3, 5, 4)),
    ((-1,), 1, 2, (2, 30, 4)),
    ((10, 2), 2, -1, (2, 6, 10, 2)),
  ],
)
def test_reshape(dims, axis, count, shape):
  found = _run("reshape", _MAP, dims=dims, axis=axis, count=count)
  np.testing.assert_array_equal(found, _MAP.reshape(shape))


def test_crop():
  small = np.zeros((2, 2, 3, 2), np.float32)
  found = _run("crop", _MAP, small, axis=2, offsets=(1, 2))
  np.testing.assert_array_equal(found, _MAP[:, :, 1:4, 2:4])
  found = _run("crop", _MAP, small, axis=1, offsets=(2,))
  np.testing.assert_array_equal(found, _MAP[:, 2:4, 2:5, 2:4])


def test_argmax():
  flat = _MAP.reshape(2, -1)
  order = np.argsort(-flat, axis=1)[:, :3]
  found = _run("argmax", _MAP, top=3, values=True)
  np.testing.assert_array_equal(found[:, 0, :, 0], order)
  best = np.take_along_axis(flat, order, 1)
  np.testing.assert_array_equal(found[:, 1, :, 0], best)
  found = _run("argmax", _MAP, axis=1)
  np.testing.assert_array_equal(found[:, 0], _MAP.argmax(1))
  found = _run("argmax", _VECTOR, axis=1, values=True)
  np.testing.assert_array_equal(found[:, 0], _VECTOR.max(1))


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_inner_product_axis(axis):
  before = _MAP.shape[:axis]
  flat = _MAP.reshape(*before, -1)
  kernel = np.float32(_RANDOM.normal(size=(flat.shape[-1], 7)))
  bias = np.float32(_RANDOM.normal(size=7))
  own = kernel
  if axis == 1:  # rows in our order: height, width, channel
    own = kernel.reshape(6, 5, 4, 7).transpose(1, 2, 0, 3).reshape(-1, 7)
  found = _run(
    "inner_product", _MAP, weights={"kernel": own, "bias": bias}, axis=axis
  )
  np.testing.assert_allclose(found, flat @ kernel + bias, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("variance", [True, False])
@pytest.mark.parametrize("across", [True, False])
def test_mvn(variance, across):
  over = (1, 2, 3) if across else (2, 3)
  expected = _MAP - _MAP.mean(over, keepdims=True)
  if variance:
    expected /= expected.std(over, keepdims=True) + 1e-9
  found = _run("mvn", _MAP, variance=variance, across_channels=across, eps=1e-9)
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_mvn_of_a_constant_has_a_gradient():
  layer = LayerInfo("x", "mvn", ("a",), ("b",))
  apply = LAYER_TYPES["mvn"].apply
  gradient = jax.grad(lambda x: apply(layer, {}, (x,), None).sum())
  assert np.isfinite(gradient(jnp.ones((1, 3, 3, 2)))).all()


@pytest.mark.parametrize("kind", ["lrn", "lrn_within", "mvn", "softmax"])
def test_gradient_by_finite_differences(kind):
  size = {"kernel": (3, 3), "pad": (1, 1)} if kind == "lrn_within" else {}
  layer = LayerInfo("x", kind, ("a",), ("b",), **size)
  apply = LAYER_TYPES[kind].apply
  x = jnp.asarray(np.moveaxis(_MAP, 1, -1))
  check_grads(
    lambda x: apply(layer, {}, (x,), jax.nn.relu), (x,), 1, atol=2e-2, rtol=2e-2
  )


def test_a_reach_there_is_not_is_refused():
  with pytest.raises(JdeepvisError, match=r"reach is one of .*'position'"):
    LayerType(lambda layer, weights, inputs, relu: inputs[0], reach="cell")
