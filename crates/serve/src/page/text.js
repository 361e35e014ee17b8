// Text input, and the words of the text in the color of their attribution.
function textInput(changed) {
  byId("text-input").hidden = false;
  byId("map").hidden = true;
  const field = byId("text");
  field.addEventListener("input", changed);
  return {
    begin() {},
    input: async () => (field.value.trim() === "" ? null : { text: field.value }),
    explain: showWords,
  };
}

// `found.words` has the ranges of the words in bytes of `found.text` in UTF-8.
function showWords(found) {
  const bytes = new TextEncoder().encode(found.text);
  const part = (from, to) => new TextDecoder().decode(bytes.slice(from, to));
  const most = Math.max(...found.words.map(({ value }) => Math.abs(value)), 1e-9);
  const parts = [];
  let at = 0;
  for (const { start, end, value } of found.words) {
    const mark = document.createElement("mark");
    mark.textContent = part(start, end);
    mark.title = `${value > 0 ? "+" : "−"}${Math.abs(value).toPrecision(2)}`;
    mark.className = value > 0 ? "for-back" : "against-back";
    mark.style.setProperty("--share", `${Math.round(60 * Math.abs(value) / most)}%`);
    parts.push(part(at, start), mark);
    at = end;
  }
  byId("words").replaceChildren(...parts, part(at));
  const sorted = [...found.words].sort((a, b) => Math.abs(b.value) - Math.abs(a.value)).slice(0, 8);
  showReasons({ values: sorted.map(({ value }) => value), output: found.output }, sorted.map(({ word }) => word));
}
