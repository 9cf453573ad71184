// Images from this side: files, the clipboard, the webcam, videos.

const MAX_BYTES = 16 * 2 ** 20;
const MAX_PIXELS = 32e6;
const PLAIN = ["image/jpeg", "image/png", "image/webp"];
const LEAST_WAIT = 33; // milliseconds between frames

/** An image file as the server takes it: as it is, or packed anew. */
export async function readImage(file) {
  const bitmap = await createImageBitmap(file);
  const { width, height } = bitmap;
  if (PLAIN.includes(file.type) && file.size <= MAX_BYTES
      && width * height <= MAX_PIXELS) {
    return file;
  }
  const scale = Math.min(1, 2048 / Math.max(width, height));
  const canvas = new OffscreenCanvas(
    Math.ceil(width * scale), Math.ceil(height * scale));
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  return canvas.convertToBlob({ type: "image/png" });
}

const shut = (stream) =>
  stream?.getTracks().forEach((track) => track.stop());

/** Frames of the webcam or of a video, one at a time.
 *
 * Opening takes a while; what was stopped or replaced meanwhile stays shut.
 */
export class Frames {
  constructor(side, send) {
    this.side = side;
    this.send = send;
    this.video = document.createElement("video");
    this.video.muted = true;
    this.video.loop = true;
    this.video.playsInline = true;
    this.canvas = document.createElement("canvas");
    this.source = null; // "webcam" or "video" from when it is opened
    this.turn = 0;
    this.running = false;
    this.waiting = false;
  }

  async openWebcam() {
    if (!navigator.mediaDevices) {
      throw new Error("The webcam needs https or this very machine.");
    }
    const turn = this.begin("webcam");
    const stream = await navigator.mediaDevices.getUserMedia(
      { video: { width: 640, height: 480 } });
    if (turn !== this.turn) return shut(stream);
    this.video.srcObject = stream;
    await this.start(turn);
  }

  async openVideo(file) {
    const turn = this.begin("video");
    this.video.src = URL.createObjectURL(file);
    await this.start(turn);
  }

  begin(source) {
    this.stop();
    this.source = source;
    return this.turn;
  }

  async start(turn) {
    try {
      await this.video.play();
    } catch (error) {
      if (turn === this.turn) throw error;
    }
    if (turn !== this.turn) return;
    this.running = true;
    this.waiting = false;
    this.next();
  }

  stop() {
    this.turn++;
    this.source = null;
    this.running = false;
    this.video.pause();
    shut(this.video.srcObject);
    this.video.srcObject = null;
    if (this.video.src) URL.revokeObjectURL(this.video.src);
    this.video.removeAttribute("src");
  }

  /** To be called with each update: only then is another frame due. */
  next() {
    if (!this.running || this.waiting) return;
    this.waiting = true;
    const since = performance.now() - (this.last ?? 0);
    setTimeout(() => this.grab(), Math.max(0, LEAST_WAIT - since));
  }

  grab() {
    this.waiting = false;
    const { videoWidth: w, videoHeight: h } = this.video;
    if (!this.running || !w) return;
    this.last = performance.now();
    const scale = this.side / Math.min(w, h);
    const { canvas } = this;
    canvas.width = Math.round(w * scale);
    canvas.height = Math.round(h * scale);
    const context = canvas.getContext("2d");
    if (this.source === "webcam") {
      context.setTransform(-1, 0, 0, 1, canvas.width, 0); // a mirror
    }
    context.drawImage(this.video, 0, 0, canvas.width, canvas.height);
    const { turn } = this;
    canvas.toBlob((blob) => {
      if (turn === this.turn) this.send(blob);
    }, "image/jpeg", 0.92);
  }
}
