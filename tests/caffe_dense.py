"""Nets whose answers are maps or boxes, see `caffe_nets`."""

from caffe_nets import Net


def _vgg_blocks(net, blob, widths, *, pad=1, prefix="conv", pools=True):
  for block, width in enumerate(widths, 1):
    for i in (1, 2):
      first = f"pad: {pad if block == i == 1 else 1}"
      blob = net.conv_relu(f"{prefix}{block}_{i}", blob, width, 3, first)
    if pools:
      blob = net.pool(
        f"pool{block}", blob, "pool: MAX kernel_size: 2 stride: 2"
      )
  return blob


def fcn(scores="8s"):
  """FCN-32s and FCN-8s: padded by 100, then Deconvolution and Crop."""
  net = Net(40, 48, name=f"fcn{scores}")
  third = _vgg_blocks(net, "data", (8, 12, 16), pad=100)
  fourth = net.conv_relu("conv4_1", third, 16, 3, "pad: 1")
  fourth = net.pool("pool4", fourth, "pool: MAX kernel_size: 2 stride: 2")
  blob = net.conv_relu("fc6", fourth, 24, 5, "pad: 0")
  blob = net.layer("Dropout", "drop6", blob, blob, dropout="dropout_ratio: .5")
  blob = net.conv("score_fr", blob, 5, 1)
  up = "num_output: 5 bias_term: false kernel_size: 4 stride: 2"
  if scores == "8s":
    blob = net.layer("Deconvolution", "upscore2", blob, convolution=up)
    other = net.conv("score_pool3", third, 5, 1)
    other = net.layer(
      "Crop", "score_pool3c", [other, blob], crop="axis: 2 offset: 3"
    )
    blob = net.add("fuse_pool3", blob, other)
    up = up.replace("4 stride: 2", "16 stride: 8")
  else:
    up = up.replace("4 stride: 2", "32 stride: 16")
  blob = net.layer("Deconvolution", "upscore", blob, convolution=up)
  blob = net.layer("Crop", "score", [blob, "data"], crop="axis: 2 offset: 19")
  return net, blob


def hed():
  """HED: five outputs, each upsampled, cropped and rectified by a sigmoid."""
  net = Net(40, 48)
  outputs, blob = [], "data"
  for i, width in enumerate((8, 12), 1):
    pad = "pad: 35" if i == 1 else "pad: 1"
    blob = net.conv_relu(f"conv{i}_1", blob, width, 3, pad)
    side = net.conv(f"score-dsn{i}", blob, 1, 1)
    if i > 1:
      settings = "kernel_size: 4 stride: 2 num_output: 1"
      side = net.layer(
        "Deconvolution", f"upsample_{i}", side, convolution=settings
      )
    offset = 34 if i == 1 else 35
    side = net.layer(
      "Crop",
      f"upscore-dsn{i}",
      [side, "data"],
      crop=f"axis: 2 offset: {offset}",
    )
    outputs.append(side)
    net.layer("Sigmoid", f"sigmoid-dsn{i}", side)
    blob = net.pool(f"pool{i}", blob, "pool: MAX kernel_size: 2 stride: 2")
  blob = net.concat("concat-upscore", *outputs, more="concat_dim: 1")
  blob = net.conv("upscore-fuse", blob, 1, 1)
  return net, net.layer("Sigmoid", "sigmoid-fuse", blob)


def deeplab(holes="dilation"):
  """DeepLab LargeFOV: pooling without stride, holes, Interp."""
  net = Net(65, 65)
  blob = _vgg_blocks(net, "data", (8, 12), pools=False)
  blob = net.pool("pool3", blob, "pool: MAX kernel_size: 3 stride: 2 pad: 1")
  blob = net.pool("pool4", blob, "pool: MAX kernel_size: 3 stride: 1 pad: 1")
  blob = net.conv_relu("conv5_1", blob, 16, 3, f"pad: 2 {holes}: 2")
  blob = net.pool("pool5a", blob, "pool: AVE kernel_size: 3 stride: 1 pad: 1")
  blob = net.conv_relu("fc6", blob, 24, 3, f"pad: 12 {holes}: 12")
  blob = net.conv("fc8", blob, 5, 1)
  interp = "height: 65 width: 65" if holes == "hole" else "zoom_factor: 2"
  return net, net.layer("Interp", "fc8_interp", blob, interp=interp)


