"""What the tests of several scripts share."""

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def photos(tmp_path):
  """A folder with two pictures, not square."""
  path = tmp_path / "photos"
  path.mkdir()
  for number, pixels in enumerate(
    np.random.default_rng(0).integers(0, 256, (2, 30, 40, 3), np.uint8)
  ):
    Image.fromarray(pixels).save(path / f"photo_{number}.png")
  return path
