// What the address holds: the fields of the state that are not as at first.

const isPlain = (text) => {
  try {
    JSON.parse(text);
    return false;
  } catch {
    return true;
  }
};

export function readAddress() {
  const values = {};
  for (const [name, text] of new URLSearchParams(location.hash.slice(1))) {
    values[name] = isPlain(text) ? text : JSON.parse(text);
  }
  return values;
}

export function writeAddress(values) {
  const address = new URLSearchParams();
  for (const [name, value] of Object.entries(values)) {
    const plain = typeof value === "string" && isPlain(value);
    address.set(name, plain ? value : JSON.stringify(value));
  }
  const text = `#${address}`.replaceAll("%2F", "/");
  if (text !== location.hash) history.replaceState(null, "", text);
}
