// The map of k-mers: drawn by regl-scatterplot, with a lasso and a box of its own that send corners, never lists of
// points. Coordinates and colours come from the server's routes; the server works out what a lasso holds.

const MAPS = new WeakMap();
const SVG = "http://www.w3.org/2000/svg";
const MOST_CORNERS = 160;
const HIDDEN = 255;

async function bytes(url) {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${answer.status} ${url}`);
  return answer.arrayBuffer();
}

function element(name, attributes = {}, text = "") {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.textContent = text;
  return made;
}

function hasWebGl() {
  const canvas = document.createElement("canvas");
  const context = canvas.getContext("webgl2") || canvas.getContext("webgl");
  const found = Boolean(context);
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return found;
}

class KmerMap {
  constructor(root) {
    this.root = root;
    this.stage = root.querySelector(".kmap-stage");
    this.canvas = root.querySelector("canvas");
    this.svg = root.querySelector("svg");
    this.status = root.querySelector(".kmap-status");
    this.tip = root.querySelector(".kmap-tip");
    this.mode = "pan";
    this.lasso = [];
    this.marks = [];
    this.asked = -1;
    this.bindTools();
  }

  say(text) {
    this.status.textContent = text;
    this.status.hidden = !text;
  }

  async start() {
    const module = await import(new URL("/assets/vendor/regl-scatterplot/regl-scatterplot.js", location.origin).href);
    const { width, height } = this.stage.getBoundingClientRect();
    const many = this.data.count > 150000;
    this.plot = module.default({
      canvas: this.canvas, width, height, actionKeyMap: {}, deselectOnEscape: false, performanceMode: many,
      pointSize: many ? 1.6 : this.data.count > 20000 ? 2.5 : 5, opacity: many ? 1 : 0.85, colorBy: "valueA",
      backgroundColor: this.data.background, pointColorHover: "#D55E00", pointColorActive: "#D55E00",
      showReticle: false, cameraDistance: this.wholeDistance(),
      // Handing a million points to a worker takes longer than indexing them.
      spatialIndexUseWorker: false,
    });
    this.plot.subscribe("view", () => this.overlay());
    this.plot.subscribe("pointOver", (row) => this.hover(row));
    this.plot.subscribe("pointOut", () => this.leave());
    this.plot.subscribe("select", ({ points }) => {
      if (points.length === 1) this.component.setTriggerValue("picked", points[0]);
      this.plot.deselect({ preventEvent: true });
    });
    this.watcher = new ResizeObserver(() => {
      const now = this.stage.getBoundingClientRect();
      const whole = this.isWhole();
      if (now.width > 0) this.plot.set({ width: now.width, height: now.height });
      if (now.width > 0 && whole) this.showWhole();
      this.overlay();
    });
    this.watcher.observe(this.stage);
    this.wholeView = this.plot.get("cameraView").join();
  }

  // The map is a square as high as the stage; where the stage is narrower, as beside another map, one looks from
  // further away.
  wholeDistance() {
    const { width, height } = this.stage.getBoundingClientRect();
    return width > 0 ? Math.max(1, height / width) : 1;
  }

  isWhole() {
    return this.plot.get("cameraView").join() === this.wholeView;
  }

  showWhole() {
    this.plot.reset();
    this.plot.set({ cameraDistance: this.wholeDistance() });
    this.wholeView = this.plot.get("cameraView").join();
    this.overlay();
  }

  async update(component) {
    this.component = component;
    const before = this.data;
    this.data = component.data;
    this.marks = this.data.marks;
    this.svg.style.color = this.data.ink;
    this.svg.setAttribute("aria-label", this.data.label);
    this.legend();
    // Only the newest call draws: an older one may still wait for its bytes.
    const turn = (this.turn = (this.turn || 0) + 1);
    const moved = !before || before.positions !== this.data.positions;
    const painted = moved || before.key !== this.data.key;
    if (moved) {
      performance.mark("kmer-map-asked");
      this.lasso = [];
      this.say(`Loading ${this.data.count.toLocaleString("en")} k-mers`);
    }
    if (!this.plot) {
      if (!hasWebGl()) throw new Error("webgl");
      this.starting ??= this.start();
    }
    if (painted || !this.places) {
      const [places, levels] = await Promise.all([
        moved || !this.places ? bytes(this.data.positions) : this.places, bytes(this.data.colours), this.starting,
      ]);
      if (turn !== this.turn) return;
      this.places = places;
      await this.draw(new Uint8Array(levels), moved);
    }
    if (!this.data.selected) this.lasso = [];
    this.overlay();
  }

  async draw(levels, moved) {
    const all = new Float32Array(this.places), count = levels.length, faint = this.data.faint;
    const colours = new Uint8Array(count);
    // What is not chosen lies below what is, and k-mers without a colour lie below the others.
    const rank = (level) => (level === HIDDEN ? 0 : level === faint ? 1 : level > faint ? 2 : level === 0 ? 3 : 4);
    const tallies = new Uint32Array(6);
    for (let row = 0; row < count; row += 1) {
      colours[row] = levels[row] === HIDDEN ? this.data.palette.length : levels[row];
      tallies[rank(levels[row]) + 1] += 1;
    }
    let order = null;
    if (tallies[5] !== count) {
      for (let place = 1; place < 6; place += 1) tallies[place] += tallies[place - 1];
      order = new Array(count);
      for (let row = 0; row < count; row += 1) order[tallies[rank(levels[row])]++] = row;
    }
    this.plot.set({
      pointColor: [...this.data.palette, this.data.background], backgroundColor: this.data.background,
      ...(moved ? {} : { pointOrder: order }),
    });
    await this.plot.draw(
      { x: all.subarray(0, count), y: all.subarray(count), valueA: colours },
      { zDataType: "categorical", ...(moved ? {} : { spatialIndex: this.plot.get("spatialIndex") }) },
    );
    if (moved && order) this.plot.set({ pointOrder: order });
    if (moved) performance.measure("kmer-map", "kmer-map-asked");
    this.say("");
    this.root.dataset.drawn = String(count);
    this.root.dataset.key = this.data.key;
  }

  // Places on the screen and on the map; the camera is never turned, so four numbers hold it.
  camera() {
    const view = this.plot.get("cameraView");
    const { width, height } = this.stage.getBoundingClientRect();
    return { scale: view[0], across: view[12], up: view[13], width, height };
  }

  toMap([right, down]) {
    const { scale, across, up, width, height } = this.camera();
    const { x, y, half } = this.data.frame;
    const place = [((2 * right) / width - 1) * (width / height), 1 - (2 * down) / height];
    return [((place[0] - across) / scale) * half + x, ((place[1] - up) / scale) * half + y];
  }

  toScreen([x, y]) {
    const { scale, across, up, width, height } = this.camera();
    const { frame } = this.data;
    const place = [((x - frame.x) / frame.half) * scale + across, ((y - frame.y) / frame.half) * scale + up];
    return [((place[0] * height) / width + 1) * (width / 2), (1 - place[1]) * (height / 2)];
  }

  overlay(open = null) {
    if (!this.plot) return;
    this.svg.replaceChildren();
    const corners = open ?? this.lasso.map((corner) => this.toScreen(corner));
    if (corners.length > 1) {
      const shape = document.createElementNS(SVG, open ? "polyline" : "polygon");
      shape.setAttribute("points", corners.map((corner) => corner.map((part) => part.toFixed(1)).join(",")).join(" "));
      this.svg.append(shape);
    }
    for (const mark of this.marks) {
      const [right, down] = this.toScreen([mark.x, mark.y]);
      const ring = document.createElementNS(SVG, "circle");
      for (const [key, value] of Object.entries({ cx: right, cy: down, r: mark.text ? 7 : 4 })) ring.setAttribute(key, value);
      this.svg.append(ring);
      if (mark.text) {
        const text = document.createElementNS(SVG, "text");
        text.setAttribute("x", right + 10);
        text.setAttribute("y", down - 8);
        text.textContent = mark.text;
        this.svg.append(text);
      }
    }
  }

  bindTools() {
    for (const button of this.root.querySelectorAll("[data-mode]")) {
      button.onclick = () => this.setMode(button.dataset.mode);
    }
    this.root.querySelector("[data-do=fit]").onclick = () => this.plot && this.showWhole();
    this.root.querySelector("[data-do=clear]").onclick = () => this.finish([]);
    let start = null, path = [];
    const place = (event) => {
      const box = this.stage.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    this.stage.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !this.plot || (this.mode === "pan" && !event.shiftKey)) return;
      event.stopPropagation();
      event.preventDefault();
      this.stage.setPointerCapture(event.pointerId);
      start = place(event);
      path = [start];
    }, true);
    this.stage.addEventListener("mousedown", (event) => {
      if (start) event.stopPropagation();
    }, true);
    this.stage.addEventListener("pointermove", (event) => {
      if (!start) return;
      event.stopPropagation();
      const now = place(event), last = path[path.length - 1];
      if (this.mode === "box") path = [start, [now[0], start[1]], now, [start[0], now[1]], start];
      else if (Math.hypot(now[0] - last[0], now[1] - last[1]) > 3) path.push(now);
      this.overlay(path);
    }, true);
    const end = () => {
      if (!start) return;
      const drawn = this.mode === "box" ? path.slice(0, 4) : path;
      start = null;
      const spread = Math.max(...drawn.map((corner) => Math.hypot(corner[0] - drawn[0][0], corner[1] - drawn[0][1])));
      this.finish(drawn.length > 2 && spread > 6 ? drawn : []);
    };
    this.stage.addEventListener("pointerup", end, true);
    this.stage.addEventListener("pointercancel", end, true);
    this.stage.addEventListener("wheel", (event) => {
      // The drawing surface lies below the overlay while a lasso is drawn; the wheel zooms all the same.
      if (event.target !== this.canvas && this.plot) {
        event.preventDefault();
        this.canvas.dispatchEvent(new WheelEvent("wheel", event));
      }
    }, { passive: false });
    this.root.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.finish([]);
    });
    this.setMode("pan");
  }

  setMode(mode) {
    this.mode = mode;
    this.svg.style.pointerEvents = mode === "pan" ? "none" : "auto";
    this.stage.style.cursor = mode === "pan" ? "grab" : "crosshair";
    for (const button of this.root.querySelectorAll("[data-mode]")) {
      button.setAttribute("aria-pressed", String(button.dataset.mode === mode));
    }
  }

  finish(path) {
    if (!this.plot) return;
    const step = Math.max(1, Math.ceil(path.length / MOST_CORNERS));
    this.lasso = path.filter((_, at) => at % step === 0).map((corner) => this.toMap(corner));
    this.overlay();
    this.component.setStateValue("lasso", this.lasso.length ? { run: this.data.run, corners: this.lasso } : null);
  }

  hover(row) {
    this.asked = row;
    window.clearTimeout(this.waiting);
    this.waiting = window.setTimeout(async () => {
      const answer = await fetch(`${this.data.kmer}&row=${row}`);
      if (!answer.ok || this.asked !== row) return;
      const said = await answer.json();
      const table = element("dl");
      for (const [name, value] of said.slice(1)) table.append(element("dt", {}, name), element("dd", {}, value));
      this.tip.replaceChildren(element("strong", {}, said[0][1]), table);
      const [right, down] = this.plot.getScreenPosition(row) ?? [0, 0];
      const { width, height } = this.stage.getBoundingClientRect();
      this.tip.style.left = `${right > width - 190 ? right - 182 : right + 12}px`;
      this.tip.style.top = `${Math.min(down + 12, height - 140)}px`;
      this.tip.hidden = false;
    }, 60);
  }

  leave() {
    this.asked = -1;
    window.clearTimeout(this.waiting);
    this.tip.hidden = true;
  }

  legend() {
    const { legend, axes } = this.data;
    const box = this.root.querySelector(".kmap-legend");
    box.replaceChildren(element("b", {}, legend.title));
    const swatch = (colour, name) => {
      const item = element("span", { class: "kmap-item" });
      const dot = element("i");
      dot.style.background = colour;
      item.append(dot, element("span", {}, name));
      box.append(item);
    };
    if (legend.kind === "ramp") {
      const ramp = element("span", { class: "kmap-ramp" });
      ramp.style.background = `linear-gradient(to right, ${legend.colours.join(",")})`;
      box.append(element("span", {}, legend.low_text), ramp, element("span", {}, legend.high_text));
    } else {
      for (const entry of legend.entries) swatch(entry.colour, entry.name);
    }
    if (legend.blank) swatch(legend.blank_colour, legend.blank);
    this.root.querySelector(".kmap-x").textContent = axes[0];
    this.root.querySelector(".kmap-y").textContent = axes[1];
  }

  stop() {
    this.watcher?.disconnect();
    this.plot?.destroy();
  }
}

export default function (component) {
  const root = component.parentElement.querySelector(".kmap");
  let map = MAPS.get(root);
  if (!map) MAPS.set(root, (map = new KmerMap(root)));
  map.update(component).catch((error) => {
    map.say("This browser cannot draw the map.");
    component.setStateValue("problem", String(error.message || error).slice(0, 200));
  });
  return () => {
    map.stop();
    MAPS.delete(root);
  };
}
