// Files for people to keep.

const $ = (id) => document.getElementById(id);

export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}

/** Input, backward view and large pane as one picture. */
export function savePng({ layer, state }) {
  const [pane, input, backward] = [$("tiles"), $("input"), $("backward")];
  const side = Math.floor(pane.height / 2);
  const canvas = document.createElement("canvas");
  canvas.width = side + pane.width;
  canvas.height = pane.height;
  const context = canvas.getContext("2d");
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.imageSmoothingEnabled = false;
  context.drawImage(input, 0, 0, side, side);
  if (!backward.hidden) context.drawImage(backward, 0, side, side, side);
  context.drawImage(pane, side, 0);
  const name = `${layer.replaceAll("/", "-")}_${state.unit}.png`;
  canvas.toBlob((blob) => download(blob, name));
}
