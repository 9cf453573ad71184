const {layers, settings} = data;
const loaded = new Map();  // From a layer's name to its units.
const kinds = {
  rendered: 'Rendered for it', maxim: 'What excites it most',
  minim: 'What inhibits it most',
};
const nameOf = ({layer, unit, label}) => `${layer} ${unit} ${label ?? ''}`.trim();

const total = layers.reduce((sum, {units}) => sum + units, 0);
$('#summary').textContent =
  `${count(total, 'unit')} of ${count(layers.length, 'layer')}`;
begin({
  opens: 'unit',
  fields: [
    choice('Layer', 'layer',
      ...layers.map(({layer, units}) => [layer, `${layer} (${units})`])),
    search('Unit or label'),
    choice('Show', 'show', ['', 'all side by side'], ['rendered'],
      ['maxim', 'patches'], ...(settings.views ?? ['deconv']).map(
        (view) => [view === 'gradient' ? 'backprop' : view])),
    choice('Sort by', 'sort', ['', 'unit'], ['score', 'highest score'],
      ['fires', 'fires most often'], ['seldom', 'fires least often']),
    sizes(144),
  ],
  key: ({unit}) => unit,
  name: nameOf,
  // Nothing where one has not scrolled that far.
  node: (unit) => $('#shown').children[shown.indexOf(unit)],
  find(view) {
    const record = layers.find(({layer}) => layer === view.layer);
    if (record && !loaded.has(record.layer)) {
      loaded.set(record.layer, []);
      document.head.append(element('script', {src: address(record.file)}));
      return null;
    }
    const units = loaded.get(view.layer) ?? [];
    const items = sorted(units.filter(({unit, label}) =>
      matches(view.find, String(unit), label ?? '')), view.sort);
    return {items, total: units.length};
  },
  draw: (units, {show}) => units.map((unit) => () => card(unit, show)),
  fill,
});

// A layer's units come as a script: a page from a file may load nothing else.
function receive(layer, units) {
  loaded.set(layer, units);
  render();
}

function sorted(units, order) {
  const values = {
    score: (unit) => unit.top?.[0]?.score ?? -Infinity,
    fires: (unit) => unit.fires_in ?? 0,
    seldom: (unit) => -(unit.fires_in ?? 0),
  };
  const value = values[order];
  return value ? [...units].sort((a, b) =>
    value(b) - value(a) || a.unit - b.unit) : units;
}

function card(unit, show) {
  const {rendered, grids, folder, top, label} = unit;
  const pictures = Object.entries(grids).map(
    ([view, file]) => [view, address(file)]);
  if (rendered?.length) {
    pictures.unshift(['rendered', address(folder, rendered[0].file)]);
  }
  const chosen = pictures.filter(([view]) => !show || view === show);
  const images = chosen.map(([view, src]) => element('img', {
    loading: 'lazy', alt: `${nameOf(unit)}, ${view}`, src,
  }));
  const note = element('span', {className: 'nothing'},
    unit.status === 'never_fires' ? 'never fires' : 'nothing yet');
  return element('button', {
    className: 'unit', title: nameOf(unit), onclick: () => enlarge(unit),
    style: `--count: ${Math.max(1, images.length)}`,
  },
    element('div', {}, ...(images.length ? images : [note])),
    element('p', {}, element('b', {}, unit.unit), ` ${label ?? ''}`,
      element('span', {className: 'muted'},
        top?.[0] ? ` · ${spell(top[0].score)}` : '')));
}

function fill(unit) {
  const {folder, rendered = [], top = [], bottom = [], views = []} = unit;
  const parts = [];
  if (unit.status === 'never_fires') {
    parts.push(element('p', {className: 'nothing'},
      `This unit never fires on any of ${unit.images} images.`));
  }
  if (rendered.length) {
    parts.push(...row('rendered', rendered.map((one) => figure(
      [address(folder, one.file)],
      `${one.recipe} · seed ${one.seed}`, spell(one.activation)))));
  }
  const number = (rank) => String(rank).padStart(3, '0');
  const patches = (names, list) => list.map((one, rank) => figure(
    names.map((name) => address(folder, `${name}_${number(rank)}.png`)),
    spell(one.score) +
      ('recomputed' in one ? `, now ${spell(one.recomputed)}` : ''),
    one.image,
    one.position ? `row ${one.position[0]}, column ${one.position[1]}` : '',
    one.field));
  if (top.length) {
    const below = views.length ? `, and below ${views.join(', ')}` : '';
    parts.push(...row('maxim', patches(['maxim', ...views], top), below));
  }
  if (bottom.length) parts.push(...row('minim', patches(['minim'], bottom)));
  if (unit.histogram?.length) parts.push(...histogram(unit));
  return parts;
}

function row(kind, figures, more = '') {
  return [
    element('h3', {}, kinds[kind] + more),
    element('div', {className: 'row'}, ...figures),
  ];
}

function figure(sources, first, second, third = '', field = null) {
  const small = field && field[2] - field[0] < 72 ? 'small' : '';
  const images = sources.map((src) => element('img', {
    loading: 'lazy', src, alt: `${first} ${second}`, className: small,
  }));
  return element('figure', {}, ...images, element('figcaption', {},
    element('b', {}, first), element('br'),
    element('span', {className: 'muted'}, second,
      ...(third ? [element('br'), third] : []))));
}

// Bars over a scale by powers of two, as the bins are.
function histogram({histogram: bins, images, fires_in}) {
  const width = 12, height = 90, axis = height + 4;
  const most = Math.max(...bins.map(([, , count]) => count));
  const bars = bins.map(([low, high, count], place) => {
    const tall = Math.max(1, height * count / most);
    const range = low === high ? '0' :
      `${low === null ? 'below' : spell(low)} to ` +
      `${high === null ? 'more' : spell(high)}`;
    return svg('rect', {
      x: place * width + 1, y: axis - tall, width: width - 2, height: tall,
    }, svg('title', {}, `${range}: ${count} images`));
  });
  const end = bins.length * width;
  const ends = [[0, 'start', bins[0][0] ?? bins[0][1]],
    [end, 'end', bins.at(-1)[1] ?? bins.at(-1)[0]]];
  const texts = (bins.length > 3 ? ends : [ends[0]]).map(
    ([x, anchor, value]) => svg('text', {
      x, y: height + 20, 'text-anchor': anchor,
    }, spell(value)));
  return [
    element('h3', {}, 'Its largest value in each image'),
    svg('svg', {
      viewBox: `0 0 ${Math.max(24, bins.length) * width} ${height + 34}`,
      role: 'img', 'aria-label': 'Histogram of the largest value in each image',
    }, ...bars, svg('line', {x1: 0, x2: end, y1: axis, y2: axis}), ...texts),
    element('p', {className: 'muted'},
      `Above 0 in ${fires_in} of ${images} images. Each bar is half an ` +
      'octave wide; empty ones are left out.'),
  ];
}

function svg(tag, attributes, ...children) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) {
    node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}
