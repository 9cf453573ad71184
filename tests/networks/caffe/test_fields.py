"""Each field of a description is judged by itself."""

import dataclasses

import numpy as np
import pytest

import jdeepvis
from jdeepvis.networks import convert
from jdeepvis.networks.caffe import reader
from jdeepvis.networks.caffe.graph import build_graph
from jdeepvis.networks.layer_types import LAYER_TYPES
from jdeepvis.networks.layers.layer_type import LayerType, settings
from jdeepvis.types import JdeepvisError

_INPUT = """input: "data"
input_shape { dim: 1 dim: 3 dim: 32 dim: 32 }
"""
_CONV = """layer { name: "c" type: "Convolution" bottom: "data" top: "c"
  convolution_param { num_output: 4 kernel_size: 3 MORE } }
"""
_POOL = """layer { name: "p" type: "Pooling" bottom: "c" top: "p"
  pooling_param { pool: MAX kernel_size: 2 stride: 2 MORE } }
"""


def _graph(text):
  return build_graph(reader.parse_net(_INPUT + text, "net.prototxt"))


def _read(text, folder, **more):
  path = folder / "net.prototxt"
  path.write_text(text)
  return convert.read_caffe(path, "random", **more)


def _conv(more=""):
  return _CONV.replace("MORE", more)


def _pool(more=""):
  return _POOL.replace("MORE", more)


@pytest.mark.parametrize(
  "more, options",
  [
    ("ceil_mode: false", {"ceil": False}),
    ("ceil_mode: true", {}),
    ("round_mode: FLOOR", {"ceil": False}),
    ("round_mode: FLOOR ceil_mode: false", {"ceil": False}),
    ("", {}),
  ],
)
def test_both_words_for_rounding_down(more, options):
  pool = _graph(_conv() + _pool(more)).layers[-1]
  assert dict(pool.options) == options


@pytest.mark.parametrize(
  "more, dilation",
  [
    ("hole: 2", (2, 2)),
    ("hole_h: 3 hole_w: 2", (3, 2)),
    ("hole_w: 2", (1, 2)),
    ("dilation: 2 hole: 2", (2, 2)),
    ("dilation: 2 dilation: 3", (2, 3)),
  ],
)
def test_both_words_for_dilation(more, dilation):
  assert _graph(_conv(more)).layers[0].dilation == dilation


@pytest.mark.parametrize(
  "text, told",
  [
    (_conv() + _pool("round_mode: CEIL ceil_mode: false"), "ceil_mode and its"),
    (_conv("dilation: 2 hole: 3"), "dilation and its hole differ"),
    (_conv("dilatation: 2"), r"line 4: .*'c'.*dilatation.*nearest: dilation"),
    (_conv() + _pool("padding: 1"), r"line 6: .*'p'.*pooling_param\.padding"),
    (
      _conv().replace("_param {", "params {"),
      r"'convolutionparams'.*\(nearest: convolution_param\)",
    ),
    (_conv("pad_type: SAME"), "pad_type"),
    (_conv("relu: true"), r"convolution_param\.relu"),
    ("scale: 2 " + _conv(), "line 3: the net has the field 'scale'"),
    (
      _conv("stride: 2.5"),
      r"line 4: layer 'c' \(Convolution\): stride is a whole",
    ),
    (_conv("stride: -1"), r"stride is a whole number from 0"),
    (_conv("bias_term: maybe"), "bias_term is true or false"),
    (_conv() + _pool("pool: MEDIAN"), "pool stands there twice"),
    (_conv() + _pool().replace("MAX", "MEDIAN"), "one of MAX, AVE, STOCHASTIC"),
    (_conv().replace('"c"', "c"), "needs quotation marks"),
    (_conv("bias_term { }"), "bias_term is no field with braces"),
    (_conv() + 'layer { type: "ReLU" relu_param: 3 }', "needs braces"),
  ],
)
def test_what_may_change_an_answer_is_refused_by_line(text, told):
  with pytest.raises(JdeepvisError, match=told) as raised:
    _graph(text)
  sentence = str(raised.value)
  assert sentence.startswith("net.prototxt") and sentence.endswith(".")
  assert "\n" not in sentence and len(sentence) < 400


def test_one_unknown_field_hides_no_other():
  """The case that read wrong numbers: each is judged, wherever it stands."""
  text = """layer { name: "in" type: "Input" top: "data"
      input_param { shape { dim: 1 dim: 3 dim: 32 dim: 32 } }
      transform_param { mean_value: 120 } }
    """
  text += _conv() + _pool("ceil_mode: false")
  net = reader.parse_net(text, "net.prototxt")
  assert dict(build_graph(net).layers[-1].options) == {"ceil": False}
  with pytest.raises(JdeepvisError, match="dilatation"):
    build_graph(reader.parse_net(text + _conv("dilatation: 2"), "x"))


@pytest.mark.parametrize(
  "text, field",
  [
    (
      _conv('weight_filler { type: "msra" alpha: 0.1 }'),
      "convolution_param.weight_filler.alpha",
    ),
    (_conv("engine: MKL2017"), "convolution_param.engine"),
    (_conv().replace("bottom", 'engine: "MKLDNN" bottom'), "engine"),
    (_conv().replace("bottom", "blobs_lr: 1 blobs_lr: 2 bottom"), "blobs_lr"),
    (_conv().replace("bottom", "param { lr_multt: 1 } bottom"), "lr_multt"),
    (_conv().replace("bottom", "forward_type: FLOAT16 bottom"), "forward_type"),
    ("default_forward_math: FLOAT16 " + _conv(), "default_forward_math"),
    (_conv("cudnn_convolution_algo_seeker: FINDEX"), "algo_seeker"),
  ],
)
def test_what_changes_nothing_is_passed_over_and_told(text, field):
  net = reader.parse_net(_INPUT + text, "net.prototxt")
  plain = _graph(_conv())
  assert build_graph(net).layers == plain.layers
  (note,) = net.notes
  assert field in note and "changes nothing" in note


