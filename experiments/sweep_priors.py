r"""Studies the priors: which of them help, and how strong they should be.

  python -m experiments.sweep_priors --vary=decay:0,1e-4,1e-2 \
    --vary=blur:0,0.5,1 --units=flamingo,junco --seeds=2 --out=out/grid
  python -m experiments.sweep_priors --leave_one_out --recipe=default \
    --units=0-999 --out=out/leave_one_out
  python -m experiments.sweep_priors --figure3=11 --units=130 --out=out/figure3
  python -m experiments.sweep_priors --combinations=300 --out=out/search

A stopped study goes on where it was; more units, seeds or combinations extend
it. OUT/index.html sorts and filters by every strength, results.csv has means
and standard deviations for each strength's values and combinations.csv for
each combination, which strengths.png and combinations.png show.
"""

from collections.abc import Iterator
from typing import Any

from absl import flags

from experiments import report, script
from experiments.recipe_flags import RecipeFlags
from jdeepvis.display import plots
from jdeepvis.display.files import write_csv
from jdeepvis.display.folder import PictureFolder
from jdeepvis.evaluation import scoring, summary
from jdeepvis.networks.digests import weights_sha256
from jdeepvis.networks.network import Network
from jdeepvis.networks.zoo import load_network
from jdeepvis.runs import forecast, renders
from jdeepvis.synthesis import ablation
from jdeepvis.synthesis.entries import BUILT_IN
from jdeepvis.synthesis.requests import Request, requests
from jdeepvis.synthesis.trial import try_out
from jdeepvis.types import JdeepvisError

_NET, _LAYER, _UNITS, _SEEDS, _PLOTS = script.define(
  "net", "layer", "units", "seeds", "plots"
)
script.define("out")
_RECIPES = RecipeFlags(
  "default", " What --vary and --leave_one_out start from."
)
_OWN = [name for group in BUILT_IN.values() for name in group]
_VARY = flags.DEFINE_multi_string(
  "vary",
  [],
  "STRENGTH:VALUE,VALUE,...; given several times, all combinations. Strengths: "
  f"those of the recipe, {', '.join(_OWN)}, with _end or _every behind them, "
  "steps, and a --prior's or --augment's own name.",
)
_LEAVE_ONE_OUT = flags.DEFINE_bool(
  "leave_one_out", False, "The recipe, whole and without each of its priors."
)
_FIGURE_3 = flags.DEFINE_integer(
  "figure3", None, "The paper's sweeps, so many values each.", lower_bound=2
)
_COMBINATIONS = flags.DEFINE_integer(
  "combinations", None, "The paper's random search; it had 300.", lower_bound=1
)
_SEARCH_SEED = flags.DEFINE_integer(
  "search_seed", 0, "Of the random search's draws.", lower_bound=0
)
_JUDGE = flags.DEFINE_string(
  "judge", None, "A held-out classifier, which scores the pictures."
)

_METRICS = {
  "activation": "score",
  "probability": "probability",
  "judge_probability": "judge's probability",
  "top5": "named among first five",
}


def main() -> None:
  """Flags to combinations, combinations to pictures, pictures to numbers."""
  if _PLOTS.value:
    plots.require_matplotlib()
  study, combinations = _study()
  network = load_network(_NET.value)
  wanted = list(_requests(network, combinations))
  layer = wanted[0].layer
  judge = _judge(network, layer)
  try_out(network, wanted)
  with script.picture_folder(
    network,
    {"layer": layer, **study},
    recipes={one.name: one.recipe for one in combinations},
    title=f"Priors of {_NET.value}: {study['study']}",
  ) as folder:
    with forecast.count_programs() as programs:
      left = forecast.forecast(folder, network, wanted)
      print(
        f"Steps to go: {left.image_steps}; programs: {left.programs}; time: "
        f"about {left.seconds / 60:.1f} minutes.",
        flush=True,
      )
      renders.fill_folder(folder, network, wanted)
    print(f"Programs compiled: {len(programs)}.")
    _write_results(folder, judge, [one.name for one in combinations])
  report.print_results(folder)


