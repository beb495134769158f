// Sends files to the server piece by piece. After a break, or when the page was loaded again and the same file is
// chosen again, it asks how much is there and goes on behind it.
const PIECE = 8 * 1024 * 1024;
const WAITS = [500, 1000, 2000, 4000, 8000, 15000];

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const sizeText = (bytes) => {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let value = bytes, at = 0;
  while (value >= 1000 && at < units.length - 1) { value /= 1000; at += 1; }
  return at === 0 ? `${value} bytes` : `${value.toFixed(1)} ${units[at]}`;
};

const timeText = (seconds) =>
  seconds < 90 ? `${Math.ceil(seconds)} s left`
    : seconds < 5400 ? `${Math.round(seconds / 60)} min left`
      : `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min left`;

async function digest(blob) {
  // Browsers have checksums only where the connection is secure, or on the same machine.
  if (!globalThis.crypto?.subtle) return null;
  const raw = await crypto.subtle.digest("SHA-256", await blob.arrayBuffer());
  return [...new Uint8Array(raw)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

class Sending {
  constructor(file, row, token, finished) {
    this.file = file;
    this.row = row;
    this.token = token;
    this.finished = finished;
    this.stopped = false;
    this.mark = `neandl-upload:${file.name}:${file.size}:${file.lastModified}`;
  }

  async ask(method, path, body, headers = {}) {
    const answer = await fetch(new URL(`api/uploads${path}`, location.href), {
      method, body, headers: { "x-neandl-token": this.token, ...headers },
    });
    let said = {};
    try { said = await answer.json(); } catch { /* a proxy answered in its own words */ }
    return { status: answer.status, said };
  }

  async start() {
    const known = localStorage.getItem(this.mark);
    if (known) {
      const { status, said } = await this.ask("GET", `/${known}`);
      if (status === 200 && said.size === this.file.size && !said.complete) {
        this.id = known;
        return said.offset;
      }
    }
    const { status, said } = await this.ask(
      "POST", "", JSON.stringify({ name: this.file.name, size: this.file.size }));
    if (status !== 200) throw new Error(said.error || `The server answered ${status}.`);
    this.id = said.id;
    localStorage.setItem(this.mark, this.id);
    return 0;
  }

  show(offset, text, state = "") {
    this.row.querySelector("progress").value = this.file.size ? offset / this.file.size : 0;
    this.row.querySelector(".state").textContent = text;
    this.row.dataset.state = state;
  }

  async run() {
    try {
      this.show(0, "Starting");
      let offset = await this.start();
      const began = performance.now(), from = offset;
      let failures = 0;
      while (offset < this.file.size) {
        if (this.stopped) return;
        const piece = this.file.slice(offset, offset + PIECE);
        const sum = await digest(piece);
        let answer;
        try {
          answer = await this.ask("PUT", `/${this.id}?offset=${offset}`, piece, sum ? { "x-piece-sha256": sum } : {});
        } catch (error) {
          if (!(error instanceof TypeError)) throw error;
          answer = { status: 0, said: {} };
        }
        if (this.stopped) return;
        if (answer.status === 200 || (answer.status === 409 && answer.said.offset > offset)) {
          offset = answer.said.offset;
          failures = 0;
          const speed = (offset - from) / ((performance.now() - began) / 1000);
          const left = speed > 0 ? timeText((this.file.size - offset) / speed) : "";
          this.show(offset, `${sizeText(offset)} of ${sizeText(this.file.size)} · ${left}`);
          continue;
        }
        const passing = [0, 400, 409, 422, 502, 503, 504].includes(answer.status)
          || (answer.status === 507 && /other tab/.test(answer.said.error || ""));
        if (!passing || failures >= WAITS.length) {
          throw new Error(answer.said.error || "The connection to the server is lost. Choose the file again to go on.");
        }
        this.show(offset, "The connection broke; trying again");
        await sleep(WAITS[failures]);
        failures += 1;
        try {
          const { status, said } = await this.ask("GET", `/${this.id}`);
          if (status === 200) offset = said.offset;
        } catch { /* still away */ }
      }
      this.show(offset, "Checking");
      const { status, said } = await this.ask("POST", `/${this.id}/finish`);
      if (status !== 200) throw new Error(said.error || `The server answered ${status}.`);
      localStorage.removeItem(this.mark);
      this.show(this.file.size, `Complete: ${said.format}, ${sizeText(said.size)}`, "done");
      this.row.querySelector("button").remove();
      this.finished(said.id);
    } catch (error) {
      this.show(0, error.message, "failed");
    }
  }

  async cancel() {
    this.stopped = true;
    localStorage.removeItem(this.mark);
    if (this.id) await this.ask("DELETE", `/${this.id}`);
    this.row.remove();
  }
}

export default function ({ parentElement, data, setTriggerValue }) {
  const root = parentElement.querySelector(".uploader");
  root.token = data.token;
  root.done = (id) => setTriggerValue("finished", id);
  if (root.dataset.ready) return;
  root.dataset.ready = "yes";
  const input = root.querySelector("input"), list = root.querySelector(".list"), zone = root.querySelector(".zone");
  const queue = [];
  let busy = false;

  const next = async () => {
    if (busy) return;
    busy = true;
    while (queue.length) {
      const sending = queue.shift();
      if (!sending.stopped) await sending.run();
    }
    busy = false;
  };

  const add = (files) => {
    for (const file of files) {
      const row = document.createElement("div");
      row.className = "row";
      const name = document.createElement("span");
      name.className = "name";
      name.textContent = file.name;
      const bar = document.createElement("progress");
      bar.max = 1;
      bar.value = 0;
      bar.setAttribute("aria-label", `Sent of ${file.name}`);
      const state = document.createElement("span");
      state.className = "state";
      state.setAttribute("role", "status");
      state.textContent = "Waiting";
      const stop = document.createElement("button");
      stop.type = "button";
      stop.textContent = "Cancel";
      stop.setAttribute("aria-label", `Cancel ${file.name}`);
      row.append(name, bar, state, stop);
      list.append(row);
      const sending = new Sending(file, row, root.token, (id) => root.done(id));
      stop.addEventListener("click", () => sending.cancel());
      queue.push(sending);
    }
    next();
  };

  root.querySelector(".choose").addEventListener("click", () => input.click());
  input.addEventListener("change", () => { add([...input.files]); input.value = ""; });
  for (const kind of ["dragover", "dragleave", "drop"]) {
    zone.addEventListener(kind, (event) => {
      event.preventDefault();
      zone.classList.toggle("over", kind === "dragover");
      if (kind === "drop") add([...event.dataTransfer.files]);
    });
  }
}
