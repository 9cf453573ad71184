"""Folders and lists of images of every kind, good and bad."""

import os

import numpy as np
import pytest
from PIL import Image

from jdeepvis.networks.network import InputSpec
from jdeepvis.networks.pictures import preprocess
from jdeepvis.probing import images
from jdeepvis.types import JdeepvisError

SPEC = InputSpec((9, 8, 3), np.float32([120, 110, 100]))
RNG = np.random.default_rng(0)


def picture(height, width, channels=3):
  return RNG.integers(0, 256, (height, width, channels), np.uint8)


@pytest.fixture
def zoo(tmp_path):
  """One file of each kind: its name, and the pixels or the fault to find."""
  wanted = {}

  def save(name, image, pixels, **options):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    image.save(path, **options)
    wanted[name] = pixels

  rgb = picture(20, 30)
  image = Image.fromarray(rgb)
  save("a/rgb.png", image, rgb)
  save("a/b.webp", image, rgb, lossless=True)
  turned = Image.Exif()
  turned[0x0112] = 6  # a quarter turn to the right
  save("a/exif.png", image, np.rot90(rgb, -1), exif=turned)
  grey = picture(20, 30, 1)
  save("grey.png", Image.fromarray(grey[..., 0]), np.repeat(grey, 3, -1))
  deep = np.uint16(grey[..., 0]) * 257
  save("deep.png", Image.fromarray(deep), np.repeat(grey, 3, -1))
  save("one.png", Image.fromarray(rgb[:1, :1]), rgb[:1, :1])
  moving = [Image.fromarray(picture(20, 30)) for _ in range(2)]
  save(
    "moving.webp", image, rgb, save_all=True, append_images=moving,
    lossless=True,
  )  # fmt: skip
  clear = np.dstack([rgb, np.full((20, 30), 255, np.uint8)])
  save("clear.png", Image.fromarray(clear), rgb)
  long = np.zeros((1, 20_000, 3), np.uint8)
  save("long.png", Image.fromarray(long), long)
  cmyk = np.zeros((20, 30, 4), np.uint8)
  cmyk[..., 3] = 155
  save(
    "CMYK.JPG", Image.fromarray(cmyk, "CMYK"), np.full((20, 30, 3), 100, "u1"),
    format="JPEG",
  )  # fmt: skip
  huge = Image.new("1", (20_000, 20_000))
  save("huge.png", huge, "is too large")
  large = Image.new("1", (10_000, 9_000))
  save("large.png", large, "is too large")
  (tmp_path / "empty.jpg").write_bytes(b"")
  (tmp_path / "text.png").write_text("no picture")
  whole = (tmp_path / "a/rgb.png").read_bytes()
  (tmp_path / "cut.png").write_bytes(whole[:500])
  (tmp_path / "bent.png").write_bytes(whole[:60] + b"x" * 40 + whole[100:])
  for name in ("empty.jpg", "text.png", "cut.png", "bent.png"):
    wanted[name] = "is no picture that can be read"
  (tmp_path / "notes.txt").write_text("not an image")
  return tmp_path, wanted


