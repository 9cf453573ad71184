"""Classifiers whose prototxts are published, see `caffe_nets`."""

from caffe_nets import Net


def zfnet():
  net = Net(75, 75)
  blob = net.conv_relu("conv1", "data", 12, 7, "stride: 2 pad: 3")
  blob = net.lrn("norm1", blob, "local_size: 3 alpha: 5e-05 beta: 0.75")
  blob = net.pool("pool1", blob, "kernel_size: 3 stride: 2 pad: 1")
  blob = net.conv_relu("conv2", blob, 32, 5, "stride: 2 pad: 2")
  blob = net.lrn("norm2", blob, "local_size: 3 alpha: 5e-05 beta: 0.75")
  blob = net.pool("pool2", blob, "kernel_size: 3 stride: 2 pad: 1")
  for name, width in (("conv3", 48), ("conv4", 48), ("conv5", 32)):
    blob = net.conv_relu(name, blob, width, 3, "pad: 1")
  blob = net.dense_relu("fc6", blob, 64)
  return net, net.softmax(net.dense("fc7", blob, 20))


def vgg(blocks, name):
  net = Net(64, 64, name=name)
  blob = "data"
  for block, count in enumerate(blocks, 1):
    for i in range(count):
      width = net.wide(min(512, 32 * 2**block))
      blob = net.conv_relu(f"conv{block}_{i + 1}", blob, width, 3, "pad: 1")
    blob = net.pool(f"pool{block}", blob, "pool: MAX kernel_size: 2 stride: 2")
  for name in ("fc6", "fc7"):
    blob = net.dense_relu(name, blob, 64)
  return net, net.softmax(net.dense("fc8", blob, 20))


def vgg_cnn_s():
  net = Net(112, 112)
  blob = net.conv_relu("conv1", "data", 12, 7, "stride: 2")
  more = "local_size: 5 alpha: 0.0005 beta: 0.75 k: 2"
  blob = net.lrn("norm1", blob, more)
  blob = net.pool("pool1", blob, "pool: MAX kernel_size: 3 stride: 3")
  blob = net.conv_relu("conv2", blob, 32, 5)
  blob = net.pool("pool2", blob, "pool: MAX kernel_size: 2 stride: 2")
  for i in (3, 4, 5):
    blob = net.conv_relu(f"conv{i}", blob, 64, 3, "pad: 1")
  blob = net.pool("pool5", blob, "pool: MAX kernel_size: 3 stride: 3")
  blob = net.dense_relu("fc6", blob, 64)
  return net, net.softmax(net.dense("fc8", blob, 20))


def nin():
  net = Net(131, 131)
  blob = "data"
  for i, (width, kernel, more) in enumerate(
    [
      (96, 11, "stride: 4"),
      (256, 5, "pad: 2 stride: 1"),
      (384, 3, "pad: 1 stride: 1"),
      (1024, 3, "pad: 1 stride: 1"),
    ],
    1,
  ):
    blob = net.conv_relu(f"conv{i}", blob, net.wide(width), kernel, more)
    for part in (1, 2):
      last = i == 4 and part == 2
      width = 20 if last else net.wide(width)
      blob = net.conv_relu(f"cccp{2 * i + part}", blob, width, 1)
      width *= 8
    if i < 4:
      blob = net.pool(f"pool{i}", blob, "pool: MAX kernel_size: 3 stride: 2")
  return net, net.pool("pool4", blob, "pool: AVE kernel_size: 3 stride: 1")