def deeplab_aspp():
  """DeepLab v2: four convolutions of other dilations, added."""
  net = Net(65, 65)
  blob = net.conv_relu("conv1", "data", 8, 3, "pad: 1 stride: 2")
  parts = []
  for rate in (6, 12, 18, 24):
    part = net.conv_relu(
      f"fc6_{rate}", blob, 8, 3, f"pad: {rate} dilation: {rate}"
    )
    parts.append(net.conv(f"fc8_{rate}", part, 5, 1))
  blob = net.add("fc1", *parts)
  return net, net.layer("Interp", "fc1_interp", blob, interp="zoom_factor: 2")


def pspnet(norm="BN"):
  """PSPNet: BN of four arrays, pyramid pooling, Interp."""
  net = Net(49, 49)
  bn = """slope_filler { type: "constant" value: 1 } frozen: true
    bias_filler { type: "constant" value: 0 } momentum: 0.95"""

  def conv_bn(name, bottom, width, kernel, more=""):
    blob = net.conv(name, bottom, width, kernel, f"bias_term: false {more}")
    blob = net.layer("BN", f"{name}/bn", blob, blob, bn=bn)
    return net.relu(blob)

  blob = conv_bn("conv1_1_3x3_s2", "data", 8, 3, "stride: 2 pad: 1")
  blob = net.pool("pool1", blob, "pool: MAX kernel_size: 3 stride: 2 pad: 1")
  blob = conv_bn("conv4_1_3x3", blob, 8, 3, "pad: 2 dilation: 2")
  parts = [blob]
  for kernel in (13, 7):
    part = net.pool(
      f"pool_{kernel}",
      blob,
      f"pool: AVE kernel_size: {kernel} stride: {kernel}",
    )
    part = conv_bn(f"conv5_3_pool{kernel}", part, 4, 1)
    parts.append(
      net.layer(
        "Interp", f"interp_{kernel}", part, interp="height: 13 width: 13"
      )
    )
  blob = net.conv("conv6", net.concat("conv5_3_concat", *parts), 5, 1)
  return net, net.layer("Interp", "conv6_interp", blob, interp="zoom_factor: 4")


def icnet():
  """ICNet: branches of the shrunk image, joined by Eltwise."""
  net = Net(65, 65)
  half = net.layer("Interp", "data_sub2", "data", interp="shrink_factor: 2")
  low = net.conv_norm("conv1_sub2", half, 8, 3, "stride: 2 pad: 1")
  low = net.layer("Interp", "conv3_sub4", low, interp="zoom_factor: 2")
  high = net.conv_norm("conv1_sub1", "data", 8, 3, "stride: 2 pad: 1")
  blob = net.relu(net.add("sub12_sum", low, high))
  return net, net.conv("conv6_cls", blob, 5, 1)


def segnet():
  """SegNet: BN of a scale and a shift, and Upsample by the pools' masks."""
  net = Net(45, 60)
  bn = """scale_filler { type: "constant" value: 1 } bn_mode: INFERENCE
    shift_filler { type: "constant" value: 0.001 }"""

  def conv_bn(name, bottom, width):
    blob = net.conv(name, bottom, width, 3, "pad: 1")
    return net.relu(net.layer("BN", f"{name}_bn", blob, blob, bn=bn))

  blob, sizes = "data", [(45, 60), (23, 30)]
  for i in (1, 2):
    blob = conv_bn(f"conv{i}_1", blob, 8 * i)
    tops = [f"pool{i}", f"pool{i}_mask"]
    net.layer(
      "Pooling",
      f"pool{i}",
      blob,
      tops,
      pooling="pool: MAX kernel_size: 2 stride: 2",
    )
    blob = tops[0]
  for i in (2, 1):
    height, width = sizes[i - 1]
    settings = f"scale: 2 upsample_h: {height} upsample_w: {width}"
    blob = net.layer(
      "Upsample", f"upsample{i}", [blob, f"pool{i}_mask"], upsample=settings
    )
    blob = conv_bn(f"conv{i}_1_D", blob, 8)
  blob = net.conv("conv1_0_D", blob, 5, 3, "pad: 1")
  return net, net.softmax(blob)


