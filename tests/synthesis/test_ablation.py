"""Which recipes a study compares, and its means against NumPy."""

import collections
import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.stats

import jdeepvis
from jdeepvis.evaluation import summary
from jdeepvis.synthesis import (
  ablation,
  entries,
  named_recipes,
  recipes,
  transforms,
)
from jdeepvis.synthesis.assembly import optimizer

BASE = recipes.make_recipe(
  transforms.scale_to_rms, 4.0, decay=1e-3, blur=2.0, blur_end=0.5, scale=1.2,
  jitter=0.0, blur_every=2, steps=6,
)  # fmt: skip


def structures(combinations):
  return {jax.tree.structure(one.recipe) for one in combinations}


def test_a_grid_has_every_combination_in_one_program():
  factors = ablation.parse_factors(
    ["decay:0,1e-4,0.5", "total_variation:0,2"], BASE
  )
  assert factors == {"decay": (0, 1e-4, 0.5), "total_variation": (0, 2)}
  combinations = ablation.grid(BASE, factors)
  assert [one.name for one in combinations] == [
    f"decay={decay},total_variation={variation}"
    for decay, variation in itertools.product(("0", "0.0001", "0.5"), "02")
  ]
  for one in combinations:
    assert one.strengths.keys() == factors.keys()
    changed = BASE.replace(**one.strengths)
    assert one.recipe == changed and one.seed is None
    # Whole numbers too are leaves of one type.
    assert all(type(leaf) is float for leaf in jax.tree.leaves(one.recipe))
  assert len(structures(combinations)) == 1


def test_counts_are_static_and_whole():
  factors = ablation.parse_factors(
    ["steps:4,8", "blur_every:1,3", "decay:0,1"], BASE
  )
  combinations = ablation.grid(BASE, factors)
  assert len(combinations) == 8 and len(structures(combinations)) == 4
  for one in combinations:
    assert type(one.recipe.steps) is int
    assert one.recipe.steps == one.strengths["steps"]
    assert (
      one.recipe.strengths.get("blur_every", 1) == (one.strengths["blur_every"])
    )


@pytest.mark.parametrize(
  ("texts", "reported"),
  [
    (["deacy:1"], "'deacy'.*nearest: decay"),
    (["policy:1"], "'policy'"),
    (["decay"], "NAME:VALUE"),
    (["decay:"], "NAME:VALUE"),
    (["decay:0,,1"], "NAME:VALUE"),
    (["decay:much"], "--vary=decay:much"),
    (["decay:-1"], "decay=-1"),
    (["decay:nan"], "decay=nan"),
    (["steps:0"], "steps=0"),
    (["steps:1.5"], "whole number"),
    (["decay:0", "decay:1"], "twice"),
  ],
)
def test_factors_that_cannot_be_are_refused(texts, reported):
  with pytest.raises(jdeepvis.JdeepvisError, match=reported):
    ablation.parse_factors(texts, BASE)


def test_leaving_out_switches_off_one_at_a_time():
  whole, *others = ablation.leave_one_out(BASE, "ours")
  assert whole.name == "ours" and whole.recipe == BASE
  # The jitter is 0 already; rates and the blur's end are no priors.
  assert whole.strengths == {"decay": 1e-3, "blur": 2.0, "scale": 1.2}
  off = {"decay": 0.0, "blur": 0.0, "scale": 1.0}
  assert [one.name for one in others] == [f"without {name}" for name in off]
  for one, (name, value) in zip(others, off.items(), strict=True):
    assert one.strengths == {name: value}
    assert one.recipe == BASE.replace(**{name: value})
  assert len(structures([whole, *others])) == 1
  with pytest.raises(jdeepvis.JdeepvisError, match="'none' has no prior"):
    ablation.leave_one_out(named_recipes.recipe("none"), "none")


def test_an_annealed_blur_left_out_is_no_blur():
  """Off in the same program is the program without it."""
  spec = jdeepvis.InputSpec((9, 7, 3), np.float32([120, 120, 120]))
  image = jax.random.normal(jax.random.key(0), spec.shape)
  grad = jax.random.normal(jax.random.key(1), spec.shape)
  off = BASE.replace(blur=0.0)
  without = BASE.without("blur")
  images = []
  for recipe in (off, without):
    chain = optimizer(recipe, spec)
    state = chain.init(image)
    moved = image
    for step in range(BASE.steps):
      updates, state = chain.update(
        grad, state, moved, value=0.0, grad=grad, step=jnp.int32(step)
      )
      moved = optax.apply_updates(moved, updates)
    images.append(np.asarray(moved))
  np.testing.assert_allclose(*images, rtol=1e-5, atol=1e-4)


def test_figure_3_sweeps_one_prior_at_a_time():
  combinations = ablation.figure_3(5, steps=40)
  priors = {
    "decay": 0.5,
    "blur": 1,
    "contribution_percentile": 95,
    "norm_percentile": 95,
  }
  swept = collections.defaultdict(list)
  for one in combinations:
    ((name, value),) = one.strengths.items()
    swept[name].append(one)
    for prior in priors:
      expected = value if prior == name else 0
      assert one.recipe.strengths[prior] == expected
    assert one.recipe.steps == 40
    assert ablation.figure_3(2)[0].recipe.steps == 1000
  assert swept.keys() == priors.keys()
  for name, most in priors.items():
    values = [one.strengths[name] for one in swept[name]]
    np.testing.assert_allclose(values, most * np.linspace(0, 1, 5))
  often = [one.recipe.strengths["blur_every"] for one in swept["blur"]]
  assert often == [10, 8, 7, 5, 4]
  # One program for each period of the blur.
  assert len(structures(combinations)) == 5
  assert len({one.name for one in combinations}) == 20


