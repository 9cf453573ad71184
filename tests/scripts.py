"""Scripts within the tests' own process, though their flags share names."""

import contextlib
import functools
import importlib

import pytest
from absl import flags
from absl.testing import flagsaver

from experiments import script


class Script:
  """One script, whose flags are there while it runs and no longer.

  Attributes:
    module: the script.
  """

  def __init__(self, name):
    self.module, self._flags = _load(name)

  def run(self, *arguments):
    """The script from its arguments up to its very end."""
    with self._own_flags():
      script.parse([self.module.__name__, *map(str, arguments)])
      script.call(self.module.main)

  def parse(self, arguments):
    """Nothing, if they are arguments of the script."""
    with self._own_flags():
      script.parse([self.module.__name__, *arguments])

  @contextlib.contextmanager
  def _own_flags(self):
    with _set_aside():
      _define(self._flags)
      with flagsaver.flagsaver():
        flags.FLAGS.unparse_flags()
        yield


def refusal(run, *arguments):
  """The one sentence with which a script refuses what it is asked."""
  with pytest.raises(SystemExit) as stop:
    run(*arguments)
  sentence = stop.value.code
  assert sentence.startswith("error: ") and sentence.endswith(".")
  assert "\n" not in sentence
  return sentence


@functools.cache
def _load(name):
  """A module and its flags, which it defines when first imported alone."""
  with _set_aside():
    return importlib.import_module(name), _script_flags()


@contextlib.contextmanager
def _set_aside():
  """Takes all scripts' flags away, and brings them back in the end."""
  there = _script_flags()
  _remove(there)
  try:
    yield
  finally:
    _remove(_script_flags())
    _define(there)


def _script_flags():
  return {
    module: list(own)
    for module, own in flags.FLAGS.flags_by_module_dict().items()
    if module.startswith("experiments.")
  }


def _remove(modules):
  for own in modules.values():
    for flag in own:
      delattr(flags.FLAGS, flag.name)


def _define(modules):
  for module, own in modules.items():
    for flag in own:
      flags.FLAGS[flag.name] = flag
      flags.FLAGS.register_flag_by_module(module, flag)
