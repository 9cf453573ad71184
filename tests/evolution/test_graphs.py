"""Graphs that draw: plain evaluation, growth that keeps them sound."""

import colorsys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jdeepvis.evolution import graphs, growth
from jdeepvis.evolution.cppn import Cppn
from jdeepvis.evolution.graphs import FIRST_OUTPUT, HIDDEN, LINKS, NODES

SHAPE = (23, 31, 3)
_FUNCTIONS = {
  "sine": np.sin,
  "sigmoid": lambda x: 2 / (1 + np.exp(-x)) - 1,
  "gaussian": lambda x: np.exp(-x * x),
  "linear": lambda x: np.clip(x, -3, 3) / 3,
}

draw = jax.jit(graphs.draw, static_argnums=1)
add_link, delete_link, move_link, add_node, delete_node, cross = map(
  jax.jit,
  (
    growth.add_link,
    growth.delete_link,
    growth.move_link,
    growth.add_node,
    growth.delete_node,
    growth.cross,
  ),
)


def plain(graph):
  return jax.tree.map(np.asarray, graph)


def links(graph):
  """`{(source, target): weight}` of what is present."""
  graph = plain(graph)
  pairs = zip(graph.source.tolist(), graph.target.tolist(), strict=True)
  both = zip(pairs, graph.weight.tolist(), graph.present, strict=True)
  return {pair: weight for pair, weight, present in both if present}


def used(graph):
  return {*range(4 + int(graph.hidden)), *range(FIRST_OUTPUT, NODES)}


def draw_plainly(graph, shape):
  """Each node asks those it is linked from, each pixel for itself."""
  height, width, channels = shape
  weights, functions = links(graph), np.asarray(graph.function)
  picture = np.zeros(shape)
  for row in range(height):
    for column in range(width):
      x, y = (2 * column + 1) / width - 1, (2 * row + 1) / height - 1
      values = {0: x, 1: y, 2: (x * x + y * y) ** 0.5, 3: 1.0}

      def value(node, values=values):
        if node not in values:
          total = sum(
            weight * value(source)
            for (source, target), weight in weights.items()
            if target == node
          )
          name = graphs.FUNCTIONS[functions[node]]
          values[node] = _FUNCTIONS[name](total)
        return values[node]

      hue, saturation, lightness = (
        (value(FIRST_OUTPUT + i) + 1) / 2 for i in range(3)
      )
      rgb = colorsys.hls_to_rgb(hue, lightness, saturation)
      picture[row, column] = rgb if channels == 3 else lightness
  return 255 * picture


@pytest.fixture(scope="module")
def grown():
  """A few graphs after many generations among themselves."""
  encoding = Cppn(SHAPE)
  vary = jax.jit(encoding.vary)
  family = [encoding.random(jax.random.key(i)) for i in range(5)]
  everybody = [*family]
  rng = np.random.default_rng(0)
  for number in range(200):
    child, mate = rng.integers(0, 5, 2)
    key = jax.random.key(number)
    family[child] = vary(key, family[child], family[mate], 0)
    everybody.append(family[child])
  return everybody


def test_a_picture_is_a_plain_evaluation_of_its_graph(grown):
  sizes = set()
  for graph in grown[::40]:
    sizes.add(int(graph.hidden))
    made = np.asarray(draw(graph, SHAPE))
    np.testing.assert_array_equal(made, np.round(made))
    # Rounded to whole levels; at a kink a level may tip over.
    np.testing.assert_allclose(made, draw_plainly(graph, SHAPE), atol=0.6)
  assert max(sizes) >= 4


def test_one_channel_is_the_lightness(grown):
  shape = (9, 8, 1)
  made = draw(grown[-1], shape)
  np.testing.assert_allclose(made, draw_plainly(grown[-1], shape), atol=0.6)


def test_populations_draw_under_vmap_as_one_by_one(grown):
  few = jax.tree.map(lambda *leaves: np.stack(leaves), *grown[-4:])
  encoding = Cppn(SHAPE)
  together = jax.jit(jax.vmap(encoding.decode))(few)
  for graph, image in zip(grown[-4:], together, strict=True):
    np.testing.assert_allclose(image, draw(graph, SHAPE), atol=1)


def test_a_larger_picture_shows_the_same(grown):
  """Each pixel of a third lies at the middle of one of the whole."""
  small = draw(grown[-2], (20, 24, 3))
  large = draw(grown[-2], (60, 72, 3))
  np.testing.assert_allclose(large[1::3, 1::3], small, atol=1)


def test_colours_are_those_of_the_standard_library():
  hsl = np.random.default_rng(0).uniform(size=(3, 200))
  made = np.asarray(graphs.hsl_to_rgb(*hsl))
  for (hue, saturation, lightness), rgb in zip(hsl.T, made.T, strict=True):
    expected = colorsys.hls_to_rgb(hue, lightness, saturation)
    np.testing.assert_allclose(rgb, expected, atol=1e-5)


