"""Windowed operations against plain loops over Caffe's definitions."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads
from networks.one_layer import run

from jdeepvis.networks import ops
from jdeepvis.networks.layers import pooling

_RANDOM = np.random.default_rng(0)

# height, width, kernel, stride, pad
_WINDOWS = [
  (7, 9, (3, 3), (2, 2), (0, 0)),
  (8, 6, (3, 2), (2, 3), (1, 1)),
  (6, 6, (2, 2), (2, 2), (1, 0)),
  (5, 7, (5, 3), (1, 2), (2, 1)),
  (4, 4, (4, 4), (1, 1), (0, 0)),
  (9, 8, (3, 3), (4, 4), (1, 1)),
  (2, 3, (1, 1), (2, 2), (0, 0)),
]

_PLAIN_AND_FAST = pytest.mark.parametrize("fast", [False, True])


def _map(height, width, channels=3):
  return np.float32(_RANDOM.normal(size=(2, height, width, channels)))


def _windows(height, width, kernel, stride, pad):
  """Caffe's windows, as slices of the map and their size with the border."""
  counts, spans = [], []
  for size, k, s, p in zip((height, width), kernel, stride, pad, strict=True):
    count = math.ceil((size + 2 * p - k) / s) + 1
    if (count - 1) * s >= size + p:
      count -= 1
    starts = [i * s - p for i in range(count)]
    ends = [min(start + k, size + p) for start in starts]
    spans.append(
      [
        (slice(max(start, 0), min(end, size)), end - start)
        for start, end in zip(starts, ends, strict=True)
      ]
    )
    counts.append(count)
  return counts, spans


def _pool(x, kernel, stride, pad, reduce):
  counts, (rows, columns) = _windows(*x.shape[1:3], kernel, stride, pad)
  out = np.zeros((x.shape[0], *counts, x.shape[3]))
  for i, j in itertools.product(*map(range, counts)):
    (row, tall), (column, wide) = rows[i], columns[j]
    out[:, i, j] = reduce(x[:, row, column].astype(np.float64), tall * wide)
  return out


def _padding(size, kernel, stride, pad):
  return tuple(
    ops.windows(*axis, ceil=True)[1:]
    for axis in zip(size, kernel, stride, pad, strict=True)
  )


@pytest.mark.parametrize("height, width, kernel, stride, pad", _WINDOWS)
def test_pooling(height, width, kernel, stride, pad):
  x = _map(height, width)
  padding = _padding((height, width), kernel, stride, pad)
  found = pooling.max_pool(x, kernel, stride, padding)
  expected = _pool(x, kernel, stride, pad, lambda w, _: w.max((1, 2)))
  np.testing.assert_allclose(found, expected)
  found = run("average_pooling", x, window=kernel, stride=stride, pad=pad)
  expected = _pool(x, kernel, stride, pad, lambda w, n: w.sum((1, 2)) / n)
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_stochastic_pooling_at_test_time():
  x = np.maximum(_map(7, 9), 0)
  x[:, :3, :3, 0] = 0

  def pool(x):
    return run("stochastic_pooling", x, window=(3, 3), stride=(2, 2))

  found = pool(x)

  def weighted(window, _):
    total = window.sum((1, 2))
    squares = (window**2).sum((1, 2))
    return np.divide(squares, total, out=np.zeros_like(total), where=total > 0)

  expected = _pool(x, (3, 3), (2, 2), (0, 0), weighted)
  np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
  gradient = jax.grad(lambda x: pool(x).sum())(jnp.zeros((1, 7, 9, 1)))
  assert np.isfinite(gradient).all()


