"""Where the weights of known networks are published, in one place."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple


class Published(NamedTuple):
  """A file with weights, as its authors publish it.

  Attributes:
    url: its address.
    size: of the file, bytes.
    algorithm: of its checksum, a name that `hashlib` knows.
    checksum: in hexadecimal digits, all of them.
    licence: of the weights, by its common name.
  """

  url: str
  size: int
  algorithm: str
  checksum: str
  licence: str

  @property
  def file(self) -> str:
    """The file's own name."""
    return self.url.rpartition("/")[2]

  def fits(self, path: Path) -> bool:
    """Whether a file has the checksum."""
    with open(path, "rb") as file:
      found = hashlib.file_digest(file, self.algorithm).hexdigest()
    return found == self.checksum

  def __str__(self) -> str:
    """The address with what to know of the file before it is fetched."""
    return (
      f"{self.url} ({self.size / 1e6:.0f} MB, {self.licence}, "
      f"{self.algorithm} {self.checksum})"
    )


_CAFFE = "http://dl.caffe.berkeleyvision.org"
_TORCHVISION = "https://download.pytorch.org/models"
# A commit, so that the file under the address stays what it is.
_SQUEEZENET = (
  "https://github.com/forresti/SqueezeNet/raw/"
  "a47b6f13d30985279789d08053d37013d67d131b"
)

# Caffe's authors and VGG publish SHA-1; torchvision the first eight digits of
# SHA-256, in the name; SqueezeNet's nothing: theirs are the Open Model Zoo's.
PUBLISHED: Mapping[str, Published] = MappingProxyType(
  {
    "caffenet": Published(
      f"{_CAFFE}/bvlc_reference_caffenet.caffemodel",
      243_862_418,
      "sha1",
      "4c8d77deb20ea792f84eb5e6d0a11ca0a8660a46",
      "unrestricted",
    ),
    "alexnet": Published(
      f"{_CAFFE}/bvlc_alexnet.caffemodel",
      243_862_414,
      "sha1",
      "9116a64c0fbe4459d18f4bb6b56d647b63920377",
      "unrestricted",
    ),
    "alexnet-torchvision": Published(
      f"{_TORCHVISION}/alexnet-owt-7be5be79.pth",
      244_408_911,
      "sha256",
      "7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
      "BSD",
    ),
    "googlenet": Published(
      f"{_CAFFE}/bvlc_googlenet.caffemodel",
      53_533_754,
      "sha1",
      "405fc5acd08a3bb12de8ee5e23a96bec22f08204",
      "unrestricted",
    ),
    "squeezenet1.0": Published(
      f"{_SQUEEZENET}/SqueezeNet_v1.0/squeezenet_v1.0.caffemodel",
      5_001_403,
      "sha384",
      "b8dc96393e093b4f23390b70f01fe37330d629759db59c1da3c15f846d0b1b17"
      "51b6ad841570c2e303c86829c750a745",
      "BSD",
    ),
    "squeezenet1.1": Published(
      f"{_SQUEEZENET}/SqueezeNet_v1.1/squeezenet_v1.1.caffemodel",
      4_950_080,
      "sha256",
      "72b912ace512e8621f8ff168a7d72af55910d3c7c9445af8dfbff4c2ee960142",
      "BSD",
    ),
    "vgg16": Published(
      "https://www.robots.ox.ac.uk/~vgg/software/very_deep/caffe/"
      "VGG_ILSVRC_16_layers.caffemodel",
      553_432_081,
      "sha1",
      "9363e1f6d65f7dba68c4f27a1e62105cdf6c4e24",
      "CC BY 4.0",
    ),
    "vgg16-torchvision": Published(
      f"{_TORCHVISION}/vgg16-397923af.pth",
      553_433_881,
      "sha256",
      "397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
      "BSD",
    ),
  }
)
"""By the name in `ARCHITECTURES`."""