def resnet(counts, *, group=1, gate="", name="ResNet"):
  """ResNet-50 and deeper; ResNeXt with a group; SE-ResNet with a gate."""
  net = Net(64, 64, name=name)
  blob = net.conv("conv1", "data", 8, 7, "pad: 3 stride: 2")
  blob = net.relu(net.normed(blob, batch_norm="use_global_stats: true"))
  blob = net.pool("pool1", blob, "kernel_size: 3 stride: 2 pool: MAX")
  for stage, count in enumerate(counts, 2):
    width = 8 * 2 ** (stage - 2)
    for i in range(count):
      which = f"res{stage}{chr(ord('a') + i)}"
      stride = f"stride: {2 if i == 0 and stage > 2 else 1}"
      short = blob
      if i == 0:
        short = net.conv_norm(
          f"{which}_branch1", blob, 4 * width, 1, stride, relu=False
        )
      branch = net.conv_norm(f"{which}_branch2a", blob, width, 1, stride)
      more = f"pad: 1 group: {group}"
      branch = net.conv_norm(f"{which}_branch2b", branch, width, 3, more)
      branch = net.conv_norm(
        f"{which}_branch2c", branch, 4 * width, 1, relu=False
      )
      if gate:
        blob = _squeezed(net, which, branch, short, 4 * width, gate)
      else:
        blob = net.add(which, short, branch)
      blob = net.relu(blob)
  blob = net.pool("pool5", blob, "kernel_size: 2 stride: 1 pool: AVE")
  return net, net.softmax(net.dense("fc1000", blob, 20))


