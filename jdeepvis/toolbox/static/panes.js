// Everything on the page but its canvases.

const $ = (id) => document.getElementById(id);

const make = (tag, text = "", more = {}) =>
  Object.assign(document.createElement(tag), { textContent: text, ...more });

const NAMES = {
  fit: { square: "crop", caffe: "as Caffe" },
  rule: { gradient_times_input: "gradient × input" },
  filter: { blurred_norm: "blurred norm" },
  seed: { map: "whole map", point: "one position" },
  sort: { index: "by number", activation: "most active" },
  boost: (value) => `boost ${value}`,
  gamma: (value) => `gamma ${value}`,
};

const nameOf = (field, value) => {
  const names = NAMES[field];
  return typeof names === "function"
    ? names(value) : names?.[value] ?? String(value);
};

/** One button a layer, those of a module behind its name. */
export function buildLayers(about, choose) {
  let group, module;
  for (const { name } of about.layers) {
    const [first, ...rest] = name.split("/");
    const inModule = rest.length > 0;
    if (!inModule || module !== first) {
      group = make("div", "", { className: "group" });
      if (inModule) group.append(make("span", first));
      $("layers").append(group);
    }
    module = inModule ? first : null;
    const label = inModule ? rest.join("/") : name;
    const button = make("button", shorten(label), { title: name });
    button.addEventListener("click", () => choose(name));
    group.append(button);
  }
}

const shorten = (name) =>
  name.replace("squeeze", "sq ").replace("expand", "ex ")
    .replace("inception", "inc ");

export function buildSelects(about, set) {
  for (const select of document.querySelectorAll("[data-field]")) {
    const { field } = select.dataset;
    const values = field === "recipe" ? about.recipes : about.choices[field];
    for (const value of values) {
      const option = make("option", nameOf(field, value));
      option.value = JSON.stringify(value);
      select.append(option);
    }
    select.addEventListener("change", () => {
      set({ [field]: JSON.parse(select.value) });
      select.blur();
    });
  }
  $("search").addEventListener("input", () => {
    set({ search: $("search").value });
  });
  $("seed").addEventListener("change", () => {
    set({ picture_seed: Math.min(9999, Math.max(0, +$("seed").value | 0)) });
  });
}

export function buildHelp(about, own) {
  const mine = Object.entries(own)
    .map(([key, [does]]) => ({ names: [key], does }));
  for (const { names, does } of [...about.keys, ...mine]) {
    const line = make("div");
    const keys = make("span");
    for (const name of names) {
      keys.append(make("kbd", name.replace("Arrow", "")), " ");
    }
    line.append(keys, make("span", does));
    $("keys").append(line);
  }
}

/** Buttons and selects as the state has them. */
export function showControls({ state, layer, columns }, about) {
  const origin = state.origin?.[0];
  const buttons = $("layers").querySelectorAll("button");
  buttons.forEach((button, place) => {
    button.setAttribute("aria-current", place === state.layer);
    button.toggleAttribute("data-origin", place === origin);
  });
  $("layers").classList.toggle("cursor", state.in_list);
  for (const button of document.querySelectorAll("[data-pressed]")) {
    const name = button.dataset.pressed;
    const pressed = name === "webcam"
      ? state.source === "webcam" : Boolean(state[name]);
    button.setAttribute("aria-pressed", pressed);
  }
  for (const select of document.querySelectorAll("[data-field]")) {
    select.value = JSON.stringify(state[select.dataset.field]);
  }
  for (const [id, name] of [["search", "search"], ["seed", "picture_seed"]]) {
    if (document.activeElement !== $(id)) $(id).value = state[name];
  }
  $("render").disabled = state.rendering;
  if (state.help !== $("help").open) {
    if (state.help) $("help").showModal();
    else $("help").close();
  }
}

