// What the canvases show of an update, and what lies under the pointer.

import { drawGrid, drawPicture, drawTile, fitCanvas, Grid, Sheet, Sprites }
  from "./draw.js";

const $ = (id) => document.getElementById(id);

export class Canvases {
  constructor(about, say) {
    Object.assign(this, { about, say });
    this.head = this.sheet = this.sprites = this.grid = this.map = null;
  }

  update(head, arrays) {
    const before = this.head;
    const { signed } = head.panels;
    this.head = head;
    if (!arrays.input.same) drawPicture($("input"), arrays.input);
    const { tiles, backward } = arrays;
    if (!tiles.same || !this.sheet || before?.panels.signed !== signed) {
      this.sheet = new Sheet(tiles, signed);
    }
    if (backward && !backward.same) drawPicture($("backward"), backward);
    $("backward").hidden = !backward;
    this.loadSprites(before);
    this.paint();
  }

  loadSprites(before) {
    const { state, layer, sprites } = this.head;
    const moved = before?.layer !== layer;
    if (moved) this.sprites = null;
    if (!state.pattern || (before?.state.pattern && !moved)) return;
    if (!sprites) {
      this.say("There are no pictures of this whole layer (--units).");
      return;
    }
    const image = new Image();
    const place = state.layer;
    image.onload = () => {
      if (this.head.state.layer !== place) return;
      this.sprites = new Sprites(image, this.about.layers[place].shape.at(-1));
      this.paint();
    };
    image.src = `sprites/${place}`;
  }

  paint() {
    if (!this.head || !this.sheet) return;
    const { state, panels, columns } = this.head;
    const canvas = $("tiles");
    const colour = getComputedStyle(document.documentElement)
      .getPropertyValue("--mark");
    fitCanvas(canvas);
    const sheet = state.pattern && this.sprites ? this.sprites : this.sheet;
    this.grid = null;
    if (state.zoom === "backward" && state.rule !== "off") {
      paintPicture(canvas, $("backward"));
    } else if (state.zoom === "unit") {
      drawTile(canvas, sheet, state.unit, null, colour);
    } else {
      this.grid = new Grid(
        canvas.width, canvas.height, panels.order.length, columns, sheet);
      const { labels } = this.about.layers[state.layer];
      drawGrid(
        canvas, this.grid, sheet, panels.order, state.unit, colour, labels);
    }
    const map = $("map");
    fitCanvas(map);
    this.map = drawTile(map, this.sheet, state.unit, panels.position, colour);
  }

  /** The unit of the grid under the pointer, or null. */
  unitAt(event) {
    const place = this.grid?.at(...pixelAt($("tiles"), event)) ?? -1;
    return place < 0 ? null : this.head.panels.order[place];
  }

  /** Row and column of the unit's map under the pointer, or null. */
  positionAt(event) {
    const { left, top, scale } = this.map;
    const [x, y] = pixelAt($("map"), event);
    const [column, row] =
      [(x - left) / scale, (y - top) / scale].map(Math.floor);
    const { w, h } = this.sheet;
    const inside = row >= 0 && row < h && column >= 0 && column < w;
    return inside ? [row, column] : null;
  }
}

function pixelAt(canvas, { clientX, clientY }) {
  const { left, top } = canvas.getBoundingClientRect();
  return [clientX - left, clientY - top].map((x) => x * devicePixelRatio);
}

function paintPicture(canvas, picture) {
  const context = canvas.getContext("2d");
  const { width, height } = picture;
  const scale = Math.min(canvas.width / width, canvas.height / height);
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = false;
  context.drawImage(
    picture, (canvas.width - width * scale) / 2,
    (canvas.height - height * scale) / 2, width * scale, height * scale);
}
