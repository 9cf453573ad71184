"""The examples in the docstrings of all that is public."""

import doctest

import pytest

import jdeepvis


@pytest.mark.parametrize(
  "name", [name for name in jdeepvis.__all__ if name != "__version__"]
)
def test_the_example_runs(name, monkeypatch):
  if name == "from_keras":
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    pytest.importorskip("keras")
  text = getattr(jdeepvis, name).__doc__
  example = doctest.DocTestParser().get_doctest(text, {}, name, None, None)
  assert example.examples
  reported = []
  runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
  runner.run(example, out=reported.append)
  assert not reported, "".join(reported)