def enet():
  """ENet: PReLU, asymmetric and dilated kernels, one unpooling."""
  net = Net(48, 64)
  bn = 'bn_mode: INFERENCE scale_filler { type: "constant" value: 1 }'
  conv = net.conv("conv0_1", "data", 5, 3, "pad: 1 stride: 2")
  pool = net.pool("pool0_1", "data", "pool: MAX kernel_size: 2 stride: 2")
  blob = net.concat("concat0_1", conv, pool)
  blob = net.layer("BN", "bn0_1", blob, blob, bn=bn)
  blob = net.layer("PReLU", "prelu0_1", blob, blob)
  settings = "pool: MAX kernel_size: 2 stride: 2"
  net.layer(
    "Pooling", "pool1_0_4", blob, ["pool1_0_4", "mask"], pooling=settings
  )
  inner = net.conv("conv2_1", "pool1_0_4", 8, 3, "pad: 4 dilation: 4")
  inner = net.layer("PReLU", "prelu2_1", inner, inner)
  wide = "num_output: 8 pad_h: 0 pad_w: 2 kernel_h: 1 kernel_w: 5"
  inner = net.layer("Convolution", "conv2_2", inner, convolution=wide)
  tall = "num_output: 8 pad_h: 2 pad_w: 0 kernel_h: 5 kernel_w: 1"
  inner = net.layer("Convolution", "conv2_3", inner, convolution=tall)
  blob = net.add("eltwise2", inner, "pool1_0_4")
  blob = net.layer("Upsample", "up4", [blob, "mask"], upsample="scale: 2")
  settings = "num_output: 5 kernel_size: 2 stride: 2"
  return net, net.layer("Deconvolution", "deconv6", blob, convolution=settings)


def deconvnet():
  """DeconvNet: Unpooling by mask, and Deconvolution."""
  net = Net(32, 32)
  blob = net.conv_norm("conv1_1", "data", 8, 3, "pad: 1")
  settings = "pool: MAX kernel_size: 2 stride: 2"
  net.layer("Pooling", "pool1", blob, ["pool1", "pool1_mask"], pooling=settings)
  blob = net.conv_norm("conv2_1", "pool1", 8, 3, "pad: 1")
  blob = net.layer(
    "Unpooling",
    "unpool1",
    [blob, "pool1_mask"],
    unpooling="unpool: MAX kernel_size: 2 stride: 2 unpool_size: 32",
  )
  settings = "num_output: 5 pad: 1 kernel_size: 3"
  return net, net.layer("Deconvolution", "deconv1", blob, convolution=settings)


def unet():
  net = Net(44, 44, channels=1)
  down = net.conv_relu("conv_d0a-b", "data", 8, 3)
  down = net.conv_relu("conv_d0b-c", down, 8, 3)
  blob = net.pool("pool_d0c-1a", down, "pool: MAX kernel_size: 2 stride: 2")
  blob = net.conv_relu("conv_d1a-b", blob, 16, 3)
  settings = "num_output: 8 kernel_size: 2 stride: 2"
  blob = net.layer("Deconvolution", "upconv_d1c", blob, convolution=settings)
  blob = net.relu(blob)
  other = net.layer("Crop", "crop_d0c", [down, blob], crop="axis: 2 offset: 2")
  blob = net.concat("concat_d0cc", blob, other, more="axis: 1")
  return net, net.softmax(net.conv("score", blob, 2, 1))