def _study() -> tuple[dict[str, Any], list[ablation.Combination]]:
  """What defines the one study that the flags ask for, and its recipes."""
  chosen = [
    flag
    for flag in (_VARY, _LEAVE_ONE_OUT, _FIGURE_3, _COMBINATIONS)
    if flag.value
  ]
  if len(chosen) != 1:
    raise JdeepvisError(
      "Choose one study: --vary, --leave_one_out, --figure3 or --combinations."
    )
  (flag,) = chosen
  own_recipes = flag is _FIGURE_3 or flag is _COMBINATIONS
  if own_recipes and (changed := _RECIPES.changed):
    raise JdeepvisError(
      f"--{flag.name} has recipes of its own; leave --{changed} out."
    )
  steps = {"steps": _RECIPES.steps} if _RECIPES.steps else {}
  if flag is _FIGURE_3:
    return {"study": "figure3"}, ablation.figure_3(flag.value, **steps)
  if flag is _COMBINATIONS:
    if _SEEDS.value != 1:
      raise JdeepvisError(
        "Each of the --combinations has a seed of its own; leave --seeds out."
      )
    study = {"study": "combinations", "search_seed": _SEARCH_SEED.value}
    return study, ablation.random_search(
      flag.value, _SEARCH_SEED.value, **steps
    )
  ((name, base), *others) = _RECIPES.made().items()
  if others:
    raise JdeepvisError("A study starts from one --recipe, not from several.")
  study = {"study": flag.name, "recipe": name}
  if flag is _LEAVE_ONE_OUT:
    return study, ablation.leave_one_out(base, name)
  factors = ablation.parse_factors(flag.value, base)
  return study, ablation.grid(base, factors)


def _requests(
  network: Network, combinations: list[ablation.Combination]
) -> Iterator[Request]:
  target = f"{_LAYER.value}:{_UNITS.value}"
  for one in combinations:
    seeds = _SEEDS.value if one.seed is None else (one.seed,)
    recipe = {one.name: one.recipe}
    for wanted in requests(network, target, recipe, seeds=seeds):
      yield wanted._replace(strengths=one.strengths)


def _judge(network: Network, layer: str) -> Network | None:
  if _JUDGE.value is None:
    return None
  if layer != network.output:
    raise JdeepvisError(
      f"A --judge names classes, and units of {layer!r} are none."
    )
  judge = load_network(_JUDGE.value)
  classes = network.shapes[network.output][-1]
  scoring.refuse_maker(judge, weights_sha256(network.params), classes)
  return judge


def _write_results(
  folder: PictureFolder, judge: Network | None, names: list[str]
) -> None:
  # In the study's order, not in that of the work; earlier ones come last.
  order = {name: place for place, name in enumerate(names)}
  records = sorted(
    folder.manifest["records"],
    key=lambda record: order.get(record["recipe"], len(order)),
  )
  if judge:
    records = scoring.judged(folder.path, records, judge)
  metrics = {
    name: title
    for name, title in _METRICS.items()
    if any(record.get(name) is not None for record in records)
  }
  combinations = summary.per_combination(records, list(metrics))
  strengths = summary.per_strength(records, list(metrics))
  report.print_table(
    [
      {name: row[name] for name in row if not name.endswith("_std")}
      for row in combinations
    ]
  )
  write_csv(folder.path / "combinations.csv", combinations)
  write_csv(folder.path / "results.csv", strengths)
  if _PLOTS.value and metrics:
    plots.plot_strengths(folder.path / "strengths.png", strengths, metrics)
    plots.plot_combinations(
      folder.path / "combinations.png", combinations, metrics
    )


if __name__ == "__main__":
  script.run(main, all_cores=True)
