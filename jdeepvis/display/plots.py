"""Plots of what a study or a run measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jdeepvis.display.files import atomic
from jdeepvis.types import JdeepvisError

_PANEL = 3.0, 2.4  # inches
_BAR = 0.28


def require_matplotlib() -> None:
  """Says at once, not after hours of work, that plots cannot be drawn.

  Raises:
    JdeepvisError: matplotlib is not installed.
  """
  try:
    import matplotlib.figure  # noqa: F401
  except ImportError:
    raise JdeepvisError(
      "Plots need matplotlib: pip install 'jdeepvis[plot]', or go without by "
      "--noplots."
    ) from None


def plot_strengths(
  path: Path | str,
  rows: Sequence[Mapping[str, Any]],
  metrics: Mapping[str, str],
) -> Any:
  """Draws means with error bars: a column a strength, a row a metric.

  Args:
    path: where to write, .png, .svg or .pdf.
    rows: of `strength`, `value` and, for each metric, `_mean` and `_std`
      (either may be None); values are drawn evenly spaced, in this order.
    metrics: what each metric is called on its axis.

  Returns:
    The figure, of matplotlib.
  """
  strengths = list(dict.fromkeys(row["strength"] for row in rows))
  panels = _panels(len(metrics), len(strengths), _PANEL)
  for axes, (metric, title) in zip(panels, metrics.items(), strict=True):
    axes[0].set_ylabel(title)
    for ax, strength in zip(axes, strengths, strict=True):
      chosen = [row for row in rows if row["strength"] == strength]
      means, deviations = _bars(chosen, metric)
      ax.errorbar(
        range(len(chosen)), means, deviations, fmt="o-", capsize=3, ms=4
      )
      ticks = [f"{row['value']:g}" for row in chosen]
      ax.set_xticks(range(len(ticks)), ticks, rotation=45)
      ax.margins(x=0.1)
  for ax, strength in zip(panels[-1], strengths, strict=True):
    ax.set_xlabel(strength.replace("_", " "))
  return _save(path, panels)


def plot_combinations(
  path: Path | str,
  rows: Sequence[Mapping[str, Any]],
  metrics: Mapping[str, str],
) -> Any:
  """Draws a bar for each combination, the first at the top.

  Args:
    path: where to write, .png, .svg or .pdf.
    rows: of `recipe` and each metric's `_mean` and `_std`.
    metrics: what each metric is called on its axis.

  Returns:
    The figure, of matplotlib.
  """
  size = _PANEL[0], 0.8 + _BAR * len(rows)
  panels = _panels(1, len(metrics), size)
  for ax, (metric, title) in zip(panels[0], metrics.items(), strict=True):
    means, deviations = _bars(rows, metric)
    ax.barh(range(len(rows)), means, xerr=deviations, capsize=3)
    ax.set_yticks(range(len(rows)), [row["recipe"] for row in rows])
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_xlabel(title)
  return _save(path, panels)


def plot_history(
  path: Path | str,
  rows: Sequence[Mapping[str, Any]],
  panels: Mapping[str, Mapping[str, str]],
  *,
  across: str,
) -> None:
  """Draws numbers as lines, some to a panel.

  Args:
    path: where to write, .png, .svg or .pdf.
    rows: the numbers, by name, as in a table.
    panels: what each panel's axis is called, and in it what each of the
      numbers is.
    across: the number to draw them against.
  """
  grid = _panels(len(panels), 1, (2 * _PANEL[0], _PANEL[1]))
  places = [row[across] for row in rows]
  for ax, (title, lines) in zip(grid[:, 0], panels.items(), strict=True):
    for name, called in lines.items():
      ax.plot(places, [row[name] for row in rows], label=called)
    ax.set_ylabel(title)
    ax.legend(fontsize="small")
  grid[-1, 0].set_xlabel(across)
  _save(path, grid)


def _panels(rows: int, columns: int, size: tuple[float, float]):
  # Without pyplot there is no window, no backend to choose and no state.
  from matplotlib.figure import Figure

  figure = Figure((size[0] * columns, size[1] * rows), layout="constrained")
  return figure.subplots(
    rows, columns, squeeze=False, sharex="col", sharey="row"
  )


def _bars(rows, metric) -> tuple[list[float], list[float]]:
  nothing = float("nan")
  means = [row[f"{metric}_mean"] for row in rows]
  deviations = [row[f"{metric}_std"] for row in rows]
  return (
    [nothing if mean is None else mean for mean in means],
    [deviation or 0.0 for deviation in deviations],
  )


def _save(path, panels) -> Any:
  figure = panels[0, 0].figure
  with atomic(path) as temporary:
    figure.savefig(temporary, dpi=120)
  return figure