def colorization():
  """Zhang et al. 2016: grey in, dilation, BatchNorm alone, a scaled softmax."""
  net = Net(64, 64, channels=1)
  blob = net.conv_relu("bw_conv1_1", "data", 8, 3, "pad: 1 stride: 2")
  blob = net.layer("BatchNorm", "conv1_2norm", blob)
  blob = net.conv_relu("conv5_1", blob, 16, 3, "pad: 2 dilation: 2")
  blob = net.layer("BatchNorm", "conv5_3norm", blob)
  settings = "num_output: 8 kernel_size: 4 stride: 2 pad: 1"
  blob = net.layer("Deconvolution", "conv8_1", blob, convolution=settings)
  blob = net.conv("conv8_313", net.relu(blob), 20, 1)
  blob = net.layer(
    "Scale",
    "conv8_313_rh",
    blob,
    scale="bias_term: false filler { type: 'constant' value: 2.606 }",
  )
  blob = net.softmax(blob, "class8_313_rh")
  return net, net.conv("class8_ab", blob, 2, 1)


def openpose():
  """OpenPose: two branches of each stage, joined with the first map."""
  net = Net(48, 56)
  stem = _vgg_blocks(net, "data", (8, 12))
  maps = []
  for branch, width in (("L1", 38), ("L2", 19)):
    blob = net.conv_relu(f"conv5_1_CPM_{branch}", stem, 16, 3, "pad: 1")
    maps.append(net.conv(f"conv5_5_CPM_{branch}", blob, width, 1))
  blob = net.concat("concat_stage2", *maps, stem, more="axis: 1")
  maps = []
  for branch, width in (("L1", 38), ("L2", 19)):
    inner = net.conv_relu(f"Mconv1_stage2_{branch}", blob, 16, 7, "pad: 3")
    maps.append(net.conv(f"Mconv7_stage2_{branch}", inner, width, 1))
  return net, net.concat("net_output", maps[1], maps[0], more="axis: 1")


def mtcnn():
  """MTCNN's O-Net: PReLU and three outputs, one of them a softmax."""
  net = Net(48, 48)
  blob = "data"
  for i, (width, kernel) in enumerate([(8, 3), (16, 3), (16, 3)], 1):
    blob = net.conv(f"conv{i}", blob, width, kernel)
    blob = net.layer("PReLU", f"prelu{i}", blob, blob)
    blob = net.pool(f"pool{i}", blob, "pool: MAX kernel_size: 3 stride: 2")
  blob = net.dense("conv5", blob, 32)
  blob = net.layer("PReLU", "prelu5", blob, blob)
  for name, width in (("conv6-1", 2), ("conv6-2", 4), ("conv6-3", 10)):
    net.dense(name, blob, width)
  return net, net.softmax("conv6-1", "prob1")


def ssd():
  """SSD-300: Normalize, Permute, Flatten; its boxes are beyond us."""
  net = Net(75, 75)
  blob = _vgg_blocks(net, "data", (8, 16))
  normed = net.layer(
    "Normalize",
    "conv4_3_norm",
    blob,
    norm="across_spatial: false channel_shared: false",
  )
  deep = net.conv_relu("fc6", blob, 16, 3, "pad: 6 dilation: 6")
  rows = {"loc": [], "conf": [], "priorbox": []}
  for source in (normed, deep):
    for part, width in (("loc", 16), ("conf", 12)):
      name = f"{source}_mbox_{part}"
      one = net.conv(name, source, width, 3, "pad: 1 stride: 1")
      one = net.layer(
        "Permute",
        f"{name}_perm",
        one,
        permute="order: 0 order: 2 order: 3 order: 1",
      )
      one = net.layer("Flatten", f"{name}_flat", one, flatten="axis: 1")
      rows[part].append(one)
    rows["priorbox"].append(
      net.layer(
        "PriorBox",
        f"{source}_mbox_priorbox",
        [source, "data"],
        prior_box="min_size: 30.0 aspect_ratio: 2 flip: true clip: false",
      )
    )
  for part, found in rows.items():
    axis = 2 if part == "priorbox" else 1
    net.concat(f"mbox_{part}", *found, more=f"axis: {axis}")
  blob = net.layer(
    "Reshape",
    "mbox_conf_reshape",
    "mbox_conf",
    reshape="shape { dim: 0 dim: -1 dim: 3 }",
  )
  blob = net.layer("Softmax", "mbox_conf_softmax", blob, softmax="axis: 2")
  blob = net.layer("Flatten", "mbox_conf_flatten", blob, flatten="axis: 1")
  net.layer(
    "DetectionOutput",
    "detection_out",
    ["mbox_loc", blob, "mbox_priorbox"],
    detection_output="num_classes: 3 share_location: true",
  )
  return net, blob


