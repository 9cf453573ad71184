"""GoogLeNet (Szegedy et al. 2014, arXiv:1409.4842)."""

from jdeepvis.networks.graph import INPUT
from jdeepvis.networks.tables import (
  GraphModule,
  Layers,
  average_pool,
  conv,
  layer,
  lrn,
  max_pool,
  rectified_concat,
)

_MODULES = {
  # 1x1; 3x3 after its 1x1; 5x5 after its 1x1; 1x1 after pooling.
  "3a": (64, (96, 128), (16, 32), 32),
  "3b": (128, (128, 192), (32, 96), 64),
  "4a": (192, (96, 208), (16, 48), 64),
  "4b": (160, (112, 224), (24, 64), 64),
  "4c": (128, (128, 256), (24, 64), 64),
  "4d": (112, (144, 288), (32, 64), 64),
  "4e": (256, (160, 320), (32, 128), 128),
  "5a": (256, (160, 320), (32, 128), 128),
  "5b": (384, (192, 384), (48, 128), 128),
}
_POOLED = {"4a": "pool3/3x3_s2", "5a": "pool4/3x3_s2"}


class GoogLeNet(GraphModule):
  """GoogLeNet as BVLC trained it for Caffe, `bvlc_googlenet`.

  Its auxiliary classifiers serve training alone and are left out.
  """

  def layers(self) -> Layers:
    """Table 1 of the paper, with the names of the deploy.prototxt."""
    table = [
      *conv("conv1/7x7_s2", INPUT, self._features(64), 7, stride=2, pad=3),
      *max_pool("pool1/3x3_s2", "conv1/7x7_s2"),
      *lrn("pool1/norm1", "pool1/3x3_s2"),
      *conv("conv2/3x3_reduce", "pool1/norm1", self._features(64), 1),
      *conv("conv2/3x3", "conv2/3x3_reduce", self._features(192), 3, pad=1),
      *lrn("conv2/norm2", "conv2/3x3"),
      *max_pool("pool2/3x3_s2", "conv2/norm2"),
    ]
    source = "pool2/3x3_s2"
    for name, features in _MODULES.items():
      if name in _POOLED:
        table += max_pool(_POOLED[name], source)
        source = _POOLED[name]
      table += self._inception(f"inception_{name}", source, *features)
      source = f"inception_{name}/output"
    return (
      *table,
      *average_pool("pool5/7x7_s1", source, 7),
      *layer(
        "loss3/classifier",
        "inner_product",
        "pool5/7x7_s1",
        features=self.classes,
      ),
      *layer("prob", "softmax", "loss3/classifier"),
    )

  def _inception(self, name, source, alone, three, five, pooled) -> Layers:
    """Four branches from the same map, concatenated (figure 2b)."""
    alone, pooled = self._features(alone), self._features(pooled)
    (less3, three), (less5, five) = (
      map(self._features, pair) for pair in (three, five)
    )
    return (
      *conv(f"{name}/1x1", source, alone, 1),
      *conv(f"{name}/3x3_reduce", source, less3, 1),
      *conv(f"{name}/3x3", f"{name}/3x3_reduce", three, 3, pad=1),
      *conv(f"{name}/5x5_reduce", source, less5, 1),
      *conv(f"{name}/5x5", f"{name}/5x5_reduce", five, 5, pad=2),
      *max_pool(f"{name}/pool", source, 3, 1, pad=1),
      *conv(f"{name}/pool_proj", f"{name}/pool", pooled, 1),
      *rectified_concat(
        f"{name}/output",
        *(f"{name}/{part}" for part in ("1x1", "3x3", "5x5", "pool_proj")),
      ),
    )
