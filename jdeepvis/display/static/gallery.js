const {meanings} = data;
const distinct = (values) => [...new Set(values)];
const isNumber = (value) => typeof value === 'number';
const failed = ({status}) => status !== 'ok';
const isStrip = ({aspect}) => aspect >= 1.8;
const breadth = ({aspect}) => Math.max(1, aspect);

const {compare} = new Intl.Collator('en', {numeric: true});
const records = [];
const known = new Map();  // From each fact's name to the values it takes.
const figures = new Map();  // From each record that was drawn to its figure.
let numbers = [];  // The names of facts that are numbers and differ.
let choices = [];  // Of those that a few values are chosen from.

if (data.records) {
  records.push(...data.records);
  start();
} else {
  load();
}

// Records come as scripts: a page from a file may load nothing else.
function receive(some) { records.push(...some); }

function load() {
  let loaded = 0;
  const tell = () => {
    $('output').textContent = `Loading ${loaded} of ${data.parts.length}`;
  };
  tell();
  for (const part of data.parts) {
    document.head.append(element('script', {
      src: address(part), async: false,  // in their order
      onload: () => ++loaded === data.parts.length ? start() : tell(),
      onerror: () => { throw new Error(`${part} is missing`); },
    }));
  }
}

function start() {
  survey();
  summarize();
  begin({
    opens: 'picture',
    fields: fields(),
    more: more(),
    key: ({file}) => file,
    name: ({title, caption}) => [title, caption].filter(Boolean).join(' · '),
    node: (record) => figureOf(record).firstChild,
    find(view) {
      const [order, name] = view.sort.split(/ (.*)/);
      const items = sorted(records.filter(matcher(view)), order, name);
      return {items: groups(items).flat(), total: records.length};
    },
    draw(items, view) {
      const name = view.sort.split(/ (.*)/)[1];
      return groups(items).map((group) => () => {
        for (const record of group) {
          figureOf(record).querySelector('.metric').textContent =
            name ? `${words(name)} ${spell(record.facts[name])}` : '';
        }
        return section(group);
      });
    },
    fill(record) {
      const {file, preview, status, facts} = record;
      const large = element('div', {},
        element('img', {alt: record.title, src: address(preview)}));
      dialog.classList.toggle('failed', failed(record));
      dialog.classList.toggle('wide', isStrip(record));
      return [large, element('dl', {}, ...terms({
        status: [words(status), meanings[status]].filter(Boolean).join(': '),
        ...facts, file,
      }))];
    },
  });
}

function survey() {
  for (const {facts} of records) {
    for (const [name, value] of Object.entries(facts)) {
      if (value === null || Array.isArray(value)) continue;
      if (!known.has(name)) known.set(name, []);
      known.get(name).push(value);
    }
  }
  const different = new Map(
    [...known].map(([name, values]) => [name, distinct(values)]));
  const few = (name) => different.get(name).length;
  const varied = [...known.keys()].filter((name) => few(name) > 1);
  numbers = varied.filter((name) => known.get(name).every(isNumber));
  // Text, and numbers that are chosen one by one as seeds are; few values first.
  choices = varied.filter((name) =>
    few(name) < known.get(name).length &&
    (!numbers.includes(name) ||
      few(name) <= 12 && known.get(name).every(Number.isInteger)),
  ).sort((a, b) => few(a) - few(b));
  const layers = different.get('layer') ?? [];
  const places = new Map(layers.map((layer, place) => [layer, place]));
  const place = ({facts}) => places.get(facts.layer) ?? -1;
  records.sort((a, b) => place(a) - place(b) || compare(a.title, b.title));
}

function summarize() {
  const failures = records.filter(failed);
  const link = (status, n) => element('a', {
    href: `#${new URLSearchParams({status})}`,
    title: meanings[status] ?? '',
  }, `${n} ${words(status)}`);
  $('#summary').append(count(records.length, 'picture'),
    failures.length ? link('failed', failures.length) : ' · none failed',
    ...distinct(failures.map(({status}) => status)).map((status) =>
      link(status, failures.filter((one) => one.status === status).length)));
}

