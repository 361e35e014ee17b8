// Row input: a field for each column, numbers also with a slider over the range of the training data. Every change is a new prediction.
function rowInput(model, changed) {
  byId("row-input").hidden = false;
  byId("map").hidden = true;
  const count = model.input.shape.reduce((product, side) => product * side, 1);
  const columns = model.input.columns ??
    Array.from({ length: count }, (_, place) => ({ name: `${place + 1}`, kind: "number", typical: 0 }));
  const fields = columns.map((column, place) => {
    const field = fieldOf(column);
    field.id = `field-${place}`;
    field.addEventListener("input", changed);
    const label = Object.assign(document.createElement("label"), { htmlFor: field.id, textContent: column.name });
    const pair = document.createElement("div");
    pair.append(label, field);
    if (column.high > column.low) pair.append(sliderOf(column, field, changed));
    byId("fields").append(pair);
    return field;
  });
  const show = () => fields.forEach((field) => field.dispatchEvent(new Event("shown")));
  byId("paste").addEventListener("input", (event) => {
    const cells = event.target.value.trim().split(/[\t,;]/).map((cell) => cell.trim());
    if (cells.length >= fields.length) {
      fields.forEach((field, place) => { field.value = cells[place]; });
      show();
      changed();
    }
  });
  return {
    begin: changed,
    input: async () => ({ row: fields.map((field, place) => cellOf(field, columns[place])) }),
    explain: (found) => showReasons(found, columns.map(({ name }) => name)),
  };
}

const BOOLEANS = ["false", "true"];

function fieldOf(column) {
  const options = column.kind === "boolean" ? BOOLEANS : column.categories;
  if (options) {
    const field = document.createElement("select");
    field.replaceChildren(...options.map((text) => new Option(text, text)));
    if (column.typical) field.value = column.typical;
    return field;
  }
  const isNumber = column.kind === "number";
  const typical = column.whole ? Math.round(column.typical ?? 0) : Number((column.typical ?? 0).toPrecision(4));
  const field = Object.assign(document.createElement("input"), { type: "text", value: isNumber ? typical : "" });
  if (isNumber) field.inputMode = "decimal";
  return field;
}

// The field has the value; it may also be outside the range of the slider.
function sliderOf({ name, low, high, whole }, field, changed) {
  const slider = Object.assign(document.createElement("input"), {
    type: "range", min: low, max: high, step: whole ? 1 : "any", ariaLabel: `${name}, from ${figure(low)} to ${figure(high)}`,
  });
  const follow = () => { slider.value = field.value; };
  slider.addEventListener("input", () => {
    field.value = Number(Number(slider.value).toPrecision(4));
    changed();
  });
  for (const change of ["input", "shown"]) field.addEventListener(change, follow);
  follow();
  return slider;
}

function cellOf(field, column) {
  const text = field.value.trim();
  if (column.kind !== "number") return text === "" ? null : text;
  return text === "" ? null : Number.isNaN(Number(text)) ? text : Number(text);
}
