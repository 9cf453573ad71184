// Files for people to keep.

const $ = (id) => document.getElementById(id);

export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000); // once it is saved
}

export const nameFile = ({ layer, state }, ending) =>
  `${layer.replaceAll("/", "-")}_${state.unit}.${ending}`;

/** Input, backward view and large pane as one picture. */
export function savePng(head) {
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
  canvas.toBlob((blob) => download(blob, nameFile(head, "png")));
}
