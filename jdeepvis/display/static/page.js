'use strict';

const $ = (selector) => document.querySelector(selector);
const data = JSON.parse($('#data').textContent);
const form = $('form');
const dialog = $('dialog');
let page = null;  // What this page is of, see `begin`.
let defaults = null;
let shown = [];  // What is in view, in reading order.
let current = null;  // The key of what the dialog shows.
let waiting = [];  // What makes the nodes that are not drawn yet.

const AT_ONCE = 200;  // Nodes that are drawn before one scrolls on.
const watch = new IntersectionObserver((entries) => {
  if (entries.some(({isIntersecting}) => isIntersecting)) drawMore();
}, {rootMargin: '200%'});

// `fields` go into the form, and `more` behind them. `find(view)` gives what
// the form asks for and of how many, or nothing yet; `draw(items, view)`
// functions that make their nodes, and `node(item)` one's button. `key` and `name` tell an item to the
// address and to people; `fill(item)` gives what the dialog has of it. `opens`
// is the address's word for it.
function begin(own) {
  page = own;
  document.title = $('h1').textContent = data.title;
  $('#legend').textContent = data.legend ?? '';
  $('#legend').hidden = !data.legend;
  $('#settings').append(...terms(data.settings));
  $('output').before(...page.fields);
  form.append(...page.more ?? []);
  defaults = new FormData(form);
  window.onhashchange = restore;
  form.oninput = () => { current = null; update(); render(); };
  form.onsubmit = (event) => event.preventDefault();
  $('#previous').onclick = () => step(-1);
  $('#next').onclick = () => step(1);
  $('#close').onclick = () => dialog.close();
  dialog.onclose = () => {
    if (dialog.open) return;  // It was filled anew since.
    const last = shown.find(isCurrent);
    current = null;
    update();
    if (last) page.node(last)?.focus();
  };
  dialog.onclick = ({target}) => target === dialog && dialog.close();
  dialog.onkeydown = ({key}) => {
    if (key === 'ArrowLeft') step(-1);
    if (key === 'ArrowRight') step(1);
  };
  restore();
}

// The address holds whatever differs from the defaults, so it can be shared.
function update() {
  const changed = [...new FormData(form)].filter(
    ([name, value]) => value !== defaults.get(name));
  if (current !== null) changed.push([page.opens, current]);
  history.replaceState(null, '', `#${new URLSearchParams(changed)}`);
}

function restore() {
  const address = new URLSearchParams(location.hash.slice(1));
  form.reset();
  for (const [name, value] of address) {
    const control = form.elements.namedItem(name);
    if (control) control.value = value;
    if (control?.selectedIndex < 0) control.selectedIndex = 0;
    control?.closest('details')?.setAttribute('open', '');
  }
  current = address.get(page.opens);
  update();
  render();
}

function render() {
  const view = Object.fromEntries(new FormData(form));
  document.documentElement.style.setProperty('--size', `${view.size}px`);
  const found = page.find(view);
  if (!found) return;
  shown = found.items;
  waiting = page.draw(shown, view);
  $('#shown').replaceChildren();
  drawMore();
  $('#nothing').hidden = shown.length > 0;
  $('output').textContent = `${shown.length} of ${found.total}`;
  const open = shown.find(isCurrent);
  if (open) enlarge(open);
  else if (dialog.open) dialog.close();
}

function drawMore() {
  watch.disconnect();
  $('#shown').append(...waiting.splice(0, AT_ONCE).map((make) => make()));
  // It reports at once, so that as much is drawn as there is room for.
  if (waiting.length) watch.observe($('#shown').lastElementChild);
}

function isCurrent(item) { return String(page.key(item)) === current; }

function step(by) {
  const index = shown.findIndex(isCurrent);
  enlarge(shown[(index + by + shown.length) % shown.length]);
}

function enlarge(item) {
  current = String(page.key(item));
  update();
  $('#name').textContent = page.name(item);
  $('#large').replaceChildren(...page.fill(item));
  if (!dialog.open) dialog.showModal();
}

// A number is a whole word of the name; other text may be anywhere.
function matches(find, name, ...texts) {
  const wanted = find.trim().toLowerCase();
  if (/^\d+$/.test(wanted)) return name.split(/\s+/).includes(wanted);
  return [name, ...texts].join('\n').toLowerCase().includes(wanted);
}

// Of options as pairs of value and text the first is the default.
function choice(label, name, ...options) {
  return labelled(label, element('select', {name},
    ...options.map(([value, text]) => new Option(text ?? value, value))));
}

function labelled(label, control) {
  return element('label', {}, element('span', {}, label), control);
}

function search(label) {
  return labelled(label, element('input', {type: 'search', name: 'find'}));
}

function sizes(size) {
  return labelled('Size', element('input', {
    type: 'range', name: 'size', min: 64, max: 400, step: 8, defaultValue: size,
  }));
}

function terms(tree, prefix = '') {
  return Object.entries(tree).flatMap(([key, value]) => {
    const name = prefix + words(key);
    return value?.constructor === Object ? terms(value, `${name}.`) :
      [element('dt', {}, name), element('dd', {}, spell(value))];
  });
}

// Data become text nodes and properties, never markup.
function element(tag, properties, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

function address(...parts) {
  return parts.join('/').split('/').map(encodeURIComponent).join('/');
}

function words(name) { return name.replaceAll('_', ' '); }

function count(n, noun) { return `${n} ${noun}${n === 1 ? '' : 's'}`; }

function spell(value) {
  if (Array.isArray(value)) return value.map(spell).join(', ');
  if (typeof value === 'boolean') return value ? 'yes' : 'no';
  if (typeof value !== 'number') return String(value ?? '–');
  return String(Number.isInteger(value) ? value : +value.toPrecision(4));
}
