// Prediction and attribution.
const byId = (id) => document.getElementById(id);

const percent = (share) => `${(100 * share).toFixed(1)} %`;

class Results {
  // `corrected` is called with the class of the pressed button.
  constructor(classes, corrected) {
    this.buttons = new Map(classes.map((name) => [name, this.button(name, corrected)]));
    byId("classes").replaceChildren(...[...this.buttons.values()].map((button) => button.parentElement));
    // Align all bars.
    const longest = Math.max(...classes.map((name) => name.length));
    byId("classes").style.setProperty("--named", `${Math.min(longest, 14) + 1}ch`);
    this.clear();
  }

  button(name, corrected) {
    const item = document.createElement("li");
    const button = item.appendChild(document.createElement("button"));
    button.type = "button";
    const part = (className, text = "") =>
      Object.assign(button.appendChild(document.createElement("span")), { className, textContent: text });
    part("named", name).title = name;
    part("track").appendChild(Object.assign(document.createElement("span"), { className: "bar" }));
    part("share");
    button.addEventListener("click", () => corrected(name));
    return button;
  }

  clear() {
    for (const [name, button] of this.buttons) this.set(name, button, null);
    byId("verdict").textContent = "Nothing yet.";
    byId("explanation").hidden = true;
  }

  set(name, button, probability) {
    button.disabled = probability === null;
    button.querySelector(".bar").style.transform = `scaleX(${probability ?? 0})`;
    button.querySelector(".share").textContent = probability === null ? "" : percent(probability);
    button.setAttribute("aria-label",
      probability === null ? name : `${name}, ${percent(probability)}. Press if this is the correct class.`);
  }

  // `set` is the prediction set of a model that has them; `ood` is true if the input is out of distribution.
  show(predictions, set, ood) {
    const [best] = predictions;
    const unsure = set?.length === 0 ? "; no class is certain enough" : `; the set is ${set?.join(", ")}`;
    const notes = `${set ? unsure : ""}${ood ? "; unlike the training data" : ""}`;
    byId("verdict").textContent = `${best.class}, ${percent(best.probability)}${notes}`;
    for (const { class: name, probability } of predictions) this.set(name, this.buttons.get(name), probability);
  }

  kept(name, corrections) {
    const count = corrections === 1 ? "1 correction" : `${corrections} corrections`;
    byId("kept").textContent = `Saved as ${name}. ${count} in total.`;
  }

  problem(message) {
    byId("problem").hidden = !message;
    byId("problem").textContent = message ?? "";
  }
}

// Attribution map over the grayscale model input: red supports the class, blue opposes it.
async function showMap(found, image) {
  const [height, width] = found.shape;
  const small = Object.assign(document.createElement("canvas"), { width, height });
  const context = small.getContext("2d", { willReadFrequently: true });
  const shown = await createImageBitmap(image);
  const scale = Math.max(width / shown.width, height / shown.height);
  const [w, h] = [shown.width * scale, shown.height * scale];
  context.imageSmoothingQuality = "high";
  context.drawImage(shown, (width - w) / 2, (height - h) / 2, w, h);
  const pixels = context.getImageData(0, 0, width, height);
    // Clip to the 99th percentile, so that a few large values do not hide the rest.
  const sorted = found.values.map(Math.abs).sort((a, b) => a - b);
  const most = sorted[Math.floor(0.99 * (sorted.length - 1))] || 1;
  found.values.forEach((value, place) => {
    const [red, green, blue] = pixels.data.slice(4 * place, 4 * place + 3);
    const grey = 0.6 * (0.299 * red + 0.587 * green + 0.114 * blue) + 51;
    const cover = Math.min(Math.abs(value) / most, 1);
    const paint = value > 0 ? [217, 26, 26] : [26, 64, 217];
    paint.forEach((channel, at) => { pixels.data[4 * place + at] = grey * (1 - cover) + channel * cover; });
    pixels.data[4 * place + 3] = 255;
  });
  context.putImageData(pixels, 0, 0);
  const map = byId("map");
  [map.width, map.height] = [336, Math.round(336 * height / width)];
  const large = map.getContext("2d");
  large.imageSmoothingEnabled = false;
  large.drawImage(small, 0, 0, map.width, map.height);
}

// The features with the largest attribution.
function showReasons(found, names) {
  const all = found.values.map((value, place) => ({ value, name: names[place] ?? `value ${place + 1}` }));
  all.sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  byId("reasons").replaceChildren(...all.slice(0, 8).map(({ value, name }) => {
    const item = document.createElement("li");
    item.className = value > 0 ? "for" : "against";
    item.textContent = `${name}: ${value > 0 ? "+" : "−"}${Math.abs(value).toPrecision(2)}`;
    return item;
  }));
}