@pytest.mark.parametrize("height, width, kernel, stride, pad", _WINDOWS)
def test_max_pool_gradient_goes_to_the_first(
  height, width, kernel, stride, pad
):
  # Few different values, so that windows are full of equals.
  x = np.float32(_RANDOM.integers(0, 2, (1, height, width, 2)))
  padding = _padding((height, width), kernel, stride, pad)
  y, back = jax.vjp(lambda x: pooling.max_pool(x, kernel, stride, padding), x)
  given = np.float32(_RANDOM.normal(size=y.shape))
  expected = np.zeros_like(x)
  _, (rows, columns) = _windows(height, width, kernel, stride, pad)
  for i, j, c in itertools.product(*map(range, y.shape[1:])):
    row, column = rows[i][0], columns[j][0]
    window = x[0, row, column, c]
    a, b = np.unravel_index(window.argmax(), window.shape)
    expected[0, row.start + a, column.start + b, c] += given[0, i, j, c]
  np.testing.assert_allclose(back(given)[0], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
  "kind, window", [("global_max", (1, 1)), ("max_pooling", (60, 50))]
)
def test_the_maximum_of_a_whole_map_is_a_short_program(kind, window):
  x = np.round(_RANDOM.normal(0, 2, (2, 60, 50, 3))).astype(np.float32)

  def pooled(x):
    return run(kind, x, window=window)

  assert len(jax.make_jaxpr(pooled)(x).eqns) < 20
  y, back = jax.vjp(pooled, x)
  np.testing.assert_array_equal(y, x.max((1, 2), keepdims=True))
  (found,) = back(jnp.ones_like(y))
  rows = x.reshape(2, 3000, 3)
  first = np.arange(3000)[:, None] == rows.argmax(1)[:, None]
  np.testing.assert_array_equal(found, first.reshape(x.shape))


def test_max_pool_gradient_of_a_window_of_more_places_than_a_byte_counts():
  x = np.zeros((1, 1, 257, 1), np.float32)
  x[0, 0, 256] = 1
  padding = ((0, 0), (0, 0))
  gradient = jax.grad(
    lambda x: pooling.max_pool(x, (1, 257), (1, 1), padding).sum()
  )(x)
  np.testing.assert_array_equal(gradient, x)


