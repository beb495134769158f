// Bundles what the browser needs from node_modules into assets/vendor, each with its licence.
import { build } from "esbuild";
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const assets = dirname(fileURLToPath(import.meta.url));
const modules = join(assets, "..", "node_modules");
const vendor = join(assets, "vendor");

function folder(name) {
  const path = join(vendor, name);
  mkdirSync(path, { recursive: true });
  return path;
}

function licence(name) {
  const file = readdirSync(join(modules, name)).find((entry) => /^licen[cs]e/i.test(entry));
  if (file === undefined) throw new Error(`${name} has no licence file`);
  return readFileSync(join(modules, name, file), "utf8");
}

/** A package and all that it is built from; its published file holds them already. */
function builtFrom(name, found = new Set()) {
  if (found.has(name)) return found;
  found.add(name);
  const { dependencies = {} } = JSON.parse(readFileSync(join(modules, name, "package.json"), "utf8"));
  Object.keys(dependencies).forEach((other) => builtFrom(other, found));
  return found;
}

const inter = folder("inter");
for (const part of ["latin", "latin-ext", "greek"]) {
  const file = `inter-${part}-wght-normal.woff2`;
  cpSync(join(modules, "@fontsource-variable/inter/files", file), join(inter, file));
}
writeFileSync(join(inter, "LICENSE"), licence("@fontsource-variable/inter"));

// igv comes as one module already.
const igv = folder("igv");
const whole = readFileSync(join(modules, "igv/dist/igv.esm.min.js"), "utf8");
writeFileSync(join(igv, "igv.js"), whole.replace(/\n\/\/# sourceMappingURL=.*\s*$/, "\n"));
writeFileSync(join(igv, "LICENSE"), licence("igv"));

// Plotly's bundle of figures with two axes, a third of the whole.
const plotly = folder("plotly");
await build({
  stdin: { contents: 'export { default } from "plotly.js-cartesian-dist-min";', resolveDir: join(assets, "..") },
  bundle: true, minify: true, format: "esm", target: "es2020", legalComments: "none", logLevel: "warning",
  outfile: join(plotly, "plotly.js"),
});
writeFileSync(join(plotly, "LICENSE"), licence("plotly.js-cartesian-dist-min"));

const scatter = folder("regl-scatterplot");
await build({
  stdin: { contents: 'export { default } from "regl-scatterplot";', resolveDir: join(assets, "..") },
  bundle: true, minify: true, format: "esm", target: "es2020", legalComments: "none", logLevel: "warning",
  outfile: join(scatter, "regl-scatterplot.js"),
});
const held = [...builtFrom("regl-scatterplot")].sort();
writeFileSync(
  join(scatter, "LICENSE"), held.map((name) => `${name}\n${"=".repeat(name.length)}\n\n${licence(name)}`).join("\n\n"),
);
