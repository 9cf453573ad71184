"""From files to what a network sees and back, against hand computation."""

import random

import numpy as np
import pytest
from PIL import Image

import jdeepvis
from jdeepvis.networks import pictures
from jdeepvis.networks.network import InputSpec
from jdeepvis.networks.regions import Rectangle
from jdeepvis.types import JdeepvisError

MEAN = np.array([123, 117, 104], np.float32)


def noise(height, width, channels=3, seed=0):
  shape = (height, width, channels)
  return np.random.default_rng(seed).integers(0, 256, shape, np.uint8)


def save(path, pixels, **options):
  Image.fromarray(pixels).save(path, **options)
  return path


def warp(pixels, height, width):
  """Bilinear as Pillow has it, written out: a triangle as wide as a step."""

  def weights(old, new):
    scale = old / new
    reach = max(scale, 1.0)
    centres = (np.arange(new)[:, None] + 0.5) * scale
    distance = np.abs(np.arange(old)[None] + 0.5 - centres) / reach
    weight = np.maximum(1 - distance, 0)
    return weight / weight.sum(1, keepdims=True)

  rows = weights(pixels.shape[0], height)
  columns = weights(pixels.shape[1], width)
  return np.einsum("yh,xw,hwc->yxc", rows, columns, pixels.astype(float))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(tmp_path, orientation):
  upright = noise(6, 4)
  # What a camera held that way stores, by the meaning of each number.
  stored = {
    1: upright,
    2: upright[:, ::-1],
    3: upright[::-1, ::-1],
    4: upright[::-1],
    5: upright.transpose(1, 0, 2),
    6: np.rot90(upright, 1),
    7: np.rot90(upright, 2).transpose(1, 0, 2),
    8: np.rot90(upright, -1),
  }[orientation]
  exif = Image.Exif()
  exif[0x112] = orientation
  path = save(tmp_path / "a.png", np.ascontiguousarray(stored), exif=exif)
  np.testing.assert_array_equal(jdeepvis.read_picture(path), upright)


def test_grey_files_become_three_equal_channels(tmp_path):
  grey = noise(5, 7)[..., 0]
  pixels = jdeepvis.read_picture(save(tmp_path / "a.png", grey))
  np.testing.assert_array_equal(pixels, np.stack([grey] * 3, -1))


def test_deep_grey_files_keep_their_greys(tmp_path):
  """Pillow alone would cut everything above 255 of 65535 off to white."""
  deep = np.array([[0, 257, 128], [32896, 65278, 65535]], np.uint16)
  pixels = jdeepvis.read_picture(save(tmp_path / "a.png", deep))
  assert pixels.dtype == np.uint8 and pixels.shape == (2, 3, 3)
  np.testing.assert_array_equal(pixels[..., 0], [[0, 1, 0], [128, 254, 255]])


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_files_of_32_bits_are_refused(tmp_path, dtype):
  path = save(tmp_path / "a.tif", np.ones((4, 4), dtype))
  with pytest.raises(JdeepvisError, match=r"a\.tif.*32 bits"):
    jdeepvis.read_picture(path)


def test_palette_files_with_and_without_transparency(tmp_path):
  colours = np.array([[255, 0, 0], [0, 128, 255], [9, 9, 9]], np.uint8)
  index = np.array([[0, 1, 2], [2, 1, 0]], np.uint8)
  image = Image.fromarray(index)
  image.putpalette(colours.tobytes())
  assert image.mode == "P"
  for options in ({}, {"transparency": bytes([0, 128, 255])}):
    image.save(tmp_path / "a.png", **options)
    pixels = jdeepvis.read_picture(tmp_path / "a.png")
    np.testing.assert_array_equal(pixels, colours[index])


def test_an_alpha_channel_is_left_out(tmp_path):
  rgba = noise(5, 4, 4)
  pixels = jdeepvis.read_picture(save(tmp_path / "a.png", rgba))
  np.testing.assert_array_equal(pixels, rgba[..., :3])