/** What is told in words. */
export function showFacts(head, about) {
  const { state, panels } = head;
  const { shape } = about.layers[state.layer];
  const units = shape.at(-1);
  const few = panels.order.length < units ? `${panels.order.length} of ` : "";
  const [low, high] = panels.range.map(digits);
  $("layer-name").textContent = head.layer;
  $("layer-facts").textContent =
    `${few}${units} units${shape.length > 2 ? ` of ${shape[0]} × ${shape[1]}` : ""}, `
    + (panels.signed ? "green above 0, red below" : `${low} to ${high}`);
  $("file").textContent =
    state.source === "files" ? head.file : state.source;
  showField(panels.field, about.input);
  showClasses(panels.classes ?? []);
  $("origin").textContent = state.rule === "off" ? "" : `from ${head.from}`;
  $("no-signal").textContent =
    state.rule === "off" ? "Off: press b" : panels.dark
      ? "The unit is 0 all over this image, so its map sends nothing back. "
        + "Press 1 to send from one position." : "";
  $("unit-name").textContent = `Unit ${panels.name}`;
  $("over").textContent = about.layers[state.layer].labels.length
    ? panels.name : "";
  const [row, column] = panels.position;
  const { top, left, bottom, right } = rectangle(panels.field);
  const facts = {
    [state.position ? "value" : "largest"]: digits(panels.value),
    at: shape.length > 2 ? `${row}, ${column}` : "–",
    mean: digits(panels.mean),
    sees: `${bottom - top} × ${right - left} pixels`,
  };
  if (panels.pinned_value !== undefined) {
    facts.pinned = digits(panels.pinned_value);
  }
  $("unit-facts").replaceChildren(...Object.entries(facts).flatMap(
    ([name, value]) => [make("dt", name), make("dd", value)]));
}

const digits = (value) => value === null ? "no number"
  : Math.abs(value) >= 100 ? value.toFixed(0) : value.toPrecision(3);

const rectangle = ([top, left, bottom, right]) => ({ top, left, bottom, right });

function showField(field, [height, width]) {
  const { top, left, bottom, right } = rectangle(field);
  const { style } = $("field");
  $("field").hidden = false;
  style.left = `${100 * left / width}%`;
  style.top = `${100 * top / height}%`;
  style.width = `${100 * (right - left) / width}%`;
  style.height = `${100 * (bottom - top) / height}%`;
}

function showClasses(classes) {
  $("classes").replaceChildren(...classes.map(([name, share]) => {
    const item = make("li");
    item.style.setProperty("--p", `${100 * share}%`);
    item.append(make("span", name.split(",")[0], { title: name }),
      make("b", share.toFixed(2)));
    return item;
  }));
}

let known = "";

/** The pictures of the unit, kind by kind. */
export function showPictures({ state, pictures }) {
  const told = JSON.stringify(
    [state.layer, state.unit, pictures, state.show_unit]);
  if (told === known) return;
  known = told;
  const kinds = new Map();
  pictures.forEach(({ kind, caption }, number) => {
    if (!kinds.has(kind)) kinds.set(kind, []);
    kinds.get(kind).push({ caption, number });
  });
  const parts = [];
  for (const [kind, some] of state.show_unit ? kinds : []) {
    const size = some.length === 1 ? " one" : some.length < 5 ? " few" : "";
    const strip = make("div", "", { className: `strip${size}` });
    for (const { caption, number } of some) {
      const figure = make("figure");
      const source = `unit/${state.layer}/${state.unit}/${number}`;
      figure.append(make("img", "", {
        // The caption tells apart what was rendered since.
        src: `${source}?${encodeURIComponent(caption)}`,
        alt: `${kind} ${caption}`, title: caption, loading: "lazy",
      }));
      if (kind === "rendered" && caption) {
        figure.append(make("figcaption", caption));
      }
      strip.append(figure);
    }
    parts.push(make("h3", kind), strip);
  }
  if (!parts.length && state.show_unit) {
    parts.push(make("p", "No pictures of this unit yet: press r, or give "
      + "--units a tree of them.", { className: "muted" }));
  }
  $("pictures").replaceChildren(...parts);
}
