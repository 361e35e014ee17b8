// Requests and results: while the user draws, the newest input is sent, and responses older than the shown one are
// dropped.
let asked = 0;
let shown = 0;
let current = null;
let timer = 0;

const WAIT_MS = 40;

async function begin() {
  let model;
  try {
    [model] = (await api.ask("/v1/models")).models;
  } catch (error) {
    byId("token-form").hidden = error.status !== 401;
    byId("about").textContent = error.message;
    return;
  }
  byId("token-form").hidden = true;
  document.title = `${model.name} – cresset playground`;
  byId("name").textContent = model.name;
  const isRanking = model.outputs.task === "ranking";
  const results = isRanking ? { kind: new UserPage(model) } : new Results(model, (name) => correct(results, name));
  const { summary, metric } = results.kind;
  const score = model.metrics.held_out?.[metric.name];
  byId("about").textContent = [
    model.architecture, summary,
    score === undefined ? null : `validation ${metric.name} ${metric.show(score)}`, model.sha256.slice(0, 12),
  ].filter(Boolean).join(" · ");
  if (isRanking) return results.kind.begin();
  const sources = { image: imageInput, text: (_, changed) => textInput(changed) };
  const source = (sources[model.input.kind] ?? rowInput)(model, later);
  function later() {
    clearTimeout(timer);
    timer = setTimeout(() => classify(source, results), WAIT_MS);
  }
  source.begin();
  showDrift().catch((error) => results.problem(error.message));
}

// Image input: drawn, chosen, dropped or pasted.
function imageInput(model, changed) {
  byId("image-input").hidden = false;
  const drawing = new Drawing(byId("drawing"), model.input.shape, changed);
  const fitted = byId("fitted");
  fitted.addEventListener("change", changed);
  byId("clear").addEventListener("click", () => drawing.clear());
  const take = (file) => file && drawing.take(file).catch(() => {
    byId("problem").hidden = false;
    byId("problem").textContent = `This browser cannot read ${file.name} as an image.`;
  });
  byId("file").addEventListener("change", (event) => { take(event.target.files[0]); event.target.value = ""; });
  const area = byId("image-input");
  area.addEventListener("dragover", (event) => { event.preventDefault(); drawing.canvas.classList.add("dropping"); });
  area.addEventListener("dragleave", () => drawing.canvas.classList.remove("dropping"));
  area.addEventListener("drop", (event) => {
    event.preventDefault();
    drawing.canvas.classList.remove("dropping");
    take(event.dataTransfer.files[0]);
  });
  addEventListener("paste", (event) => take(event.clipboardData.files[0]));
  byId("reasons").hidden = true;
  return {
    begin() {},
    input: async () => (drawing.isEmpty ? null : { image: await drawing.blob(fitted.checked) }),
    explain: (found, input) => showMap(found, input.image),
  };
}

async function classify(source, results) {
  const number = ++asked;
  const input = await source.input();
  if (!input) {
    shown = number;
    current = null;
    results.problem(null);
    return results.clear();
  }
  try {
    const answer = await api.classify(input);
    if (number < shown) return;
    shown = number;
    const [result] = answer.results;
    current = { input, answer: result.predictions?.[0], sha256: answer.model_sha256 };
    results.problem(null);
    results.show(result);
    await explain(source, number, input, results.kind.explained(result));
    await showDrift();
  } catch (error) {
    if (number >= shown) results.problem(error.message);
  }
}

async function explain(source, number, input, name) {
  const found = await api.explain(input, name);
  if (number < shown) return;
  await source.explain(found, input);
  byId("explained").textContent = found.class;
  byId("explanation").hidden = false;
}

async function correct(results, name) {
  if (!current) return;
  const { input, answer, sha256 } = current;
  try {
    const kept = await api.correct(input, answer, sha256, name);
    results.kept(name, kept.corrections);
    results.problem(null);
  } catch (error) {
    results.problem(error.message);
  }
}

byId("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", byId("token").value);
  begin();
});
begin();
