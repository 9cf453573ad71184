import numpy as np
import pytest

from jdeepvis.display import montage
from jdeepvis.types import JdeepvisError

GREY = np.full((190, 200, 3), 128, np.uint8)


def test_tile_puts_each_picture_in_its_place():
  images = np.arange(1, 6, dtype=np.uint8).reshape(5, 1, 1, 1)
  images = images * np.ones((5, 2, 3, 1), np.uint8)
  sheet = montage.tile(images, columns=3, pad=1, background=9)
  expected = [
    [1, 1, 1, 9, 2, 2, 2, 9, 3, 3, 3],
    [1, 1, 1, 9, 2, 2, 2, 9, 3, 3, 3],
    [9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9],
    [4, 4, 4, 9, 5, 5, 5, 9, 9, 9, 9],
    [4, 4, 4, 9, 5, 5, 5, 9, 9, 9, 9],
  ]
  np.testing.assert_array_equal(sheet[..., 0], expected)
  assert sheet.dtype == np.uint8


@pytest.mark.parametrize(
  ("n", "rows", "columns"), [(1, 1, 1), (2, 1, 2), (5, 2, 3), (9, 3, 3)]
)
def test_tile_is_about_square_unless_told(n, rows, columns):
  sheet = montage.tile(np.zeros((n, 4, 6, 3), np.uint8), pad=0)
  assert sheet.shape == (rows * 4, columns * 6, 3)


def test_strips_are_below_each_other_as_they_are():
  rng = np.random.default_rng(0)
  rows = [
    rng.integers(0, 200, (*size, 3), np.uint8) for size in ((4, 300), (9, 7))
  ]
  sheet = montage.strips(rows, ["wide one", "narrow"])
  assert sheet.shape[1] == 300
  top = sheet.shape[0] - 12 - 9
  np.testing.assert_array_equal(sheet[top : top + 9, :7], rows[1])
  assert (sheet[top:, 7:] == 255).all() and (sheet[-12:] == 255).all()
  # Above each, its caption in ink.
  assert (sheet[:20] < 128).any() and (sheet[top - 24 : top] < 128).any()


def test_tile_keeps_the_pixels():
  images = np.random.default_rng(0).integers(
    0, 256, (4, 5, 6, 3), dtype=np.uint8
  )
  sheet = montage.tile(images, columns=2, pad=2)
  np.testing.assert_array_equal(sheet[7:12, 8:14], images[3])
  assert (sheet[5:7] == 255).all() and (sheet[:, 6:8] == 255).all()


def test_montage_shows_pictures_of_any_size_whole():
  large = np.random.default_rng(0).integers(
    0, 256, (130, 200, 3), dtype=np.uint8
  )
  small = np.random.default_rng(1).integers(0, 256, (20, 30, 1), dtype=np.uint8)
  sheet = montage.montage([large, small], ["one", "two"], ["ok", "ok"], 2)
  (top, left), *others = _find(sheet, large)
  assert not others
  (small_top, small_left), *others = _find(
    sheet, np.broadcast_to(small, (20, 30, 3))
  )
  assert not others
  assert small_top + 20 / 2 == top + 130 / 2
  right_margin = sheet.shape[1] - (small_left + 30 / 2) - 200 / 2
  assert right_margin == left


def test_montage_writes_captions():
  blank = montage.montage([GREY], [" \n "], ["ok"])
  first = montage.montage([GREY], ["fc8 130\n "], ["ok"])
  both = montage.montage([GREY], ["fc8 130\nscore 5"], ["ok"])
  (top, _), *_ = _find(first, GREY)
  assert blank.shape == first.shape == both.shape
  assert (blank[top + 190 :] == 255).all()
  assert (first[top + 190 :] < 100).any()
  changed = np.nonzero((first != both).any(axis=(1, 2)))[0]
  written = np.nonzero((first != blank).any(axis=(1, 2)))[0]
  assert changed.min() > written.max()


def test_a_small_picture_has_room_for_all_that_is_told():
  small = np.full((11, 11, 3), 128, np.uint8)
  reported = "paper_c · seed 1 · 1939."
  sheets = [montage.montage([small], [reported + end], ["ok"]) for end in "12"]
  assert (sheets[0] != sheets[1]).any()


@pytest.mark.parametrize(
  "reported", ["m" * 60, "default+fade+towards+fourier · seed 0"]
)
def test_a_long_caption_is_broken_within_its_own_cell(reported):
  """Its end is there as well as its beginning, and its neighbour is as ever."""
  short, long, longer = (
    montage.montage([GREY] * 2, [text, "b"], ["ok"] * 2, 2)
    for text in (reported[:9], reported, f"{reported}1")
  )
  (_, left), *_ = _find(long, GREY)
  height = short.shape[0]
  assert long.shape[0] > height and long.shape == longer.shape
  assert (long != longer).any()
  np.testing.assert_array_equal(
    short[: height - 30, left + 200 :], long[: height - 30, left + 200 :]
  )


@pytest.mark.parametrize(
  "status", ["majority_failure", "no_progress", "zero_gradient", "nan"]
)
@pytest.mark.parametrize("side", [11, 227])
def test_a_failure_is_marked_in_red(status, side):
  picture = np.full((side, side, 3), 128, np.uint8)
  good = montage.montage([picture], ["same"], ["ok"])
  bad = montage.montage([picture], ["same"], [status])
  assert good.shape == bad.shape
  assert _red(good) == 0
  assert _red(bad) > 0.05


def test_each_failure_reads_differently():
  statuses = ["majority_failure", "no_progress", "zero_gradient", "nan"]
  sheets = {
    montage.montage([GREY], ["same"], [status]).tobytes() for status in statuses
  }
  assert len(sheets) == len(statuses)


def test_a_failure_leaves_its_neighbour_alone():
  good = montage.montage([GREY] * 2, ["a", "b"], ["ok", "ok"], 2)
  bad = montage.montage([GREY] * 2, ["a", "b"], ["ok", "nan"], 2)
  half = good.shape[1] // 2
  np.testing.assert_array_equal(good[:, :half], bad[:, :half])


def test_no_pictures_are_refused():
  with pytest.raises(JdeepvisError, match="at least one"):
    montage.tile(np.zeros((0, 4, 4, 3), np.uint8))
  with pytest.raises(JdeepvisError, match="at least one"):
    montage.montage([], [], [])


def test_lists_of_unequal_length_are_refused():
  with pytest.raises(JdeepvisError, match="1 pictures, 2 captions"):
    montage.montage([GREY], ["a", "b"], ["ok"])


def _find(sheet, picture):
  windows = np.lib.stride_tricks.sliding_window_view(sheet, picture.shape)
  corners = np.argwhere((windows[:, :, 0, 0, 0] == picture[0, 0]).all(-1))
  return [
    (top, left)
    for top, left in corners
    if (windows[top, left, 0] == picture).all()
  ]


def _red(sheet):
  red, green, blue = np.moveaxis(sheet.astype(int), -1, 0)
  return np.mean((red > green + 80) & (red > blue + 80))