@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0, 1e6])
def test_a_constant_rate_runs_in_the_program_of_progress(scale):
  """To the bit what policy `constant` does."""
  spec = jdeepvis.InputSpec((4, 4, 3), np.float32([120, 120, 120]))
  grad = scale * jax.random.normal(jax.random.key(0), spec.shape)
  image = jnp.zeros(spec.shape)
  ours = ablation.figure_3(2)[0].recipe
  step = entries.Entry("rate", optax.scale_by_learning_rate, 100.0)
  constant = dataclasses.replace(ours, step=step)
  updates = [
    chain.update(
      grad, chain.init(image), image, value=0.0, grad=grad, step=jnp.int32(1)
    )[0]
    for chain in (
      optimizer(ours, spec), optimizer(constant, spec),
    )
  ]  # fmt: skip
  np.testing.assert_array_equal(*updates)


# The search's values with their weights, and how often each is drawn.
SEARCH = {
  "decay": {0: 4, 1e-4: 1, 1e-3: 1, 1e-2: 2, 0.1: 1, 0.2: 1, 0.3: 1},
  "steps": dict.fromkeys((250, 500, 750, 1000, 1500), 1),
  "blur": {0: 10, 0.3: 2, 0.4: 1, 0.5: 1, 1: 1},
  "blur_every": dict.fromkeys((1, 2, 3, 4), 1),
  "norm_percentile": {0: 10, 10: 10, 20: 5, 30: 2, 50: 2, 80: 2, 90: 2},
  "contribution_percentile": {0: 10, 10: 10, 20: 5, 30: 2, 50: 2, 80: 2, 90: 2},
  "benefit_percentile": {0: 20, 10: 10, 20: 5, 30: 2, 50: 2, 80: 2, 90: 2},
  "rate": dict.fromkeys((0.001, 0.01, 0.1, 1, 10, 100), 1),
  "max_rate": dict.fromkeys((1e2, 1e4, 1e6, 1e8), 1),
  "progress": dict.fromkeys((0.1, 0.2, 0.5, 1, 2, 5), 1),
}


@pytest.fixture(scope="module")
def search():
  return ablation.random_search(3000, 0)


@pytest.mark.parametrize("name", SEARCH)
def test_the_search_draws_by_the_papers_weights(search, name):
  values = [one.strengths[name] for one in search if name in one.strengths]
  counts = collections.Counter(values)
  weights = np.array(list(SEARCH[name].values()))
  assert counts.keys() <= SEARCH[name].keys()
  drawn = [counts[value] for value in SEARCH[name]]
  expected = sum(drawn) * weights / weights.sum()
  assert scipy.stats.chisquare(drawn, expected).pvalue > 1e-3


def test_a_search_has_two_policies_and_a_seed_each(search):
  constant = [one for one in search if "rate" in one.strengths]
  progress = [one for one in search if "progress" in one.strengths]
  assert len(constant) + len(progress) == len(search)
  share = len(constant) / len(search)
  assert abs(share - 1 / 3) < 4 * (2 / 9 / len(search)) ** 0.5
  for one in constant:
    assert one.recipe.strengths["max_rate"] == one.strengths["rate"]
  for one in progress:
    assert one.recipe.strengths["max_rate"] == one.strengths["max_rate"]
    assert one.recipe.strengths["rate"] == one.strengths["progress"]
  assert [one.seed for one in search] == list(range(len(search)))
  assert len({one.name for one in search}) == len(search)


def test_a_search_needs_a_program_for_each_steps_and_period(search):
  assert len(structures(search)) == 5 * 4
  short = ablation.random_search(40, 0, steps=7)
  assert len(structures(short)) == 4
  assert {one.recipe.steps for one in short} == {7}


def test_a_longer_search_begins_with_the_shorter_one(search):
  assert ablation.random_search(5, 0) == search[:5]
  assert ablation.random_search(5, 1) != search[:5]


def picture(recipe, decay, blur, score, **more):
  strengths = {"decay": decay} | ({} if blur is None else {"blur": blur})
  return {
    "recipe": recipe, "strengths": strengths, "activation": score,
    "status": "ok", "probability": None, **more,
  }  # fmt: skip


def test_means_and_deviations_against_numpy():
  pictures = [
    picture("a", 0.1, 0.0, 1.0),
    picture("a", 0.1, 0.0, 4.0),
    picture("b", 0.0, 1.0, 7.0, status="no_progress"),
    picture("c", 0.0, None, None, status="nan"),
  ]
  metrics = ["activation", "probability"]
  rows = summary.per_strength(pictures, metrics)
  nothing = {"probability_mean": None, "probability_std": None}
  assert rows == [
    {
      "strength": strength, "value": value, "pictures": count,
      "failures": failures, "activation_mean": mean, "activation_std": std,
      **nothing,
    }
    for strength, value, count, failures, mean, std in [
      ("decay", 0.0, 2, 2, 7.0, None),
      ("decay", 0.1, 2, 0, 2.5, np.std([1.0, 4.0], ddof=1)),
      ("blur", 0.0, 2, 0, 2.5, np.std([1.0, 4.0], ddof=1)),
      ("blur", 1.0, 1, 1, 7.0, None),
    ]
  ]  # fmt: skip
  rows = summary.per_combination(pictures, metrics)
  assert [row["recipe"] for row in rows] == ["a", "b", "c"]
  assert [row["pictures"] for row in rows] == [2, 1, 1]
  assert [row["activation_mean"] for row in rows] == [2.5, 7.0, None]