def _squeezed(net, which, branch, short, width, gate):
  """A block of SENet: its own Axpy, or BVLC's Scale along axis 0."""
  blob = net.average(f"{which}_global_pool", branch)
  blob = net.relu(net.conv(f"{which}_1x1_down", blob, width // 4, 1))
  blob = net.conv(f"{which}_1x1_up", blob, width, 1)
  blob = net.layer("Sigmoid", f"{which}_prob", blob, blob)
  if gate == "Axpy":
    return net.layer("Axpy", which, [blob, branch, short])
  blob = net.layer(
    "Reshape", f"{which}_flat", blob, reshape="shape { dim: 0 dim: 0 }"
  )
  scaled = net.layer(
    "Scale", f"{which}_scale", [branch, blob], scale="axis: 0 bias_term: false"
  )
  return net.add(which, scaled, short)


def wide_resnet_preactivated():
  """ResNet v2: BatchNorm, Scale and ReLU before each convolution."""
  net = Net(33, 33)
  blob = net.conv("conv1", "data", 8, 3, "pad: 1 bias_term: false")
  for i in range(2):
    name = f"block{i}"
    pre = net.norm(blob, top=f"{name}_pre", batch="eps: 2e-05")
    pre = net.relu(pre)
    branch = net.conv_norm(f"{name}_a", pre, 16, 3, f"pad: 1 stride: {i + 1}")
    branch = net.conv(f"{name}_b", branch, 16, 3, "pad: 1 bias_term: false")
    short = net.conv(f"{name}_s", pre, 16, 1, f"stride: {i + 1}")
    blob = net.add(f"{name}_sum", branch, short)
  blob = net.relu(net.norm(blob, top="last"))
  blob = net.average("pool", blob)
  return net, net.softmax(net.dense("fc", blob, 20))


def densenet():
  net = Net(64, 64)
  blob = net.conv("conv1", "data", 8, 7, "pad: 3 stride: 2 bias_term: false")
  blob = net.relu(net.norm(blob, top="conv1/bn", batch="eps: 1e-5"))
  blob = net.pool(
    "pool1", blob, "pool: MAX ceil_mode: false kernel_size: 3 stride: 2 pad: 1"
  )
  for block in (2, 3):
    for i in range(3):
      which = f"conv{block}_{i + 1}"
      inner = net.relu(net.norm(blob, top=f"{which}/x1/bn"))
      inner = net.conv(f"{which}/x1", inner, 16, 1, "bias_term: false")
      inner = net.relu(net.norm(inner, top=f"{which}/x2/bn"))
      inner = net.conv(f"{which}/x2", inner, 4, 3, "bias_term: false pad: 1")
      blob = net.concat(f"concat_{block}_{i + 1}", blob, inner)
    blob = net.relu(net.norm(blob, top=f"conv{block}_blk/bn"))
    blob = net.conv(f"conv{block}_blk", blob, 12, 1, "bias_term: false")
    if block == 2:
      blob = net.pool("pool2", blob, "pool: AVE kernel_size: 2 stride: 2")
  blob = net.average("pool5", blob)
  return net, net.softmax(net.conv("fc6", blob, 20, 1))


def dual_path():
  """DPN: what is added and what is joined are sliced from one map."""
  net = Net(64, 64)
  blob = net.conv_norm("conv1", "data", 8, 7, "pad: 3 stride: 2")
  blob = net.pool("pool1", blob, "kernel_size: 3 stride: 2 pad: 1")
  both = net.conv_norm("conv2_w", blob, 20, 1, relu=False)
  points = "axis: 1 slice_point: 16"
  net.layer("Slice", "w_slice", both, ["added", "joined"], slice=points)
  inner = net.conv_norm("conv2_a", blob, 16, 1)
  inner = net.conv_norm("conv2_b", inner, 16, 3, "pad: 1 group: 4")
  inner = net.conv_norm("conv2_c", inner, 20, 1, relu=False)
  net.layer("Slice", "c_slice", inner, ["c_add", "c_join"], slice=points)
  added = net.add("sum", "added", "c_add")
  joined = net.concat("cat", "joined", "c_join")
  blob = net.relu(net.norm(net.concat("dual", added, joined), top="dual/bn"))
  blob = net.average("pool5", blob)
  return net, net.softmax(net.dense("fc6", blob, 20))


def mobilenet(kind="Convolution"):
  """MobileNet v1, its depthwise convolutions by group or by their type."""
  net = Net(64, 64)
  blob = net.conv_norm("conv1", "data", 8, 3, "pad: 1 stride: 2")
  for i, (width, stride) in enumerate([(16, 1), (32, 2), (32, 1)], 2):
    have = 8 if i == 2 else 16 * 2 ** (i - 3)
    blob = net.conv(
      f"conv{i}_dw",
      blob,
      have,
      3,
      f"bias_term: false pad: 1 stride: {stride} group: {have}",
      kind=kind,
    )
    blob = net.relu(net.normed(blob))
    blob = net.conv_norm(f"conv{i}_sep", blob, width, 1)
  blob = net.average("pool6", blob)
  return net, net.softmax(net.conv("fc7", blob, 20, 1))


def mobilenet_v2():
  net = Net(64, 64)
  blob = net.conv("conv1", "data", 8, 3, "pad: 1 stride: 2 bias_term: false")
  blob = net.relu(net.normed(blob), kind="ReLU6")
  for i in range(2):
    inner = net.conv(f"conv{i}_expand", blob, 24, 1, "bias_term: false")
    inner = net.relu(net.normed(inner), kind="ReLU6")
    inner = net.conv(
      f"conv{i}_dwise", inner, 24, 3, "group: 24 pad: 1 bias_term: false"
    )
    inner = net.relu(net.normed(inner), kind="ReLU6")
    inner = net.conv_norm(f"conv{i}_linear", inner, 8, 1, relu=False)
    blob = net.add(f"block{i}", blob, inner)
  blob = net.average("pool6", blob)
  return net, net.softmax(net.conv("fc7", blob, 20, 1))


def shufflenet():
  net = Net(64, 64)
  blob = net.conv_norm("conv1", "data", 12, 3, "pad: 1 stride: 2")
  blob = net.pool("pool1", blob, "pool: MAX kernel_size: 3 stride: 2")
  for i, stride in enumerate([2, 1]):
    have = 12 if i == 0 else 36
    inner = net.conv_norm(f"resx{i}_conv1", blob, 12, 1, "group: 3")
    inner = net.layer(
      "ShuffleChannel", f"shuffle{i}", inner, shuffle_channel="group: 3"
    )
    inner = net.conv(
      f"resx{i}_conv2",
      inner,
      12,
      3,
      f"bias_term: false pad: 1 stride: {stride} group: 12",
      kind="ConvolutionDepthwise",
    )
    inner = net.normed(inner)
    width = 36 - have if stride == 2 else have
    inner = net.conv_norm(
      f"resx{i}_conv3", inner, width, 1, "group: 3", relu=False
    )
    if stride == 2:
      short = net.pool(f"match{i}", blob, "pool: AVE kernel_size: 3 stride: 2")
      blob = net.concat(f"resx{i}_concat", short, inner)
    else:
      blob = net.add(f"resx{i}_elewise", blob, inner)
    blob = net.relu(blob)
  blob = net.average("pool_ave", blob)
  return net, net.softmax(net.conv("fc", blob, 20, 1))


def shufflenet_v2():
  net = Net(64, 64)
  blob = net.conv_norm("conv1", "data", 16, 3, "pad: 1 stride: 2")
  blob = net.pool("pool1", blob, "pool: MAX kernel_size: 3 stride: 2")
  points = "slice_point: 8 axis: 1"
  for i in range(2):
    net.layer("Slice", f"slice{i}", blob, [f"a{i}", f"b{i}"], slice=points)
    inner = net.conv_norm(f"branch{i}_1", f"b{i}", 8, 1)
    inner = net.conv_norm(
      f"branch{i}_2", inner, 8, 3, "pad: 1 group: 8", relu=False
    )
    inner = net.conv_norm(f"branch{i}_3", inner, 8, 1)
    blob = net.concat(f"concat{i}", f"a{i}", inner)
    blob = net.layer(
      "ShuffleChannel", f"shuffle{i}", blob, shuffle_channel="group: 2"
    )
  blob = net.average("pool", blob)
  return net, net.softmax(net.dense("fc", blob, 20))


def inception_v3():
  """A stem, a block with factored kernels and one that halves the map."""
  net = Net(75, 75)
  blob = net.conv_norm("conv1_3x3_s2", "data", 8, 3, "stride: 2")
  blob = net.conv_norm("conv2_3x3_s1", blob, 8, 3)
  blob = net.pool("pool1_3x3_s2", blob, "kernel_size: 3 stride: 2 pool: MAX")
  one = net.conv_norm("b1_1x1", blob, 8, 1)
  factored = net.conv_norm("b1_1x1_reduce", blob, 8, 1)
  for name, more in (
    ("b1_1x7", "kernel_h: 1 kernel_w: 7 pad_h: 0 pad_w: 3"),
    ("b1_7x1", "kernel_h: 7 kernel_w: 1 pad_h: 3 pad_w: 0"),
  ):
    settings = f"bias_term: false num_output: 8 {more}"
    factored = net.layer("Convolution", name, factored, convolution=settings)
    factored = net.relu(net.normed(factored))
  pooled = net.pool(
    "b1_pool", blob, "pool: AVE kernel_size: 3 stride: 1 pad: 1"
  )
  pooled = net.conv_norm("b1_1x1_pool", pooled, 8, 1)
  blob = net.concat("inception_b1_concat", one, factored, pooled)
  half = net.conv_norm("reduction_3x3", blob, 8, 3, "stride: 2")
  pooled = net.pool("reduction_pool", blob, "kernel_size: 3 stride: 2")
  blob = net.concat("reduction_concat", half, pooled)
  blob = net.average("pool_8x8_s1", blob)
  return net, net.softmax(net.dense("classifier", blob, 20))


def inception_resnet_v2():
  net = Net(64, 64)
  blob = net.conv_norm("conv1", "data", 16, 3, "stride: 2 pad: 1")
  for i in range(2):
    one = net.conv_norm(f"a{i}_1x1", blob, 8, 1)
    two = net.conv_norm(f"a{i}_reduce", blob, 8, 1)
    two = net.conv_norm(f"a{i}_3x3", two, 8, 3, "pad: 1")
    up = net.conv(f"a{i}_up", net.concat(f"a{i}_cat", one, two), 16, 1)
    up = net.layer("Scale", f"a{i}_scaled", up, scale="filler { value: 0.17 }")
    blob = net.relu(net.add(f"a{i}", blob, up))
  blob = net.average("pool", blob)
  return net, net.softmax(net.dense("classifier", blob, 20))


def age_net():
  net = Net(113, 113)
  blob = net.conv_relu("conv1", "data", 12, 7, "stride: 4")
  blob = net.pool("pool1", blob, "pool: MAX kernel_size: 3 stride: 2")
  blob = net.lrn("norm1", blob)
  blob = net.conv_relu("conv2", blob, 32, 5, "pad: 2")
  blob = net.pool("pool2", blob, "pool: MAX kernel_size: 3 stride: 2")
  blob = net.dense_relu("fc6", net.lrn("norm2", blob), 64)
  return net, net.softmax(net.dense("fc8", blob, 8))


def lightened_cnn():
  """Its activation is the larger of two halves: Slice and Eltwise MAX."""
  net = Net(48, 48, channels=1)
  blob = "data"
  for i, kernel in enumerate((5, 3, 3), 1):
    blob = net.conv(f"conv{i}", blob, 16, kernel, f"pad: {kernel // 2}")
    tops = [f"slice{i}_1", f"slice{i}_2"]
    net.layer("Slice", f"slice{i}", blob, tops, slice="slice_dim: 1")
    blob = net.layer("Eltwise", f"mfm{i}", tops, eltwise="operation: MAX")
    blob = net.pool(f"pool{i}", blob, "pool: MAX kernel_size: 2 stride: 2")
  return net, net.dense("fc1", blob, 32)


def sphereface():
  net = Net(56, 48)
  blob = "data"
  for i in (1, 2):
    blob = net.conv(f"conv{i}_1", blob, 8 * i, 3, "pad: 1 stride: 2")
    blob = net.layer("PReLU", f"relu{i}_1", blob, blob)
    inner = net.conv(f"conv{i}_2", blob, 8 * i, 3, "pad: 1")
    inner = net.layer("PReLU", f"relu{i}_2", inner, inner)
    inner = net.conv(f"conv{i}_3", inner, 8 * i, 3, "pad: 1")
    inner = net.layer("PReLU", f"relu{i}_3", inner, inner)
    blob = net.add(f"res{i}_3", blob, inner)
  return net, net.dense("fc5", blob, 64)


def pvanet_stem():
  """C.ReLU: a map and its negative, by Power and Concat, then scaled."""
  net = Net(64, 64)
  blob = net.conv("conv1_1/conv", "data", 8, 7, "pad: 3 stride: 2")
  negative = net.layer(
    "Power", "conv1_1/neg", blob, power="power: 1 scale: -1.0 shift: 0"
  )
  blob = net.concat("conv1_1", blob, negative)
  blob = net.layer(
    "Scale", "conv1_1/scale", blob, blob, scale="bias_term: true"
  )
  blob = net.pool("pool1", net.relu(blob), "pool: MAX kernel_size: 3 stride: 2")
  blob = net.conv_relu("conv2", blob, 16, 3, "pad: 1")
  return net, net.softmax(net.dense("fc", blob, 20))


CLASSIFIERS = {
  "ZFNet": zfnet,
  "VGG-16": lambda: vgg((2, 2, 3, 3, 3), "VGG_ILSVRC_16_layers"),
  "VGG-19": lambda: vgg((2, 2, 4, 4, 4), "VGG_ILSVRC_19_layers"),
  "VGG_CNN_S": vgg_cnn_s,
  "NiN": nin,
  "ResNet-50": lambda: resnet((3, 4, 6, 3)),
  "ResNet v2": wide_resnet_preactivated,
  "ResNeXt-50": lambda: resnet((1, 1, 1, 1), group=4),
  "SE-ResNet-50": lambda: resnet((1, 1, 1, 1), gate="Axpy"),
  "SE-ResNet-50, BVLC's layers": lambda: resnet((1, 1, 1, 1), gate="Scale"),
  "DenseNet-121": densenet,
  "DPN-92": dual_path,
  "MobileNet v1": mobilenet,
  "MobileNet v1, ConvolutionDepthwise": lambda: mobilenet(
    "ConvolutionDepthwise"
  ),
  "MobileNet v2": mobilenet_v2,
  "ShuffleNet v1": shufflenet,
  "ShuffleNet v2": shufflenet_v2,
  "Inception v3": inception_v3,
  "Inception-ResNet v2": inception_resnet_v2,
  "age_net": age_net,
  "Lightened CNN": lightened_cnn,
  "SphereFace-20": sphereface,
  "PVANet": pvanet_stem,
}