def test_a_field_that_stands_often_is_told_once():
  text = "".join(
    _conv("engine: MKLDNN").replace('"c"', f'"c{i}"') for i in range(40)
  )
  (note,) = reader.parse_net(_INPUT + text, "net.prototxt").notes
  assert "'c0', line 4 and 39 more" in note


def test_settings_of_other_types_are_ignored_as_in_caffe():
  text = _conv().replace(
    "bottom", 'data_param { source: "x" } dropout_param { } bottom'
  )
  net = reader.parse_net(_INPUT + text, "net.prototxt")
  assert not net.notes and len(build_graph(net).layers) == 1


def test_a_dropout_that_is_not_scaled_in_training(caffe_files):
  net = (
    _INPUT
    + """layer { name: "d" type: "Dropout" bottom: "data" top: "d"
    dropout_param { dropout_ratio: 0.25 scale_train: false } }"""
  )
  path = caffe_files.net(net)
  network = jdeepvis.load_network(path, bgr=False)
  image = np.ones((1, 32, 32, 3), np.float32)
  np.testing.assert_allclose(network(image)["d"], 0.75)
  drawn = net.replace("scale_train: false", "sample_weights_test: true")
  path.write_text(drawn)
  with pytest.raises(JdeepvisError, match="draws anew for each image; remove"):
    jdeepvis.load_network(path)


@pytest.mark.parametrize(
  "said, offered",
  [
    ("mean_value: 104 mean_value: 117 mean_value: 123", 'mean="104,117,123"'),
    ("mean_value: 120", 'mean="120,120,120"'),
    ('mean_file: "mean.binaryproto" scale: 0.017', 'mean="mean.binaryproto"'),
    ("scale: 0.00390625 mirror: true", "scale=0.00390625"),
    ("mean_value: 1 bgr2rgb: true", "bgr=False"),
  ],
)
@pytest.mark.parametrize("kind", ["Input", "ImageData"])
def test_a_transform_is_offered(said, offered, kind, tmp_path):
  text = f"""layer {{ name: "in" type: "{kind}" top: "data"
      input_param {{ shape {{ dim: 1 dim: 3 dim: 32 dim: 32 }} }}
      transform_param {{ {said} crop_size: 32 }} }}
    """
  _, notes = _read(text + _conv(), tmp_path)
  (note,) = [note for note in notes if "transform_param" in note]
  assert offered in note and "training" not in note
  mean, scale = ("1,1,1", 2.0)
  _, notes = _read(text + _conv(), tmp_path, mean=mean, scale=scale, bgr=False)
  assert not any("transform_param" in note for note in notes)


def test_settings_of_ones_own_type_reach_its_reader(monkeypatch):
  def clip(layer, weights, inputs, relu):
    return inputs[0].clip(layer.option("low"), layer.option("high"))

  seen = []

  def read(layer):
    said = layer.message.bound_param
    seen.append(said)
    within = layer.message.pooling_param.own
    return {"low": said.low, "high": said.high + within}

  known = LayerType(clip, reach="position", caffe={"Bound": read})
  monkeypatch.setitem(LAYER_TYPES, "own_clip", known)
  layer = """layer { name: "b" type: "Bound" bottom: "c" top: "b"
    bound_param { low: -0.5 high: 5 names: "a" names: 'b' on: true
      deep { x: 1 } mode: FAST } pooling_param { own: 1 } }"""
  graph = _graph(_conv() + layer)
  assert dict(graph.layers[-1].options) == {"low": -0.5, "high": 6}
  (said,) = seen
  assert said.names == ("a", "b") and said.on is True
  assert said.deep.x == 1 and said.mode == "FAST"
  assert said.get("none", 3) == 3 and not said.HasField("none")
  with pytest.raises(JdeepvisError, match="does not say low; it says high"):
    _graph(_conv() + layer.replace("low: -0.5", ""))


@pytest.mark.parametrize("declared", [False, True])
def test_own_settings_by_name_need_no_message(declared, monkeypatch):
  fields = "beta=1 float 1; mode=2 string; sides=3 int32*"
  known = LayerType(
    lambda layer, weights, inputs, relu: inputs[0],
    caffe={
      "Gated": settings("gated_param", beta="beta", mode="mode", sides="sides")
    },
    settings=("gated_param", fields) if declared else None,
  )
  monkeypatch.setitem(LAYER_TYPES, "gated", known)
  layer = 'layer { name: "g" type: "Gated" bottom: "c" top: "g" MORE }'
  said = 'gated_param { beta: 3 mode: "fast" sides: 2 sides: 5 }'
  graph = _graph(_conv() + layer.replace("MORE", said))
  found = {"beta": 3, "mode": "fast", "sides": (2, 5)}
  assert dict(graph.layers[-1].options) == found
  graph = _graph(_conv() + layer.replace("MORE", ""))
  assert graph.layers[-1].options == ()


def test_a_reader_of_ones_own_in_place_of_ours_sees_its_fields(monkeypatch):
  known = dataclasses.replace(
    LAYER_TYPES["relu"],
    caffe={"ReLU": lambda layer: {"slope": layer.message.leak}},
  )
  monkeypatch.setitem(LAYER_TYPES, "leaky", known)
  text = 'layer { name: "r" type: "ReLU" bottom: "c" top: "r" leak: 0.25 }'
  assert _graph(_conv() + text).layers[-1].option("slope") == 0.25
