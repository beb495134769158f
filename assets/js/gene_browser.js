// igv.js over this server's tracks. Its own list of genomes and its search service are switched off, so that nothing
// is asked of any other machine.

const BROWSERS = new WeakMap();
const NEAR = "200px";
const REST = 600;

function here(path) {
  return new URL(path, location.origin).href;
}

function withAddresses(value) {
  if (Array.isArray(value)) return value.map(withAddresses);
  if (value && typeof value === "object") {
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [
      key, /url$/i.test(key) && typeof part === "string" ? here(part) : withAddresses(part),
    ]));
  }
  return value;
}

class GeneBrowser {
  constructor(root) {
    this.root = root;
    this.view = root.querySelector(".gbrowser-view");
    this.status = root.querySelector(".gbrowser-status");
    this.work = Promise.resolve();
    this.wanted = new Promise((resolve) => {
      const start = () => {
        this.seen.disconnect();
        window.clearTimeout(this.resting);
        resolve();
      };
      this.seen = new IntersectionObserver((entries) => {
        if (entries.some((entry) => entry.isIntersecting)) start();
      }, { rootMargin: NEAR });
      this.seen.observe(root);
      this.resting = window.setTimeout(() => (window.requestIdleCallback ?? window.setTimeout)(start), REST);
    });
  }

  /** Begin when it comes into view, or when the browser has nothing else to do: it is the heaviest part of its page. */
  async make() {
    await this.wanted;
    if (this.gone) return;
    this.igv ??= (await import(here("/assets/vendor/igv/igv.js"))).default;
    if (this.browser) this.igv.removeBrowser(this.browser);
    this.view.replaceChildren();
    this.browser = await this.igv.createBrowser(this.view, withAddresses(this.data.options));
    this.browser.on("locuschange", (frames) => this.moved(Array.isArray(frames) ? frames[0] : frames));
    this.browser.on("trackclick", (track, details) => {
      const name = details?.find?.((one) => one.name === "Name" || one.name === "name")?.value;
      if (track.config?.id === "genes" && name) {
        this.component.setTriggerValue("gene", String(name));
        return false;
      }
      return undefined;
    });
    this.root.dataset.ready = this.data.key;
    this.root.dataset.locus = this.data.options.locus;
  }

  moved(frame) {
    window.clearTimeout(this.waiting);
    this.waiting = window.setTimeout(() => {
      if (!frame?.chr || frame.chr === "all") return;
      const locus = `${frame.chr}:${Math.round(frame.start) + 1}-${Math.round(frame.end)}`;
      if (locus === this.told) return;
      this.told = locus;
      this.root.dataset.locus = locus;
      this.component.setStateValue("locus", locus);
    }, 500);
  }

  async update(component) {
    const before = this.data;
    this.component = component;
    this.data = component.data;
    if (!before || before.key !== this.data.key) {
      await this.make();
    } else if (this.browser && before.turn !== this.data.turn) {
      await this.browser.search(this.data.options.locus);
    }
  }
}

export default function (component) {
  const root = component.parentElement.querySelector(".gbrowser");
  let own = BROWSERS.get(root);
  if (!own) BROWSERS.set(root, (own = new GeneBrowser(root)));
  own.work = own.work.then(() => own.update(component)).catch((error) => {
    own.status.textContent = `The browser could not be drawn: ${String(error.message || error).slice(0, 200)}`;
  });
  return () => {
    own.gone = true;
    if (own.browser) own.igv.removeBrowser(own.browser);
    BROWSERS.delete(root);
  };
}
