// Draws what the page's data says. No framework, no request; without this script the words and tables still read.
"use strict";
(() => {
  const $ = (id) => document.getElementById(id);
  const data = JSON.parse($("data").textContent);
  document.documentElement.classList.add("js");

  const { methods, metrics, models } = data;
  const ADCC = metrics.length - 1;
  const cellOf = (model, method) => model * methods.length + method;
  const range = (n) => [...Array(n).keys()];

  // ---------------------------------------------------------------- elements

  // Text is always a text node: nothing that the data says becomes markup.
  function fill(node, attributes, children) {
    for (const [name, value] of Object.entries(attributes ?? {})) {
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
    }
    node.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== ""));
    return node;
  }
  const el = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const svg = (tag, attributes, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attributes, children);
  const drawing = (width, height, label, ...children) =>
    svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": label }, ...children);
  const note = (text) => el("p", { class: "note" }, text);
  // What a chart shows, above it: what was chosen is not printed, and not said at all where there is one choice.
  const shows = (text) => el("p", { class: "shows" }, text);
  // For those who hear the page.
  const spoken = (text) => el("span", { class: "spoken" }, ` ${text}`);

  // What goes wrong in one section is said in it and on the console, and the other sections are drawn.
  function attempt(name, draw) {
    try {
      draw();
    } catch (error) {
      console.error(error);
      if ($(name) && !$(name).querySelector(":scope > .broken")) {
        $(name).append(el("p", { class: "caution broken" }, el("strong", {}, "Script"), " Something here could not be drawn; the browser's console says why."));
      }
    }
  }
  function remove(name) {
    $(name).remove();
    document.querySelector(`nav a[href="#${name}"]`)?.remove();
  }

  // Charts are drawn as wide as there is room, so that their text keeps its size; a new width draws them again.
  const room = (node, most) => Math.max(300, Math.min(most, node.clientWidth - 34));
  const longest = (names) => 7 * Math.max(...names.map((name) => name.length));
  const redraws = [];
  let wide = window.innerWidth, waiting;
  window.addEventListener("resize", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => {
      if (window.innerWidth === wide) return;
      wide = window.innerWidth;
      redraws.forEach((redraw) => redraw());
    }, 200);
  });
  function drawn(name, redraw) {
    redraws.push(() => attempt(name, redraw));
    redraw();
  }

  // Paper has nothing to open.
  const opened = [];
  window.addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details:not([open])")) {
      details.open = true;
      opened.push(details);
    }
  });
  window.addEventListener("afterprint", () => opened.splice(0).forEach((details) => { details.open = false; }));

  const color = (method) => `var(--c${method % 11})`;
  const dashes = (method) => ["", "7 3", "2 3"][Math.floor(method / 11) % 3];
  const points = (value, digits = 1) => {
    if (value === null) return "–";
    const text = (value / 100).toFixed(digits);
    return Number(text) === 0 ? (0).toFixed(digits) : text.replace("-", "−");
  };
  const signed = (value) => (value >= 5 ? "+" : "") + points(Math.abs(value) < 5 ? 0 : value);
  // None where one image, or one class, tells nothing of others.
  const interval = (pair) => (pair.lo === null ? "" : `${points(pair.lo)}, ${points(pair.hi)}`);
  const ALPHA = 0.05;
  const pText = (p) => (p === null ? "–" : p < 0.001 ? "< 0.001" : p.toFixed(3));
  const pIs = (p) => (p === null ? "no p" : `p ${p < 0.001 ? "" : "= "}${pText(p)}`);
  const counted = (n) => n.toLocaleString("en");
  function images(counts) {
    const [fewest, most] = [Math.min(...counts), Math.max(...counts)];
    return `${fewest === most ? "" : `${counted(fewest)} to `}${counted(most)} ${most === 1 ? "image" : "images"}`;
  }

  // ---------------------------------------------------------------- controls

  const form = (name) => document.querySelector(`form[data-for="${name}"]`);
  document.querySelectorAll("form.controls").forEach((f) => f.addEventListener("submit", (e) => e.preventDefault()));

  // A labeled choice; returns a function that says which one is chosen. One option alone is not worth asking.
  function choice(name, label, options, start, changed) {
    if (options.length < 2) return () => options[0]?.[0];
    const select = el("select", { onchange: changed },
      options.map(([value, text]) => el("option", { value, selected: value === start }, text)));
    form(name).append(el("label", {}, label, select));
    return () => (typeof options[0][0] === "number" ? Number(select.value) : select.value);
  }
  function search(name, label, changed) {
    const input = el("input", { type: "search", oninput: changed, autocomplete: "off", spellcheck: "false" });
    form(name).append(el("label", {}, label, input));
    return () => input.value.trim().toLowerCase();
  }
  // One model is looked at: whichever section it is chosen in, all follow.
  const modelChoices = [];
  function modelChoice(name, changed) {
    const follow = (event) => {
      for (const { select } of modelChoices) select.value = event.target.value;
      for (const { name, changed } of modelChoices) attempt(name, changed);
    };
    const model = choice(name, "Model", models.map((model, i) => [i, model.name]), 0, follow);
    const select = form(name).querySelector("select");
    if (models.length > 1) modelChoices.push({ name: form(name).closest("section").id, select, changed });
    return model;
  }

  // ---------------------------------------------------------------- scales

  const linear = (from, to, a, b) => (x) => a + ((x - from) / (to - from || 1)) * (b - a);
  function ticks(from, to, n) {
    const rough = (to - from) / n || 1;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((s) => s * power >= rough);
    const first = Math.ceil(from / step);
    return range(Math.max(0, Math.floor(to / step) - first + 1)).map((i) => (first + i) * step);
  }

  // ---------------------------------------------------------------- theme

  const themes = [["Auto", "light dark", "as the system"], ["Light", "light", "light"], ["Dark", "dark", "dark"]];
  let theme = 0;
  $("theme").addEventListener("click", () => {
    theme = (theme + 1) % themes.length;
    const [text, scheme, label] = themes[theme];
    document.documentElement.style.colorScheme = theme ? scheme : "";
    $("theme").textContent = text;
    $("theme").setAttribute("aria-label", `Colors: ${label}`);
  });

  // ---------------------------------------------------------------- sortable tables

  const valueOf = (cell) => {
    const text = cell.dataset.sort ?? cell.textContent.trim();
    const number = Number(text);
    return text === "" ? null : Number.isNaN(number) ? text.toLowerCase() : number;
  };
  // What is empty stays at the end, whichever way.
  const compare = (a, b, way) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return way * (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  };
  function headButton(th, sort) {
    const button = el("button", { type: "button", onclick: sort });
    button.append(...th.childNodes);
    th.append(button);
  }
  function markSorted(th, way) {
    th.parentNode.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
    th.setAttribute("aria-sort", way > 0 ? "ascending" : "descending");
  }
  for (const table of document.querySelectorAll("table.sortable")) {
    table.querySelectorAll("thead th").forEach((th, column) => headButton(th, () => {
      const before = th.getAttribute("aria-sort");
      const down = before ? before === "ascending" : "down" in th.dataset;
      const way = down ? -1 : 1;
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => compare(valueOf(a.cells[column]), valueOf(b.cells[column]), way));
      table.tBodies[0].append(...rows);
      markSorted(th, way);
    }));
  }

  // ---------------------------------------------------------------- scores: filter

  attempt("scores", () => {
    const boxes = [...document.querySelectorAll("table.scores")];
    const count = el("output", { "aria-live": "polite" });
    document.querySelector("#scores .tablebox")?.before(el("form", { class: "controls", "data-for": "scores" }));
    if (form("scores")) {
      form("scores").addEventListener("submit", (e) => e.preventDefault());
      const wanted = search("scores", "Filter methods", filter);
      form("scores").append(count);
      function filter() {
        let shown = 0;
        for (const row of boxes.flatMap((table) => [...table.tBodies[0].rows])) {
          row.hidden = !row.cells[0].textContent.toLowerCase().includes(wanted());
          shown += !row.hidden;
        }
        count.textContent = wanted() ? `${shown} shown` : "";
      }
    }
  });

  // ---------------------------------------------------------------- paired differences

  // A difference seen from its first method.
  function verdict(pair, metric) {
    if (!pair) return "apart";
    if (!pair.told) return pair.same ? "same" : "alike";
    return pair.mean * metrics[metric].better > 0 ? "better" : "worse";
  }
  const verdicts = {
    better: "better", worse: "worse", alike: "not significant", same: "the same scores", apart: "no image in common",
  };
  const { methods: betweenMethods, models: betweenModels } = data.contrasts;
  const nComparisons = (contrasts) => contrasts.reduce((sum, { pairs }) => sum + pairs.length, 0);
  function contrastOf(model, metric) {
    return betweenMethods.find((c) => c.within === model && c.metric === metrics[metric].name);
  }
  // `alone` is the p of this pair, `p` the same corrected for all comparisons.
  function pairOf(contrast, a, b) {
    for (const [i, j, n, mean, lo, hi, alone, p, detectable, told, same] of contrast?.pairs ?? []) {
      const pair = { n, mean, lo, hi, alone, p, detectable, told, same };
      if (contrast.items[i] === a && contrast.items[j] === b) return pair;
      if (contrast.items[i] === b && contrast.items[j] === a) return { ...pair, mean: -mean, lo: hi === null ? null : -hi, hi: lo === null ? null : -lo };
    }
    return null;
  }
  // The smallest difference that the test detects with 80 % power: none of so few images, nor where all is rounding.
  function power({ detectable }) {
    if (detectable === null || detectable <= 0.1) return "";
    const digits = [1, 2, 3].find((digits) => detectable / 100 >= 10 ** -digits);
    return el("span", { class: "interval" }, `detectable (80 % power): ${points(detectable, digits)}`);
  }
  const meanOf = (model, method, metric) => data.means[cellOf(model, method)][metric];
  // The methods that have a mean, best first.
  function ordered(model, metric) {
    return range(methods.length)
      .filter((method) => meanOf(model, method, metric) !== null)
      .sort((a, b) => metrics[metric].better * (meanOf(model, b, metric) - meanOf(model, a, metric)));
  }
  const methodsFirst = (order) => [...order].sort((a, b) => methods[a].control - methods[b].control);
  const metricOptions = metrics
    .map((metric, i) => [i, metric.heading])
    .filter(([i]) => data.means.some((means) => means[i] !== null));
  const lead = metricOptions.some(([i]) => i === ADCC) ? ADCC : metricOptions[0]?.[0] ?? 0;

  function density(values, at, width) {
    return at.map((x) => values.reduce((sum, v) => sum + Math.exp(-0.5 * ((v - x) / width) ** 2), 0));
  }

  // More dots would hide each other. Those of the first images would be those of the first classes.
  const MOST_DOTS = 250;
  const dotted = data.images.length <= MOST_DOTS ? range(data.images.length)
    : range(MOST_DOTS).map((i) => Math.floor((i * data.images.length) / MOST_DOTS));

  function strip(values, dots, pair, better, x, width) {
    const height = 44, middle = height / 2;
    const parts = [svg("line", { class: "zero", x1: x(0), x2: x(0), y1: 0, y2: height })];
    if (values.length >= 20) {
      const sorted = [...values].sort((a, b) => a - b);
      const spread = (sorted[Math.floor(values.length * 0.84)] - sorted[Math.floor(values.length * 0.16)]) / 2;
      const h = Math.max(spread * values.length ** -0.2, (sorted.at(-1) - sorted[0]) / 100, 1);
      const at = range(49).map((i) => sorted[0] + ((sorted.at(-1) - sorted[0]) * i) / 48);
      const dense = density(sorted, at, h);
      const most = Math.max(...dense);
      const edge = (sign) => at.map((v, i) => `${x(v).toFixed(1)},${(middle + sign * (dense[i] / most) * 19).toFixed(1)}`);
      parts.push(svg("path", { class: "violin", d: `M${[...edge(-1), ...edge(1).reverse()].join("L")}Z` }));
    }
    dots.forEach((v, i) => {
      // Spread by golden ratio: even, and the same every time.
      const y = middle + (((i * 0.618034) % 1) - 0.5) * 26;
      const kind = v * better > 0 ? "better" : v * better < 0 ? "worse" : "";
      parts.push(svg("circle", { class: `dot ${kind}`, cx: x(v).toFixed(1), cy: y.toFixed(1), r: 1.8 }));
    });
    if (pair) {
      if (pair.lo !== null) parts.push(svg("line", { class: "span", x1: x(pair.lo), x2: x(pair.hi), y1: middle, y2: middle }));
      parts.push(svg("circle", { class: "middle", cx: x(pair.mean), cy: middle, r: 4 }));
    }
    return svg("svg", { viewBox: `0 0 ${width} ${height}`, width, height, "aria-hidden": "true" }, parts);
  }

  const noScore = (model, metric) => note(`No method has a mean of ${metrics[metric].heading} for ${models[model].name}.`);

  function drawDifferences(model, metric, reference) {
    if (reference === undefined) return $("differences-chart").replaceChildren(noScore(model, metric));
    const contrast = contrastOf(model, metric);
    const better = metrics[metric].better;
    const of = (method) => data.values[cellOf(model, method)][metric];
    const rows = ordered(model, metric)
      .filter((method) => method !== reference)
      .map((method) => {
        const differences = of(method).map((v, i) => (v === null || of(reference)[i] === null ? null : v - of(reference)[i]));
        const [values, dots] = [differences, dotted.map((i) => differences[i])].map((some) => some.filter((v) => v !== null));
        return { method, pair: pairOf(contrast, method, reference), values, dots };
      });
    // From the first to the last percentile of all: a single far image must not flatten the rest.
    const all = rows.flatMap((row) => row.values).sort((a, b) => a - b);
    const ends = rows.flatMap(({ pair }) => (pair ? [pair.lo ?? pair.mean, pair.hi ?? pair.mean] : []));
    let from = Math.min(0, all[Math.floor(all.length * 0.005)] ?? 0, ...ends);
    let to = Math.max(0, all[Math.ceil(all.length * 0.995) - 1] ?? 0, ...ends);
    if (from === to) [from, to] = [-100, 100];
    const width = window.innerWidth < 640 ? 240 : 480;
    const x = linear(from, to, 8, width - 8);
    const inside = (v) => Math.min(to, Math.max(from, v));
    const axis = svg("svg", { viewBox: `0 0 ${width} 18`, width, height: 18, "aria-hidden": "true" },
      ticks(from / 100, to / 100, width / 80).map((t) => svg("text", { x: x(t * 100), y: 13, "text-anchor": "middle" }, String(+t.toFixed(6)).replace("-", "−"))));
    const body = rows.map(({ method, pair, values, dots }) => {
      const kind = verdict(pair, metric);
      return el("tr", {},
        el("th", { scope: "row" }, methods[method].label),
        el("td", { class: "text said" }, el("span", { class: `verdict ${kind}` }, verdicts[kind]),
          kind === "alike" ? power(pair) : ""),
        el("td", {}, pair ? signed(pair.mean) : "–", el("span", { class: "interval" }, pair ? interval(pair) : "")),
        el("td", { class: "strip" }, strip(values.map(inside), dots.map(inside), pair, better, x, width)),
        el("td", {}, pair ? pText(pair.p) : "–"),
        el("td", {}, pair ? pair.n : 0));
    });
    const notes = [`Points of ${metrics[metric].heading}; a dot is an image`];
    if (dotted.length < data.n_images) {
      const how = data.images.length < data.n_images ? "by a seed" : "evenly in the order of the run";
      notes.push(`${counted(dotted.length)} of ${counted(data.n_images)} images are drawn, chosen ${how}; mean and interval are of all`);
    }
    if (metric === ADCC) notes.push("dots are the images' own ADCC, mean and interval those of the ADCC of means");
    $("differences-chart").replaceChildren(
      note(`${notes.join("; ")}. The ring is the mean with its 95 % interval; p is ${nComparisons(betweenMethods) > 1 ? `corrected for ${allComparisons("methods")} (Holm)` : `of ${allComparisons("methods")}`}.`),
      el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Paired differences" },
        el("table", { class: "difference-table" },
          el("caption", {}, `${metrics[metric].heading}, ${models[model].name}, every method minus ${methods[reference].label}`),
          el("thead", {}, el("tr", {},
            el("th", { class: "text", scope: "col" }, "method"), el("th", { class: "text", scope: "col" }, "verdict"),
            el("th", { scope: "col" }, "mean"),
            el("th", { class: "text", scope: "col", "aria-label": "images" }, axis),
            el("th", { scope: "col" }, "p"), el("th", { scope: "col" }, "n"))),
          el("tbody", {}, body))));
  }

  function drawPairs(model, metric) {
    const contrast = contrastOf(model, metric);
    const order = ordered(model, metric);
    if (!order.length) return $("pairs").replaceChildren(noScore(model, metric));
    const most = Math.max(1, ...(contrast?.pairs ?? []).map(([, , , mean]) => Math.abs(mean)));
    const cell = (a, b) => {
      if (a === b) return el("td", { class: "self" }, "");
      const pair = pairOf(contrast, a, b);
      const kind = verdict(pair, metric);
      if (!pair) return el("td", {}, "–", spoken(verdicts[kind]));
      const said = `${verdicts[kind]}, ${pIs(pair.p)}, n = ${pair.n}`;
      const title = `${methods[a].label} − ${methods[b].label}: ${said}`;
      if (!pair.told) return el("td", { title }, signed(pair.mean), spoken(said));
      const strength = 15 + 35 * Math.min(1, Math.abs(pair.mean) / most);
      const style = `background: color-mix(in srgb, var(--${kind === "better" ? "good" : "bad"}) ${strength.toFixed(0)}%, transparent)`;
      return el("td", { class: "told", style, title }, signed(pair.mean), el("span", { "aria-hidden": "true" }, "*"), spoken(said));
    };
    $("pairs").replaceChildren(el("table", { class: "matrix" },
      el("caption", {}, `${metrics[metric].heading}, ${models[model].name}, row minus column`),
      el("thead", {}, el("tr", {}, el("td", {}), order.map((b) => el("th", { scope: "col" }, methods[b].label)))),
      el("tbody", {}, order.map((a) => el("tr", {}, el("th", { scope: "row" }, methods[a].label), order.map((b) => cell(a, b)))))));
  }

  function drawRanks(model, metric) {
    const contrast = contrastOf(model, metric);
    const ranks = contrast?.ranks;
    if (!ranks) return $("ranks").replaceChildren(note(`No image of ${models[model].name} has a value of ${metrics[metric].heading} for every method.`));
    const k = ranks.items.length;
    const order = range(k).sort((a, b) => ranks.mean[a] - ranks.mean[b]);
    const ranked = ranks.items.map((item) => contrast.items[item]);
    const names = ranked.map((method) => methods[method].label);
    const others = contrast.items.filter((method) => !ranked.includes(method)).map((method) => methods[method].label);
    const width = room($("ranks"), 760);
    // Beside their dots, names would leave a phone no room for the axis.
    const isNarrow = width < 480;
    const left = isNarrow ? 12 : Math.min(longest(names) + 24, width / 2);
    const row = isNarrow ? 38 : 24, top = 54, between = isNarrow ? 8 : 14, bars = between * ranks.cliques.length;
    const right = width - 44 - bars;
    const x = linear(1, k, left, right);
    const height = top + k * row + 8;
    const y = (place) => top + place * row + (isNarrow ? 26 : row / 2);
    const parts = ticks(1, k, Math.min(k - 1, 8, (right - left) / 40)).map((t) => [
      svg("line", { class: "grid", x1: x(t), x2: x(t), y1: top - 6, y2: height - 8 }),
      svg("text", { x: x(t), y: top - 12, "text-anchor": "middle" }, String(+t.toFixed(3))),
    ]);
    if (ranks.critical < k - 1) {
      parts.push(svg("line", { class: "axis", x1: x(1), x2: x(1 + ranks.critical), y1: 20, y2: 20 }),
        svg("text", { x: x(1), y: 12 }, `critical difference ${ranks.critical.toFixed(2)}`));
    }
    order.forEach((item, place) => {
      const method = ranked[item];
      const beside = isNarrow ? { x: left - 5, y: y(place) - 10 } : { x: left - 16, y: y(place) + 4, "text-anchor": "end" };
      parts.push(svg("text", { class: "name", ...beside }, methods[method].label),
        svg("circle", { cx: x(ranks.mean[item]), cy: y(place), r: 5, fill: color(method) }),
        svg("text", { x: x(ranks.mean[item]) + 10, y: y(place) + 4 }, ranks.mean[item].toFixed(2)));
    });
    ranks.cliques.forEach((clique, i) => {
      const places = clique.map((item) => order.indexOf(item));
      const at = width - bars + 6 + between * i;
      parts.push(svg("line", { class: "span", x1: at, x2: at, y1: y(Math.min(...places)) - 7, y2: y(Math.max(...places)) + 7 }));
    });
    $("ranks").replaceChildren(
      shows(`${metrics[metric].heading}, ${models[model].name}, average ranks`),
      drawing(width, height, `Average ranks by ${metrics[metric].heading}: ${order.map((item) => `${names[item]} ${ranks.mean[item].toFixed(2)}`).join(", ")}`, parts.flat()),
      note(`Over ${ranks.n} ${ranks.units}; 1 is best. Friedman's test that all are equal: ${pIs(ranks.p)}, of this metric alone. ${ranks.differ ? "Methods beside one bar are closer than the critical difference (Nemenyi)." : "So no two are significantly different."}${others.length ? ` Not ranked, with far fewer images: ${others.join(", ")}.` : ""}`));
  }

  // What two can be: methods of a model, or models under a method. Each family is corrected for all its comparisons.
  const families = {
    methods: {
      contrasts: betweenMethods, names: methods.map(({ label }) => label), mean: meanOf,
      within: (model) => models[model].name,
    },
    models: {
      contrasts: betweenModels, names: models.map(({ name }) => name), mean: (method, model, metric) => meanOf(model, method, metric),
      within: (method) => `under ${methods[method].label}`,
    },
  };
  function allComparisons(family) {
    const n = nComparisons(families[family].contrasts);
    return n === 1 ? `the only comparison of ${family} in this report` : `all ${counted(n)} comparisons of ${family} in this report`;
  }

  // Two of a family by every metric: who is better, by how much, and how sure that is.
  function drawTwo(family, within, a, b) {
    const { contrasts, names, mean, within: place } = families[family];
    const [one, other] = [names[a], names[b]];
    // Models that are not comparable are in contrasts of their own.
    const pairBy = (metric) => contrasts
      .filter((contrast) => contrast.within === within && contrast.metric === metrics[metric].name)
      .map((contrast) => pairOf(contrast, a, b))
      .find((pair) => pair);
    const isComparable = contrasts.some(({ items }) => items.includes(a) && items.includes(b));
    // Without a pair, two that both have a mean have no image in common.
    const rows = metricOptions
      .map(([metric, heading]) => ({ metric, heading, pair: pairBy(metric) }))
      .filter(({ metric, pair }) => pair || [a, b].every((i) => mean(within, i, metric) !== null));
    const paired = rows.filter(({ pair }) => pair);
    const n = counted(nComparisons(contrasts));
    const isOneOfMany = nComparisons(contrasts) > 1;
    const isToldAlone = (pair) => pair && !pair.told && !pair.same && pair.alone !== null && pair.alone < ALPHA;
    const said = (is) => rows.filter(is).map(({ heading }) => heading.replace(/ [↑↓]$/, ""));
    const [better, worse, alike, same, apart] = ["better", "worse", "alike", "same", "apart"]
      .map((kind) => said(({ metric, pair }) => verdict(pair, metric) === kind));
    const alone = said(({ pair }) => isToldAlone(pair));
    const list = (names) => (names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0]);
    const sentences = a === b ? ["Choose two."] : !isComparable ? ["The two are not comparable; a caution above says why."] : !rows.length ? ["No image has a score of both."] : !paired.length ? ["The two have no image in common."] : [
      better.length ? `${one} is better by ${list(better)}.` : "",
      worse.length ? `${other} is better by ${list(worse)}.` : "",
      alike.length ? `By ${list(alike)} the two are not significantly different.` : "",
      same.length ? `By ${list(same)} the two have the same scores.` : "",
      apart.length ? `By ${list(apart)} the two have no image in common.` : "",
      alone.length ? `${alone.length > 1 ? "Each alone, the differences" : "Alone, the difference"} by ${list(alone)} would be significant; among ${n} comparisons ${alone.length > 1 ? "they are" : "it is"} not.` : "",
    ];
    const few = paired.some(({ pair }) => pair.n < data.few);
    const answer = { ...verdicts, better: one, worse: other };
    const counts = paired.map(({ pair }) => pair.n);
    const ps = isOneOfMany ? ["p, this pair alone", `p, corrected for all ${n} comparisons`] : ["p"];
    const which = isOneOfMany
      ? `: of this comparison alone, and corrected for ${allComparisons(family)} (every two, by every metric). Who fixed this one comparison before looking may take the first; who looks for differences takes the second. One is called better where the second is below 0.05.`
      : `; this is ${allComparisons(family)}. One is called better where it is below 0.05.`;
    const networks = family === "models" && methods.some(({ control }) => control)
      ? " Scores differ where networks do, too: a control, which explains nothing, shows by how much." : "";
    $("two-said").textContent = [few && a !== b ? "So few images support no conclusion." : "", ...sentences].filter(Boolean).join(" ");
    if (!paired.length) return $("two-answer").replaceChildren();
    $("two-answer").replaceChildren(
      el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": `Two ${family} by every metric` }, el("table", { class: "answers" },
        el("caption", {}, `${one} and ${other}, ${place(within)}`),
        el("thead", {}, el("tr", {},
          el("th", { scope: "col", class: "text" }, "Metric"), el("th", { scope: "col", class: "text" }, "Better"), el("th", { scope: "col" }, "Difference"),
          ps.map((text) => el("th", { scope: "col", class: "p" }, text)),
          [one, other].map((text) => el("th", { scope: "col", class: "compared" }, text)))),
        el("tbody", {}, rows.map(({ metric, heading, pair }) => {
          const kind = verdict(pair, metric);
          return el("tr", {},
            el("th", { scope: "row" }, heading),
            el("td", { class: "text said" }, el("span", { class: `verdict ${kind === "worse" ? "better" : kind}` }, answer[kind]),
              isToldAlone(pair) ? el("span", { class: "interval" }, `significant alone, not among ${n} comparisons`) : "",
              kind === "alike" ? power(pair) : ""),
            el("td", {}, pair ? [signed(pair.mean), el("span", { class: "interval" }, interval(pair))] : "–"),
            isOneOfMany ? el("td", {}, pair ? pText(pair.alone) : "–") : "", el("td", {}, pair ? pText(pair.p) : "–"),
            el("td", {}, points(mean(within, a, metric))), el("td", {}, points(mean(within, b, metric))));
        })))),
      note(`Points of percent, image by image on the ${images(counts)} that both have, with the difference's 95 % interval. p is the chance of at least such a difference if there were none${which} The interval is of this comparison alone, so it may exclude 0 where ${isOneOfMany ? "the second" : "p"} is not below 0.05.${networks}`));
  }

  const isCompared = betweenMethods.length > 0 && metricOptions.length > 0;

  attempt("two", () => {
    const asked = [["methods", "methods of a model"], ["models", "models under a method"]]
      .filter(([family]) => metricOptions.length && families[family].contrasts.length);
    if (!asked.length) return remove("two");
    const redraw = () => {
      for (const name of Object.keys(families)) form(`two-${name}`).hidden = name !== family();
      $("two-title").textContent = `Is one ${family() === "models" ? "model" : "method"} better than another?`;
      if (family() === "models") drawTwo("models", under(), oneModel(), otherModel());
      else drawTwo("methods", model(), one(), other());
    };
    const family = choice("two", "Compare", asked, asked[0][0], redraw);

    const [best, next] = new Set([...methodsFirst(ordered(0, lead)), ...methods.keys()]);
    const methodNames = methods.map((method, i) => [i, method.label]);
    const model = modelChoice("two-methods", redraw);
    const one = choice("two-methods", "Is", methodNames, best, redraw);
    const other = choice("two-methods", "better than", methodNames, next, redraw);

    // Runs are given old to new, so the first question is whether the last model is better than the first.
    const first = betweenModels.find(({ within, pairs }) => within === best && pairs.length) ?? betweenModels[0];
    const modelNames = betweenModels.length ? models.map((model, i) => [i, model.name]) : [];
    const oneModel = choice("two-models", "Is", modelNames, first?.items.at(-1), redraw);
    const otherModel = choice("two-models", "better than", modelNames, first?.items[0], redraw);
    const under = choice("two-models", "under", betweenModels.length ? methodNames : [], first?.within, redraw);
    redraw();
  });

  attempt("differences", () => {
    if (!isCompared) return remove("differences");
    const redraw = () => {
      let at = reference();
      if (meanOf(model(), at, metric()) === null) at = ordered(model(), metric())[0];
      drawDifferences(model(), metric(), at);
      drawPairs(model(), metric());
    };
    const model = modelChoice("differences", redraw);
    const metric = choice("differences", "Metric", metricOptions, lead, redraw);
    const reference = choice("differences", "Minus", methods.map((method, i) => [i, method.label]), methodsFirst(ordered(0, lead))[0], redraw);
    drawn("differences", redraw);
  });

  attempt("differences", () => {
    // Single images have no ADCC of means, and so no ranks by it.
    const ranked = metricOptions.filter(([i]) => i !== ADCC);
    if (!isCompared || !ranked.length) return;
    const redraw = () => drawRanks(model(), metric());
    const model = modelChoice("ranks", redraw);
    const metric = choice("ranks", "Metric", ranked, ranked[0][0], redraw);
    drawn("differences", redraw);
  });

  // ---------------------------------------------------------------- curves

  // Lines over the share of steps done: `lines` are { method, mean, half? }.
  function lineChart(title, lines) {
    const width = Math.min(440, Math.max(300, window.innerWidth - 70)), height = 260, [left, right, top, bottom] = [40, 12, 10, 34];
    const x = linear(0, 1, left, width - right);
    const most = Math.max(1000, ...lines.flatMap(({ mean, half }) => mean.map((v, i) => v + (half?.[i] ?? 0))));
    const y = linear(0, most, height - bottom, top);
    const parts = ticks(0, most / 100, 5).map((t) => [
      svg("line", { class: "grid", x1: left, x2: width - right, y1: y(t * 100), y2: y(t * 100) }),
      svg("text", { x: left - 6, y: y(t * 100) + 4, "text-anchor": "end" }, String(+t.toFixed(3))),
    ]);
    parts.push([0, 25, 50, 75, 100].map((t) => svg("text", { x: x(t / 100), y: height - bottom + 16, "text-anchor": "middle" }, `${t} %`)));
    parts.push(svg("text", { x: (left + width - right) / 2, y: height - 2, "text-anchor": "middle" }, "of the pixels"));
    const at = (values, i) => `${x(i / (values.length - 1)).toFixed(1)},${y(values[i]).toFixed(1)}`;
    const path = (values) => `M${values.map((_, i) => at(values, i)).join("L")}`;
    for (const { method, mean, half } of lines) {
      const group = svg("g", { "data-method": method });
      if (half) {
        const upper = mean.map((v, i) => v + half[i]);
        const lower = mean.map((v, i) => v - half[i]);
        const back = range(mean.length).reverse().map((i) => at(lower, i));
        group.append(svg("path", { class: "band", fill: color(method), d: `${path(upper)}L${back.join("L")}Z` }));
      }
      group.append(svg("path", { class: "line", stroke: color(method), "stroke-dasharray": dashes(method), d: path(mean) },
        svg("title", {}, methods[method].label)));
      parts.push(group);
    }
    return el("figure", { class: "panel", style: `margin:0; --lines: ${lines.length}` }, el("h4", {}, title),
      drawing(width, height, `${title}: mean confidence in percent over the share of pixels, ${lines.map(({ method }) => methods[method].label).join(", ")}`, parts.flat()));
  }

  // Pointing at a method fades the others, wherever lines are drawn.
  function emphasize(root, method) {
    root.querySelectorAll("[data-method]").forEach((line) => {
      line.classList.toggle("lit", Number(line.dataset.method) === method);
      line.classList.toggle("faded", method !== null && Number(line.dataset.method) !== method);
    });
  }
  const swatch = (method) => svg("svg", { width: 22, height: 10, viewBox: "0 0 22 10", "aria-hidden": "true" },
    svg("line", { class: "line", x1: 0, x2: 22, y1: 5, y2: 5, stroke: color(method), "stroke-dasharray": dashes(method) }));

  attempt("curves", () => {
    if (!data.curves.length) return remove("curves");
    const hidden = new Set();
    const chart = $("curves-chart");
    const redraw = () => {
      const here = data.curves.filter((curve) => curve.model === model());
      const kinds = [...new Set(here.map((curve) => curve.metric))].sort((a, b) => a - b);
      chart.replaceChildren(shows(`Mean curves, ${models[model()].name}`), ...kinds.map((metric) => lineChart(metrics[metric].heading,
        here.filter((curve) => curve.metric === metric && !hidden.has(curve.method)).sort((a, b) => a.method - b.method))));
      if (!kinds.length) chart.replaceChildren(note(`${models[model()].name} has no curves.`));
    };
    const model = modelChoice("curves", redraw);
    const shown = new Set(data.curves.map((curve) => curve.method));
    const toggle = (method, button) => {
      hidden.has(method) ? hidden.delete(method) : hidden.add(method);
      button.setAttribute("aria-pressed", !hidden.has(method));
      redraw();
    };
    $("curves-legend").append(...[...shown].sort((a, b) => a - b).map((method) => el("li", {}, el("button", {
      type: "button", "aria-pressed": "true",
      onclick: (event) => toggle(method, event.currentTarget),
      onmouseenter: () => emphasize(chart, method), onmouseleave: () => emphasize(chart, null),
      onfocus: () => emphasize(chart, method), onblur: () => emphasize(chart, null),
    }, swatch(method), methods[method].label))));
    drawn("curves", redraw);
  });

  // ---------------------------------------------------------------- quality and cost

  attempt("cost", () => {
    const chart = $("front-chart");
    const costText = (cost) => (cost >= 100 ? counted(Math.round(cost)) : String(Number(cost.toPrecision(3))));
    const nothing = (where = "") => {
      $("front-points").hidden = true;
      chart.replaceChildren(note(`No method has both a score and a known cost${where}.`));
    };
    if (!metricOptions.length || !data.cost.some((cost) => cost)) return nothing();
    const redraw = () => {
      // What each costs and where that is drawn: what is free has no place of its own on an axis of factors.
      const scored = range(methods.length)
        .map((method) => ({ method, ...data.cost[cellOf(model(), method)]?.[by()], score: meanOf(model(), method, metric()) }))
        .filter(({ at, score }) => at !== undefined && score !== null)
        .sort((a, b) => a.cost - b.cost);
      if (!scored.length) return nothing(`, ${models[model()].name}`);
      // The scale is that of the methods: controls may lie far off, and would press them together.
      const real = scored.filter(({ method }) => !methods[method].control);
      const scores = (real.length ? real : scored).map(({ score }) => score);
      const pad = Math.max(50, (Math.max(...scores) - Math.min(...scores)) * 0.15);
      const [from, to] = [Math.min(...scores) - pad, Math.max(...scores) + pad];
      const [here, outside] = [true, false].map((is) => scored.filter(({ score }) => (from <= score && score <= to) === is));
      const width = room(chart, 840), height = 380;
      const price = byOptions.find(([value]) => value === by())[1];
      const [left, right, top, bottom] = [58, Math.min(longest(here.map(({ method }) => methods[method].label)) + 14, width / 3), 16, 44];
      const costs = here.map(({ at }) => Math.log10(at));
      const x = linear(Math.min(...costs) - 0.1, Math.max(...costs, Math.min(...costs) + 1), left, width - right);
      const y = linear(from, to, height - bottom, top);
      const parts = ticks(from / 100, to / 100, 6).map((t) => [
        svg("line", { class: "grid", x1: left, x2: width - right, y1: y(t * 100), y2: y(t * 100) }),
        svg("text", { x: left - 8, y: y(t * 100) + 4, "text-anchor": "end" }, String(+t.toFixed(3))),
      ]);
      for (const power of range(9).map((i) => i - 4)) {
        if (power >= Math.min(...costs) - 0.1 && power <= Math.max(...costs, Math.min(...costs) + 1)) {
          parts.push(svg("line", { class: "grid", x1: x(power), x2: x(power), y1: top, y2: height - bottom }),
            svg("text", { x: x(power), y: height - bottom + 18, "text-anchor": "middle" }, (10 ** power).toLocaleString("en")));
        }
      }
      parts.push(svg("text", { x: (left + width - right) / 2, y: height - 4, "text-anchor": "middle" }, price),
        svg("text", { transform: `translate(14 ${(top + height - bottom) / 2}) rotate(-90)`, "text-anchor": "middle" }, `${metrics[metric()].heading}, percent`));
      // Of those that cost the same and are alike, the line goes through the best.
      const worth = data.fronts[model()][metric()][by()];
      const front = worth.flat().flatMap((method) => here.filter((p) => p.method === method));
      const bests = front.filter((p) => worth.some(([best]) => best === p.method));
      if (bests.length > 1) parts.push(svg("path", { class: "front", d: `M${bests.map((p) => `${x(Math.log10(p.at))},${y(p.score)}`).join("L")}` }));
      // A label goes beside its point, or a little above or below; where there is no room, the table has to do.
      // Where the drawing ends it stands left of its point.
      const placed = here.map(({ at, score }) => ({ x: x(Math.log10(at)) - 6, y: y(score), size: 12 }));
      const place = (begin, cy, size) => [0, -13, 13, -26, 26, -39, 39].map((step) => cy + step).find((ty) =>
        ty > top && ty < height - bottom - 4 && !placed.some((p) => Math.abs(p.y - ty) < 12 && begin < p.x + p.size && p.x < begin + size));
      for (const { method, cost, at, score } of [...front, ...here.filter((p) => !front.includes(p))]) {
        const [cx, cy] = [x(Math.log10(at)), y(score)];
        const size = 7 * methods[method].label.length;
        const isLeft = cx + 10 + size > width;
        const begin = isLeft ? cx - 8 - size : cx + 8;
        const ty = place(begin, cy, size);
        if (ty !== undefined) placed.push({ x: begin, y: ty, size });
        const isFront = front.some((p) => p.method === method);
        if (ty !== undefined && ty !== cy) parts.push(svg("line", { class: "grid", x1: cx, y1: cy, x2: isLeft ? cx - 9 : cx + 9, y2: ty }));
        parts.push(svg("circle", { cx, cy, r: isFront ? 6 : 4.5, fill: isFront ? color(method) : "var(--paper)", stroke: color(method), "stroke-width": 2 },
            svg("title", {}, `${methods[method].label}: ${points(score)} at ${costText(cost)}`)),
          ty === undefined ? "" : svg("text", { class: "name", x: isLeft ? cx - 10 : cx + 10, y: ty + 4, "text-anchor": isLeft ? "end" : "start", "font-weight": isFront ? 600 : 400 }, methods[method].label));
      }
      chart.replaceChildren(shows(`${metrics[metric()].heading}, ${models[model()].name}, over ${price}`), drawing(width, height,
        `${metrics[metric()].heading} over cost.${front.length ? ` Cost-effective: ${front.map((p) => methods[p.method].label).join(", ")}` : ""}`, parts.flat().filter(Boolean)),
        ...(outside.length ? [note(`Off this scale: ${outside.map((p) => `${methods[p.method].label} (${points(p.score)})`).join(", ")}.`)] : []));
      $("front-points").hidden = false;
      $("front-table").replaceChildren(el("table", {},
        el("caption", {}, `${metrics[metric()].heading}, ${models[model()].name}, over ${price}`),
        el("thead", {}, el("tr", {}, el("th", { class: "text", scope: "col" }, "Method"),
          [metrics[metric()].heading, price, "Cost-effective"].map((text) => el("th", { scope: "col" }, text)))),
        el("tbody", {}, scored.map(({ method, cost, score }) => el("tr", {},
          el("th", { scope: "row" }, methods[method].label), el("td", {}, points(score)), el("td", {}, costText(cost)),
          el("td", {}, methods[method].control || !worth.length ? "–" : worth.flat().includes(method) ? "yes" : "no"))))));
    };
    const byOptions = [["passes", "passes that the definition needs"], ["executed", "passes really run"], ["secs", "seconds"]];
    const model = modelChoice("front", redraw);
    const metric = choice("front", "Quality", metricOptions, lead, redraw);
    const by = choice("front", "Cost", byOptions, "passes", redraw);
    drawn("cost", redraw);
  });

  // ---------------------------------------------------------------- agreement of metrics

  attempt("agreement", () => {
    if (methods.length < 3 || metricOptions.length < 2) return remove("agreement");
    const redraw = () => {
      const matrix = data.agreement[model()];
      const there = range(metrics.length).filter((a) => matrix[a][a]);
      if (!there.length) return $("agreement-table").replaceChildren(note(`No image of ${models[model()].name} has scores that order the methods.`));
      const cell = (a, b) => {
        const value = matrix[a][b];
        if (a === b) return el("td", { class: "self" });
        if (!value) return el("td", {}, "–");
        const strength = (50 * Math.abs(value[0])).toFixed(0);
        const said = `over ${images([value[1]])}`;
        return el("td", { style: `color: var(--ink); background: color-mix(in srgb, var(--${value[0] > 0 ? "good" : "bad"}) ${strength}%, transparent)`, title: said },
          value[0].toFixed(2).replace("-", "−"), spoken(said));
      };
      const counts = there.flatMap((a) => there.filter((b) => a !== b && matrix[a][b]).map((b) => matrix[a][b][1]));
      $("agreement-table").replaceChildren(el("table", { class: "matrix" },
        el("caption", {}, `Agreement of metrics, ${models[model()].name}${counts.length ? `, over ${images(counts)}` : ""}`),
        el("thead", {}, el("tr", {}, el("td", {}), there.map((b) => el("th", { scope: "col" }, metrics[b].heading)))),
        el("tbody", {}, there.map((a) => el("tr", {}, el("th", { scope: "row" }, metrics[a].heading), there.map((b) => cell(a, b)))))));
    };
    const model = modelChoice("agreement", redraw);
    redraw();
  });

  // ---------------------------------------------------------------- images

  attempt("images", () => {
    if (!data.shown.length) return remove("images");
    let open = 0;
    const here = () => data.shown.filter((shown) => shown.model === model());
    const picture = (shown) => shown.photo ?? shown.methods.find((method) => method.map)?.map;
    const stem = (path) => path.split("/").at(-1);
    const classText = (shown) => {
      if (shown.target === null) return "";
      const name = shown.class ? `${shown.class} (class ${shown.target})` : `class ${shown.target}`;
      const label = shown.label === null ? "" : shown.label === shown.target ? ", as labeled" : `, labeled ${shown.label}`;
      return `Explained: ${name}, confidence ${points(shown.confidence)} %${label}.`;
    };
    const list = () => {
      $("image-list").replaceChildren(...here().map((shown, i) => el("button", {
        type: "button", "aria-pressed": String(i === open), onclick: () => { open = i; show(); },
      }, picture(shown) ? el("img", { src: picture(shown), alt: "" }) : "",
        el("span", { class: "rule" }, shown.rules.join("; ")), stem(shown.image))));
    };
    const show = () => {
      const shown = here()[open];
      $("image-name").textContent = shown?.image ?? "";
      if (!shown) return $("image").replaceChildren(note("This model has no scored image to choose from."));
      [...$("image-list").children].forEach((button, i) => button.setAttribute("aria-pressed", String(i === open)));
      // Pointing at a map shows which curve is its.
      const point = (method) => ({ onmouseenter: () => emphasize($("image"), method), onmouseleave: () => emphasize($("image"), null) });
      const tile = (image, alt, title, text, why, method) => el("figure", { class: "tile", ...(method === undefined ? {} : point(method)) },
        image ? el("img", { src: image, alt }) : el("div", { class: "nothing" }, why),
        el("figcaption", {}, el("b", {}, method === undefined ? "" : swatch(method), title), text));
      const value = (method) => shown.methods[method].values?.[metric()] ?? null;
      const order = range(methods.length).sort((a, b) => compare(value(a), value(b), -metrics[metric()].better));
      const there = order.filter((method) => shown.methods[method].status !== "missing");
      const tiles = there.map((method) => {
        const { map, status, error } = shown.methods[method];
        const text = status === "ok" ? `${metrics[metric()].heading} ${points(value(method))}` : status;
        return tile(map, `Map of ${methods[method].label}`, methods[method].label, text, status === "ok" ? "picture not at hand" : error ?? status, method);
      });
      const kinds = [...new Set(shown.methods.flatMap((method) => method.curves.map((curve) => curve.metric)))].sort((a, b) => a - b);
      const charts = kinds.map((kind) => lineChart(metrics[kind].heading, shown.methods.flatMap((method, i) =>
        method.curves.filter((curve) => curve.metric === kind).map((curve) => ({ method: i, mean: curve.values })))));
      const columns = metrics.map((_, i) => i).filter((i) => shown.methods.some((method) => method.values?.[i] !== null && method.values));
      $("image").replaceChildren(
        el("p", { class: "note" }, `${models.length > 1 ? `${models[model()].name}. ` : ""}Chosen because: ${shown.rules.join(", ")}. ${classText(shown)}`),
        el("div", { class: "tiles" }, tile(shown.photo, "The photograph", "Photograph", "as the network sees it", "the photograph is not at hand"), tiles),
        el("p", { class: "scale", "aria-hidden": "true" }, "least", el("i"), "most important"),
        el("div", { class: "panels" }, charts),
        el("h3", {}, "Scores of this image"),
        el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Scores of this image" }, el("table", {},
          el("caption", { class: "hidden" }, `Scores of ${shown.image}`),
          el("thead", {}, el("tr", {}, el("th", { class: "text", scope: "col" }, "Method"), columns.map((i) => el("th", { scope: "col" }, metrics[i].heading)))),
          el("tbody", {}, there.map((method) => el("tr", {}, el("th", { scope: "row" }, methods[method].label),
            columns.map((i) => el("td", {}, points(shown.methods[method].values?.[i] ?? null)))))))));
    };
    $("image-list").addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step || !here().length) return;
      event.preventDefault();
      open = (open + step + here().length) % here().length;
      show();
      $("image-list").children[open].focus();
    });
    const model = modelChoice("images", () => { open = 0; list(); show(); });
    const metric = choice("images", "Order by", metricOptions, lead, () => show());
    list();
    show();
  });

  // ---------------------------------------------------------------- rows

  attempt("rows", () => {
    const PAGE = 50;
    const words = { o: "ok", d: "degenerate", f: "failed" };
    const rows = [];
    for (const model of range(models.length)) for (const method of range(methods.length)) {
      const cell = cellOf(model, method);
      data.images.forEach((_, image) => {
        if (data.status[cell][image] !== "m") rows.push({ model, method, image, status: words[data.status[cell][image]], cell });
      });
    }
    const columns = [
      ...(models.length > 1 ? [["Model", (r) => models[r.model].name]] : []),
      ["Method", (r) => methods[r.method].label],
      ["Image", (r) => data.images[r.image]],
      ["Status", (r) => r.status],
      ...metricOptions.map(([i, heading]) => [i === ADCC ? "ADCC of the image ↑" : heading, (r) => data.values[r.cell][i][r.image], true]),
    ];
    let sorted = null, way = 1, page = 0, found = rows;
    const some = data.images.length < data.n_images;
    $("rows-note").textContent = `One row per method and image, percent. ${some ? `Of ${counted(data.n_images)} images, ${counted(data.images.length)} chosen by a seed are here; all are in records.parquet.` : "All rows are here."}`;
    const head = el("tr", {}, columns.map(([text, , isNumber], i) => {
      const th = el("th", { scope: "col", class: isNumber ? null : "text" }, text);
      headButton(th, () => {
        way = sorted === i ? -way : 1;
        sorted = i;
        markSorted(th, way);
        find();
      });
      return th;
    }));
    const body = el("tbody");
    $("rows-table").append(el("thead", {}, head), body);
    const count = el("output", { "aria-live": "polite" });
    const find = () => {
      page = 0;
      const text = wanted();
      found = rows.filter((r) => (status() === "all" || r.status === status()) && (method() < 0 || r.method === method()) &&
        (!text || `${data.images[r.image]} ${methods[r.method].label} ${models[r.model].name}`.toLowerCase().includes(text)));
      if (sorted !== null) {
        const of = columns[sorted][1];
        found.sort((a, b) => compare(of(a), of(b), way));
      }
      turn();
    };
    const turn = () => {
      const last = Math.max(0, Math.ceil(found.length / PAGE) - 1);
      page = Math.min(Math.max(0, page), last);
      body.replaceChildren(...found.slice(page * PAGE, (page + 1) * PAGE).map((r) => el("tr", {},
        columns.map(([, of, isNumber]) => (isNumber ? el("td", {}, points(of(r))) : el("td", { class: "text", title: of(r) }, of(r)))))));
      count.textContent = `${counted(found.length)} of ${counted(rows.length)} rows`;
      where.textContent = `page ${page + 1} of ${last + 1}`;
      back.disabled = page === 0;
      next.disabled = page === last;
    };
    const back = el("button", { type: "button", onclick: () => { page -= 1; turn(); } }, "Previous");
    const next = el("button", { type: "button", onclick: () => { page += 1; turn(); } }, "Next");
    const where = el("span");
    $("rows-pager").append(back, where, next);
    const wanted = search("rows", "Filter by image, method or model", find);
    const method = choice("rows", "Method", [[-1, "all"], ...methods.map((m, i) => [i, m.label])], -1, find);
    const status = choice("rows", "Status", [["all", "all"], ["ok", "ok"], ["degenerate", "degenerate"], ["failed", "failed"]], "all", find);
    form("rows").append(count);
    find();
  });
})();
