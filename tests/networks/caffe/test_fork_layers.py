"""Layers of the forks against NumPy, written after the forks' own sources."""

import re

import jax
import numpy as np
import pytest
from caffe_nets import Net
from crop_checks import differences, places
from scipy import special

import jdeepvis
from jdeepvis.networks import convert
from jdeepvis.networks.caffe import reader
from jdeepvis.networks.caffe.graph import build_graph
from jdeepvis.types import JdeepvisError

_RANDOM = np.random.default_rng(0)
_X = np.float32(_RANDOM.normal(0, 2, (1, 7, 9, 6)))
_HEAD = """input: "data"
input_shape { dim: 1 dim: 6 dim: 7 dim: 9 }
"""


def _layer(kind, name, bottoms, tops="", more=""):
  ends = [f'bottom: "{x}"' for x in bottoms.split()]
  ends += [f'top: "{x}"' for x in (tops or name).split()]
  return f'layer {{ name: "{name}" type: "{kind}" {" ".join(ends)} {more} }}\n'


def _run(text, caffe_files, blobs=None, head=_HEAD, x=_X):
  net = caffe_files.net(head + text)
  weights = caffe_files.blobs(blobs) if blobs else "random"
  network, notes = convert.read_caffe(net, weights)
  blobs = jax.jit(lambda network, x: network(x))(network, x)
  found = {name: np.asarray(blob) for name, blob in blobs.items()}
  return found, network, notes


def _planes(x):
  """Ours as Caffe's: (n, c, h, w)."""
  return np.moveaxis(x, -1, 1)


@pytest.mark.parametrize(
  "more, count",
  [
    ("bn_param { bn_mode: INFERENCE }", 2),
    ("bn_param { frozen: true eps: 0.001 }", 4),
    ("", 4),
    ("bn_param { momentum: 0.9 slope_filler { type: 'constant' } }", 4),
  ],
)
def test_bn_of_two_arrays_and_of_four(more, count, caffe_files):
  arrays = [_RANDOM.uniform(0.5, 1.5, (1, 6, 1, 1)) for _ in range(count)]
  found, _, _ = _run(
    _layer("BN", "y", "data", more=more), caffe_files, {"y": arrays}
  )
  x = _planes(np.float64(_X))
  if count == 2:
    expected = x * arrays[0] + arrays[1]
  else:
    slope, bias, mean, variance = arrays
    eps = 0.001 if "eps" in more else 1e-5
    expected = (x - mean) / np.sqrt(variance + eps) * slope + bias
  np.testing.assert_allclose(
    _planes(found["y"]), expected, rtol=1e-5, atol=1e-5
  )


def test_batch_norm_with_its_scale_in_one_layer(caffe_files):
  """NVIDIA's: mean, variance, their count, then scale and bias."""
  arrays = [_RANDOM.uniform(0.5, 1.5, 6) for _ in range(4)]
  mean, variance, scale, bias = arrays
  blobs = [mean, variance, np.full(1, 2.0), scale, bias]
  found, _, _ = _run(
    _layer(
      "BatchNorm", "y", "data", more="batch_norm_param { scale_bias: true }"
    ),
    caffe_files,
    {"y": blobs},
  )
  x = np.float64(_X)
  expected = (x - mean / 2) / np.sqrt(variance / 2 + 1e-5) * scale + bias
  np.testing.assert_allclose(found["y"], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
  "more, told",
  [
    ("bn_param { bn_mode: LEARN }", "write bn_mode: INFERENCE"),
    ("bn_param { shift_filler { type: 'constant' } }", "write bn_mode"),
  ],
)
def test_a_bn_of_the_batch_is_refused(more, told):
  net = _HEAD + _layer("BN", "y", "data", more=more)
  with pytest.raises(JdeepvisError, match=told):
    build_graph(reader.parse_net(net, "net.prototxt"))


def test_a_bn_of_other_arrays_is_refused(caffe_files):
  for count in (1, 3, 6):
    with pytest.raises(JdeepvisError, match=f"{count} arrays?; expected 2"):
      _run(_layer("BN", "y", "data"), caffe_files, {"y": [np.ones(6)] * count})