def test_growth_keeps_graphs_sound(grown):
  for graph in grown:
    graph = plain(graph)
    assert 0 <= graph.hidden <= HIDDEN
    nodes = used(graph)
    for source, target in links(graph):
      assert source < target and {source, target} <= nodes
      assert source < FIRST_OUTPUT and target >= 4
    assert len(links(graph)) == graph.present.sum()
    assert (np.abs(graph.weight) <= graphs.LARGEST_WEIGHT).all()
    marks = graph.mark[sorted(nodes)].tolist()
    assert len(set(marks)) == len(marks)
    assert set(graph.function.tolist()) <= set(range(len(graphs.FUNCTIONS)))


def test_the_first_are_fully_linked():
  drawn = [graphs.minimal_graph(jax.random.key(i)) for i in range(200)]
  expected = {(i, FIRST_OUTPUT + o) for i in range(4) for o in range(3)}
  assert all(set(links(graph)) == expected for graph in drawn)
  weights = np.array([list(links(graph).values()) for graph in drawn])
  assert np.abs(weights).max() <= 10
  assert np.abs(weights).mean() == pytest.approx(5, rel=0.1)
  functions = [graph.function[FIRST_OUTPUT:] for graph in drawn]
  counts = np.bincount(np.ravel(functions), minlength=4)
  assert (counts > 100).all()


def parts_of(graph):
  """Links by the marks of their ends, which moving up and down keeps."""
  marks = np.asarray(graph.mark)
  return {
    (int(marks[a]), int(marks[b])): weight
    for (a, b), weight in links(graph).items()
  }


@pytest.mark.parametrize("number", range(6))
def test_each_change_is_what_it_says(grown, number):
  graph, key = grown[-1 - 30 * number], jax.random.key(number)
  before = parts_of(graph)

  after = parts_of(add_link(key, graph))
  assert before.items() < after.items() and len(after) == len(before) + 1

  after = parts_of(delete_link(key, graph))
  assert after.items() < before.items() and len(after) == len(before) - 1

  after = parts_of(move_link(key, graph))
  ((old, weight),) = before.items() - after.items()
  ((new, same),) = after.items() - before.items()
  assert weight == same and (old[0] == new[0]) != (old[1] == new[1])

  taller = add_node(key, graph)
  after = parts_of(taller)
  (((source, target), weight),) = before.items() - after.items()
  (fresh,) = {b for _, b in after} - {b for _, b in before}
  assert after.items() - before.items() == {
    ((source, fresh), 1.0),
    ((fresh, target), weight),
  }
  assert taller.hidden == graph.hidden + 1

  if graph.hidden:
    shorter = delete_node(key, graph)
    gone = {int(graph.mark[i]) for i in used(graph)} - {
      int(shorter.mark[i]) for i in used(shorter)
    }
    (mark,) = gone
    kept = {ends: w for ends, w in before.items() if mark not in ends}
    assert parts_of(shorter) == kept and shorter.hidden == graph.hidden - 1


def test_what_there_is_no_room_for_is_left_out():
  graph = graphs.minimal_graph(jax.random.key(0))
  for number in range(LINKS):
    graph = add_link(jax.random.key(number), graph)
    graph = add_node(jax.random.key(number), graph)
  assert graph.hidden == HIDDEN
  for number in range(LINKS):
    graph = add_link(jax.random.key(number), graph)
  assert graph.present.all()
  for change in (add_link, add_node):
    same = change(jax.random.key(1), graph)
    jax.tree.map(np.testing.assert_array_equal, same, graph)
  empty = graph._replace(present=jnp.zeros(LINKS, bool), hidden=jnp.int32(0))
  for change in (delete_link, delete_node, add_node):
    assert not links(change(jax.random.key(1), empty))


def test_crossing_takes_half_of_what_both_have(grown):
  parent = grown[-1]
  rng = np.random.default_rng(0)
  mate = delete_link(jax.random.key(3), parent)
  mate = mate._replace(
    weight=jnp.float32(rng.uniform(-10, 10, LINKS)),
    function=(parent.function + 1) % 4,
  )
  mate = add_node(jax.random.key(4), mate)
  ours, theirs = parts_of(parent), parts_of(mate)
  both = ours.keys() & theirs.keys()
  assert len(both) >= 4
  taken, changed = [], []
  for number in range(100):
    child = cross(jax.random.key(number), parent, mate)
    made = parts_of(child)
    assert made.keys() == ours.keys()
    for ends, weight in made.items():
      allowed = {ours[ends], theirs.get(ends, ours[ends])}
      assert weight in allowed
    taken += [made[ends] != ours[ends] for ends in both]
    nodes = sorted(used(parent) - {0, 1, 2, 3})
    changed += np.asarray(child.function != parent.function)[nodes].tolist()
  assert np.mean(taken) == pytest.approx(0.5, abs=0.06)
  assert np.mean(changed) == pytest.approx(0.5, abs=0.08)


def test_strangers_share_only_what_all_begin_with(grown):
  first, second = (
    add_node(jax.random.key(i), graphs.minimal_graph(jax.random.key(i)))
    for i in range(2)
  )
  child = cross(jax.random.key(0), first, second)
  ours, theirs, made = parts_of(first), parts_of(second), parts_of(child)
  own = ours.keys() - theirs.keys()
  assert own and all(made[ends] == ours[ends] for ends in own)
