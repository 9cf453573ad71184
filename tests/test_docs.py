"""README and docs: their Python runs, and scripts take what they say.

A block of Python that cannot run here has `<!-- test: skip, REASON -->` on the
line above it.
"""

import re
import shlex
from pathlib import Path

import pytest
from compilations import compilations
from PIL import Image
from scripts import Script

import experiments
import jdeepvis
from jdeepvis.synthesis import named_recipes, requests

ROOT = Path(__file__).parent.parent
PAGES = [
  ROOT / "README.md",
  ROOT / "CONTRIBUTING.md",
  *sorted(ROOT.glob("docs/*.md")),
]

_BLOCK = re.compile(
  r"(?:<!-- test: (skip), [^\n]+ -->\n)?^```python\n(.*?)^```$", re.M | re.S
)
_COMMAND = re.compile(r"^(?:\$ )?(?:[A-Z_]+=\S+ )*python -m (experiments\..*)$")


def python_blocks(page):
  return [text for skip, text in _BLOCK.findall(page.read_text()) if not skip]


def commands(page):
  """What the page has one type, in shell blocks and within sentences."""
  text = page.read_text()
  blocks = re.findall(r"^```(?:bash|sh)?\n(.*?)^```$", text, re.M | re.S)
  lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
  prose = re.sub(r"^```.*?^```$", "", text, flags=re.M | re.S)
  lines += [x.replace("\n", " ") for x in re.findall(r"`([^`]+)`", prose)]
  found = [_COMMAND.match(line.strip()) for line in lines]
  return [shlex.split(match[1], comments=True) for match in found if match]


@pytest.fixture
def short(monkeypatch):
  """One step for every recipe: pages run as they are but for that."""
  made = named_recipes.RECIPES
  few = {name: made[name].replace(steps=1) for name in made}
  monkeypatch.setattr(named_recipes, "RECIPES", few)
  monkeypatch.setattr(requests, "RECIPES", few)


@pytest.mark.slow
@pytest.mark.parametrize(
  "page", list(filter(python_blocks, PAGES)), ids=lambda page: page.name
)
def test_its_python_runs(page, short, tmp_path, monkeypatch):
  """And runs again, of other units and seeds, without compiling anything."""
  blocks = python_blocks(page)
  monkeypatch.chdir(tmp_path)
  names = {}
  for block in blocks:
    _execute(block, page, names)
  again = [block for block in blocks if _renders(block)]
  with compilations() as compiled:
    for block in again:
      _execute(_otherwise(block), page, names)
  assert not compiled


@pytest.mark.filterwarnings("ignore:the load_module")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_its_commands_are_understood(page, monkeypatch):
  monkeypatch.chdir(ROOT)
  for name, *arguments in commands(page):
    Script(name).parse(arguments)


def test_nothing_is_overlooked():
  """Each way of writing is found at least here."""
  assert len(python_blocks(ROOT / "README.md")) > 5
  assert len(commands(ROOT / "README.md")) > 5
  refused = ["experiments.render_units", "--unitz=3"]
  with pytest.raises(SystemExit, match="--unitz; nearest: units"):
    Script(refused[0]).parse(refused[1:])


def test_the_first_thing_a_reader_sees_is_three_lines():
  first = python_blocks(ROOT / "README.md")[0]
  assert len([line for line in first.splitlines() if line]) == 3
  text = (ROOT / "README.md").read_text()
  assert text.index("```python") == text.index("```")


def test_changes_name_every_name():
  text = (ROOT / "docs/changes.md").read_text()
  for name in jdeepvis.__all__:
    assert f"`{name}`" in text, name


def _execute(block, page, names):
  exec(compile(block, page.name, "exec"), names)


def _renders(block):
  """Whether it has pictures of functions that are not made anew with it."""
  own = re.search(r"\b(def|lambda|class|from_\w+)\b", block)
  return "jdeepvis.render" in block and not own


def _otherwise(block):
  """The block with the next units, another class and another seed."""

  def after(match):
    return re.sub(r"\d+", lambda number: str(int(number[0]) + 1), match[0])

  block = re.sub(r':[\d-]+"|(?<="), \d+\)', after, block)
  return block.replace('"flamingo"', '"junco"').replace("seed=0", "seed=7")


def test_the_worked_example_of_a_script_passes_its_test(
  tmp_path, monkeypatch, capsys
):
  text = (ROOT / "CONTRIBUTING.md").read_text()
  section = text.split("## Add a script")[1].split("\n## ")[0]
  script, test = re.findall(r"^```python\n(.*?)^```$", section, re.M | re.S)
  (tmp_path / "name.py").write_text(script)
  places = [*experiments.__path__, str(tmp_path)]
  monkeypatch.setattr(experiments, "__path__", places)
  for number in range(2):
    photo = Image.new("RGB", (40, 30), (99 * number, 50, 50))
    photo.save(tmp_path / f"photo_{number}.png")
  names = {}
  exec(compile(test, "test_name.py", "exec"), names)
  names["test_each_photograph_is_named"](tmp_path, capsys)
  names["test_no_photographs_are_one_sentence"]()
