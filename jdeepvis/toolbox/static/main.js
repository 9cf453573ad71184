// One page: the server keeps the state; this shows it and sends events.

import { Canvases } from "./canvases.js";
import { Frames, readImage } from "./media.js";
import { buildHelp, buildLayers, buildSelects, showControls, showFacts,
  showPictures } from "./panes.js";
import { download, nameFile, savePng } from "./save.js";
import { readAddress, writeAddress } from "./address.js";
import { Wire } from "./wire.js";

const $ = (id) => document.getElementById(id);
const about = await (await fetch("about.json")).json();
const NOTED = 4000; // milliseconds that a problem stays to be read
const page = {
  head: null,
  since: 0, // events that an update must know of to say what the source is
  noted: -Infinity,
};
const times = [];
const canvases = new Canvases(about, say);

$("title").textContent = about.title;
document.title = `${about.title} · jdeepvis`;

const wire = new Wire({
  onOpen() {
    const values = page.head ? page.head.share : readAddress();
    sendAspect();
    if (Object.keys(values).length) wire.set(values);
  },
  onUpdate: update,
  onNews({ note, problem, progress }) {
    if (note !== undefined) $("note").textContent = note;
    if (problem !== undefined) say(problem);
    if (progress !== undefined) {
      $("progress").hidden = false;
      $("progress").value = progress;
    }
  },
  onFile: (data) => download(new Blob([data]), nameFile(page.head, "npz")),
  onClose(code, reason) {
    frames.stop();
    page.since = 0;
    if (code === 1000) {
      $("note").textContent = "Left. Any key opens the page again.";
      addEventListener("keydown", () => location.reload(), { once: true });
      return;
    }
    $("note").textContent = reason || "The server is away; trying again …";
    if (code === 1008) {
      page.head = null;
      history.replaceState(null, "", location.pathname);
    }
    setTimeout(() => wire.connect(), 1500);
  },
});

const frames = new Frames(Math.min(...about.input.slice(0, 2)), (blob) => {
  wire.send(blob);
});

function say(problem) {
  $("note").textContent = problem;
  page.noted = performance.now();
}

function update(head, arrays) {
  const before = page.head;
  page.head = head;
  const { state } = head;
  if (!state.rendering) $("progress").hidden = true;
  const restarted = head.frame !== before?.frame;
  if (restarted) times.push(performance.now());
  while (times.length > 30) times.shift();
  if (performance.now() - page.noted > NOTED) $("note").textContent = "";
  showControls(head, about);
  showFacts(head, about);
  showPictures(head, about);
  showStatus();
  canvases.update(head, arrays);
  writeAddress(head.share);
  document.documentElement.dataset.updates = head.updates;
  document.documentElement.dataset.frame = head.frame;
  if (head.heard >= page.since) followSource(state);
}

function showStatus() {
  const { head } = page;
  const { state, milliseconds } = head;
  const live = times.length > 1 && performance.now() - times.at(-1) < 2000;
  const rate = 1000 * (times.length - 1) / (times.at(-1) - times[0]);
  const parts = [
    `${head.layer} : ${state.unit}`,
    state.rule === "off"
      ? "forward" : `${state.rule} from ${head.from}, ${state.filter}`,
    live ? `${rate.toFixed(1)} frames/s` : "still",
    `forward ${milliseconds.forward.toFixed(1)} ms`,
  ];
  if (state.boost) parts.push(`boost ${state.boost}`);
  if (state.gamma !== 1) parts.push(`gamma ${state.gamma}`);
  if (state.debug) {
    parts.push(`image ${milliseconds.image} ms`, `panels ${milliseconds.panels} ms`);
  }
  if (state.debug > 1) {
    parts.push(`frame ${head.frame}`, `${head.dropped} dropped`);
  }
  $("status").textContent = parts.join("  ·  ");
}

