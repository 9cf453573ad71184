import pytest

import jdeepvis
from jdeepvis.networks import names
from jdeepvis.types import JdeepvisError


def test_output_names_the_class_scores(squeezenet):
  assert names.find_layer(squeezenet, "output") == "scores"
  for layer in ("conv1", "conv1/pre", "fire2/concat", "scores", "prob"):
    assert names.find_layer(squeezenet, layer) == layer


@pytest.mark.parametrize(
  ("layer", "nearest"),
  [("fire5/expand", "fire5/expand3x3"), ("Conv1", "conv1"), ("", "data")],
)
def test_an_unknown_layer_is_told_the_nearest(squeezenet, layer, nearest):
  with pytest.raises(JdeepvisError) as error:
    names.find_layer(squeezenet, layer)
  sentence = str(error.value)
  assert repr(layer) in sentence and nearest in sentence
  assert sentence.endswith(".") and "\n" not in sentence


@pytest.mark.parametrize(
  ("units", "expected"),
  [
    ("130", (130,)),
    ("13, 130", (13, 130)),
    ("130,13", (130, 13)),
    ("3-6", (3, 4, 5, 6)),
    ("5-5", (5,)),
    ("4,3-5,4", (4, 3, 5)),
    ("flamingo", (130,)),
    ("Flamingo,JUNCO", (130, 13)),
    # A synonym among several.
    ("snowbird", (13,)),
    # A whole label with commas in it, and the same among others.
    ("gorilla, Gorilla gorilla", (366,)),
    ("junco, snowbird, 7", (13, 7)),
    # A part of one label alone.
    ("flaming", (130,)),
    ("999", (999,)),
    (" 1 ,, 2 ", (1, 2)),
  ],
)
def test_units_by_number_range_and_name(squeezenet, units, expected):
  assert names.find_units(squeezenet, "scores", units) == expected


def test_all_units(squeezenet):
  assert names.find_units(squeezenet, "conv1", "all") == tuple(range(64))
  assert names.find_units(squeezenet, "scores", "all") == tuple(range(1000))


@pytest.mark.parametrize(
  ("layer", "units", "reported"),
  [
    ("scores", "1000", "0 to 999"),
    ("conv1", "64", "0 to 63"),
    ("conv1", "60-64", "0 to 63"),
    ("conv1", "5-3", "0 to 63"),
    ("conv1", "-1", "0 to 63"),
    ("scores", "-1", "0 to 999"),
    ("scores", "1.5", "0 to 999"),
    ("conv1", "flamingo", "numbers only"),
    ("conv1", "", "No unit"),
    ("conv1", ",", "No unit"),
    ("scores", "flamingoes", "flamingo"),
    ("scores", "1234567890", "0 to 999"),
  ],
)
def test_wrong_units_are_one_sentence(squeezenet, layer, units, reported):
  with pytest.raises(JdeepvisError) as error:
    names.find_units(squeezenet, layer, units)
  sentence = str(error.value)
  assert reported in sentence
  assert sentence.endswith(".") and "\n" not in sentence


def test_an_ambiguous_class_name_lists_its_numbers(squeezenet):
  """Whole synonyms come before parts: "tiger" is one, "shark" is none."""
  assert names.find_units(squeezenet, "scores", "tiger") == (292,)
  with pytest.raises(JdeepvisError, match=r"ambiguous.*2 \(.*3 \(.*4 \("):
    names.find_units(squeezenet, "scores", "shark")


def test_classes_have_names_only_where_there_are_labels(squeezenet):
  bare = squeezenet.replace(labels=())
  with pytest.raises(JdeepvisError, match="numbers only"):
    names.find_units(bare, "scores", "flamingo")


def test_too_few_labels_are_told_before_any_work(squeezenet):
  short = squeezenet.replace(labels=("cat", "dog"))
  with pytest.raises(JdeepvisError, match="1000 classes, but there are 2 lab"):
    names.find_units(short, short.output, "3")


def test_nearest_lists_a_few_where_nothing_is_near():
  assert names.nearest("bleu", ["blue", "red"]) == "nearest: blue"
  many = [f"layer{i}" for i in range(20)]
  reported = names.nearest("?", many)
  assert reported.startswith("there are: layer0, ") and reported.endswith(
    ", ..."
  )
  assert "layer11" in reported and "layer12" not in reported
  assert names.nearest("?", ["a", "b"]) == "there are: a, b"


def test_an_objective_has_the_same_words_for_a_wrong_layer(squeezenet):
  with pytest.raises(jdeepvis.JdeepvisError, match=r"'conv2'.*nearest"):
    jdeepvis.bind(squeezenet, jdeepvis.neuron("conv2", 0))
