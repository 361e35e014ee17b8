// How the inputs since the start of the server differ from the training data.
const DRIFT_SHOWN = 5;

async function showDrift() {
  const { drift } = await api.ask("/v1/drift");
  byId("drift").hidden = !drift;
  if (!drift) return;
  byId("drift-rows").textContent =
    `Population stability index of ${drift.rows} inputs against the training data; above 0.25 much has changed.`;
  byId("drift-list").replaceChildren(...drift.variables.slice(0, DRIFT_SHOWN).map(({ kind, name, psi, by_chance }) => {
    const title = kind === "column" || kind === "image" ? name : kind;
    const entry = document.createElement("li");
    entry.textContent = `${title}: ${psi.toFixed(2)}${psi > by_chance ? "" : " (within chance)"}`;
    entry.classList.toggle("problem", psi > 0.25 && psi > by_chance);
    return entry;
  }));
}