def faster_rcnn():
  """Faster R-CNN: a second input, a Python layer, ROI pooling: all cut."""
  net = Net(64, 64)
  net.text.append('input: "im_info" input_shape { dim: 1 dim: 3 }\n')
  blob = _vgg_blocks(net, "data", (8, 16))
  rpn = net.conv_relu("rpn_conv/3x3", blob, 16, 3, "pad: 1")
  scores = net.conv("rpn_cls_score", rpn, 18, 1)
  boxes = net.conv("rpn_bbox_pred", rpn, 36, 1)
  rows = net.layer(
    "Reshape",
    "rpn_cls_score_reshape",
    scores,
    reshape="shape { dim: 0 dim: 2 dim: -1 dim: 0 }",
  )
  rows = net.softmax(rows, "rpn_cls_prob")
  rows = net.layer(
    "Reshape",
    "rpn_cls_prob_reshape",
    rows,
    reshape="shape { dim: 0 dim: 18 dim: -1 dim: 0 }",
  )
  net.layer(
    "Python",
    "proposal",
    [rows, boxes, "im_info"],
    ["rois"],
    python="""module: 'rpn.proposal_layer' layer: 'ProposalLayer'
      param_str: "'feat_stride': 16" """,
  )
  pooled = net.layer(
    "ROIPooling",
    "roi_pool5",
    [blob, "rois"],
    roi_pooling="pooled_w: 7 pooled_h: 7 spatial_scale: 0.0625",
  )
  last = net.dense("cls_score", net.dense_relu("fc6", pooled, 32), 21)
  net.softmax(last, "cls_prob")
  return net, rows


def yolo():
  """Tiny YOLO: leaky rectifiers, BatchNorm and Scale, a linear end."""
  net = Net(64, 64)
  blob = "data"
  for i in range(1, 5):
    blob = net.conv(f"layer{i}-conv", blob, 8 * i, 3, "pad: 1 bias_term: false")
    blob = net.normed(blob, batch_norm="use_global_stats: true")
    blob = net.relu(blob, relu="negative_slope: 0.1")
    blob = net.pool(f"layer{i}-maxpool", blob, "kernel_size: 2 stride: 2")
  return net, net.conv("layer15-conv", blob, 25, 1)


def vdsr():
  """VDSR: as many convolutions as one likes, and the image added."""
  net = Net(41, 41, channels=1)
  blob = "data"
  for i in range(1, 6):
    blob = net.conv_relu(f"conv{i}", blob, 8, 3, "pad: 1")
  blob = net.conv("conv20", blob, 1, 3, "pad: 1")
  return net, net.add("sum", blob, "data")


DENSE = {
  "FCN-32s": lambda: fcn("32s"),
  "FCN-8s": fcn,
  "HED": hed,
  "DeepLab LargeFOV": deeplab,
  "DeepLab v2 ASPP": deeplab_aspp,
  "PSPNet": pspnet,
  "ICNet": icnet,
  "SegNet": segnet,
  "ENet": enet,
  "DeconvNet": deconvnet,
  "U-Net": unet,
  "Colorization": colorization,
  "OpenPose": openpose,
  "MTCNN O-Net": mtcnn,
  "SSD-300": ssd,
  "Faster R-CNN": faster_rcnn,
  "Tiny YOLO": yolo,
  "VDSR": vdsr,
}
