"""What holds of every public function, found by looking at all of them."""

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap

import pytest

import jdeepvis

PACKAGES = ("synthesis", "probing", "evolution")

# Who is to be named where a public function is somebody's method.
SOURCES = {
  "ascend": "Yosinski",
  "backward": "Springenberg",
  "direction": "Carter",
  "dream": "Mordvintsev",
  "facets": "Nguyen",
  "faithfulness": "Geirhos",
  "fool": "Nguyen",
  "gradient_sign": "Goodfellow",
  "invert": "Mahendran",
  "layer_mean_square": "Mordvintsev",
  "occlude": "Zeiler",
  "perceptual_features": "Zhang",
  "saliency": "Simonyan",
  "smallest_change": "Szegedy",
  "two_choices": "Zimmermann",
}


def public_names():
  found = ((name, getattr(jdeepvis, name)) for name in jdeepvis.__all__)
  return {name: value for name, value in found if inspect.isroutine(value)}


def public_functions():
  """All functions of the pure packages, and all public ones, by full name."""
  found = {}
  for package in PACKAGES:
    home = importlib.import_module(f"jdeepvis.{package}")
    for info in pkgutil.walk_packages(home.__path__, f"{home.__name__}."):
      module = importlib.import_module(info.name)
      for name, value in vars(module).items():
        value = inspect.unwrap(value) if callable(value) else value
        own = getattr(value, "__module__", None) == info.name
        if own and inspect.isfunction(value) and not name.startswith("_"):
          found[f"{info.name}.{name}"] = value
  for value in map(inspect.unwrap, public_names().values()):
    found[f"{value.__module__}.{value.__name__}"] = value
  return found


FUNCTIONS = public_functions()


def arguments(function):
  """Its arguments by name, as they are written."""
  return inspect.signature(function).parameters


def section(function, name):
  """What stands under a heading of its docstring; nothing without it."""
  text = inspect.getdoc(function) or ""
  match = re.search(rf"^{name}:\n((?:  .*\n?|\n)*)", text, re.M)
  return match[1] if match else ""


def described(function):
  """The arguments that its docstring tells of."""
  return re.findall(r"^  \*{0,2}(\w+):", section(function, "Args"), re.M)


def raises(function):
  """Whether it raises our error itself."""
  tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
  raised = (node.exc for node in ast.walk(tree) if isinstance(node, ast.Raise))
  return any("JdeepvisError" in ast.dump(one) for one in raised if one)


def test_nothing_is_overlooked():
  assert {
    "jdeepvis.synthesis.render.render_many",
    "jdeepvis.synthesis.priors.blur",
    "jdeepvis.evolution.map_elites.evolve",
    "jdeepvis.networks.crop.crop",
  } < FUNCTIONS.keys()
  assert public_names().keys() > SOURCES.keys()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arguments_come_in_order(name):
  """`key` first, the network next; one option at most goes without its name."""
  positional = [
    one
    for one in arguments(FUNCTIONS[name]).values()
    if one.kind is one.POSITIONAL_OR_KEYWORD
  ]
  names = [one.name for one in positional]
  assert "key" not in names[1:]
  assert "network" not in [one for one in names if one != "key"][1:]
  options = [one for one in positional if one.default is not one.empty]
  assert len(options) <= 1


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_docstring_tells_all(name):
  """One line; every argument, once there are many; what it raises."""
  function = FUNCTIONS[name]
  first, *more = inspect.getdoc(function).splitlines()
  assert first.endswith(".") and not (more and more[0])
  own = list(arguments(function))
  if len(own) > 2 or described(function):
    assert described(function) == own
  if raises(function):
    assert "JdeepvisError: " in section(function, "Raises")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_arrays_have_shapes(name):
  """In the annotation, as jaxtyping has them, or in the docstring."""
  function = FUNCTIONS[name]
  text = section(function, "Args")
  for one in arguments(function).values():
    if "ndarray" in str(one.annotation) and "[" not in str(one.annotation):
      entry = re.search(rf"^  {one.name}: (.*(\n    .*)*)", text, re.M)
      assert entry and re.search(r"`\[|(see|as for) `", entry[1]), one.name


@pytest.mark.parametrize("name", public_names())
def test_a_public_name_tells_everything(name):
  function = public_names()[name]
  assert described(function) == list(arguments(function))
  assert section(function, "Returns")
  assert ">>> " in inspect.getdoc(function)


@pytest.mark.parametrize("name", SOURCES)
def test_a_method_names_its_source(name):
  function = public_names()[name]
  module = inspect.getdoc(inspect.getmodule(function))
  reported = " ".join(f"{inspect.getdoc(function)} {module}".split())
  assert re.search(rf"{SOURCES[name]}\D* \(?\d{{4}}", reported)
