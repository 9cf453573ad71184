"""The script from photographs to sentences and the exit status."""

import numpy as np
import pytest
import scripts
from PIL import Image

SCRIPT = scripts.Script("experiments.check_network")


@pytest.fixture
def script():
  return lambda *arguments: SCRIPT.run(*arguments)


def test_the_free_photographs(script, capsys):
  script("--net=squeezenet1.1")
  reported = capsys.readouterr().out
  assert "4 photographs, the first is 'chelsea.jpg'." in reported
  lines = reported.splitlines()
  assert len([line for line in lines if line.startswith("ok ")]) == 9
  assert "285 Egyptian cat" in reported and max(map(len, lines)) <= 80


def test_what_is_wrong_ends_with_status_1(
  script, tmp_path, shared_data, capsys
):
  folder = tmp_path / "digits" / "deep"
  folder.mkdir(parents=True)
  digits = np.load(shared_data / "mnist200.npz")["images"]
  for number, digit in enumerate(digits[:120]):
    Image.fromarray(digit).save(folder / f"{number:03}.png")
  caffe = shared_data / "caffe"
  arguments = (
    f"--net={caffe / 'nets' / 'lenet.prototxt'}",
    f"--weights={caffe / 'models' / 'lenet_v2.caffemodel'}",
    f"--photos={tmp_path / 'digits'}",
  )
  script(*arguments, "--scale=0.00390625")
  reported = capsys.readouterr().out
  assert reported.startswith("100 photographs, the first is 'deep/000.png'.")
  assert "wrong" not in reported
  with pytest.raises(SystemExit) as stop:
    script(*arguments)
  assert stop.value.code == 1
  reported = capsys.readouterr().out.splitlines()
  (wrong,) = [line for line in reported if line.startswith("wrong ")]
  assert wrong.split()[1] == "scale"


def test_a_list_with_its_root(script, tmp_path, capsys):
  Image.new("RGB", (300, 300), (9, 90, 200)).save(tmp_path / "blue.png")
  names = tmp_path / "lists" / "val.txt"
  names.parent.mkdir()
  names.write_text("/blue.png 3\n")
  flags = ("--net=alexnet-conv", f"--photos={names}")
  assert "--root=FOLDER" in scripts.refusal(script, *flags)
  # It is found, but a check wants more than one.
  refused = scripts.refusal(script, *flags, f"--root={tmp_path}")
  assert "give two or more" in refused
  assert "the first is 'blue.png'." in capsys.readouterr().out


def test_an_empty_folder_is_one_sentence(script, tmp_path):
  reported = scripts.refusal(
    script, "--net=squeezenet1.1", f"--photos={tmp_path}"
  )
  assert str(tmp_path) in reported
