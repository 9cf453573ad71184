"""Views against NumPy's own reshapes and transposes."""

import math

import hypothesis
import hypothesis.strategies as st
import numpy as np

from jdeepvis.networks.onnx import views

_SHAPES = [(24,), (4, 6), (2, 3, 4), (1, 24, 1), (12, 1, 2), (2, 2, 6), (8, 3)]


def _array(view, blob):
  array = blob.reshape(view.atoms)
  order = [atom for axis in view.axes for atom in axis]
  order += [atom for atom in range(len(view.atoms)) if atom not in order]
  return array.transpose(order).reshape(view.shape)


@hypothesis.settings(deadline=None, derandomize=True, database=None)
@hypothesis.given(data=st.data())
def test_reshapes_and_transposes_in_any_order(data):
  blob = np.arange(24).reshape(2, 4, 3)
  view = views.view_of("x", (2, 4, 3), (None, 2, 0, 1), "x")
  array = blob.transpose(2, 0, 1)[None]
  for _ in range(data.draw(st.integers(1, 5))):
    if data.draw(st.booleans()):
      order = data.draw(st.permutations(range(array.ndim)))
      view, array = views.transposed(view, order), array.transpose(order)
    else:
      shape = data.draw(st.sampled_from(_SHAPES))
      found = views.reshaped(view, shape)
      # What would cut atoms askew needs the values in a blob of their own.
      if found is None:
        return
      view, array = found, array.reshape(shape)
    np.testing.assert_array_equal(_array(view, blob), array)
    assert math.prod(view.atoms) == 24


def test_atoms_that_are_cut_askew():
  view = views.view_of("x", (2, 3), (0, 1), "x")
  assert views.reshaped(views.transposed(view, (1, 0)), (3, 2)) is not None
  assert views.reshaped(views.transposed(view, (1, 0)), (2, 3)) is None
  # Row by row it is another cut of the same.
  assert views.reshaped(view, (6,)) is not None


def test_axes_of_the_blob_are_found_again():
  view = views.view_of("x", (4, 5, 3), (None, 2, 0, 1), "x")
  assert views.plain_axes(view) == (None, 2, 0, 1)
  flat = views.reshaped(view, (1, 3, 20))
  assert views.plain_axes(flat) is None
  assert views.natural_groups(flat) == ((0, 1), (2,))
