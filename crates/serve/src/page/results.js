// Prediction and attribution.
const byId = (id) => document.getElementById(id);

const percent = (share) => `${(100 * share).toFixed(1)} %`;

const figure = (value) => `${Number(value.toPrecision(6))}`;

// A list with a bar for each class or label.
class Bars {
  // `tag` is the element of a row: a button that can be pressed, or a div.
  constructor(names, tag) {
    this.rows = new Map(names.map((name) => [name, this.row(name, tag)]));
    byId("classes").replaceChildren(...[...this.rows.values()].map((row) => row.parentElement));
    // Align all bars.
    const longest = Math.max(...names.map((name) => name.length));
    byId("classes").style.setProperty("--named", `${Math.min(longest, 14) + 1}ch`);
  }

  row(name, tag) {
    const row = document.createElement("li").appendChild(document.createElement(tag));
    row.className = "row";
    const part = (className, text = "") =>
      Object.assign(row.appendChild(document.createElement("span")), { className, textContent: text });
    part("named", name).title = name;
    part("track").appendChild(Object.assign(document.createElement("span"), { className: "bar" }));
    part("share");
    return row;
  }

  set(name, probability, text = "") {
    const row = this.rows.get(name);
    row.querySelector(".bar").style.transform = `scaleX(${probability ?? 0})`;
    row.querySelector(".share").textContent = text;
    return row;
  }
}

// The classes of a classifier. `corrected` is called with the class of the pressed button.
class ClassResults {
  constructor(model, corrected) {
    this.bars = new Bars(model.classes, "button");
    this.summary = `${model.classes.length} classes`;
    this.metric = { name: "accuracy", show: percent };
    byId("classes").setAttribute("aria-label", "Class probabilities; press the correct class to report an error");
    for (const [name, button] of this.bars.rows) {
      button.type = "button";
      button.addEventListener("click", () => corrected(name));
    }
  }

  clear() {
    for (const name of this.bars.rows.keys()) this.set(name, null);
  }

  set(name, probability) {
    const button = this.bars.set(name, probability, probability === null ? "" : percent(probability));
    button.disabled = probability === null;
    button.setAttribute("aria-label",
      probability === null ? name : `${name}, ${percent(probability)}. Press if this is the correct class.`);
  }

  // `set` is the prediction set of a model that has them; `ood` is true if the input is out of distribution.
  show({ predictions, set, ood }) {
    const [best] = predictions;
    const unsure = set?.length === 0 ? "; no class is certain enough" : `; the set is ${set?.join(", ")}`;
    for (const { class: name, probability } of predictions) this.set(name, probability);
    return `${best.class}, ${percent(best.probability)}${set ? unsure : ""}${ood ? "; unlike the training data" : ""}`;
  }

  explained({ predictions: [best] }) {
    return best.class;
  }
}

// The labels of a model that predicts several: their probabilities and thresholds.
class LabelResults {
  constructor(model) {
    this.bars = new Bars(model.classes, "div");
    this.summary = `${model.classes.length} labels`;
    this.metric = { name: "micro F1", show: percent };
    byId("classes").classList.add("labels");
    byId("classes").setAttribute("aria-label", "Label probabilities and thresholds");
    this.thresholds = new Map(model.classes.map((name, place) => [name, model.outputs.thresholds[place]]));
    for (const [name, row] of this.bars.rows) {
      const mark = Object.assign(document.createElement("span"), { className: "mark" });
      mark.style.left = `${100 * this.thresholds.get(name)}%`;
      row.querySelector(".track").append(mark);
    }
  }

  clear() {
    for (const name of this.bars.rows.keys()) this.bars.set(name, null).classList.remove("chosen");
  }

  show({ predictions, labels }) {
    for (const { class: name, probability } of predictions) {
      const isPredicted = labels.includes(name);
      const text = `${percent(probability)} ${isPredicted ? "≥" : "<"} ${percent(this.thresholds.get(name))}`;
      this.bars.set(name, probability, text).classList.toggle("chosen", isPredicted);
    }
    return labels.length > 0 ? labels.join(", ") : "No label";
  }

  explained({ predictions: [best] }) {
    return best.class;
  }
}

// The number of a model that predicts one, with its interval.
class NumberResults {
  constructor(model) {
    [this.name] = model.classes;
    this.coverage = model.outputs.interval?.coverage;
    this.summary = `predicts ${this.name}`;
    this.metric = { name: "R²", show: (value) => value.toFixed(3) };
    byId("classes").hidden = true;
  }

  clear() {}

  show({ value, interval }) {
    const range = interval ? `, ${figure(100 * this.coverage)} % interval ${interval.map(figure).join(" to ")}` : "";
    return `${this.name} ${figure(value)}${range}`;
  }

  explained() {
    return this.name;
  }
}

const KINDS = { classification: ClassResults, multilabel: LabelResults, regression: NumberResults };

// The verdict, and the results of the task below it.
class Results {
  // `corrected` is called with a class; only for classifiers.
  constructor(model, corrected) {
    this.kind = new KINDS[model.outputs.task](model, corrected);
    this.takesCorrections = model.outputs.task === "classification";
    byId("kept").hidden = !this.takesCorrections;
    // A number is raised or lowered.
    const words = model.outputs.task === "regression" ? ["raises", "lowers"] : ["supports", "opposes"];
    [byId("raises").textContent, byId("lowers").textContent] = words;
    this.clear();
  }

  clear() {
    this.kind.clear();
    byId("verdict").textContent = "Nothing yet.";
    byId("explanation").hidden = true;
  }

  show(result) {
    byId("verdict").textContent = this.kind.show(result);
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

// Attribution map over the grayscale model input: red supports the class or raises the number, blue does the opposite.
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

// The columns with the largest contributions, each with a bar to the right or, if it is negative, to the left.
function showReasons(found, names) {
  const named = found.values.map((value, place) => ({ value, name: names[place] ?? `value ${place + 1}` }));
  const all = named.filter(({ value }) => value !== 0);
  all.sort((a, b) => Math.abs(b.value) - Math.abs(a.value));
  const most = Math.abs(all[0]?.value) || 1;
  byId("reasons").replaceChildren(...all.slice(0, 12).map(({ value, name }) => {
    const item = document.createElement("li");
    item.className = value > 0 ? "for" : "against";
    item.textContent = `${name}: ${value > 0 ? "+" : "−"}${Math.abs(value).toPrecision(2)}`;
    const bar = item.appendChild(document.createElement("span"));
    bar.className = "effect";
    bar.style.width = `${50 * Math.abs(value) / most}%`;
    bar.style.marginLeft = value > 0 ? "50%" : `${50 - 50 * Math.abs(value) / most}%`;
    return item;
  }));
  const sum = found.values.reduce((total, value) => total + value, 0);
  byId("sum").hidden = found.base === undefined;
  byId("sum").textContent = found.base === undefined ? "" :
    `The ${found.output} is ${figure(found.base + sum)}: ${figure(found.base)} on average over rows like the training data, and the contributions of the columns (Shapley values).`;
}