def test_axpy(caffe_files):
  text = (
    _layer("Power", "y", "data", more="power_param { shift: 1 scale: 3 }")
    + _layer(
      "Pooling",
      "a",
      "data",
      more="pooling_param { pool: AVE global_pooling: true }",
    )
    + _layer("Axpy", "f", "a data y")
    + _layer("Flatten", "flat", "a")
    + _layer("Axpy", "g", "flat data y")
  )
  found, _, _ = _run(text, caffe_files)
  expected = _X.mean((1, 2), keepdims=True) * _X + (3 * _X + 1)
  np.testing.assert_allclose(found["f"], expected, rtol=1e-5, atol=1e-4)
  np.testing.assert_allclose(found["g"], expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize(
  "kind, more, formula",
  [
    ("Clip", "clip_param { min: -1 max: 0.5 }", lambda x: x.clip(-1, 0.5)),
    ("ReLU6", "", lambda x: x.clip(0, 6)),
    ("Threshold", "threshold_param { threshold: 0.5 }", lambda x: x > 0.5),
    (
      "Swish",
      "swish_param { beta: 1.5 }",
      lambda x: x * special.expit(1.5 * x),
    ),
    ("Mish", "", lambda x: x * np.tanh(np.log1p(np.exp(x)))),
    ("SpatialDropout", "spatial_dropout_param { dropout_ratio: 0.1 }", np.copy),
  ],
)
def test_pointwise(kind, more, formula, caffe_files):
  expected = formula(np.float64(3 * _X))
  found, _, _ = _run(
    _layer(kind, "y", "data", more=more), caffe_files, x=3 * _X
  )
  np.testing.assert_allclose(found["y"], expected, rtol=1e-5, atol=1e-5)


def test_a_clip_without_bounds_is_refused(caffe_files):
  with pytest.raises(JdeepvisError, match=r"'y' .*needs min and max"):
    _run(_layer("Clip", "y", "data"), caffe_files)


@pytest.mark.parametrize("across", ["false", "true"])
@pytest.mark.parametrize("shared", ["false", "true"])
def test_normalize(across, shared, caffe_files):
  more = f"norm_param {{ across_spatial: {across} channel_shared: {shared} }}"
  scale = _RANDOM.uniform(1, 20, 1 if shared == "true" else 6)
  found, _, _ = _run(
    _layer("Normalize", "y", "data", more=more), caffe_files, {"y": [scale]}
  )
  x = np.float64(_X)
  axes = (1, 2, 3) if across == "true" else 3
  expected = x / np.sqrt((x * x).sum(axes, keepdims=True) + 1e-10) * scale
  np.testing.assert_allclose(found["y"], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("order", [(0, 2, 3, 1), (0, 3, 1, 2), (0, 1, 3, 2)])
def test_permute(order, caffe_files):
  said = " ".join(f"order: {axis}" for axis in order)
  text = _layer("Permute", "y", "data", more=f"permute_param {{ {said} }}")
  text += _layer("Flatten", "flat", "y")
  found, _, _ = _run(text, caffe_files)
  expected = _planes(_X).transpose(order)
  np.testing.assert_array_equal(_planes(found["y"]), expected)
  np.testing.assert_array_equal(found["flat"][0], expected.ravel())


def test_a_permute_fills_up_its_order_and_keeps_images_apart(caffe_files):
  text = _layer(
    "Permute", "y", "data", more="permute_param { order: 0 order: 3 }"
  )
  found, _, _ = _run(text, caffe_files)
  expected = _planes(_X).transpose(0, 3, 1, 2)
  np.testing.assert_array_equal(_planes(found["y"]), expected)
  text = _layer("ReLU", "r", "data") + text.replace("order: 0", "order: 1")
  _, _, notes = _run(text, caffe_files)
  assert "'y' (Permute) cannot be run here" in notes[0]


@pytest.mark.parametrize("group", [1, 2, 3, 6])
def test_shuffle_channel(group, caffe_files):
  more = f"shuffle_channel_param {{ group: {group} }}"
  found, _, _ = _run(
    _layer("ShuffleChannel", "y", "data", more=more), caffe_files
  )
  # shuffle_channel_layer.cpp, Resize_cpu: rows of groups become columns.
  expected = np.empty_like(_X)
  columns = 6 // group
  for i in range(group):
    for j in range(columns):
      expected[..., j * group + i] = _X[..., i * columns + j]
  np.testing.assert_array_equal(found["y"], expected)


@pytest.mark.parametrize(
  "more, size",
  [
    ("height: 13 width: 4", (13, 4)),
    ("zoom_factor: 3", (19, 25)),
    ("shrink_factor: 2", (4, 5)),
    ("shrink_factor: 2 zoom_factor: 3", (10, 13)),
    ("height: 1 width: 9", (1, 9)),
    ("pad_beg: -1 pad_end: -2 zoom_factor: 2", (7, 11)),
    ("height: 3 width: 3 zoom_factor: 2", (13, 17)),
  ],
)
def test_interp(more, size, caffe_files):
  found, _, _ = _run(
    _layer("Interp", "y", "data", more=f"interp_param {{ {more} }}"),
    caffe_files,
  )
  x = np.float64(_X[0])
  x = x[1:-2, 1:-2] if "pad_beg" in more else x
  assert found["y"].shape[1:3] == size
  # interp.cpp, caffe_cpu_interp2, cell by cell.
  rates = [
    (have - 1) / (want - 1) if want > 1 else 0
    for have, want in zip(x.shape[:2], size, strict=True)
  ]
  for i, j in np.ndindex(size):
    row, column = rates[0] * i, rates[1] * j
    top, left = int(row + 1e-9), int(column + 1e-9)
    down = min(top + 1, x.shape[0] - 1)
    right = min(left + 1, x.shape[1] - 1)
    a, b = row - top, column - left
    expected = (1 - a) * ((1 - b) * x[top, left] + b * x[top, right]) + a * (
      (1 - b) * x[down, left] + b * x[down, right]
    )
    np.testing.assert_allclose(
      found["y"][0, i, j], expected, rtol=1e-4, atol=1e-5
    )


def test_interp_to_another_blob_is_left_out(caffe_files):
  text = _layer("ReLU", "r", "data")
  text += _layer("Interp", "y", "r data", more="interp_param { }")
  _, network, notes = _run(text, caffe_files)
  assert "y" not in network.shapes and "size is that of another" in notes[0]


def test_upsample_without_a_mask_repeats(caffe_files):
  text = _layer("Upsample", "y", "data", more="upsample_param { scale: 2 }")
  found, _, _ = _run(text, caffe_files)
  np.testing.assert_array_equal(found["y"], _X.repeat(2, 1).repeat(2, 2))


_POOL = _layer(
  "Pooling", "p", "data", "p m", "pooling_param { pool: MAX WINDOW }"
)


def _mask(x, kernel, stride):
  """pooling_layer.cpp: the first largest cell, counted by rows."""
  n, c, height, width = x.shape
  rows, columns = (
    -(-(side - kernel) // stride) + 1 for side in (height, width)
  )
  mask = np.zeros((n, c, rows, columns), int)
  for k, i, j in np.ndindex(c, rows, columns):
    best = -np.inf
    for y in range(i * stride, min(i * stride + kernel, height)):
      for z in range(j * stride, min(j * stride + kernel, width)):
        if x[0, k, y, z] > best:
          best, mask[0, k, i, j] = x[0, k, y, z], y * width + z
  return mask


@pytest.mark.parametrize("kernel, stride", [(2, 2), (3, 2), (3, 3), (1, 1)])
def test_masks_of_maxima(kernel, stride, caffe_files):
  window = f"kernel_size: {kernel} stride: {stride}"
  # Whole numbers, so that there are equals.
  x = np.round(_X)
  text = _POOL.replace("WINDOW", window) + _layer("ReLU", "r", "m")
  found, _, _ = _run(text, caffe_files, x=x)
  np.testing.assert_array_equal(
    _planes(found["m"]), _mask(_planes(x), kernel, stride)
  )


@pytest.mark.parametrize(
  "kind, more",
  [
    ("Upsample", "upsample_param { upsample_h: 7 upsample_w: 9 }"),
    ("Upsample", "upsample_param { scale: 1 upsample_h: 7 upsample_w: 9 }"),
    ("Upsample", "upsample_param { scale: 2 pad_out_h: true pad_out_w: true }"),
    ("Upsample", "upsample_param { pad_out_h: true pad_out_w: true }"),
  ],
)
def test_unpooling_by_a_mask(kind, more, caffe_files):
  text = _POOL.replace("WINDOW", "kernel_size: 2 stride: 2")
  text += _layer("Power", "q", "p", more="power_param { scale: 3 shift: 1 }")
  text += _layer(kind, "u", "q m", more=more)
  found, network, _ = _run(text, caffe_files)
  x, mask = _planes(found["q"]), _mask(_planes(_X), 2, 2)
  expected = np.zeros((1, 6, 7 * 9), np.float32)
  for k, i, j in np.ndindex(x.shape[1:]):
    expected[0, k, mask[0, k, i, j]] = x[0, k, i, j]
  # A program may round `3 p + 1` otherwise where it is made twice.
  np.testing.assert_allclose(
    _planes(found["u"]), expected.reshape(1, 6, 7, 9), rtol=1e-6
  )
  # The encoder's units still know what they see.
  assert jdeepvis.receptive_field(network, "p", (0, 0)).size == (2, 2)


def test_forks_of_the_old_form_say_the_same():
  new = (
    _layer("BN", "b", "data", more="bn_param { bn_mode: INFERENCE }")
    + _layer("PReLU", "r", "b", more="prelu_param { channel_shared: true }")
    + _layer("Permute", "t", "r", more="permute_param { order: 0 order: 1 }")
    + _layer("Interp", "i", "t", more="interp_param { zoom_factor: 2 }")
    + _layer(
      "Pooling",
      "p",
      "i",
      "p m",
      "pooling_param { kernel_size: 2 stride: 2 }",
    )
    + _layer(
      "Unpooling",
      "u",
      "p m",
      more="unpooling_param { kernel_size: 2 stride: 2 unpool_size: 13 }",
    )
  )
  head = _HEAD.replace("dim: 9", "dim: 7")
  old = new.replace("layer {", "layers {")
  for kind in ("BN", "PReLU", "Permute", "Interp", "Pooling", "Unpooling"):
    old = old.replace(f'"{kind}"', kind.upper())
  one, two = (
    build_graph(reader.parse_net(head + text, "net.prototxt"))
    for text in (new, old)
  )
  assert one == two and one.layers[-1].kind == "unpool"


@pytest.mark.parametrize(
  "window, more",
  [
    ("kernel_size: 3 stride: 2", "upsample_h: 7 upsample_w: 9"),
    ("kernel_size: 2 stride: 2", "scale: 2"),
    ("kernel_size: 2 stride: 2", "upsample_h: 20 upsample_w: 30"),
    ("kernel_size: 2 stride: 2", "upsample_h: 6 upsample_w: 9"),
    ("kernel_size: 2 stride: 2 pad: 1", "upsample_h: 7 upsample_w: 9"),
    ("kernel_size: 3 stride: 3", "scale: 2"),
  ],
)
def test_unpooling_that_would_not_be_exact_is_left_out(
  window, more, caffe_files
):
  text = _POOL.replace("WINDOW", window)
  text += _layer("Upsample", "u", "p m", more=f"upsample_param {{ {more} }}")
  text += _layer("ReLU", "r", "u")
  _, network, notes = _run(text, caffe_files)
  assert "u" not in network.shapes and "r" not in network.shapes
  assert "'u' cannot be run here and is left out" in notes[0]


@pytest.mark.parametrize(
  "kind", ["DepthwiseConvolution", "ConvolutionDepthwise"]
)
@pytest.mark.parametrize("group", ["", "group: 6"])
def test_depthwise_is_a_convolution_in_as_many_groups(kind, group, caffe_files):
  conv = "convolution_param { num_output: 6 kernel_size: 3 GROUP }"
  kernel, bias = _RANDOM.normal(size=(6, 1, 3, 3)), _RANDOM.normal(size=6)
  blobs = {"y": [kernel, bias]}
  found, _, _ = _run(
    _layer(kind, "y", "data", more=conv.replace("GROUP", group)),
    caffe_files,
    blobs,
  )
  x, expected = _planes(np.float64(_X))[0], np.empty((6, 5, 7))
  for k, i, j in np.ndindex(expected.shape):
    cells = x[k, i : i + 3, j : j + 3]
    expected[k, i, j] = (cells * kernel[k, 0]).sum() + bias[k]
  np.testing.assert_allclose(
    _planes(found["y"])[0], expected, rtol=1e-4, atol=1e-5
  )


@pytest.mark.parametrize("axis, tiles", [(1, 2), (2, 3), (-1, 2)])
def test_tile(axis, tiles, caffe_files):
  more = f"tile_param {{ axis: {axis} tiles: {tiles} }}"
  found, _, _ = _run(_layer("Tile", "y", "data", more=more), caffe_files)
  expected = np.concatenate([_planes(_X)] * tiles, axis)
  np.testing.assert_array_equal(_planes(found["y"]), expected)


@pytest.mark.parametrize("axis", [1, 2, -1])
@pytest.mark.parametrize(
  "operation, formula",
  [
    ("SUM", np.sum),
    ("MEAN", np.mean),
    ("ASUM", lambda x, axes: np.abs(x).sum(axes)),
    ("SUMSQ", lambda x, axes: (x * x).sum(axes)),
  ],
)
def test_reduction(axis, operation, formula, caffe_files):
  more = f"operation: {operation} axis: {axis} coeff: 0.5"
  text = _layer("Reduction", "y", "data", more=f"reduction_param {{ {more} }}")
  found, _, _ = _run(text, caffe_files)
  axes = tuple(range(axis % 4, 4))
  expected = 0.5 * formula(_planes(np.float64(_X)), axes)
  found = found["y"] if axis == 1 else _planes(found["y"])
  np.testing.assert_allclose(
    found.reshape(expected.shape), expected, rtol=1e-4, atol=1e-4
  )


_FCN = """
layers { name: "c" type: CONVOLUTION bottom: "data" top: "c"
  convolution_param { num_output: 4 kernel_size: 3 pad: 10 } }
layers { name: "p" type: POOLING bottom: "c" top: "p"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layers { name: "s" type: CONVOLUTION bottom: "p" top: "s"
  convolution_param { num_output: 2 kernel_size: 3 } }
layers { name: "u" type: DECONVOLUTION bottom: "s" top: "u"
  convolution_param { num_output: 2 kernel_size: 4 stride: 2 } }
layers { name: "score" type: CROP bottom: "u" bottom: "data" top: "score" }
"""


def test_a_crop_of_fcns_fork_finds_its_offset():
  # A cell of u lies where the pixel does that is 8 less: padding 10 - 1 before
  # the pooling, whose middle is 1/2 on, the kernel's 2, the upsampling's 3/2.
  graph = build_graph(reader.parse_net(_HEAD + _FCN, "net.prototxt"))
  assert graph.layers[-1].options == (("offsets", (8, 8)),)
  assert not graph.notes


def test_offsets_that_are_found_are_those_of_fcn_8s_as_published():
  """Its later prototxt says them: 5 and 9 within, 31 at the end."""
  net = Net(500, 500)
  blob, pools = "data", []
  for i in range(1, 6):
    pad = "pad: 100" if i == 1 else "pad: 1"
    blob = net.conv_relu(f"conv{i}_1", blob, 4, 3, pad)
    blob = net.pool(f"pool{i}", blob, "kernel_size: 2 stride: 2")
    pools.append(blob)
  blob = net.conv("score_fr", net.conv("fc6", blob, 4, 7), 2, 1)
  for i, kernel, stride in ((4, 4, 2), (3, 4, 2), (1, 16, 8)):
    more = f"num_output: 2 kernel_size: {kernel} stride: {stride}"
    up = net.layer("Deconvolution", f"up{i}", blob, convolution=more)
    if i == 1:
      net.layer("Crop", "score", [up, "data"])
      break
    side = net.conv(f"score_pool{i}", pools[i - 1], 2, 1)
    side = net.layer("Crop", f"score_pool{i}c", [side, up])
    blob = net.add(f"fuse{i}", up, side)
  graph = build_graph(reader.parse_net(str(net), "net.prototxt"))
  found = [re.findall(r"offset: (\d+)", note) for note in graph.notes]
  assert found == [["5", "5"], ["9", "9"], ["31", "31"]]


def test_a_crop_without_an_offset_is_bvlcs_and_told():
  text = _FCN.replace("layers {", "layer {")
  for word in ("CONVOLUTION", "POOLING", "CROP"):
    text = text.replace(f" {word} ", f' "{word.capitalize()}" ')
  text = text.replace("DECONVOLUTION", '"Deconvolution"')
  graph = build_graph(reader.parse_net(_HEAD + text, "net.prototxt"))
  assert graph.layers[-1].options == ()
  (note,) = graph.notes
  assert "write crop_param { axis: 2 offset: 8 offset: 8 }" in note
  said = text.replace('score" }', 'score" crop_param { offset: 8 } }')
  graph = build_graph(reader.parse_net(_HEAD + said, "net.prototxt"))
  assert graph.layers[-1].options == (("offsets", (8,)),)
  assert not graph.notes


def test_crops_through_layers_that_look_at_single_cells(tmp_path):
  path = tmp_path / "net.prototxt"
  path.write_text(
    _HEAD.replace("dim: 7 dim: 9", "dim: 21 dim: 23")
    + _layer(
      "Convolution",
      "c",
      "data",
      more="convolution_param { num_output: 6 kernel_size: 3 stride: 2 }",
    )
    + _layer("BN", "b", "c")
    + _layer("ReLU6", "r", "b")
    + _layer("ShuffleChannel", "s", "r", more="shuffle_channel_param{group: 2}")
    + _layer("Normalize", "n", "s", more="norm_param { across_spatial: false }")
    + _layer("Swish", "w", "n")
    + _layer(
      "ConvolutionDepthwise",
      "d",
      "w",
      more="convolution_param { num_output: 6 kernel_size: 3 pad: 1 }",
    )
  )
  network = jdeepvis.load_network(path, "random")
  for position in places(network, "d"):
    assert max(differences(network, "d", position)) < 1e-4