function followSource(state) {
  if (state.source === "files") {
    if (frames.source) frames.stop();
  } else if (state.source === "webcam" && frames.source !== "webcam") {
    frames.openWebcam().catch((error) => {
      if (frames.source !== "webcam") return; // nobody waits for it any more
      wire.set({ source: "files" });
      say(error.message);
    });
  } else if (!state.frozen) {
    frames.next();
  }
}

async function take(file) {
  if (!file) return;
  const isVideo = file.type.startsWith("video/");
  try {
    const image = isVideo ? null : await readImage(file);
    frames.stop();
    wire.set({ source: "upload", frozen: false });
    page.since = wire.said; // updates under way know nothing of this yet
    if (isVideo) await frames.openVideo(file);
    else wire.send(image);
  } catch {
    if (isVideo) wire.set({ source: "files" });
    const kind = isVideo ? "video" : "image";
    say(`${file.name} is no ${kind} that this browser can read.`);
  }
}

function sendAspect() {
  const { clientWidth: w, clientHeight: h } = $("pane");
  const aspect = Math.min(10, Math.max(0.1, w / Math.max(h, 1)));
  wire.set({ aspect });
}

function switchTheme() {
  const root = document.documentElement;
  root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
  canvases.paint();
}

const OWN_KEYS = {
  "/": ["find units", () => $("search").focus()],
  S: ["save what is shown as PNG", () => savePng(page.head)],
  N: ["save the activations as npz", () => wire.send({ type: "save" })],
  D: ["dark or light", switchTheme],
};

function onKey(event) {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (target.matches("input, select, textarea")) {
    if (key === "Escape" || key === "Enter") target.blur();
    return;
  }
  if (target.matches("button") && (key === "Enter" || key === " ")) return;
  if (key === "Escape" && page.head?.state.help) {
    event.preventDefault();
    wire.key("h"); // without resetting the page
    return;
  }
  const known = about.keys.some(({ names }) => names.includes(key));
  if (OWN_KEYS[key]) OWN_KEYS[key][1]();
  else if (known) wire.key(key);
  else return;
  event.preventDefault();
}

document.documentElement.dataset.theme = localStorage.getItem("theme")
  ?? (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark");
buildLayers(about, (layer) => wire.set({ layer }));
buildSelects(about, (values) => wire.set(values));
buildHelp(about, OWN_KEYS);
addEventListener("keydown", onKey);
for (const button of document.querySelectorAll("[data-key]")) {
  button.addEventListener("click", () => wire.key(button.dataset.key));
}
$("tiles").addEventListener("click", (event) => {
  const unit = canvases.unitAt(event);
  if (unit !== null) wire.set({ unit });
});
$("tiles").addEventListener("dblclick", () => wire.key("z"));
$("tiles").addEventListener("mousemove", (event) => {
  const unit = canvases.unitAt(event);
  const { labels } = about.layers[page.head?.state.layer ?? 0];
  $("tiles").title = unit === null ? "" : `${unit} ${labels[unit] ?? ""}`;
});
$("map").addEventListener("click", (event) => {
  const position = canvases.positionAt(event);
  if (position) wire.set({ position });
});
$("open").addEventListener("click", () => $("chooser").click());
$("chooser").addEventListener("change", () => {
  take($("chooser").files[0]);
  $("chooser").value = "";
});
$("theme").addEventListener("click", switchTheme);
$("save-png").addEventListener("click", OWN_KEYS.S[1]);
$("save-npz").addEventListener("click", OWN_KEYS.N[1]);
$("help").addEventListener("cancel", (event) => event.preventDefault());
addEventListener("paste", ({ clipboardData }) => take(clipboardData.files[0]));
addEventListener("dragover", (event) => {
  event.preventDefault();
  $("drop").hidden = false;
});
addEventListener("dragleave", ({ relatedTarget }) => {
  if (!relatedTarget) $("drop").hidden = true;
});
addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").hidden = true;
  take(event.dataTransfer.files[0]);
});
let resizing;
new ResizeObserver(() => {
  canvases.paint();
  clearTimeout(resizing);
  resizing = setTimeout(sendAspect, 150);
}).observe($("pane"));
