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

/** Frames of the webcam or of a video, one at a time. */
export class Frames {
  constructor(side, send) {
    this.side = side;
    this.send = send;
    this.video = document.createElement("video");
    this.video.muted = true;
    this.video.loop = true;
    this.video.playsInline = true;
    this.canvas = document.createElement("canvas");
    this.running = false;
    this.waiting = false;
  }

  async openWebcam() {
    if (!navigator.mediaDevices) {
      throw new Error("The webcam needs https or this very machine.");
    }
    this.stop();
    this.mirrored = true;
    this.video.srcObject = await navigator.mediaDevices.getUserMedia(
      { video: { width: 640, height: 480 } });
    await this.start();
  }

  async openVideo(file) {
    this.stop();
    this.mirrored = false;
    this.video.src = URL.createObjectURL(file);
    await this.start();
  }

  async start() {
    await this.video.play();
    this.running = true;
    this.waiting = false;
    this.next();
  }

  stop() {
    this.running = false;
    this.video.pause();
    this.video.srcObject?.getTracks().forEach((track) => track.stop());
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
    if (this.mirrored) context.setTransform(-1, 0, 0, 1, canvas.width, 0);
    context.drawImage(this.video, 0, 0, canvas.width, canvas.height);
    canvas.toBlob((blob) => this.send(blob), "image/jpeg", 0.92);
  }
}
