// Requests to the server. The token is stored for this tab only.
const api = {
  async ask(path, options = {}) {
    const token = sessionStorage.getItem("token");
    const headers = { ...options.headers, ...(token ? { Authorization: `Bearer ${token}` } : {}) };
    const reply = await fetch(path, { ...options, headers });
    const answer = await reply.json();
    if (!reply.ok) {
      throw Object.assign(new Error(answer.error.message), { status: reply.status });
    }
    return answer;
  },

  post(path, body, type = "application/json") {
    return api.ask(path, { method: "POST", headers: { "Content-Type": type }, body });
  },

  // An input is an image (a Blob), a text, or a row (a list of cells).
  classify(input) {
    return api.send("/v1/predict", input);
  },

  explain(input, name) {
    return api.send(`/v1/explain?class=${encodeURIComponent(name)}`, input);
  },

  send(path, input) {
    if (input.image) return api.post(path, input.image, "application/octet-stream");
    return input.text !== undefined
      ? api.post(path, input.text, "text/plain")
      : api.post(path, JSON.stringify({ inputs: [input.row] }));
  },

  async correct(input, answer, sha256, correction) {
    const what = input.image ? { image: await base64(input.image) } : { values: input.row ?? [input.text] };
    return api.post("/v1/feedback", JSON.stringify({ ...what, answer, correction, model_sha256: sha256 }));
  },
};

function base64(blob) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => reject(reader.error);
    reader.readAsDataURL(blob);
  });
}
