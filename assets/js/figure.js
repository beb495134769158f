// A figure by Plotly, drawn when it comes into view, or when the browser has nothing else to do. One whose numbers
// have changed is changed in place; one whose numbers are the same is left alone.

const FIGURES = new WeakMap();
const NEAR = "200px";
const REST = 400;
const FULL_SCREEN = {
  width: 1000, height: 1000,
  path: "M120 120h260v90H210v170h-90zM620 120h260v260h-90V210H620zM120 620h90v170h170v90H120zM790 620h90v260H620v-90h170z",
};

let program;
let turn = Promise.resolve();

function plotly() {
  program ??= import(new URL("/assets/vendor/plotly/plotly.js", location.origin).href).then((found) => found.default);
  return program;
}

/** Work that can wait: one figure at a time, each when the browser is idle. */
function inTurn(work) {
  turn = turn.then(() => new Promise((done) => {
    const now = () => Promise.resolve(work()).then(done, done);
    if (window.requestIdleCallback) window.requestIdleCallback(now);
    else window.setTimeout(now, 1);
  }));
}

class Figure {
  constructor(root) {
    this.root = root;
    this.plot = root.querySelector(".figure-plot");
    this.status = root.querySelector(".figure-status");
    this.work = Promise.resolve();
    this.seen = new IntersectionObserver((entries) => {
      this.near = entries.some((entry) => entry.isIntersecting);
      if (this.near) this.draw();
    }, { rootMargin: NEAR });
    this.sized = new ResizeObserver(() => this.fit());
    this.all = () => this.draw();
    this.screen = () => this.fit();
    this.seen.observe(root);
    this.sized.observe(root);
    window.addEventListener("beforeprint", this.all);
    root.addEventListener("fullscreenchange", this.screen);
  }

  update({ spec, height, label, bar }) {
    if (spec === this.spec) return;
    Object.assign(this, { spec, height, bar });
    this.root.dataset.waiting = "true";
    this.plot.style.minHeight = `${height}px`;
    this.root.setAttribute("role", "figure");
    this.root.setAttribute("aria-label", label);
    if (this.near) this.draw();
    else {
      window.clearTimeout(this.resting);
      this.resting = window.setTimeout(() => inTurn(() => this.draw()), REST);
    }
  }

  draw() {
    this.work = this.work.then(() => this.drawn()).catch((error) => {
      this.root.removeAttribute("data-waiting");
      this.status.textContent = `The figure could not be drawn: ${String(error.message || error).slice(0, 200)}`;
    });
    return this.work;
  }

  async drawn() {
    if (this.spec === this.shown || this.gone) return;
    if (!this.root.clientWidth) {
      // In a part that is folded away; it is drawn when it is seen.
      this.root.dataset.waiting = "hidden";
      return;
    }
    const Plotly = await plotly();
    const spec = this.spec;
    const { data, layout } = JSON.parse(spec);
    await Plotly.react(this.plot, data, { ...layout, width: this.root.clientWidth, height: this.tall() }, {
      displaylogo: false, displayModeBar: this.bar ? "hover" : false,
      modeBarButtonsToRemove: ["toImage", "select2d", "lasso2d"],
      modeBarButtonsToAdd: [{
        name: "full", title: "Full screen", icon: FULL_SCREEN, click: () => this.toggle(),
      }],
    });
    this.shown = spec;
    this.status.textContent = "";
    if (spec === this.spec) this.root.removeAttribute("data-waiting");
  }

  tall() {
    return document.fullscreenElement === this.root ? window.innerHeight - 32 : this.height;
  }

  toggle() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.root.requestFullscreen();
  }

  /** Follow the width of the page, as when the menu is folded away. */
  fit() {
    window.cancelAnimationFrame(this.fitting);
    this.fitting = window.requestAnimationFrame(async () => {
      const now = this.plot._fullLayout;
      const size = { width: this.root.clientWidth, height: this.tall() };
      if (!this.shown || !now || !size.width || (now.width === size.width && now.height === size.height)) return;
      (await plotly()).relayout(this.plot, size);
    });
  }

  async end() {
    this.gone = true;
    this.seen.disconnect();
    this.sized.disconnect();
    window.clearTimeout(this.resting);
    window.removeEventListener("beforeprint", this.all);
    if (this.shown) (await plotly()).purge(this.plot);
  }
}

export default function (component) {
  const root = component.parentElement.querySelector(".figure-box");
  let own = FIGURES.get(root);
  if (!own) FIGURES.set(root, (own = new Figure(root)));
  own.update(component.data);
  return () => {
    own.end();
    FIGURES.delete(root);
  };
}
