import numpy as np
import pytest

from jdeepvis.display.heat import beside, fade, outline, overlay

PIXELS = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)


def test_nothing_is_the_picture_in_grey():
  for values in (np.zeros((3, 4)), np.full((3, 4), np.nan)):
    shown = overlay(PIXELS, values)
    grey = np.round(PIXELS.mean(axis=-1, keepdims=True))
    np.testing.assert_array_equal(shown, np.broadcast_to(grey, shown.shape))


@pytest.mark.parametrize("size", [1e-3, 1.0, 1e6])
def test_high_is_red_and_below_zero_blue(size):
  grey = np.full((40, 60, 1), 128, np.uint8)
  shown = np.int32(overlay(grey, size * np.array([[1.0, 0.0, -1.0]])))
  assert shown[20, 0].argmax() == 0 and shown[20, -1].argmax() == 2
  assert np.ptp(shown[20, 30]) < 8
  # The strongest covers three quarters of the picture.
  np.testing.assert_array_equal(
    shown[20, 0], np.round(0.25 * 128 + 0.75 * np.array([220, 30, 30]))
  )


def test_beside_keeps_every_picture_and_puts_white_between():
  grey = PIXELS[:, :7, :1]
  row = beside(PIXELS, grey, PIXELS, gap=3)
  assert row.shape == (40, 60 + 3 + 7 + 3 + 60, 3)
  np.testing.assert_array_equal(row[:, :60], PIXELS)
  np.testing.assert_array_equal(row[:, -60:], PIXELS)
  assert np.all(row[:, 60:63] == 255)
  np.testing.assert_array_equal(row[:, 63:70], np.repeat(grey, 3, axis=2))


def test_beside_fills_what_lower_pictures_leave_free():
  row = beside(PIXELS[:30], PIXELS, gap=2, background=9)
  np.testing.assert_array_equal(row[:30, :60], PIXELS[:30])
  assert np.all(row[30:, :60] == 9) and np.all(row[:, 60:62] == 9)
  np.testing.assert_array_equal(row[:, 62:], PIXELS)


@pytest.mark.parametrize("pixels", [PIXELS, PIXELS[..., :1]])
def test_a_frame_lies_within_its_box(pixels):
  shown = outline(pixels, (5, 10, 25, 50))
  assert shown.shape == PIXELS.shape
  changed = np.any(shown != pixels, axis=-1)
  expected = np.zeros((40, 60), bool)
  expected[5:25, 10:50] = True
  expected[8:22, 13:47] = False
  np.testing.assert_array_equal(changed, expected)


def test_what_is_not_in_the_mask_fades():
  mask = np.zeros((40, 60), bool)
  mask[:, 20:] = True
  shown = fade(PIXELS, mask)
  np.testing.assert_array_equal(shown[mask], PIXELS[mask])
  assert shown[~mask].min() >= 204 and fade(PIXELS[..., :1], mask).ndim == 3
