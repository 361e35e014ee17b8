// A drawing, white on black as in the training images: black is the minimum value, white the maximum.
// Strokes are stored as points, so that they can be scaled to the frame with constant stroke width.
class Drawing {
  // `shape` is [channels, height, width] of the model's images.
  constructor(canvas, shape, changed) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    const [height, width] = shape.slice(1);
    const unit = 336 / Math.max(height, width);
    canvas.width = Math.round(unit * width);
    canvas.height = Math.round(unit * height);
    // Stroke width: about one pixel of a small image, or a twelfth of a large one.
    this.pen = Math.max(canvas.width / 12, 1.1 * canvas.width / width);
    this.cursor = { x: canvas.width / 2, y: canvas.height / 2 };
    this.changed = changed;
    this.listen();
    this.clear();
  }

  clear() {
    this.lines = [];
    this.image = null;
    this.show();
    this.changed();
  }

  get isEmpty() {
    return this.lines.length === 0 && !this.image;
  }

  // Takes an image file unchanged.
  async take(file) {
    const shown = await createImageBitmap(file);
    this.lines = [];
    this.image = { file, shown };
    this.show();
    this.changed();
  }

  listen() {
    let line = null;
    const at = (event) => {
      const frame = this.canvas.getBoundingClientRect();
      const scale = this.canvas.width / frame.width;
      return { x: (event.clientX - frame.left) * scale, y: (event.clientY - frame.top) * scale };
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      line = this.begin(at(event));
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (line) {
        for (const moved of event.getCoalescedEvents?.() ?? [event]) line.push(at(moved));
        this.drawn();
      }
    });
    for (const end of ["pointerup", "pointercancel"]) {
      this.canvas.addEventListener(end, () => { line = null; });
    }
    this.listenToKeys();
  }

  listenToKeys() {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    let line = null;
    this.canvas.addEventListener("keydown", (event) => {
      if (event.key === " ") {
        line ??= this.begin({ ...this.cursor });
      } else if (event.key === "Delete" || event.key === "Escape") {
        line = null;
        this.clear();
      } else if (steps[event.key]) {
        const [x, y] = steps[event.key].map((step) => step * this.pen / 2);
        this.cursor.x = Math.min(Math.max(this.cursor.x + x, 0), this.canvas.width);
        this.cursor.y = Math.min(Math.max(this.cursor.y + y, 0), this.canvas.height);
        if (line) line.push({ ...this.cursor });
        line ? this.drawn() : this.show();
      } else {
        return;
      }
      event.preventDefault();
    });
    this.canvas.addEventListener("keyup", (event) => { if (event.key === " ") line = null; });
    for (const change of ["focus", "blur"]) this.canvas.addEventListener(change, () => this.show());
  }

  begin(point) {
    this.image = null;
    const line = [point];
    this.lines.push(line);
    this.drawn();
    return line;
  }

  drawn() {
    this.show();
    this.changed();
  }

  show() {
    this.paint(this.context, (point) => point);
    if (document.activeElement === this.canvas && this.canvas.matches(":focus-visible")) {
      this.context.strokeStyle = "#d9691e";
      this.context.lineWidth = 3;
      this.context.strokeRect(this.cursor.x - this.pen / 2, this.cursor.y - this.pen / 2, this.pen, this.pen);
    }
  }

  paint(context, place) {
    const { width, height } = this.canvas;
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    if (this.image) {
      const { shown } = this.image;
      const scale = Math.max(width / shown.width, height / shown.height);
      const [w, h] = [shown.width * scale, shown.height * scale];
      context.drawImage(shown, (width - w) / 2, (height - h) / 2, w, h);
      return;
    }
    context.strokeStyle = context.fillStyle = "#fff";
    context.lineWidth = this.pen;
    context.lineCap = context.lineJoin = "round";
    for (const line of this.lines.map((line) => line.map(place))) {
      context.beginPath();
      context.moveTo(line[0].x, line[0].y);
      for (const point of line) context.lineTo(point.x, point.y);
      context.stroke();
    }
  }

  // Maps points so that the drawing is centered and fills the frame with its aspect ratio.
  fitting() {
    const points = this.lines.flat();
    const [xs, ys] = ["x", "y"].map((axis) => points.map((point) => point[axis]));
    const [left, top] = [Math.min(...xs), Math.min(...ys)];
    const [across, down] = [Math.max(...xs) - left, Math.max(...ys) - top];
    const { width, height } = this.canvas;
    const room = (side) => side - this.pen;
    const scale = Math.min(room(width) / Math.max(across, 1), room(height) / Math.max(down, 1), width / this.pen);
    return (point) => ({
      x: width / 2 + (point.x - left - across / 2) * scale,
      y: height / 2 + (point.y - top - down / 2) * scale,
    });
  }

  // The request body: the file itself, or the drawing as a PNG.
  blob(isFitted) {
    if (this.image) return Promise.resolve(this.image.file);
    const sent = Object.assign(document.createElement("canvas"), { width: this.canvas.width, height: this.canvas.height });
    this.paint(sent.getContext("2d"), isFitted ? this.fitting() : (point) => point);
    return new Promise((resolve) => { sent.toBlob(resolve, "image/png"); });
  }
}
