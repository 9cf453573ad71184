// The websocket: events out, updates in. See wire.py for an update's bytes.

export class Wire {
  constructor({ onOpen, onUpdate, onNews, onFile, onClose }) {
    Object.assign(this, { onOpen, onUpdate, onNews, onFile, onClose });
    this.connect();
  }

  connect() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    this.arrays = {};
    this.said = 0; // events; an update tells how many of them it knows of
    this.socket = new WebSocket(`${scheme}://${location.host}/live`);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => this.onOpen();
    this.socket.onclose = ({ code, reason }) => this.onClose(code, reason);
    this.socket.onmessage = ({ data }) => this.receive(data);
  }

  receive(data) {
    if (typeof data === "string") return this.onNews(JSON.parse(data));
    const view = new DataView(data);
    const length = view.getUint32(0, true);
    if (!length) return this.onFile(data.slice(4));
    const text = new TextDecoder().decode(new Uint8Array(data, 4, length));
    const head = JSON.parse(text);
    const arrays = {};
    let offset = 4 + length;
    for (const { name, shape, same } of head.arrays) {
      const size = shape.reduce((a, b) => a * b);
      const bytes = same
        ? this.arrays[name].bytes : new Uint8Array(data, offset, size);
      if (!same) offset += size;
      arrays[name] = { shape, bytes, same };
    }
    this.arrays = { ...this.arrays, ...arrays };
    this.onUpdate(head, arrays);
  }

  send(event) {
    if (this.socket.readyState !== WebSocket.OPEN) return;
    if (event instanceof Blob) {
      this.socket.send(event);
    } else {
      this.said++;
      this.socket.send(JSON.stringify(event));
    }
  }

  key(key) {
    this.send({ type: "key", key });
  }

  set(values) {
    this.send({ type: "set", values });
  }
}