@_PLAIN_AND_FAST
@pytest.mark.parametrize("groups", [1, 2, 4, 12])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 3)])
def test_convolution(fast, groups, dilation):
  x = _map(11, 13, 12)
  kernel = np.float32(_RANDOM.normal(size=(3, 2, 12 // groups, 24)))
  bias = np.float32(_RANDOM.normal(size=24))
  found = run(
    "convolution",
    x,
    kernel,
    bias,
    fast=fast,
    stride=(2, 1),
    padding=((1, 1), (2, 2)),
    dilation=dilation,
    groups=groups,
  )
  padded = np.pad(np.float64(x), ((0, 0), (1, 1), (2, 2), (0, 0)))
  expected = np.zeros(found.shape) + bias
  wide, deep = 24 // groups, 12 // groups
  for i, j, g in itertools.product(
    range(found.shape[1]), range(found.shape[2]), range(groups)
  ):
    window = padded[:, 2 * i : 2 * i + 3 * dilation[0] : dilation[0], j:, :][
      :, :3, : 2 * dilation[1] : dilation[1]
    ][:, :, :2]
    part = window[..., g * deep : (g + 1) * deep]
    weights = kernel[..., g * wide : (g + 1) * wide]
    expected[:, i, j, g * wide : (g + 1) * wide] += np.einsum(
      "nhwc,hwco->no", part, weights
    )
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@_PLAIN_AND_FAST
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
  "window, stride, padding",
  [
    ((7, 7), (2, 2), ((3, 3), (3, 3))),
    ((11, 11), (4, 4), ((0, 0), (0, 0))),
    ((7, 9), (3, 2), ((2, 0), (-3, 1))),
    ((8, 5), (3, 2), ((-1, -2), (0, 4))),
  ],
)
def test_a_strided_convolution_of_colours_transposes(
  fast, channels, window, stride, padding
):
  x = _map(23, 26, channels)
  kernel = np.float32(_RANDOM.normal(size=(*window, channels, 5)))
  y, back = jax.vjp(
    lambda x: run(
      "convolution", x, kernel, fast=fast, stride=stride, padding=padding
    ),
    x,
  )
  given = np.float32(_RANDOM.normal(size=y.shape))
  border = np.maximum(padding, 0).max()
  wide = np.zeros((2, 23 + 2 * border, 26 + 2 * border, channels))
  top, left = (border - before for before, _ in padding)
  for i, j in itertools.product(*map(range, y.shape[1:3])):
    row, column = top + i * stride[0], left + j * stride[1]
    cells = slice(row, row + window[0]), slice(column, column + window[1])
    wide[:, *cells] += np.einsum("no,hwco->nhwc", given[:, i, j], kernel)
  expected = wide[:, border : border + 23, border : border + 26]
  np.testing.assert_allclose(back(given)[0], expected, rtol=1e-4, atol=1e-4)
  tangent = np.float32(_RANDOM.normal(size=x.shape))
  moved = jax.jvp(
    lambda x: run(
      "convolution", x, kernel, fast=fast, stride=stride, padding=padding
    ),
    (x,),
    (tangent,),
  )[1]
  np.testing.assert_allclose(
    np.vdot(moved, given), np.vdot(tangent, expected), rtol=1e-3
  )


@pytest.mark.parametrize(
  "stride, pad, dilation, groups",
  [
    ((1, 1), (0, 0), (1, 1), 1),
    ((2, 3), (1, 0), (1, 1), 1),
    ((2, 2), (1, 1), (2, 1), 2),
    ((2, 2), (3, 3), (1, 1), 3),
  ],
)
def test_deconvolution_is_the_transpose(stride, pad, dilation, groups):
  x = _map(5, 6, 6)
  kernel = np.float32(_RANDOM.normal(size=(4, 3, 12 // groups, 6)))
  found = run(
    "deconvolution",
    x,
    kernel,
    stride=stride,
    pad=pad,
    dilation=dilation,
    groups=groups,
  )

  def forward(y):
    padding = tuple((p, p) for p in pad)
    return run(
      "convolution",
      y,
      kernel,
      stride=stride,
      padding=padding,
      dilation=dilation,
      groups=groups,
    )

  shape = (2, *found.shape[1:])
  assert found.shape[3] == 12
  _, back = jax.vjp(forward, jnp.zeros(shape))
  np.testing.assert_allclose(found, back(x)[0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_lrn(size):
  x = _map(6, 7, 8) * 3
  half = size // 2
  expected, within = np.zeros(x.shape), np.zeros(x.shape)
  for c in range(8):
    near = x[..., max(c - half, 0) : c + half + 1].astype(np.float64)
    total = (near**2).sum(-1)
    expected[..., c] = x[..., c] / (2 + 0.5 / size * total) ** 0.75
  for i, j in itertools.product(range(6), range(7)):
    rows = slice(max(i - half, 0), i + half + 1)
    columns = slice(max(j - half, 0), j + half + 1)
    total = (np.float64(x[:, rows, columns]) ** 2).sum((1, 2))
    within[:, i, j] = x[:, i, j] / (1 + 0.5 / size**2 * total) ** 0.75
  found = run("lrn", x, size=size, alpha=0.5, k=2.0)
  np.testing.assert_allclose(found, expected, rtol=1e-5)
  window, pad = (size, size), (half, half)
  found = run("lrn_within", x, window=window, pad=pad, alpha=0.5, beta=0.75)
  np.testing.assert_allclose(found, within, rtol=1e-5)


def test_gradients_by_finite_differences():
  x = _map(5, 6, 4)
  kernel = np.float32(_RANDOM.normal(size=(3, 3, 2, 4)))
  padding = ((1, 1), (1, 1))
  window = {"window": (3, 3), "stride": (2, 2), "pad": (1, 1)}
  for f in (
    lambda x: run("convolution", x, kernel, padding=padding, groups=2),
    lambda x: run("deconvolution", x, kernel[:, :, :, :4], stride=(2, 2)),
    lambda x: run("average_pooling", x, **window),
    lambda x: run("stochastic_pooling", jnp.exp(x), **window),
  ):
    check_grads(f, (x,), 1, atol=2e-2, rtol=2e-2)