@pytest.mark.filterwarnings("ignore:'mode' parameter")
@pytest.mark.parametrize("workers", [1, 3])
def test_every_file_is_read_or_its_fault_told(zoo, workers):
  folder, wanted = zoo
  found = images.list_images(folder)
  assert found.names == tuple(sorted(wanted))
  numbers = np.arange(-(-len(wanted) // 4) * 4)
  numbers[len(wanted) :] = -1
  batches = list(
    images.read_batches(found, numbers, SPEC, batch=4, workers=workers)
  )
  pixels, places, faults = (np.concatenate(part) for part in zip(*batches))  # noqa: B905
  for number, name in enumerate(found.names):
    if isinstance(wanted[name], str):
      assert images.FAULTS[faults[number]] == wanted[name], name
      assert places[number] == -1
    else:
      assert faults[number] == 0, name
      assert places[number] == number
      np.testing.assert_allclose(
        pixels[number], preprocess(wanted[name], SPEC), atol=2, err_msg=name
      )
  assert (places[len(wanted) :] == -1).all()
  assert not faults[len(wanted) :].any()


def test_a_list_names_files_beside_it_with_or_without_a_class(tmp_path):
  (tmp_path / "n 1").mkdir()
  Image.fromarray(picture(3, 3)).save(tmp_path / "n 1" / "one two.png")
  names = tmp_path / "list.txt"
  names.write_text("n 1/one two.png\n\n  n 1/one two.png 17 \ngone.png 3\n")
  found = images.list_images(names)
  assert found.names == ("n 1/one two.png", "n 1/one two.png", "gone.png")
  assert [images.read_image(found, i, SPEC)[1] for i in range(3)] == [0, 0, 2]
  assert images.FAULTS[2] == "is missing"


def test_every_format_of_pillow_is_taken_and_the_rest_counted(tmp_path):
  pixels = picture(8, 8)
  for suffix in ("bmp", "ppm", "tif", "png", "jpg", "JPG", "tga", "webp"):
    Image.fromarray(pixels).save(tmp_path / f"a.{suffix}")
  Image.fromarray(pixels[..., 0]).save(tmp_path / "a.pgm")
  for name in ("a.txt", "b.txt", "c.h5", "README", "d.pdf"):
    (tmp_path / name).write_text("none")
  found = images.list_images(tmp_path)
  assert len(found.names) == 9
  assert all(images.read_image(found, i, SPEC)[1] == 0 for i in range(9))
  sentence = images.passed_over(found)
  assert sentence.startswith("5 files") and "2 .txt" in sentence
  for part in ("1 .h5", "1 .pdf", "1 without a suffix"):
    assert part in sentence
  assert images.passed_over(found._replace(passed_over={})) == ""


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_list_may_have_a_root(mark, tmp_path):
  lists, photos = tmp_path / "lists", tmp_path / "photos"
  lists.mkdir()
  photos.mkdir()
  Image.fromarray(picture(3, 3)).save(photos / "a.png")
  names = lists / "val.txt"
  names.write_bytes(mark + b"a.png 3\r\n/a.png 4\r\ngone.png 5\r\n")
  with pytest.raises(JdeepvisError, match=r"None of the 3 images .*root="):
    images.list_images(names)
  found = images.list_images(names, photos)
  assert found.names == ("a.png", "a.png", "gone.png")
  assert [images.read_image(found, i, SPEC)[1] for i in range(3)] == [0, 0, 2]
  with pytest.raises(JdeepvisError, match="a root is for a list"):
    images.list_images(photos, lists)


def test_nothing_to_read_is_one_sentence(tmp_path):
  with pytest.raises(JdeepvisError, match=r"no image in .*\.jpg, \.jpeg"):
    images.list_images(tmp_path)
  with pytest.raises(JdeepvisError, match="neither a folder of images nor"):
    images.list_images(tmp_path / "gone")
  binary = tmp_path / "list.bin"
  binary.write_bytes(b"\xff\xfe\x00")
  with pytest.raises(JdeepvisError, match="neither a folder of images nor"):
    images.list_images(binary)


def test_names_that_are_no_text_and_files_that_are_no_files(tmp_path):
  # A pipe that nobody writes to would be waited for without end.
  names = [b"caf\xe9.png", b"line\nbreak.png", b"pipe.jpg", b"moving.gif"]
  for name in names[:2]:
    with open(os.fsencode(tmp_path) + b"/" + name, "wb") as file:
      Image.fromarray(picture(3, 3)).save(file, "png")
  os.mkfifo(tmp_path / "pipe.jpg")
  frames = [Image.fromarray(picture(3, 3)) for _ in range(2)]
  frames[0].save(tmp_path / "moving.gif", save_all=True, append_images=frames)
  found = images.list_images(tmp_path)
  assert len(found.sha256) == 64
  reported = {
    images.spell(name): images.FAULTS[images.read_image(found, i, SPEC)[1]]
    for i, name in enumerate(found.names)
  }
  assert reported == {
    "caf\\udce9.png": "",
    "line\\nbreak.png": "",
    "moving.gif": "",
    "pipe.jpg": "is no picture that can be read",
  }


def test_a_list_may_name_what_no_system_can_open(tmp_path):
  names = tmp_path / "list.txt"
  Image.fromarray(picture(3, 3)).save(tmp_path / "there.png")
  names.write_text(
    f"{'a' * 300}.png\nnul\0.png\n{names.name}/b.png\nthere.png\n"
  )
  found = images.list_images(names)
  told = [images.read_image(found, i, SPEC)[1] for i in range(4)]
  assert told == [2, 2, 2, 0]