function fields() {
  const failures = distinct(records.filter(failed).map(({status}) => status));
  return [
    search('Find'),
    ...choices.slice(0, 3).map(chosen),
    ...failures.length ? [choice('Status', 'status', ['', 'all'], ['ok'],
      ['failed'], ...failures.map((status) => [status, words(status)]))] : [],
    choice('Sort by', 'sort', ['', 'title'],
      ...numbers.flatMap((name) => ['highest', 'lowest'].map(
        (end) => [`${end} ${name}`, `${end} ${words(name)}`]))),
    sizes(records.length > 24 ? 144 : 224),
  ];
}

function chosen(name) {
  const options = distinct(known.get(name)).sort(compare).map((value) =>
    [value, typeof value === 'boolean' ? spell(value) : value]);
  return choice(words(name), name, ['', 'all'], ...options);
}

function more() {
  const bound = (end, name, value) => element('input', {
    type: 'number', step: 'any', name: `${end} ${name}`,
    title: `${end} ${words(name)}`, placeholder: spell(value),
  });
  const ranges = numbers.map((name) => element('fieldset', {},
    element('legend', {}, words(name)),
    bound('least', name, extreme(Math.min, name)),
    bound('most', name, extreme(Math.max, name))));
  const parts = [...choices.slice(3).map(chosen), ...ranges];
  return parts.length ? [element('details', {},
    element('summary', {}, 'More filters'),
    element('div', {}, ...parts))] : [];
}

// Of any number of values: as arguments a call takes only some ten thousand.
function extreme(most, name) {
  return known.get(name).reduce((one, other) => most(one, other));
}

function matcher(view) {
  const agrees = (asked, value) => !asked || asked === String(value);
  return ({title, status, facts}) =>
    matches(view.find, title,
      ...Object.values(facts).filter((value) => !isNumber(value))) &&
    (view.status === 'failed' ? status !== 'ok' :
      agrees(view.status, status)) &&
    choices.every((name) => agrees(view[name], facts[name])) &&
    numbers.every((name) => {
      const [least, most] = [view[`least ${name}`], view[`most ${name}`]];
      const value = facts[name] ?? NaN;
      return (!least || value >= least) && (!most || value <= most);
    });
}

// Missing values go last.
function sorted(list, order, name) {
  if (!order) return list;
  const sign = order === 'highest' ? -1 : 1;
  return list.sort((a, b) => {
    const [x, y] = [a.facts[name], b.facts[name]];
    if (x == null || y == null) return (x == null) - (y == null);
    return sign * (x - y);
  });
}

// Of one title next to each other, in the order of the first.
function groups(list) {
  const found = new Map();
  for (const record of list) {
    if (!found.has(record.title)) found.set(record.title, []);
    found.get(record.title).push(record);
  }
  return [...found.values()];
}

function section(group) {
  const {title} = group[0];
  const total = group.reduce((sum, record) => sum + breadth(record), 0);
  return element('section', {
    className: 'unit', style: `--count: ${group.length}; --breadth: ${total}`,
  }, element('h2', {title}, title), element('div', {className: 'pictures'},
    ...group.map(figureOf)));
}

function figureOf(record) {
  if (!figures.has(record)) figures.set(record, figure(record));
  return figures.get(record);
}

function figure(record) {
  const {title, caption, preview, status} = record;
  const button = element('button', {onclick: () => enlarge(record)},
    element('img', {loading: 'lazy', alt: title, src: address(preview)}));
  const text = element('figcaption', {}, caption,
    element('div', {className: 'metric muted'}));
  if (failed(record)) {
    button.append(element('span', {className: 'badge'}, words(status)));
    text.append(element('div', {className: 'meaning'}, meanings[status] ?? ''));
  }
  const kinds = [failed(record) && 'failed', isStrip(record) && 'strip'];
  return element('figure', {
    className: kinds.filter(Boolean).join(' '),
    style: `--breadth: ${breadth(record)}`,
  }, button, text);
}
