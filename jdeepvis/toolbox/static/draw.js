// From bytes to canvases. Arrays are uint8 [h, w, c], row by row.

const GAP = 2; // device pixels between tiles
const LEGIBLE = 56; // pixels of a tile that has room for a name

const palette = (colour) => {
  const bytes = new Uint8ClampedArray(1024);
  for (let i = 0; i < 256; i++) bytes.set([...colour(i), 255], 4 * i);
  return new Uint32Array(bytes.buffer);
};
const GREY = palette((i) => [i, i, i]);
// Green above the middle, red below it, as in the original.
const SIGNED = palette((i) => [2 * (128 - i), 2 * (i - 128), 0]);

/** One picture of 1 or 3 channels, at its own size. */
export function drawPicture(canvas, { shape: [h, w, c], bytes }) {
  canvas.width = w;
  canvas.height = h;
  const image = new ImageData(w, h);
  for (let i = 0, j = 0; i < w * h; i++, j += 4) {
    for (let k = 0; k < 3; k++) {
      image.data[j + k] = bytes[i * c + (c === 3 ? k : 0)];
    }
    image.data[j + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

/** Every channel of a layer on one hidden canvas, side by side. */
export class Sheet {
  constructor({ shape: [h, w, count], bytes }, signed) {
    this.w = w;
    this.h = h;
    this.columns = Math.ceil(Math.sqrt(count));
    const width = this.columns * w;
    const height = Math.ceil(count / this.columns) * h;
    const image = new ImageData(width, height);
    const pixels = new Uint32Array(image.data.buffer);
    const colours = signed ? SIGNED : GREY;
    for (let unit = 0; unit < count; unit++) {
      const [left, top] = this.place(unit);
      for (let y = 0; y < h; y++) {
        let to = (top + y) * width + left;
        let from = y * w * count + unit;
        for (let x = 0; x < w; x++, from += count) {
          pixels[to++] = colours[bytes[from]];
        }
      }
    }
    this.source = new OffscreenCanvas(width, height);
    this.source.getContext("2d").putImageData(image, 0, 0);
  }

  place(unit) {
    const column = unit % this.columns;
    return [column * this.w, Math.floor(unit / this.columns) * this.h];
  }
}

/** The original's whole_layer.jpg: a square of sprites, row by row. */
export class Sprites {
  constructor(image, count) {
    this.source = image;
    this.columns = Math.ceil(Math.sqrt(count));
    this.w = this.h = image.naturalWidth / this.columns;
  }

  place(unit) {
    const column = unit % this.columns;
    return [column * this.w, Math.floor(unit / this.columns) * this.h];
  }
}

/** Where in a pane of some size each tile of a grid lies. */
export class Grid {
  constructor(width, height, count, columns, tile) {
    const rows = Math.ceil(count / columns);
    const scale = Math.min(
      width / columns / tile.w, height / rows / tile.h);
    this.w = Math.max(1, Math.floor(tile.w * scale));
    this.h = Math.max(1, Math.floor(tile.h * scale));
    this.columns = columns;
    this.count = count;
    this.left = Math.floor((width - this.w * columns) / 2);
    this.top = Math.floor((height - this.h * rows) / 2);
    this.gap = Math.min(GAP, Math.max(0, Math.min(this.w, this.h) - 1));
  }

  corner(place) {
    return [
      this.left + (place % this.columns) * this.w,
      this.top + Math.floor(place / this.columns) * this.h,
    ];
  }

  /** The place at a point, or -1. */
  at(x, y) {
    const column = Math.floor((x - this.left) / this.w);
    const row = Math.floor((y - this.top) / this.h);
    const place = row * this.columns + column;
    const inside = column >= 0 && column < this.columns && row >= 0;
    return inside && place < this.count ? place : -1;
  }
}

/** The grid of tiles with the selected one framed, classes by their names. */
export function drawGrid(canvas, grid, sheet, order, selected, colour, labels) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = grid.w < sheet.w;
  order.forEach((unit, place) => {
    const [x, y] = grid.corner(place);
    context.drawImage(
      sheet.source, ...sheet.place(unit), sheet.w, sheet.h,
      x, y, grid.w - grid.gap, grid.h - grid.gap);
  });
  if (labels.length && grid.w > LEGIBLE * devicePixelRatio) {
    nameTiles(context, grid, order, labels);
  }
  const place = order.indexOf(selected);
  if (place >= 0) {
    const [x, y] = grid.corner(place);
    const line = Math.max(2, Math.round(grid.w / 40));
    context.strokeStyle = colour;
    context.lineWidth = line;
    const w = grid.w - grid.gap + line;
    const h = grid.h - grid.gap + line;
    context.strokeRect(x - line / 2, y - line / 2, w, h);
  }
}

function nameTiles(context, grid, order, labels) {
  const size = Math.round(Math.min(grid.w / 8, 13 * devicePixelRatio));
  context.font = `${size}px system-ui, sans-serif`;
  context.textBaseline = "bottom";
  order.forEach((unit, place) => {
    const [x, y] = grid.corner(place);
    const bottom = y + grid.h - grid.gap;
    context.save();
    context.beginPath();
    context.rect(x, y, grid.w - grid.gap, grid.h - grid.gap);
    context.clip();
    context.fillStyle = "#000a";
    context.fillRect(x, bottom - 1.5 * size, grid.w, 1.5 * size);
    context.fillStyle = "#fff";
    context.fillText(
      labels[unit].split(",")[0], x + size / 3, bottom - size / 5);
    context.restore();
  });
}

/** One tile, as large as the canvas lets it be; a cell of it framed. */
export function drawTile(canvas, sheet, unit, cell, colour) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = false;
  const scale = Math.min(canvas.width / sheet.w, canvas.height / sheet.h);
  const [w, h] = [sheet.w * scale, sheet.h * scale];
  const left = (canvas.width - w) / 2;
  const top = (canvas.height - h) / 2;
  context.drawImage(
    sheet.source, ...sheet.place(unit), sheet.w, sheet.h, left, top, w, h);
  if (cell) {
    context.strokeStyle = colour;
    context.lineWidth = 2;
    const [row, column] = cell;
    context.strokeRect(
      left + column * scale - 1, top + row * scale - 1, scale + 2, scale + 2);
  }
  return { left, top, scale };
}

/** Makes a canvas as sharp as the screen. */
export function fitCanvas(canvas) {
  const width = Math.round(canvas.clientWidth * devicePixelRatio);
  const height = Math.round(canvas.clientHeight * devicePixelRatio);
  if (canvas.width === width && canvas.height === height) return;
  canvas.width = width;
  canvas.height = height;
}
