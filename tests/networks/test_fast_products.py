"""What `cpu` runs in place of a layer's own formula, against definitions."""

import functools

import jax
import numpy as np
import pytest
from networks.one_layer import run

from jdeepvis.networks import fast_products, sharding

_RANDOM = np.random.default_rng(0)


def test_windows_that_are_spread_out_come_a_few_images_at_a_time():
  x = np.float32(_RANDOM.normal(size=(5, 23, 19, 3)))
  kernel = np.float32(_RANDOM.normal(size=(11, 11, 3, 4)))
  found = run("convolution", x, kernel, fast=True, stride=(4, 4))
  windows = np.lib.stride_tricks.sliding_window_view(x, (11, 11), (1, 2))
  expected = np.einsum("nijchw,hwco->nijo", windows[:, ::4, ::4], kernel)
  np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("mode", ["forward", "reverse"])
@pytest.mark.parametrize(
  "kind, size, kernel, settings",
  [
    ("inner_product", (2, 3, 4, 5), (60, 7), {}),
    ("convolution", (2, 6, 5, 4), (1, 1, 4, 6), {}),
    ("convolution", (2, 6, 5, 4), (3, 3, 2, 6), {"groups": 2, "pad": (1, 1)}),
    ("convolution", (2, 17, 16, 3), (7, 7, 3, 6), {"stride": (2, 2)}),
  ],
)
def test_a_transpose_made_beforehand_changes_nothing(
  kind, size, kernel, settings, mode
):
  product = functools.partial(run, kind, fast=True, **settings)
  x = np.float32(_RANDOM.normal(size=size))
  kernel = np.float32(_RANDOM.normal(size=kernel))
  parts = fast_products.by_group(kernel, settings.get("groups", 1))
  back = jax.tree.map(fast_products.transposed, parts)
  shape = jax.eval_shape(product, x, kernel).shape
  given = np.float32(_RANDOM.normal(size=shape))

  @jax.jit
  def derivative(x, kernel, given, transpose):
    def f(x, kernel):
      return product(x, kernel, transpose=transpose)

    if mode == "forward":
      return jax.jvp(f, (x, kernel), (x[::-1], kernel[::-1]))
    y, pull = jax.vjp(f, x, kernel)
    return y, *pull(given)

  found = derivative(x, kernel, given, None)
  with_cpu_layout = derivative(x, kernel, given, back)
  bounds = _rounding(derivative, x, kernel, given, None)
  for one, other, bound in zip(found, with_cpu_layout, bounds, strict=True):
    assert np.all(np.abs(one - other) <= bound)
  # A transpose of something else would be used.
  twice = jax.tree.map(lambda leaf: 2 * leaf, back)
  other = derivative(x, kernel, given, twice)[1]
  assert np.abs(found[1] - other).max() > 100 * np.max(bounds[1])


@pytest.mark.parametrize("inputs, outputs", [(4096, 1152), (2304, 4096)])
def test_a_shared_product_is_the_whole(inputs, outputs):
  """So with any number of devices a picture is the same but for rounding."""
  x = np.float32(_RANDOM.normal(size=(4, inputs)))
  kernel = np.float32(_RANDOM.normal(size=(inputs, outputs)))
  given = np.float32(_RANDOM.normal(size=(4, outputs)))
  mesh, axis = sharding.mesh_for(4), sharding.AXIS

  def value_and_slope(kernel, transpose, x, given, **options):
    product = functools.partial(run, "inner_product", fast=True, **options)
    y, back = jax.vjp(lambda x: product(x, kernel, transpose=transpose), x)
    return y, back(given)[0]

  shared = jax.jit(
    sharding.sharded(
      functools.partial(value_and_slope, across=axis),
      mesh,
      *[jax.P(None, axis)] * 2,
    )
  )
  found = shared(kernel, kernel.T, x, given)
  whole = jax.jit(value_and_slope)
  arguments = kernel, kernel.T, x, given
  bounds = _rounding(whole, *arguments)
  expected = whole(*arguments)
  for mine, all_, bound in zip(expected, found, bounds, strict=True):
    assert np.all(np.abs(mine - all_) <= bound)
  np.testing.assert_allclose(found[0], x @ kernel, rtol=1e-4, atol=1e-3)


def test_a_shared_product_has_its_kernels_gradient():
  x = np.float32(_RANDOM.normal(size=(4, 12)))
  kernel = np.float32(_RANDOM.normal(size=(12, 8)))
  given = np.float32(_RANDOM.normal(size=(4, 8)))
  axis = sharding.AXIS

  def slopes(kernel, transpose, x, given):
    def f(x, kernel):
      return run(
        "inner_product",
        x,
        kernel,
        fast=True,
        transpose=transpose,
        across=axis,
      )

    dx, dkernel = jax.vjp(f, x, kernel)[1](given)
    return dkernel.T, dx

  columns = jax.P(None, axis)
  mesh = sharding.mesh_for(4)
  shared = jax.jit(sharding.sharded(slopes, mesh, columns, columns))
  dkernel, dx = shared(kernel, kernel.T, x, given)
  np.testing.assert_allclose(dkernel.T, x.T @ given, rtol=1e-4, atol=1e-5)
  np.testing.assert_allclose(dx, given @ kernel.T, rtol=1e-4, atol=1e-5)


def _rounding(sums, *arguments):
  """How far sums of products may lie apart that are added up in other orders.

  Each is within `n u` of its terms' absolute sum, n their number and u half
  the distance from 1 to the next float32 (Higham 2002, "Accuracy and Stability
  of Numerical Algorithms", section 3.1). Ones count the terms.
  """
  counts = sums(*jax.tree.map(np.ones_like, arguments))
  sizes = sums(*jax.tree.map(np.abs, arguments))
  return [
    2 * np.max(count) * 2.0**-24 * np.asarray(size)
    for count, size in zip(counts, sizes, strict=True)
  ]