def test_files_that_are_no_pictures_are_one_sentence(tmp_path):
  good = save(tmp_path / "good.png", noise(40, 40)).read_bytes()
  for name, content in {
    "empty.png": b"",
    "text.jpg": b"not a picture",
    "cut.png": good[: len(good) // 2],
    "header.png": good[:8],
  }.items():
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(JdeepvisError) as error:
      jdeepvis.read_picture(path)
    assert name in str(error.value) and str(error.value).endswith(".")
  with pytest.raises(JdeepvisError, match=r"no image file .*missing\.png"):
    jdeepvis.read_picture(tmp_path / "missing.png")
  with pytest.raises(JdeepvisError, match="no readable image"):
    jdeepvis.read_picture(tmp_path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP"])
@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_files_raise_nothing_else(tmp_path, kind):
  path = tmp_path / "a"
  save(path, noise(24, 30), format=kind)
  good = path.read_bytes()
  luck = random.Random(0)
  failures = 0
  for _ in range(60):
    bad = bytearray(good)
    for _ in range(luck.choice([1, 5, 20])):
      bad[luck.randrange(min(len(bad), 200))] = luck.randrange(256)
    path.write_bytes(bad[: luck.choice([None, luck.randrange(len(bad))])])
    try:
      pixels = jdeepvis.read_picture(path)
      assert pixels.dtype == np.uint8 and pixels.shape[-1] == 3
    except JdeepvisError:
      failures += 1
  assert failures


def test_caffe_mode_warps_then_crops_the_centre():
  spec = InputSpec((20, 24, 3), MEAN, resize=32)
  pixels = noise(50, 41)
  image = jdeepvis.preprocess(pixels, spec)
  assert image.shape == spec.shape and image.dtype == np.float32
  warped = warp(pixels, 32, 32)[6:26, 4:28]
  np.testing.assert_allclose(image + MEAN, warped, atol=1.01)
  # One grey level is Pillow's two roundings; elsewhere it would be dozens.
  assert np.abs(image + MEAN - warped).mean() < 0.4


def test_caffe_mode_of_the_bundled_network(squeezenet):
  """Nothing to warp at 256x256: the crop begins at (256 - 227) // 2."""
  pixels = noise(256, 256)
  image = jdeepvis.preprocess(pixels, squeezenet.input)
  np.testing.assert_array_equal(image, pixels[14:241, 14:241] - MEAN)


def test_caffe_mode_without_a_side_warps_straight():
  spec = InputSpec((20, 24, 3), MEAN)
  pixels = noise(9, 50)
  image = jdeepvis.preprocess(pixels, spec)
  np.testing.assert_allclose(image + MEAN, warp(pixels, 20, 24), atol=1.01)


@pytest.mark.parametrize("shape", [(31, 50), (50, 31), (40, 40)])
def test_square_mode_takes_the_centre_square(shape):
  spec = InputSpec((20, 24, 3), MEAN, resize=256)
  pixels = noise(*shape)
  side = min(shape)
  top, left = (shape[0] - side) // 2, (shape[1] - side) // 2
  square = pixels[top : top + side, left : left + side]
  image = jdeepvis.preprocess(pixels, spec, mode="square")
  np.testing.assert_allclose(image + MEAN, warp(square, 20, 24), atol=1.01)


def test_a_mean_image_is_subtracted_pixel_by_pixel():
  mean = np.random.default_rng(1).uniform(0, 255, (8, 8, 3)).astype(np.float32)
  pixels = noise(8, 8)
  image = jdeepvis.preprocess(pixels, InputSpec((8, 8, 3), mean))
  np.testing.assert_array_equal(image, pixels.astype(np.float32) - mean)


@pytest.mark.parametrize("mode", ["caffe", "square"])
def test_networks_of_one_channel(mode):
  spec = InputSpec((8, 8, 1), np.array([100], np.float32))
  colour = np.zeros((8, 8, 3), np.uint8) + np.uint8([200, 100, 50])
  image = jdeepvis.preprocess(colour, spec, mode=mode)
  assert image.shape == (8, 8, 1)
  luma = 0.299 * 200 + 0.587 * 100 + 0.114 * 50
  np.testing.assert_allclose(image, luma - 100, atol=0.51)
  grey = noise(8, 8, 1)
  image = jdeepvis.preprocess(grey, spec, mode=mode)
  np.testing.assert_array_equal(image, grey.astype(np.float32) - 100)


def test_grey_pictures_for_a_network_of_three_channels():
  grey = noise(8, 8, 1)
  image = jdeepvis.preprocess(grey, InputSpec((8, 8, 3), MEAN))
  np.testing.assert_array_equal(image, np.repeat(grey, 3, -1) - MEAN)


@pytest.mark.parametrize(
  ("pixels", "reported"),
  [
    (np.zeros((8, 8, 4), np.uint8), "3 channels, the picture 4"),
    (np.zeros((8, 8, 3), np.float32), "float32"),
    (np.zeros((8, 0, 3), np.uint8), r"\[8, 0, 3\]"),
    (np.zeros((1, 8, 8, 3), np.uint8), r"\[1, 8, 8, 3\]"),
  ],
)
def test_what_is_no_picture_is_refused(pixels, reported):
  """Past the annotations, which only tests check."""
  with pytest.raises(JdeepvisError, match=reported):
    pictures._with_channels(pixels, 3)


def test_an_unknown_mode_is_refused():
  spec = InputSpec((8, 8, 3), MEAN)
  with pytest.raises(JdeepvisError, match=r"'crop'.*caffe.*square"):
    jdeepvis.preprocess(noise(8, 8), spec, mode="crop")


def test_pixels_come_back_as_they_were():
  spec = InputSpec((16, 16, 3), np.array([123.4, 116.8, 103.9], np.float32))
  pixels = noise(16, 16)
  image = jdeepvis.preprocess(pixels, spec)
  np.testing.assert_array_equal(jdeepvis.to_pixels(image, spec), pixels)


def test_to_pixels_rounds_and_clips():
  spec = InputSpec((1, 6, 1), np.array([100], np.float32))
  values = [-500.0, -100.4, -0.6, 0.6, 155.4, np.inf]
  image = np.array(values, np.float32).reshape(1, 6, 1)
  pixels = jdeepvis.to_pixels(image, spec)
  assert pixels.dtype == np.uint8
  assert pixels.ravel().tolist() == [0, 0, 99, 101, 255, 255]


def test_what_is_no_number_turns_black_without_a_warning():
  spec = InputSpec((1, 2, 1), np.array([100], np.float32))
  image = np.array([[[np.nan], [3.0]]], np.float32)
  assert jdeepvis.to_pixels(image, spec).ravel().tolist() == [0, 103]


@pytest.mark.parametrize("resize", [None, 48])
def test_a_place_in_an_image_is_found_in_its_picture(resize):
  spec = InputSpec((32, 40, 3), np.zeros(3, np.float32), resize)
  picture = np.zeros((300, 500, 3), np.uint8)
  picture[120:180, 200:320] = 255
  rows, columns = np.nonzero(pictures.preprocess(picture, spec)[..., 0] > 127)
  box = Rectangle(rows.min(), columns.min(), rows.max() + 1, columns.max() + 1)
  found = pictures.in_picture(box, (300, 500), spec)
  # To within a pixel of the image: seven rows of the picture, ten columns.
  assert np.all(np.abs(np.subtract(found, (120, 200, 180, 320))) <= 12)
  whole = pictures.in_picture(Rectangle(0, 0, 32, 40), (300, 500), spec)
  assert whole == ((0, 0, 300, 500) if resize is None else (50, 41, 250, 459))


@pytest.mark.parametrize("shape", [(3,), (4, 6, 3)])
def test_the_mean_is_a_colour_or_an_image(shape):
  pixels = noise(4, 6)
  mean = np.float32(np.random.default_rng(1).uniform(0, 255, shape))
  centred = pictures.centre(pixels, InputSpec((4, 6, 3), mean))
  np.testing.assert_array_equal(centred, np.float32(pixels) - mean)
  assert centred.dtype == np.float32
