// A user, and the items that are recommended to the user.
class UserPage {
  constructor(model) {
    const { users, items } = model.input;
    this.summary = `${users} users, ${items} items`;
    this.metric = { name: "NDCG@10", show: (value) => value.toFixed(3) };
    this.items = items;
    this.asked = 0;
  }

  begin() {
    byId("user-input").hidden = false;
    byId("result-title").textContent = "Recommendations";
    byId("kept").hidden = true;
    byId("user").addEventListener("input", () => this.recommend(byId("user").value.trim()));
  }

  async recommend(user) {
    const number = ++this.asked;
    const show = (verdict, items, problem = null) => {
      if (number !== this.asked) return;
      byId("verdict").textContent = verdict;
      byId("items").replaceChildren(...items.map(({ item, score }) => {
        const row = document.createElement("li");
        row.textContent = `${item} `;
        Object.assign(row.appendChild(document.createElement("span")), { className: "quiet", textContent: figure(score) });
        return row;
      }));
      byId("problem").hidden = !problem;
      byId("problem").textContent = problem ?? "";
    };
    if (!user) return show("Nothing yet.", []);
    try {
      const answer = await api.post("/v1/recommend", JSON.stringify({ user, top_k: Math.min(10, this.items) }));
      const [{ known, items }] = answer.results;
      show(known ? `For ${user}` : `${user} is not in the training data: what suits a user of whom nothing is known`, items);
    } catch (error) {
      show("Nothing yet.", [], error.message);
    }
  }
}
