"""Published prototxts, rebuilt narrow and small: what they are made of.

Layer types, their settings and order are those of the published files; widths
are divided and depths and images made smaller, which changes no kind of layer.
"""


class Net:
  """A description as it is written, layer by layer."""

  def __init__(self, height, width, *, channels=3, divide=8, name="net"):
    self.divide = divide
    self.text = [
      f'name: "{name}"\ninput: "data"\n'
      f"input_shape {{ dim: 1 dim: {channels} dim: {height} dim: {width} }}\n"
    ]

  def __str__(self):
    return "".join(self.text)

  def wide(self, features, of=4):
    """A width of the published net in this one, a multiple of `of`."""
    return max(of, features // self.divide // of * of)

  def layer(self, kind, name, bottoms, tops=None, **settings):
    bottoms = [bottoms] if isinstance(bottoms, str) else bottoms
    tops = [name] if tops is None else tops
    tops = [tops] if isinstance(tops, str) else tops
    lines = [f'layer {{\n  name: "{name}"\n  type: "{kind}"\n']
    lines += [f'  bottom: "{x}"\n' for x in bottoms]
    lines += [f'  top: "{x}"\n' for x in tops]
    lines += [f"  {key}_param {{ {x} }}\n" for key, x in settings.items() if x]
    self.text.append("".join(lines) + "}\n")
    return tops[0]

  def conv(self, name, bottom, features, kernel, more="", *, kind="", top=None):
    kind = kind or "Convolution"
    settings = f"num_output: {features} kernel_size: {kernel} {more}"
    return self.layer(kind, name, bottom, top, convolution=settings)

  def relu(self, blob, name=None, kind="ReLU", **settings):
    return self.layer(kind, name or f"relu_{blob}", blob, blob, **settings)

  def conv_relu(self, name, bottom, features, kernel, more=""):
    return self.relu(self.conv(name, bottom, features, kernel, more))

  def norm(self, blob, *, top=None, batch="", scale="bias_term: true"):
    """BatchNorm and Scale, in place unless there is a top."""
    blob = self.layer("BatchNorm", f"bn_{blob}", blob, top, batch_norm=batch)
    return self.layer("Scale", f"scale_{blob}", blob, blob, scale=scale)

  def normed(self, blob, **more):
    blob = self.layer("BatchNorm", f"bn_{blob}", blob, blob, **more)
    return self.layer(
      "Scale", f"scale_{blob}", blob, blob, scale="bias_term: true"
    )

  def conv_norm(self, name, bottom, features, kernel, more="", relu=True):
    """As ResNet's successors have it: no bias, BatchNorm, Scale, ReLU."""
    blob = self.conv(name, bottom, features, kernel, f"bias_term: false {more}")
    blob = self.normed(blob, batch_norm="use_global_stats: true")
    return self.relu(blob) if relu else blob

  def pool(self, name, bottom, more):
    return self.layer("Pooling", name, bottom, pooling=more)

  def average(self, name, bottom):
    return self.pool(name, bottom, "pool: AVE global_pooling: true")

  def dense(self, name, bottom, features):
    settings = f"num_output: {features}"
    return self.layer("InnerProduct", name, bottom, inner_product=settings)

  def dense_relu(self, name, bottom, features):
    blob = self.relu(self.dense(name, bottom, features))
    return self.layer(
      "Dropout", f"drop_{name}", blob, blob, dropout="dropout_ratio: 0.5"
    )

  def softmax(self, bottom, name="prob"):
    return self.layer("Softmax", name, bottom)

  def add(self, name, *bottoms):
    return self.layer("Eltwise", name, bottoms)

  def concat(self, name, *bottoms, more=""):
    return self.layer("Concat", name, bottoms, concat=more)

  def lrn(self, name, bottom, more="local_size: 5 alpha: 0.0001 beta: 0.75"):
    return self.layer("LRN", name, bottom, lrn=more)
