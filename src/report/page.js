"use strict";
// Shows the values of the epoch under the pointer, or of the one selected with the arrow keys.
for (const plot of document.querySelectorAll(".plot[data-points]")) {
  const points = plot.dataset.points.split(";").map((point) => point.split(",").map(Number));
  const names = [...plot.querySelectorAll(".legend span")].map((name) => name.textContent);
  const svg = plot.querySelector("svg");
  const cursor = svg.querySelector(".cursor");
  const output = plot.querySelector("output");
  let shown = points.length - 1;

  const show = (index) => {
    shown = Math.max(0, Math.min(points.length - 1, index));
    const [epoch, x, ...values] = points[shown];
    const figures = values.map((value, place) => `${names[place]} ${Number(value.toPrecision(5))}${plot.dataset.unit}`);
    output.textContent = `epoch ${epoch}: ${figures.join(", ")}`;
    for (const [name, value] of Object.entries({ x1: x, x2: x, y1: 10, y2: 232 })) cursor.setAttribute(name, value);
    cursor.removeAttribute("hidden");
  };
  const nearest = (event) => {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    let best = 0;
    points.forEach((point, index) => {
      if (Math.abs(point[1] - x) < Math.abs(points[best][1] - x)) best = index;
    });
    show(best);
  };
  svg.setAttribute("tabindex", "0");
  svg.addEventListener("pointermove", nearest);
  svg.addEventListener("pointerdown", nearest);
  svg.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) {
      event.preventDefault();
      show(shown + step);
    }
  });
  svg.addEventListener("pointerleave", () => {
    cursor.setAttribute("hidden", "");
    output.textContent = "";
  });
}
